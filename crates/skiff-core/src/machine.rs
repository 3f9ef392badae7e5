//! The machine lane: committed entries on their way to the state machine, the requests they
//! answer, and the reads that wait for them.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{
    entry::{Entry, Payload},
    error::Fatal,
    log::Log,
    mutants::{Mutant, planted},
    output::{Apply, Output},
    types::{Index, Position, Token},
};

/// At most this many bytes go to the state machine at once, so that readers get their turn.
const BATCH_BYTES: usize = 1 << 20;

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// The state machine has applied everything up to here.
    applied: Index,
    /// It was handed everything up to here.
    handed: Index,
    /// It has everything up to here after a crash, if it is durable by itself.
    marked: Option<Index>,
    /// What it was handed and has not finished: last index and bytes of each batch.
    pub(crate) batches: VecDeque<(Index, usize)>,
    batch_bytes: usize,
    /// Requests accepted here, by the index of their entry, ascending, with its size.
    pub(crate) proposals: VecDeque<(Index, Token, usize)>,
    proposal_bytes: usize,
    /// A snapshot that the state machine is to be given next, or is being given.
    pub(crate) restore: Option<Restore>,
    /// Confirmed reads and the index they wait for, ascending.
    pub(crate) reads: VecDeque<(Index, Token)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Restore {
    /// It waits until the log begins after it, durably.
    Due(Position),
    /// The state machine is being given it.
    UnderWay(Position),
}

/// What the machine lane has to do next.
#[derive(Debug)]
pub(crate) enum Work {
    Do(Output),
    /// Committed entries are no longer in memory: from, and up to but not including.
    Load(Index, Index),
    Fail(Fatal),
}

impl Machine {
    pub(crate) const fn new(applied: Index, marked: Option<Index>) -> Self {
        Self {
            applied,
            handed: applied,
            marked,
            batches: VecDeque::new(),
            batch_bytes: 0,
            proposals: VecDeque::new(),
            proposal_bytes: 0,
            restore: None,
            reads: VecDeque::new(),
        }
    }

    pub(crate) const fn applied(&self) -> Index {
        self.applied
    }

    pub(crate) const fn handed(&self) -> Index {
        self.handed
    }

    pub(crate) const fn marked(&self) -> Option<Index> {
        self.marked
    }

    /// It has everything up to here after a crash.
    pub(crate) fn mark(&mut self, index: Index) {
        self.marked = self.marked.map(|marked| marked.max(index.min(self.applied)));
    }

    /// A request was appended at `index`.
    pub(crate) fn expect(&mut self, index: Index, token: Token, size: usize) {
        self.proposals.push_back((index, token, size));
        self.proposal_bytes += size;
    }

    /// Bytes of the requests accepted here that the state machine was not handed yet.
    pub(crate) const fn proposal_bytes(&self) -> usize {
        self.proposal_bytes
    }

    /// A read was confirmed: it may be served once `index` is applied.
    pub(crate) fn read_at(&mut self, index: Index, token: Token) {
        let place = self.reads.partition_point(|(earlier, _)| *earlier <= index);
        self.reads.insert(place, (index, token));
    }

    /// The caller is gone. Whether it was here.
    pub(crate) fn cancel(&mut self, token: Token) -> bool {
        if remove_first(&mut self.reads, |(_, one)| *one == token).is_some() {
            return true;
        }
        let proposal = remove_first(&mut self.proposals, |(_, one, _)| *one == token);
        self.proposal_bytes -= proposal.map_or(0, |(.., size)| size);
        proposal.is_some()
    }

    /// The requests whose entries lie behind `index`: whether they take effect is unknown.
    pub(crate) fn take_proposals_after(&mut self, index: Index) -> Vec<(Index, Token)> {
        let keep = self.proposals.partition_point(|(one, ..)| *one <= index);
        let taken = self.proposals.split_off(keep);
        self.proposal_bytes -= taken.iter().map(|(.., size)| size).sum::<usize>();
        taken.into_iter().map(|(index, token, _)| (index, token)).collect()
    }

    pub(crate) fn take_reads(&mut self) -> VecDeque<(Index, Token)> {
        core::mem::take(&mut self.reads)
    }

    /// The state machine has applied everything up to `index`.
    pub(crate) fn applied_to(&mut self, index: Index) {
        self.applied = self.applied.max(index.min(self.handed));
        while let Some((_, bytes)) = self.batches.front().filter(|(last, _)| *last <= self.applied)
        {
            self.batch_bytes -= bytes;
            self.batches.pop_front();
        }
    }

    /// Whether the state machine is to be given the state of a snapshot.
    pub(crate) const fn restores(&self) -> bool {
        self.restore.is_some()
    }

    /// The log begins after a snapshot, whose state comes next. The requests whose entries it
    /// covers: nobody here will know what they were answered.
    pub(crate) fn begin_after(&mut self, position: Position) -> Vec<(Index, Token)> {
        self.restore = Some(Restore::Due(position));
        self.handed = position.index;
        let later = self.take_proposals_after(position.index);
        let covered = self.take_proposals_after(Index::ZERO);
        debug_assert!(later.is_empty(), "what a snapshot replaces has no requests behind it");
        covered.into_iter().chain(later).collect()
    }

    /// The state machine's state is that of a snapshot.
    pub(crate) fn restored(&mut self, position: Position) {
        if self.restore == Some(Restore::UnderWay(position)) {
            self.restore = None;
            self.applied_to(position.index);
            self.mark(position.index);
        }
    }

    /// The next thing to do, in the order of the lane. Nothing passes what is durable here.
    pub(crate) fn next_work(&mut self, log: &Log, window: usize) -> Option<Work> {
        if let Some((index, token)) = self.reads.front().copied().filter(|r| r.0 <= self.applied) {
            self.reads.pop_front();
            return Some(Work::Do(Output::ReadReady { token, index }));
        }
        match self.restore {
            Some(Restore::Due(position)) if log.has_begun() => {
                self.restore = Some(Restore::UnderWay(position));
                return Some(Work::Do(Output::RestoreSnapshot { position }));
            }
            // What follows is applied to that state, and to no other.
            Some(_) => return None,
            None => {}
        }
        let durable =
            if planted(Mutant::AppliesUndurable) { log.last_index() } else { log.durable() };
        let end = log.committed().min(durable);
        if self.handed >= end || self.batch_bytes >= window {
            return None;
        }
        let from = self.handed.next();
        if from < log.cached_from() {
            return Some(Work::Load(from, log.cached_from().min(end.next())));
        }
        let entries = log.cached(from, end.next(), BATCH_BYTES);
        Some(self.hand(entries))
    }

    /// Hands these entries to the state machine, up to the first of an unknown kind.
    pub(crate) fn hand(&mut self, mut entries: Vec<Entry>) -> Work {
        let unknown = entries.iter().position(|e| matches!(e.payload, Payload::Unknown { .. }));
        if let Some(Entry { index, payload: Payload::Unknown { kind, .. }, .. }) =
            unknown.filter(|at| *at == 0).and_then(|at| entries.get(at))
        {
            return Work::Fail(Fatal::UnknownEntry { index: *index, kind: *kind });
        }
        entries.truncate(unknown.unwrap_or(entries.len()));
        let last = entries.last().map_or(self.handed, |entry| entry.index);
        let bytes = entries.iter().map(Entry::size).sum();
        let answered = self.proposals.partition_point(|(index, ..)| *index <= last);
        let bytes_left = &mut self.proposal_bytes;
        let tokens = self
            .proposals
            .drain(..answered)
            .map(|(index, token, size)| {
                *bytes_left -= size;
                (index, token)
            })
            .collect();
        self.handed = last;
        self.batches.push_back((last, bytes));
        self.batch_bytes += bytes;
        Work::Do(Output::Apply(Apply { entries, tokens }))
    }
}

/// Takes one out of a queue. Callers mostly give up in the order they came, from the front.
pub(crate) fn remove_first<T>(queue: &mut VecDeque<T>, is_it: impl Fn(&T) -> bool) -> Option<T> {
    queue.iter().position(is_it).and_then(|at| queue.remove(at))
}
