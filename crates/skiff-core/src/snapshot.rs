//! Snapshots (dissertation chapter 5): which one is the newest here, how far the log is compacted
//! behind it, and what becomes of one that came from another node. Their bytes never come here.

use alloc::vec::Vec;

use crate::{
    error::{Fatal, Reject},
    local::Local,
    membership::Membership,
    mutants::{Mutant, planted},
    output::Event,
    raft::Raft,
    role::{Role, Transition},
    types::{Index, LogTime, Position, Term},
};

/// What a snapshot that is taken now stands for: all that the machine was handed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPoint {
    /// The last entry it covers.
    pub position: Position,
    /// The members in force at that entry. Those of a later entry may never be committed.
    pub membership: Membership,
    /// The terms of the log up to that entry with the index of their first entry, as far as they
    /// are remembered.
    pub terms: Vec<(Index, Term)>,
}

impl Raft {
    /// The newest snapshot that is durable here.
    #[must_use]
    pub const fn snapshot(&self) -> Position {
        self.local.snapshot
    }

    /// What a snapshot would stand for that is taken after all work that was polled for the state
    /// machine so far. `None` while the machine is about to be given another state.
    #[must_use]
    pub fn snapshot_point(&self) -> Option<SnapshotPoint> {
        let local = &self.local;
        let position = local.log.position_at(local.machine.handed())?;
        if local.machine.restores() || position.index <= local.snapshot.index {
            return None;
        }
        let newest = planted(Mutant::SnapshotHoldsNewestMembers);
        let at = if newest { local.members.latest().0 } else { position.index };
        let membership = Membership::clone(local.members.at(at));
        Some(SnapshotPoint { position, membership, terms: local.log.terms_to(position.index) })
    }

    /// Where a state machine stands that is durable by itself, after all work that was polled for it so
    /// far, with the members in force there. `None` while it is about to be given another state.
    #[must_use]
    pub fn mark_point(&self) -> Option<(Position, Membership)> {
        let local = &self.local;
        let position = local.log.position_at(local.machine.handed())?;
        let membership = Membership::clone(local.members.at(position.index));
        (!local.machine.restores()).then_some((position, membership))
    }

    /// A snapshot of the machine here is durable.
    pub(crate) fn snapshot_taken(&mut self, position: Position) {
        let local = &mut self.local;
        // One that comes late never replaces a newer one.
        let is_late =
            position.index <= local.snapshot.index && !planted(Mutant::LateSnapshotCounts);
        if is_late || position.index > local.machine.handed() {
            return;
        }
        local.snapshot = position;
        self.compact();
    }

    /// Gives up as much of the log as the newest snapshot stands for, but for what others will want.
    pub(crate) fn compact(&mut self) {
        let held = match &self.role {
            Role::Leader(leader) => leader.holds(&self.local),
            _ => Index(u64::MAX),
        };
        self.local.compact(held);
    }

    /// A snapshot from another node is durable here, and verified.
    pub(crate) fn snapshot_received(
        &mut self,
        position: Position,
        membership: Membership,
        time: LogTime,
        terms: Vec<(Index, Term)>,
    ) {
        let local = &self.local;
        let is_old = position.index <= local.snapshot.index.max(local.log.base().index);
        // A leader has all that is committed; and nobody has heard of a term that is to come.
        let is_old = is_old && !planted(Mutant::InstallsOlderSnapshot);
        if is_old || self.is_leader() || position.term > local.hard.term {
            return;
        }
        let known = local.log.term_at(position.index);
        let is_committed = position.index <= local.log.committed();
        if is_committed && known.is_some_and(|term| term != position.term) {
            let (term, committed) = (local.hard.term, local.log.committed());
            let leader = self.leader().unwrap_or_default();
            let (index, fatal) = (
                position.index,
                Fatal::CommittedConflict { leader, term, index: position.index, committed },
            );
            debug_assert!(index <= committed, "only what is committed conflicts");
            return self.stop(fatal);
        }
        let keeps = known.is_some() && planted(Mutant::KeepsConflictingLog);
        if known == Some(position.term) || keeps {
            // The log holds all that the snapshot stands for: the machine gets there by itself.
            self.local.snapshot = position;
            self.local.log.commit(position.index);
            self.verify_to(position.index);
            return self.compact();
        }
        self.install(position, membership, (time, terms));
    }

    /// The log begins after a snapshot from now on: nothing of it is known to follow.
    fn install(
        &mut self,
        position: Position,
        membership: Membership,
        (time, terms): (LogTime, Vec<(Index, Term)>),
    ) {
        if matches!(self.role, Role::PreCandidate(_) | Role::Candidate(_)) {
            // It asked for votes with another log.
            let term = self.local.hard.term;
            self.transition(Transition::Follow { term, leader: None });
        }
        let terms = if planted(Mutant::ForgetsTermsOfSnapshot) { Vec::new() } else { terms };
        let local = &mut self.local;
        for (index, token) in local.machine.begin_after(position) {
            // They were known to be committed, and the machine goes past them.
            let term = local.log.term_at(index).unwrap_or_default();
            local.reject(token, Reject::ResponseLost { position: Position { term, index } });
        }
        local.snapshot = position;
        if planted(Mutant::InstallKeepsLog) {
            local.log.commit(position.index);
        } else {
            local.log.begin_after(position, time, terms);
        }
        if !planted(Mutant::ForgetsMembersOfSnapshot) {
            local.members.begin_after(position.index, membership);
        }
        local.outbox.event(Event::SnapshotInstalled { position });
        self.verify_to(position.index);
    }

    /// What a snapshot stands for is committed, so it equals every leader's log.
    fn verify_to(&mut self, index: Index) {
        if let Role::Follower(follower) = &mut self.role {
            follower.verified = follower.verified.max(index);
        }
    }

    /// The machine's state is that of a snapshot.
    pub(crate) fn snapshot_restored(&mut self, position: Position) {
        self.local.machine.restored(position);
        self.compact();
    }
}

impl Local {
    /// Compacts the log behind the newest snapshot, but for a trailing window, and never beyond
    /// `held`, nor beyond what the machine has applied, or has after a crash if it is durable by itself.
    fn compact(&mut self, held: Index) {
        let window = self.log.window_start(self.config.keep_entries, self.config.keep_bytes);
        let applied = if planted(Mutant::CompactsUnapplied) {
            self.log.committed()
        } else {
            self.machine.applied().min(self.snapshot.index)
        };
        let marked = self.machine.marked().filter(|_| !planted(Mutant::CompactsUnmarked));
        let applied = applied.min(marked.unwrap_or(applied));
        let to = applied.min(self.log.durable()).min(window).min(held);
        if to <= self.log.base().index {
            return;
        }
        self.log.compact(to);
        self.members.compact(to);
        self.outbox.event(Event::LogCompacted { base: self.log.base() });
    }
}
