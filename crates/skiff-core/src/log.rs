//! The log as the core sees it: where it begins and ends, which term stands where, what is
//! durable and what is committed, and its recent entries.
//!
//! ```text
//! base ... | applied ... committed ... verified ... last
//!          |        durable ... stored ... last
//! ```
//!
//! `durable` is what a finished write covers, `stored` what has been handed to the log store. Each
//! undurable stretch belongs to the write that carries it: if it is cut and comes again, the old
//! write's completion says nothing about it, also when term and index are the same.

use alloc::{
    collections::{VecDeque, vec_deque},
    vec::Vec,
};

use crate::{
    config::Recovered,
    entry::Entry,
    error::StartError,
    mutants::{Mutant, planted},
    output::Write,
    types::{HardState, Index, LogTime, Position, Term, WriteId},
    weights::Weights,
};

/// So many terms are remembered that ended before the log begins.
const PAST_MAX: usize = 65_536;

#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// The log begins after this.
    pub(crate) base: Position,
    /// Each term up to `base` with its first index, as far as they are remembered.
    past: Vec<(Index, Term)>,
    /// The last index; `base.index` if the log is empty.
    pub(crate) last: Index,
    /// The time of the last entry.
    pub(crate) last_time: LogTime,
    /// Each term after `base` with its first index, ascending in both.
    pub(crate) terms: Vec<(Index, Term)>,
    /// The newest entries without a gap up to `last`. Older ones are with the store.
    cache: VecDeque<Entry>,
    cache_bytes: usize,
    cache_limit: usize,
    /// Bytes of the cached entries behind `committed`.
    pub(crate) uncommitted_bytes: usize,
    pub(crate) durable: Index,
    pub(crate) committed: Index,
    /// Where the store's log ends once the outstanding write is done.
    pub(crate) stored: Index,
    /// What the next write must first cut from the store's log.
    pub(crate) truncate_from: Option<Index>,
    /// The next write must first begin the store's log anew, after this.
    pub(crate) begin_after: Option<Position>,
    /// The next write gives up the store's log up to here.
    pub(crate) compact_to: Option<Position>,
    pub(crate) outstanding: Option<Stretch>,
    weights: Weights,
}

/// The part of the log that the outstanding write carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    write: WriteId,
    /// Where the store's log ended before, less what this write cuts.
    pub(crate) kept: Index,
    pub(crate) truncate_from: Option<Index>,
    pub(crate) begin_after: Option<Position>,
    pub(crate) compact_to: Option<Position>,
    /// The last entry of the write that is still in the log.
    pub(crate) last: Index,
}

impl Log {
    pub(crate) fn new(recovered: &Recovered, cache_limit: usize) -> Result<Self, StartError> {
        check(recovered)?;
        let last = recovered.last.index;
        let before = |run: &&(Index, Term)| run.0 <= recovered.base.index;
        Ok(Self {
            base: recovered.base,
            past: recovered.past.iter().take_while(before).copied().collect(),
            last,
            last_time: recovered.last_time,
            terms: recovered.terms.clone(),
            cache: VecDeque::new(),
            cache_bytes: 0,
            cache_limit,
            uncommitted_bytes: 0,
            durable: last,
            committed: recovered.applied,
            stored: last,
            truncate_from: None,
            begin_after: recovered.begin_anew.then_some(recovered.base),
            compact_to: None,
            outstanding: None,
            weights: Weights::default(),
        })
    }

    pub(crate) const fn base(&self) -> Position {
        self.base
    }

    pub(crate) fn last(&self) -> Position {
        Position { term: self.terms.last().map_or(self.base.term, |run| run.1), index: self.last }
    }

    pub(crate) const fn last_index(&self) -> Index {
        self.last
    }

    pub(crate) const fn last_time(&self) -> LogTime {
        self.last_time
    }

    pub(crate) const fn durable(&self) -> Index {
        self.durable
    }

    pub(crate) const fn committed(&self) -> Index {
        self.committed
    }

    pub(crate) const fn uncommitted_bytes(&self) -> usize {
        self.uncommitted_bytes
    }

    /// The first entry that is still in memory, or the one after the last.
    pub(crate) fn cached_from(&self) -> Index {
        self.cache.front().map_or_else(|| self.last.next(), |entry| entry.index)
    }

    /// The term of the entry at `index`; `None` outside of the log. That of `base` is known too.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index < self.base.index || index > self.last {
            return None;
        }
        let after = self.terms.partition_point(|(first, _)| *first <= index);
        self.terms.get(after.checked_sub(1)?).map(|run| run.1)
    }

    /// As [`term_at`](Self::term_at), also for entries that were given up, as far as their terms are
    /// remembered.
    pub(crate) fn term_once_at(&self, index: Index) -> Option<Term> {
        if index >= self.base.index {
            return self.term_at(index);
        }
        let after = self.past.partition_point(|(first, _)| *first <= index);
        self.past.get(after.checked_sub(1)?).map(|run| run.1)
    }

    pub(crate) fn position_at(&self, index: Index) -> Option<Position> {
        self.term_at(index).map(|term| Position { term, index })
    }

    /// Whether an entry with this term stands at this index, or the index is known to be
    /// committed: then every leader's log has the same entry there (dissertation 3.5, 3.6.3).
    pub(crate) fn contains(&self, position: Position) -> bool {
        position.index <= self.committed || self.term_at(position.index) == Some(position.term)
    }

    /// The last entry at or before `position.index` whose term is not above `position.term`: the
    /// furthest place at which this log and one that holds `position` can agree. Never before
    /// `base`.
    pub(crate) fn agreement(&self, position: Position) -> Position {
        let mut end = position.index.min(self.last);
        for (first, term) in self.terms.iter().rev() {
            if *first > end {
                continue;
            }
            if *term <= position.term {
                return Position { term: *term, index: end };
            }
            end = first.prev();
        }
        self.base
    }

    /// Appends an entry that follows the last.
    pub(crate) fn append(&mut self, entry: Entry) {
        debug_assert!(entry.index == self.last.next(), "an entry must follow the last");
        if self.last().term != entry.term || self.terms.is_empty() {
            self.terms.push((entry.index, entry.term));
        }
        self.last = entry.index;
        self.last_time = self.last_time.max(entry.time);
        let size = entry.size();
        self.cache_bytes += size;
        self.uncommitted_bytes += size;
        self.weights.add(entry.index, size);
        self.cache.push_back(entry);
    }

    /// Cuts everything from `from` on. The caller has made sure that none of it is committed.
    pub(crate) fn truncate(&mut self, from: Index) {
        debug_assert!(from > self.committed, "what is committed is never cut");
        let keep = from.prev();
        while self.cache.back().is_some_and(|entry| entry.index >= from) {
            if let Some(entry) = self.cache.pop_back() {
                self.cache_bytes -= entry.size();
                self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(entry.size());
            }
        }
        self.terms.retain(|(first, _)| *first < from);
        self.weights.cut(from);
        self.last = self.last.min(keep);
        self.durable =
            self.durable.min(if planted(Mutant::CutStaysDurable) { self.durable } else { keep });
        if self.stored > keep {
            self.stored = keep;
            self.truncate_from = Some(self.truncate_from.map_or(from, |older| older.min(from)));
        }
        if let Some(stretch) = &mut self.outstanding {
            let cut = if planted(Mutant::PersistedAba) { stretch.last } else { keep };
            stretch.last = stretch.last.min(cut);
        }
    }

    /// Whether the store has yet to be told something.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.truncate_from.is_some()
            || self.begin_after.is_some()
            || self.compact_to.is_some()
            || self.stored < self.last
    }

    /// What the store has yet to be told, up to `bytes_max` bytes of entries or one entry, as the
    /// content of write `id`. Only when no other write is outstanding.
    pub(crate) fn next_write(
        &mut self,
        id: WriteId,
        hard_state: HardState,
        bytes_max: usize,
    ) -> Write {
        let entries = self.cached(self.stored.next(), self.last.next(), bytes_max);
        let last = entries.last().map_or(self.stored, |entry| entry.index);
        let (begin_after, compact_to) = (self.begin_after.take(), self.compact_to.take());
        let (truncate_from, kept) = (self.truncate_from.take(), self.stored);
        self.outstanding =
            Some(Stretch { write: id, kept, truncate_from, begin_after, compact_to, last });
        self.stored = last;
        Write { id, hard_state, begin_after, compact_to, truncate_from, entries }
    }

    /// The outstanding write is durable.
    pub(crate) fn persisted(&mut self, write: WriteId) {
        if let Some(stretch) = self.outstanding.take_if(|stretch| stretch.write <= write) {
            self.durable = self.durable.max(stretch.last);
            self.evict();
        }
    }

    /// The outstanding write left no trace: its content must be written again.
    pub(crate) fn refused(&mut self, write: WriteId) {
        if let Some(stretch) = self.outstanding.take_if(|stretch| stretch.write == write) {
            if self.begin_after.is_some() {
                return; // All that it was to do is overtaken.
            }
            self.begin_after = stretch.begin_after;
            // What was decided since goes further.
            self.compact_to = self.compact_to.or(stretch.compact_to);
            self.stored = self.stored.min(stretch.kept);
            self.truncate_from = match (self.truncate_from, stretch.truncate_from) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }

    /// Marks everything up to `index` committed, as far as it is in the log. Never goes back.
    pub(crate) fn commit(&mut self, index: Index) -> bool {
        let index = index.min(self.last);
        if index <= self.committed {
            return false;
        }
        // What was recovered is not cached, and was never counted.
        let counted = self.committed.next().max(self.cached_from());
        let freed: usize = self.cached_range(counted, index.next()).map(Entry::size).sum();
        self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(freed);
        self.committed = index;
        self.evict();
        true
    }

    /// The cached entries from `from` up to but not including `to`, up to `bytes_max` bytes or one
    /// entry. Empty if the first is not cached.
    pub(crate) fn cached(&self, from: Index, to: Index, bytes_max: usize) -> Vec<Entry> {
        let mut bytes = 0_usize;
        let count = self
            .cached_range(from, to)
            .take_while(|entry| {
                let first = bytes == 0;
                bytes += entry.size();
                first || bytes <= bytes_max
            })
            .count();
        self.cached_range(from, to).take(count).cloned().collect()
    }

    fn cached_range(&self, from: Index, to: Index) -> vec_deque::Iter<'_, Entry> {
        let first = self.cached_from();
        let end = self.cache.len();
        let at = |index: Index| {
            usize::try_from(index.0.saturating_sub(first.0)).unwrap_or(usize::MAX).min(end)
        };
        if from < first || to <= from {
            self.cache.range(0..0)
        } else {
            self.cache.range(at(from)..at(to))
        }
    }

    /// Forgets the oldest entries beyond the limit, as long as the store can give them back.
    fn evict(&mut self) {
        let replaceable = self.durable.min(self.committed);
        while self.cache_bytes > self.cache_limit
            && self.cache.front().is_some_and(|entry| entry.index <= replaceable)
        {
            if let Some(entry) = self.cache.pop_front() {
                self.cache_bytes -= entry.size();
            }
        }
    }

    /// Whether the store's log begins where this one does, or before.
    pub(crate) fn has_begun(&self) -> bool {
        let begins = |stretch: &Stretch| stretch.begin_after.is_some();
        self.begin_after.is_none() && !self.outstanding.as_ref().is_some_and(begins)
    }

    /// Begins anew after `position`, which a durable snapshot covers with all before it: entries of
    /// these terms.
    pub(crate) fn begin_after(
        &mut self,
        position: Position,
        time: LogTime,
        past: Vec<(Index, Term)>,
    ) {
        (self.base, self.past) = (position, past);
        self.terms.clear();
        self.cache.clear();
        (self.cache_bytes, self.uncommitted_bytes) = (0, 0);
        self.weights = Weights::default();
        self.last = position.index;
        self.last_time = self.last_time.max(time);
        self.durable = position.index;
        self.committed = self.committed.max(position.index);
        self.stored = position.index;
        (self.begin_after, self.compact_to, self.truncate_from) = (Some(position), None, None);
        if let Some(stretch) = &mut self.outstanding {
            stretch.last = stretch.last.min(position.index);
        }
    }

    /// Gives up the entries up to `index`, which are applied and durable.
    pub(crate) fn compact(&mut self, index: Index) {
        let Some(base) = self.position_at(index) else { return };
        let after = self.terms.partition_point(|(first, _)| *first <= index);
        self.past.extend(self.terms.drain(..after));
        if self.last > index && self.terms.first().is_none_or(|(first, _)| *first > index.next()) {
            self.terms.insert(0, (index.next(), base.term));
        }
        if self.past.len() > PAST_MAX {
            self.past.drain(..self.past.len() - PAST_MAX);
        }
        while let Some(entry) = self.cache.front().filter(|entry| entry.index <= index) {
            self.cache_bytes -= entry.size();
            self.cache.pop_front();
        }
        self.weights.forget(index);
        self.base = base;
        self.compact_to = Some(base);
    }

    /// The terms up to `index` with the index of their first entry, as far as they are remembered.
    pub(crate) fn terms_to(&self, index: Index) -> Vec<(Index, Term)> {
        let mut all = self.past.clone();
        let begun = |(first, _): &&(Index, Term)| *first <= index;
        for run in self.terms.iter().take_while(begun) {
            if all.last().is_none_or(|(_, term)| *term != run.1) {
                all.push(*run);
            }
        }
        all
    }

    /// After this index stand at most so many entries, of at most so many bytes.
    pub(crate) fn window_start(&self, entries: u64, bytes: usize) -> Index {
        Index(self.last.0.saturating_sub(entries)).max(self.weights.start_of(bytes))
    }

    /// The end of what the outstanding write carries, for the invariants.
    pub(crate) fn outstanding_last(&self) -> Option<Index> {
        self.outstanding.as_ref().map(|stretch| stretch.last)
    }

    pub(crate) const fn stored(&self) -> Index {
        self.stored
    }
}

/// Whether what a store recovered can be a log.
fn check(recovered: &Recovered) -> Result<(), StartError> {
    let Recovered { base, last, terms, applied, hard_state, .. } = recovered;
    if last.index < base.index {
        return Err(StartError::Inconsistent("it ends before it begins"));
    }
    let ascending = terms.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
    let inside = terms
        .iter()
        .all(|(first, term)| *first > base.index && *first <= last.index && *term >= base.term);
    if !ascending || !inside {
        return Err(StartError::Inconsistent("its terms are out of order"));
    }
    let covered = match terms.first() {
        Some((first, _)) => *first == base.index.next(),
        None => last.index == base.index,
    };
    let end = terms.last().map_or(base.term, |run| run.1);
    if !covered || end != last.term {
        return Err(StartError::Inconsistent("its terms do not cover it"));
    }
    if hard_state.term < last.term {
        return Err(StartError::Inconsistent("the current term is below that of the last entry"));
    }
    if *applied > last.index {
        return Err(StartError::AppliedBeyondLog { applied: *applied, last: last.index });
    }
    if *applied < base.index {
        return Err(StartError::AppliedBeforeLog { applied: *applied, base: base.index });
    }
    Ok(())
}
