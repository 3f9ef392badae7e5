//! Giving entries to a member whose log is damaged.
//!
//! A node with holes of its own gives what it has too. All that is needed is that the entries were read
//! at one moment and end with the one that was asked for: then those before it are the right ones, by
//! log matching (dissertation 3.5).

use std::collections::BTreeMap;

use skiff_core::{Entry, Index, LoadError, LoadId, Position, Term};
use skiff_transport::{Body, Fetch, Fetched, Found};

use super::{Phase, Replica};
use crate::job::{Job, LinkId};

/// Loads that are not the core's have this bit.
const FETCHING: u64 = 1 << 63;
/// So many are read for others at once. Whoever gets no answer asks again.
const AT_ONCE: usize = 4;
/// At most so many entries are given at once.
const ENTRIES: u64 = 4096;

/// Reads for others that are under way.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    under_way: BTreeMap<u64, Serving>,
    number: u64,
}

#[derive(Clone, Copy, Debug)]
struct Serving {
    link: LinkId,
    fetch: Fetch,
    /// The first entry that is given, if all fit.
    from: Index,
    /// The last one.
    to: Index,
    /// Instead of what was asked for, what is committed there is given.
    is_committed: bool,
}

impl Fetches {
    /// Whether this load is one of these.
    pub(super) const fn is_one(load: LoadId) -> bool {
        load.0 & FETCHING != 0
    }
}

impl Replica {
    /// A member asks for entries.
    pub(super) fn fetch(&mut self, link: LinkId, fetch: Fetch) {
        let (from, is_committed) = match self.lookup(fetch) {
            Ok(found) => found,
            Err(Some(found)) => {
                self.answer_fetch(link, fetch.id, found);
                let asks = self.links.peer(link).map(|peer| peer.node);
                if let Some(node) = asks.filter(|_| found == Found::Compacted) {
                    self.supply(node, None);
                }
                return;
            }
            Err(None) => return,
        };
        let to = if is_committed { from } else { fetch.last.index };
        let lowest = Index(to.0.saturating_sub(ENTRIES - 1));
        let from = from.max(lowest).min(to);
        self.read_for(Serving { link, fetch, from, to, is_committed });
    }

    /// Where what can be given begins, and whether it is not what was asked for but what is committed.
    /// If there is nothing to give, what to say; `None` while nothing can be said.
    fn lookup(&self, fetch: Fetch) -> Result<(Index, bool), Option<Found>> {
        let (index, term) = (fetch.last.index, Some(fetch.last.term));
        match &self.phase {
            Phase::Fresh | Phase::Entering(_) | Phase::Removed => Err(None),
            Phase::Member(member) => {
                let (raft, base) = (&member.raft, member.raft.base());
                if index <= base.index {
                    return Err(Some(Found::Compacted));
                }
                let is_durable = index <= raft.durable();
                if !is_durable || raft.term_at(index) != term {
                    // Terms only grow along a log: behind a committed entry none is of an earlier term.
                    let decided = raft.committed().min(raft.durable()).min(index);
                    let is_later = raft.term_at(decided) > term;
                    let is_dead = decided > base.index && (decided == index || is_later);
                    return if is_dead { Ok((decided, true)) } else { Err(Some(Found::Differs)) };
                }
                Ok((fetch.from.max(base.index.next()), false))
            }
            Phase::Mending(mending) => {
                let log = &mending.log;
                if index <= log.base.index {
                    return Err(Some(Found::Compacted));
                }
                let holes = log.holes.iter().rev();
                let below = holes.clone().find(|hole| hole.first <= index);
                if below.is_some_and(|hole| index <= hole.last.index) {
                    return Err(Some(Found::Damaged));
                }
                if log.term_at(index) != term {
                    return Err(Some(Found::Differs));
                }
                // What stands in front of a hole was perhaps replaced by what is lost.
                let from = below.map_or(log.base, |hole| hole.last).index.next();
                Ok((fetch.from.max(from), false))
            }
        }
    }

    fn read_for(&mut self, serving: Serving) {
        if self.fetches.under_way.len() >= AT_ONCE {
            return;
        }
        self.fetches.number += 1;
        let number = self.fetches.number | FETCHING;
        self.fetches.under_way.insert(number, serving);
        let (load, from, to) = (LoadId(number), serving.from, serving.to.next());
        let bytes_max = self.settings.core.append_bytes;
        self.jobs.push_back(Job::Load { load, from, to, bytes_max });
    }

    /// What was to be given is read.
    pub(super) fn fetch_loaded(&mut self, load: LoadId, result: Result<Vec<Entry>, LoadError>) {
        let Some(mut serving) = self.fetches.under_way.remove(&load.0) else { return };
        let (link, id, last) = (serving.link, serving.fetch.id, serving.fetch.last);
        let failed = matches!(result, Err(LoadError::Failed));
        if failed && serving.from < serving.to {
            // What stands nearer to the end may be well: half as much is tried.
            let half = (serving.to.0 - serving.from.0) / 2;
            serving.from = Index(serving.to.0 - half.min(serving.to.0 - serving.from.0 - 1));
            return self.read_for(serving);
        }
        if self.note_load(serving.from, failed) {
            return;
        }
        let entries = match result {
            Ok(entries) => entries,
            Err(LoadError::Compacted) => return self.answer_fetch(link, id, Found::Compacted),
            Err(LoadError::Truncated) => return self.answer_fetch(link, id, Found::Differs),
            Err(LoadError::Failed) => return self.answer_fetch(link, id, Found::Damaged),
        };
        let found = entries.last().map(Entry::position).unwrap_or_default();
        if found.index < serving.to {
            // Not all did fit: as many from the end as did from the beginning.
            let fitted = u64::try_from(entries.len()).unwrap_or(1);
            let from = Index((serving.to.0 + 1).saturating_sub(fitted));
            serving.from = from.max(found.index.next());
            return self.read_for(serving);
        }
        let index = serving.from.prev();
        let is_still_there = self.term_now(found.index) == Some(found.term);
        let before = self.term_now(index).filter(|_| is_still_there);
        let Some(term) = before.filter(|_| (found == last) != serving.is_committed) else {
            return self.answer_fetch(link, id, Found::Differs);
        };
        let prev = Position { term, index };
        let found = if serving.is_committed { Found::Committed } else { Found::Entries };
        let fetched = Fetched { id, found, prev, entries };
        self.send(link, Body::Fetched(Box::new(fetched)));
    }

    /// The term of an entry in the log as it is now. If the last entry that was read is in it, so are
    /// those before it, and what comes before them.
    fn term_now(&self, index: Index) -> Option<Term> {
        match &self.phase {
            Phase::Fresh | Phase::Entering(_) | Phase::Removed => None,
            Phase::Member(member) => member.raft.term_at(index),
            Phase::Mending(mending) => mending.log.term_at(index),
        }
    }

    fn answer_fetch(&mut self, link: LinkId, id: u64, found: Found) {
        let fetched = Fetched { id, found, ..Fetched::default() };
        self.send(link, Body::Fetched(Box::new(fetched)));
    }
}
