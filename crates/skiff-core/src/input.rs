//! Everything that can happen to a node.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::{
    change::Change,
    entry::Entry,
    error::LoadError,
    membership::Membership,
    message::Message,
    types::{Index, LoadId, LogTime, NodeId, Position, Term, Token, WriteId},
};

/// One thing that happened, for [`Raft::step`](crate::Raft::step).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Another node said something.
    Message {
        /// Who said it.
        from: NodeId,
        /// Its term when it said so.
        term: Term,
        /// What it said.
        message: Message,
    },
    /// The moment given by [`Raft::deadline`](crate::Raft::deadline) has come. Too early is
    /// harmless. What has arrived before must be stepped before.
    Timeout,
    /// A caller wants `command` replicated. Answered by an [`Apply`](crate::Apply) that carries the
    /// token, or by [`Rejected`](crate::Output::Rejected).
    Propose {
        /// Names the request.
        token: Token,
        /// What to replicate.
        command: Bytes,
        /// The caller's clock in log time. An entry never gets a time below its predecessor's.
        time: LogTime,
    },
    /// As [`Propose`](Self::Propose), of something that belongs to a session: the entry is of that kind.
    ProposeInSession {
        /// Names the request.
        token: Token,
        /// What to replicate.
        content: Bytes,
        /// The caller's clock in log time.
        time: LogTime,
    },
    /// A caller wants to read the newest state. Answered by
    /// [`ReadReady`](crate::Output::ReadReady) or [`Rejected`](crate::Output::Rejected).
    Read {
        /// Names the request.
        token: Token,
    },
    /// Somebody wants another voter to lead: this one, or the one that is best up to date. Answered by
    /// [`Done`](crate::Output::Done) once it is known to lead, or by
    /// [`Rejected`](crate::Output::Rejected), after the longest election timeout at the latest. No
    /// proposal is taken meanwhile.
    TransferLeadership {
        /// Names the request.
        token: Token,
        /// Who is to lead.
        to: Option<NodeId>,
    },
    /// The caller is gone: nothing is answered to it any more. What is in the log stays there.
    Cancel {
        /// Names the request.
        token: Token,
    },
    /// Change who the members are, by agreement. Answered by [`Done`](crate::Output::Done) or
    /// [`Rejected`](crate::Output::Rejected). Once begun, a change is carried on by whoever leads.
    ChangeMembership {
        /// Names the request; zero if nobody waits for it, and a caller's goes first.
        token: Token,
        /// The change.
        change: Change,
    },
    /// Set who the members are, at once and without agreement. Only for the peers of the original's
    /// protocol ([`Options::fixed_membership`](crate::Options)); ignored otherwise. Two nodes that are
    /// told different sets can elect two leaders: that is the original's risk.
    SetMembership {
        /// The members from now on.
        membership: Membership,
    },
    /// This write and all before it are durable.
    Persisted {
        /// The newest of them.
        write: WriteId,
    },
    /// The answer to a [`Load`](crate::Output::Load).
    Loaded {
        /// Which one.
        load: LoadId,
        /// The entries from the index asked for, in order, at least one.
        result: Result<Vec<Entry>, LoadError>,
    },
    /// The state machine has applied everything up to this index.
    Applied {
        /// The last index applied.
        index: Index,
    },
    /// The state machine, durable by itself, has everything up to this index also after a crash.
    Marked {
        /// The last index it has.
        index: Index,
    },
    /// A snapshot of this node's own machine is durable.
    SnapshotTaken {
        /// The last entry it covers.
        position: Position,
    },
    /// A snapshot from another member is durable here, and verified.
    SnapshotReceived {
        /// The last entry it covers.
        position: Position,
        /// The members in force at that entry.
        membership: Membership,
        /// The log's time at that entry.
        time: LogTime,
        /// The terms up to that entry with the index of their first entry, ascending, as far as they
        /// are remembered.
        terms: Vec<(Index, Term)>,
    },
    /// The answer to a [`RestoreSnapshot`](crate::Output::RestoreSnapshot): the state machine has
    /// applied everything up to it.
    SnapshotRestored {
        /// The last entry it covers.
        position: Position,
    },
    /// The answer to a [`SendSnapshot`](crate::Output::SendSnapshot).
    SnapshotSent {
        /// The member.
        node: NodeId,
        /// The snapshot.
        position: Position,
        /// Whether it is durable there. If not, it is sent again later, or a newer one.
        arrived: bool,
    },
    /// A hint of the transport: there is no connection to this node any more. What was under way
    /// may be lost.
    Unreachable {
        /// The node.
        node: NodeId,
    },
    /// Something below the core failed.
    Fault(Fault),
}

/// What can fail below the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store refused this write as a whole and can go on (no space). The core keeps what it
    /// holds, leads no longer, and tries again later.
    WriteRefused {
        /// The write.
        write: WriteId,
    },
    /// The store failed: nothing is durable any more. The node stops.
    StoreFailed,
    /// The state machine failed at this index. The node stops.
    MachineFailed {
        /// The index of the entry that could not be applied.
        index: Index,
    },
}
