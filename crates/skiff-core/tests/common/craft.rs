//! Making up logs and messages by hand.

use bytes::Bytes;
use skiff_core::{
    Append, AppendOutcome, AppendReply, Entry, HardState, Index, Input, LogTime, Membership,
    Message, NodeId, Payload, Position, Round, Term,
};

use super::Cluster;

pub const A: NodeId = NodeId(1);
pub const B: NodeId = NodeId(2);
pub const C: NodeId = NodeId(3);
pub const D: NodeId = NodeId(4);
pub const E: NodeId = NodeId(5);

/// An entry whose command names its position, so that equal positions mean equal entries.
pub fn entry(index: u64, term: u64) -> Entry {
    let payload = Payload::Command(Bytes::from(format!("{index}/{term}")));
    Entry { term: Term(term), index: Index(index), time: LogTime::ZERO, payload }
}

/// An entry that makes these the members.
pub fn change(index: u64, term: u64, membership: Membership) -> Entry {
    Entry { payload: Payload::Membership(Box::new(membership)), ..entry(index, term) }
}

/// A log with entries of these terms.
pub fn log(terms: &[u64]) -> Vec<Entry> {
    (1..).zip(terms).map(|(index, term)| entry(index, *term)).collect()
}

pub fn with_learners(voters: &[NodeId], learners: &[NodeId]) -> Membership {
    let mut membership = Membership::of(voters.iter().copied());
    membership.learners = learners.iter().copied().collect();
    membership.nodes.extend(learners.iter().map(|id| (*id, Default::default())));
    membership
}

/// A membership between two others.
pub fn joint(outgoing: &[NodeId], incoming: &[NodeId]) -> Membership {
    let mut membership = Membership::of(incoming.iter().copied());
    membership.outgoing = outgoing.iter().copied().collect();
    membership.nodes.extend(outgoing.iter().map(|id| (*id, Default::default())));
    membership
}

pub fn append(seq: u64, prev: (u64, u64), entries: Vec<Entry>, commit: u64) -> Message {
    let prev = Position::new(prev.1, prev.0);
    Message::Append(Append { seq, round: Round(seq), prev, entries, commit: Index(commit) })
}

pub fn vote(last: (u64, u64)) -> Message {
    Message::Vote { last: Position::new(last.1, last.0), transfer: false }
}

pub fn matched(seq: u64, index: u64) -> Message {
    let outcome = AppendOutcome::Matched(Index(index));
    Message::AppendReply(AppendReply { seq, round: Round(0), last: Index(index), outcome })
}

pub fn mismatch(seq: u64, prev: u64, hint: (u64, u64), last: u64) -> Message {
    let outcome =
        AppendOutcome::Mismatch { prev: Index(prev), hint: Position::new(hint.1, hint.0) };
    Message::AppendReply(AppendReply { seq, round: Round(0), last: Index(last), outcome })
}

impl Cluster {
    /// The node finds this when it starts.
    pub fn put(&mut self, id: NodeId, term: u64, vote: Option<NodeId>, entries: Vec<Entry>) {
        let store = &mut self.member(id).store;
        store.hard = HardState { term: Term(term), vote };
        store.entries = entries;
    }

    /// `to` hears this from `from`, whatever `from` thinks.
    pub fn hear(&mut self, from: NodeId, to: NodeId, term: u64, message: Message) {
        self.step(to, Input::Message { from, term: Term(term), message });
    }

    /// What this node has sent and was not delivered, oldest first.
    pub fn sent(&self, from: NodeId) -> Vec<&Message> {
        self.flights.iter().filter(|flight| flight.from == from).map(|f| &f.message).collect()
    }

    /// The highest index this node has acknowledged on the way to anybody.
    pub fn acknowledged(&self, from: NodeId) -> Option<Index> {
        let matched = |message: &&Message| match message {
            Message::AppendReply(AppendReply { outcome: AppendOutcome::Matched(i), .. }) => {
                Some(*i)
            }
            _ => None,
        };
        self.sent(from).iter().filter_map(matched).max()
    }

    /// The terms of the entries that are durable at this node.
    pub fn terms(&self, id: NodeId) -> Vec<u64> {
        self.members[&id].store.entries.iter().map(|entry| entry.term.0).collect()
    }
}
