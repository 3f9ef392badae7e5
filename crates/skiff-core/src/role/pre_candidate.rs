//! A node that asks whether an election makes sense, before it raises its term and disturbs
//! anyone (dissertation 9.6).

use alloc::collections::BTreeSet;

use crate::{local::Local, message::Message, outbox::Gate, role::Transition, types::NodeId};

#[derive(Clone, Debug)]
pub(crate) struct PreCandidate {
    pub(crate) granted: BTreeSet<NodeId>,
}

impl PreCandidate {
    /// Asks everybody. One's own agreement changes nothing on disk, so it counts at once.
    pub(crate) fn new(local: &mut Local) -> Self {
        let message = Message::PreVote { campaign: local.hard.term.next(), last: local.log.last() };
        local.promise_others(&message, Gate::Term);
        Self { granted: BTreeSet::from([local.id()]) }
    }

    pub(crate) fn step(&mut self, local: &Local, from: NodeId, message: &Message) -> Transition {
        if let Message::PreVoteReply { campaign, granted: true } = message
            && *campaign == local.hard.term.next()
        {
            self.granted.insert(from);
            return self.tally(local);
        }
        Transition::Stay
    }

    /// Whether enough would vote for this node.
    pub(crate) fn tally(&self, local: &Local) -> Transition {
        if local.membership().has_quorum(|id| self.granted.contains(&id)) {
            Transition::Campaign { transfer: false }
        } else {
            Transition::Stay
        }
    }
}
