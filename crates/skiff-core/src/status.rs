//! What can be seen of a node from outside.

use alloc::{collections::BTreeMap, sync::Arc};

use crate::{
    membership::Membership,
    output::StateName,
    types::{Index, Instant, NodeId, Position, Term},
};

/// How a node stands, as told by [`Raft::status`](crate::Raft::status).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who this is.
    pub id: NodeId,
    /// The current term.
    pub term: Term,
    /// Whom this node voted for in it.
    pub vote: Option<NodeId>,
    /// The role, by the name the original's users know.
    pub state: StateName,
    /// Who leads, if known.
    pub leader: Option<NodeId>,
    /// The log begins after this.
    pub base: Position,
    /// The newest snapshot that is durable here.
    pub snapshot: Position,
    /// Where the log ends.
    pub last: Position,
    /// Up to where the log is durable here.
    pub durable: Index,
    /// Up to where the log is known to be committed.
    pub committed: Index,
    /// Up to where the state machine has applied it.
    pub applied: Index,
    /// The members in force, committed or not.
    pub membership: Arc<Membership>,
    /// A leader's view of the others; empty on other nodes.
    pub peers: BTreeMap<NodeId, PeerStatus>,
}

/// How a leader sees another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// What it has acknowledged as durable.
    pub matched: Index,
    /// The next entry to send.
    pub next: Index,
    /// When it was last heard in this term.
    pub heard: Option<Instant>,
    /// How entries are sent to it.
    pub state: PeerState,
}

/// How entries are sent to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// One at a time, until it is known where the logs agree.
    Probe,
    /// As fast as the window allows.
    Replicate,
    /// Not at all: it needs a snapshot.
    NeedsSnapshot,
}
