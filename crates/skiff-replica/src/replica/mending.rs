//! A member whose log has holes: it abstains, and gets back from others what damage took.
//!
//! While there is a hole no core runs: the node neither votes nor campaigns nor acknowledges anything,
//! which is what it can promise without knowing what it has acknowledged. It asks the others, one after
//! the other, for the entries that end with the last one of a hole; no leader is needed for that, so
//! that members with different damage make each other whole. Where they are given up, a snapshot takes
//! their place (`covering.rs`). When there is no hole any more, the node starts as after any crash.

use std::{collections::BTreeSet, sync::Arc};

use skiff_core::{
    Index, Instant, Membership, NodeId, Position, Term,
    mutants::{Mutant, planted},
};
use skiff_storage::{Hole, Recovered, SnapshotInfo};
use skiff_transport::{Body, Fetch, Fetched, Found, Genesis, Standing};

use super::{Phase, Replica};
use crate::{
    error::{ReplicaError, StartError},
    event::Event,
    input::NotMended,
    job::Job,
    machine::Opened,
    status::Waiting,
};

/// An answer is waited for this many longest election timeouts.
const PATIENCE: u64 = 4;
/// No more entries than so many are asked for beside those that are lost.
const REACH: u64 = 1024;
/// That all others have lost the same must be so for this many longest election timeouts before it is
/// believed: they mend each other meanwhile.
const GIVES_UP: u64 = 20;

/// A node that waits for entries.
#[derive(Debug)]
pub(crate) struct Mending {
    pub(super) log: Recovered,
    pub(super) snapshot: SnapshotInfo,
    pub(super) genesis: Genesis,
    pub(super) machine: Opened,
    /// Who may have them.
    pub(super) membership: Arc<Membership>,
    /// A snapshot has come that covers what is missing: the log is to be looked at again.
    pub(super) looks_again: bool,
    asked: Option<Asked>,
    asked_last: NodeId,
    /// Who has been asked since all were asked last, or since anything was given.
    tried: BTreeSet<NodeId>,
    /// Who has lost it too, by its last answer.
    losers: BTreeSet<NodeId>,
    /// When those who said so are asked again.
    pub(super) again_at: Option<Instant>,
    /// Since when nobody has it.
    nobody_since: Option<Instant>,
    /// The store is at work.
    pub(super) is_busy: bool,
    requests: u64,
    /// So many entries before a hole are asked for as well, once one of them has turned out not to fit:
    /// twice as many each time.
    reach: u64,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    id: u64,
    node: NodeId,
    until: Instant,
}

impl Mending {
    fn hole(&self) -> Option<&Hole> {
        self.log.holes.last()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let asked = self.asked.map(|asked| asked.until);
        if self.is_busy { None } else { asked.or(self.again_at) }
    }

    /// The newest hole ends with this entry from now on. Whether that closes it, as far as can be
    /// told here: the store knows.
    fn shrink(&mut self, last: Position) -> bool {
        let has_it = self.log.term_at(last.index) == Some(last.term);
        let is_base = last.index <= self.log.base.index;
        let Some(hole) = self.log.holes.last_mut() else { return true };
        let is_below = last.index < hole.first;
        (hole.first, hole.last) = (hole.first.min(last.index), last);
        let is_closed = is_base || (is_below && has_it);
        if is_closed {
            self.reach = 0;
        } else if is_below {
            self.reach = (2 * self.reach).clamp(1, REACH);
        }
        is_closed
    }

    /// The term that is durable, and the last index that was.
    pub(super) const fn durable(&self) -> (Term, Index) {
        (self.log.hard_state.term, self.log.last.index)
    }

    /// What is waited for.
    pub(super) fn waits(&self) -> Vec<Waiting> {
        let waits = |hole: &Hole| Waiting::Entries { first: hole.first, last: hole.last.index };
        self.log.holes.iter().map(waits).collect()
    }

    /// Whether all other voters have lost the same.
    fn nobody_has_it(&self, me: NodeId) -> bool {
        let mut others = self.membership.voters.iter().filter(|voter| **voter != me);
        others.all(|voter| self.losers.contains(voter))
    }
}

impl Replica {
    /// Begins to mend the log.
    pub(super) fn mend(
        &mut self,
        log: Recovered,
        (genesis, snapshot): (Genesis, SnapshotInfo),
        machine: Opened,
    ) -> Result<(), StartError> {
        let newest = log.memberships.last().map(|(_, membership)| membership);
        let membership = Arc::new(newest.unwrap_or(&snapshot.meta.membership).clone());
        let is_alone = !membership.voters.iter().any(|voter| *voter != self.identity.node);
        let is_covered =
            log.holes.last().is_none_or(|hole| hole.last.index <= snapshot.meta.position.index);
        if let Some(hole) = log.holes.first().filter(|_| is_alone && !is_covered) {
            return Err(StartError::Lost { hole: hole.clone() });
        }
        for hole in &log.holes {
            self.tell(Event::Hole(hole.clone()));
        }
        self.phase = Phase::Mending(Box::new(Mending {
            log,
            snapshot,
            genesis,
            machine,
            membership,
            looks_again: false,
            asked: None,
            asked_last: NodeId::default(),
            tried: BTreeSet::new(),
            losers: BTreeSet::new(),
            again_at: None,
            nobody_since: None,
            is_busy: false,
            requests: 0,
            reach: 0,
        }));
        self.dial_members();
        self.cover();
        Ok(())
    }

    pub(super) const fn mending(&mut self) -> Option<&mut Mending> {
        match &mut self.phase {
            Phase::Mending(mending) => Some(mending),
            _ => None,
        }
    }

    /// Asks the next one, if it is time to.
    pub(super) fn mend_on(&mut self) {
        let now = self.now;
        let patience = self.settings.core.max_election_timeout;
        let is_coming = self
            .receiving
            .as_ref()
            .is_some_and(|one| now.since(one.heard()) <= PATIENCE * patience);
        let Some(mending) = self.mending().filter(|mending| !mending.is_busy) else { return };
        if mending.looks_again && mending.again_at.is_none_or(|at| at <= now) {
            (mending.looks_again, mending.is_busy) = (false, true);
            return self.jobs.push_back(Job::Reload);
        }
        if let Some(asked) = mending.asked.take_if(|asked| asked.until <= now) {
            // It may be slow, or gone: the next one is asked.
            mending.tried.insert(asked.node);
        }
        if mending.again_at.take_if(|at| *at <= now).is_some() && !planted(Mutant::AskedOnce) {
            mending.tried.clear();
        }
        if mending.asked.is_some() || mending.again_at.is_some() {
            return;
        }
        let (asked_last, tried) = (mending.asked_last, mending.tried.clone());
        if is_coming {
            return self.mend_later(now.after(patience));
        }
        let mut able: Vec<NodeId> = self
            .links
            .peers()
            .filter(|(_, peer)| peer.hello.standing == Standing::Member)
            .map(|(_, peer)| peer.node)
            .filter(|node| self.is_member(*node) && !tried.contains(node))
            .collect();
        // Each in its turn, so that one who is slow does not keep the others from being asked.
        able.sort_by_key(|node| (*node <= asked_last, *node));
        let Some(node) = able.first().copied() else { return self.mend_later(now.after(patience)) };
        let Some(link) = self.links.path(node) else { return };
        let Some(mending) = self.mending() else { return };
        let Some(hole) = mending.hole() else { return };
        let lowest = mending.log.base.index.next();
        let from = Index(hole.first.0.saturating_sub(mending.reach)).max(lowest);
        let last = hole.last;
        mending.requests += 1;
        let id = mending.requests;
        mending.asked = Some(Asked { id, node, until: now.after(PATIENCE * patience) });
        mending.asked_last = node;
        self.send(link, Body::Fetch(Box::new(Fetch { id, from, last })));
    }

    /// All who can be asked were asked.
    fn mend_later(&mut self, at: Instant) {
        let (now, me) = (self.now, self.identity.node);
        let gives_up_after = GIVES_UP * self.settings.core.max_election_timeout;
        let Some(mending) = self.mending() else { return };
        mending.again_at = Some(at);
        if !mending.nobody_has_it(me) {
            mending.nobody_since = None;
            return;
        }
        let since = *mending.nobody_since.get_or_insert(now);
        if now.since(since) >= gives_up_after
            && let Some(hole) = mending.hole().cloned()
        {
            self.fail(ReplicaError::Lost { hole });
        }
    }

    /// Somebody has answered.
    pub(super) fn fetched(&mut self, node: NodeId, fetched: Fetched) {
        let Some(mending) = self.mending() else { return };
        let is_asked = |asked: &mut Asked| (asked.id, asked.node) == (fetched.id, node);
        if mending.asked.take_if(is_asked).is_none() {
            return;
        }
        let Some(hole) = mending.hole().cloned() else { return };
        let base = mending.log.base.index;
        let found = match judge(&hole, base, &fetched) {
            Ok(found) => found,
            Err(Nonsense) => {
                self.refusals.count_one();
                Found::Differs
            }
        };
        let Fetched { prev, mut entries, .. } = fetched;
        let Some(mending) = self.mending() else { return };
        mending.tried.insert(node);
        // Who has given it up has a snapshot in its place, and offers that.
        if found == Found::Damaged {
            mending.losers.insert(node);
        } else {
            mending.losers.remove(&node);
        }
        match found {
            Found::Entries => {
                mending.is_busy = true;
                self.jobs.push_back(Job::Mend { prev, entries });
            }
            Found::Committed => {
                mending.is_busy = true;
                let entry = entries.pop().map(Box::new);
                self.jobs.extend(entry.map(|entry| Job::EndWith { entry }));
            }
            Found::Differs | Found::Damaged | Found::Compacted => self.mend_on(),
        }
    }

    /// A piece is durable, or the log ends with what others have.
    pub(super) fn mended(&mut self, piece: Option<Position>, result: Result<(), NotMended>) {
        let (now, patience) = (self.now, self.settings.core.max_election_timeout);
        let Some(mending) = self.mending() else { return };
        mending.is_busy = false;
        match result {
            Ok(()) => {}
            // It is asked for again when there may be room.
            Err(NotMended { recoverable: true, reason, .. }) => {
                mending.again_at = Some(now.after(patience));
                return self.tell(Event::MendRefused { reason });
            }
            Err(error) => return self.fail(error.into()),
        }
        mending.tried.clear();
        mending.losers.clear();
        mending.nobody_since = None;
        if let Some(prev) = piece
            && !mending.shrink(prev)
        {
            return self.mend_on();
        }
        mending.is_busy = true;
        self.jobs.push_back(Job::Reload);
    }

    /// What the log holds now.
    pub(super) fn reloaded(&mut self, result: Result<Recovered, NotMended>) {
        let Some(mending) = self.mending() else { return };
        mending.is_busy = false;
        match result {
            Err(error) => self.fail(error.into()),
            Ok(log) if !log.holes.is_empty() => {
                mending.log = log;
                if !self.cover() {
                    self.mend_on();
                }
            }
            Ok(log) => {
                let phase = std::mem::replace(&mut self.phase, Phase::Fresh);
                let Phase::Mending(mending) = phase else { return };
                let Mending { snapshot, genesis, machine, .. } = *mending;
                self.tell(Event::Mended);
                if let Err(error) = self.go_on(log, (genesis, snapshot), machine) {
                    self.fail(error.into());
                }
            }
        }
    }
}

/// What was answered is not an answer.
struct Nonsense;

/// What an answer gives towards a hole.
fn judge(hole: &Hole, base: Index, fetched: &Fetched) -> Result<Found, Nonsense> {
    let Fetched { found, prev, entries, .. } = fetched;
    let ascend = entries.is_sorted_by_key(|entry| entry.term)
        && entries.first().is_some_and(|first| first.index == prev.index.next())
        && entries.first().is_some_and(|first| first.term >= prev.term);
    let follow = entries.windows(2).all(|pair| pair[0].index == pair[1].index.prev());
    let ascend = ascend && follow && base <= prev.index && prev.index < hole.last.index;
    let last = entries.last().map(|entry| entry.position());
    match (found, last) {
        (Found::Entries, Some(last)) if ascend && last == hole.last => Ok(Found::Entries),
        (Found::Committed, Some(last)) if ascend && entries.len() == 1 => {
            let is_other = last.index == hole.last.index && last.term != hole.last.term;
            let is_later = last.index < hole.last.index && last.term > hole.last.term;
            if is_other || is_later { Ok(Found::Committed) } else { Err(Nonsense) }
        }
        (Found::Entries | Found::Committed, _) => Err(Nonsense),
        (found, _) => Ok(*found),
    }
}
