//! A node that asks for votes (dissertation 3.4).

use alloc::collections::BTreeSet;

use crate::{
    local::Local,
    message::Message,
    mutants::{Mutant, planted},
    outbox::Gate,
    quorum,
    role::Transition,
    types::NodeId,
};

#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Those who voted for this node, itself included once its own vote is durable.
    pub(crate) granted: BTreeSet<NodeId>,
}

impl Candidate {
    /// Asks everybody, once term and own vote are durable. Both are set already.
    pub(crate) fn new(local: &mut Local, transfer: bool) -> Self {
        let transfer = transfer && !planted(Mutant::TransferIsNoReason);
        let message = Message::Vote { last: local.log.last(), transfer };
        local.promise_others(&message, Gate::Vote);
        Self { granted: BTreeSet::new() }
    }

    pub(crate) fn step(&mut self, local: &Local, from: NodeId, message: &Message) -> Transition {
        if let Message::VoteReply { granted: true } = message {
            self.granted.insert(from);
            return self.tally(local);
        }
        Transition::Stay
    }

    /// The own vote counts as soon as it is durable.
    pub(crate) fn persisted(&mut self, local: &Local) -> Transition {
        if !local.disk.holds_vote(local.hard) {
            return Transition::Stay;
        }
        self.granted.insert(local.id());
        self.tally(local)
    }

    /// Whether the votes are a quorum. Nobody leads before its own vote is durable: it could vote
    /// for another in the same term after a crash.
    fn tally(&self, local: &Local) -> Transition {
        let granted = |id| self.granted.contains(&id);
        let members = local.membership();
        let half = quorum::is_majority(&members.voters, granted) && planted(Mutant::OneHalfElects);
        if granted(local.id()) && (members.has_quorum(granted) || half) {
            Transition::Lead
        } else {
            Transition::Stay
        }
    }
}
