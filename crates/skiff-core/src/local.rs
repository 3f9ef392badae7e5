//! What a node has whatever its role: its log and state, the lanes, its clock and its dice.

use alloc::sync::Arc;

use crate::{
    config::Config,
    disk::Disk,
    entry::{Entry, Payload},
    error::Reject,
    loads::Loads,
    log::Log,
    machine::Machine,
    membership::Membership,
    membership_history::MembershipHistory,
    message::Message,
    mutants::{Mutant, planted},
    outbox::{Gate, Outbox},
    output::Output,
    rng::Rng,
    role::leader::transfer::Transfer,
    types::{HardState, Index, Instant, LogTime, NodeId, Position, Token},
};

/// After so many failed rounds the election timeout no longer doubles.
pub(crate) const DOUBLINGS_MAX: u32 = 3;

#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) config: Config,
    pub(crate) now: Instant,
    pub(crate) hard: HardState,
    pub(crate) log: Log,
    pub(crate) members: MembershipHistory,
    /// The newest snapshot that is durable here.
    pub(crate) snapshot: Position,
    pub(crate) disk: Disk,
    pub(crate) machine: Machine,
    pub(crate) loads: Loads,
    pub(crate) outbox: Outbox,
    pub(crate) rng: Rng,
    /// When to campaign; `None` for a leader, and while a vote is on its way to the disk.
    pub(crate) election_at: Option<Instant>,
    /// Elections this node has lost in a row.
    pub(crate) failed_rounds: u32,
    /// Leadership that was on its way to another when this node left its office.
    pub(crate) handed_over: Option<Transfer>,
    /// This node is a member no longer, and that is committed.
    pub(crate) removed: bool,
}

impl Local {
    pub(crate) const fn id(&self) -> NodeId {
        self.config.id
    }

    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.members.latest().1
    }

    /// Starts the election timer anew, with fresh jitter. After lost elections the range is wider
    /// (up to eight times), so that slow disks and slow networks elect too.
    pub(crate) fn restart_election_timer(&mut self) {
        let doublings = if planted(Mutant::NoBackOff) { 0 } else { DOUBLINGS_MAX };
        let factor = 1 << self.failed_rounds.min(doublings);
        let min = self.config.min_election_timeout.saturating_mul(factor);
        let max = self.config.max_election_timeout.saturating_mul(factor);
        self.election_at = Some(self.now.after(self.rng.between(min, max)));
    }

    /// Whether this node may try to become leader: it is a voter, or it is outside of a membership
    /// that is not committed yet (dissertation 4.2.2); its disk answers; and there is a term left.
    pub(crate) fn may_campaign(&self) -> bool {
        let (index, membership) = self.members.latest();
        // One that never was a member, as far as it knows, is one to be, or was one and missed it.
        let outside = !membership.contains(self.id())
            && *index > self.log.committed()
            && self.members.ever_contained(self.id());
        let eligible = membership.is_voter(self.id()) || (outside && !membership.voters.is_empty());
        let eligible = eligible && !self.removed;
        let higher_term = self.hard.term.next() > self.hard.term;
        eligible && higher_term && !self.disk.is_stuck(self.now, self.config.max_election_timeout)
    }

    /// Appends an entry of this node's own making, as leader.
    pub(crate) fn append_own(&mut self, payload: Payload, time: LogTime) -> Position {
        let entry = Entry {
            term: self.hard.term,
            index: self.log.last_index().next(),
            time: time.max(self.log.last_time()),
            payload,
        };
        let position = entry.position();
        self.append(entry);
        position
    }

    /// Appends an entry, and follows the membership in it from now on.
    pub(crate) fn append(&mut self, entry: Entry) {
        if let Payload::Membership(membership) = &entry.payload
            && !self.config.options.fixed_membership
        {
            self.members.append(entry.index, Membership::clone(membership));
        }
        self.log.append(entry);
    }

    /// Cuts the log from `from` on, and the memberships with it.
    pub(crate) fn truncate(&mut self, from: Index) {
        self.log.truncate(from);
        if !planted(Mutant::CutKeepsMembers) {
            self.members.truncate(from);
        }
    }

    /// Where the membership stands that is without `node`, if that is committed.
    pub(crate) fn is_without(&self, node: NodeId) -> Option<Index> {
        let (index, membership) = self.members.latest();
        let is_so = *index <= self.log.committed() && !membership.contains(node);
        (is_so && !self.config.options.fixed_membership).then_some(*index)
    }

    pub(crate) fn promise(&mut self, to: NodeId, message: Message, gate: Gate) {
        self.outbox.promise(to, message, gate);
    }

    /// Promises the same to every other member.
    pub(crate) fn promise_others(&mut self, message: &Message, gate: Gate) {
        let (me, membership) = (self.id(), Arc::clone(self.membership()));
        for id in membership.members().filter(|id| *id != me) {
            self.promise(id, message.clone(), gate);
        }
    }

    pub(crate) fn reject(&mut self, token: Token, reason: Reject) {
        self.outbox.tell(Output::Rejected { token, reason });
    }
}
