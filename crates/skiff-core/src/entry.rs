//! What the log is made of.

use alloc::boxed::Box;

use bytes::Bytes;

use crate::{
    membership::Membership,
    types::{Index, LogTime, Position, Term},
};

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The term of the leader that made it.
    pub term: Term,
    /// Its place in the log.
    pub index: Index,
    /// The log's time when it was made.
    pub time: LogTime,
    /// What it holds.
    pub payload: Payload,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// Nothing: the first entry of a leader's term, by which it learns what is committed
    /// (dissertation 6.4).
    Noop,
    /// A command for the state machine, opaque here.
    Command(Bytes),
    /// The members from here on (dissertation 4.1: used as soon as it is in the log).
    Membership(Box<Membership>),
    /// Something of a session of a client (dissertation 6.3), opaque here.
    Session(Bytes),
    /// An entry of a kind that this version does not know. It is stored and replicated as it came,
    /// and the node stops before applying it: skipping it would let replicas drift apart.
    Unknown {
        /// The number of the kind.
        kind: u32,
        /// Its content.
        body: Bytes,
    },
}

impl Entry {
    /// Bytes that every entry is counted with beside its payload.
    pub const OVERHEAD: usize = 32;

    /// Index and term of this entry.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position { term: self.term, index: self.index }
    }

    /// About how many bytes this entry takes in memory, on disk and on the wire. All limits in
    /// bytes are counted with it.
    #[must_use]
    pub fn size(&self) -> usize {
        Self::OVERHEAD + self.payload.size()
    }
}

impl Payload {
    /// About how many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Noop => 0,
            Self::Command(bytes) | Self::Session(bytes) | Self::Unknown { body: bytes, .. } => {
                bytes.len()
            }
            Self::Membership(membership) => membership.size(),
        }
    }
}
