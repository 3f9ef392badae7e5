//! Why a request was refused, and why a node stops.

use thiserror::Error;

use crate::types::{Index, NodeId, Position, Term};

/// Why a request got no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reject {
    /// This node does not lead. Not appended.
    #[error("this node is not the leader")]
    NotLeader {
        /// Who does, if known.
        leader: Option<NodeId>,
    },
    /// Too many bytes are waiting to be committed, or for the state machine. Not appended; try again later.
    #[error("too much is waiting to be committed or applied ({bytes} bytes)")]
    Busy {
        /// Bytes appended and not yet committed, or not yet taken by the state machine.
        bytes: usize,
    },
    /// The command is larger than allowed. Not appended.
    #[error("the command has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of the command.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Leadership is being handed over. Not appended; try again once it is known who leads.
    #[error("leadership is being handed over to {to}")]
    Transferring {
        /// Who is to lead.
        to: NodeId,
    },
    /// Leadership was not handed over.
    #[error("leadership was not handed over: {why}")]
    NotTransferred {
        /// Who was to lead, if that was said.
        to: Option<NodeId>,
        /// What stood in the way.
        why: TransferFailure,
    },
    /// Leadership was lost after the entry was appended: it may or may not be committed later.
    #[error("leadership was lost after the entry {position} was appended")]
    LeadershipLost {
        /// Where the entry stands, or stood.
        position: Position,
        /// Who leads now, if known.
        leader: Option<NodeId>,
    },
    /// The node stops before this is known to be committed. With a position it may still be.
    #[error("the node stopped")]
    Stopped {
        /// Where the entry stands if it was appended.
        position: Option<Position>,
    },
}

impl Reject {
    /// Where the entry of the request stands, if it was appended before the refusal: it may then
    /// still take effect.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        match self {
            Self::LeadershipLost { position, .. } => Some(*position),
            Self::Stopped { position } => *position,
            Self::NotLeader { .. }
            | Self::Busy { .. }
            | Self::TooLarge { .. }
            | Self::Transferring { .. }
            | Self::NotTransferred { .. } => None,
        }
    }
}

/// Why leadership was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TransferFailure {
    /// No member is called so.
    #[error("no member is called so")]
    Unknown,
    /// The member has no vote, or will have none.
    #[error("the member has no vote")]
    NotVoter,
    /// The member was not heard for an election timeout.
    #[error("the member does not answer")]
    Silent,
    /// No other voter answers that could be brought up to date.
    #[error("no other voter answers that could be brought up to date")]
    Nobody,
    /// Leadership is being handed over already.
    #[error("leadership is being handed over already")]
    InProgress,
    /// The member could not be brought up to date within an election timeout.
    #[error("the member was not up to date within an election timeout")]
    Behind,
    /// The member was told, and did not come to lead within an election timeout.
    #[error("the member did not take over within an election timeout")]
    NotTaken,
    /// Another than the one that was to lead has come to.
    #[error("another member leads now")]
    Elsewhere,
}

/// Why a node must not go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fatal {
    /// The log store failed.
    #[error("the log store failed: nothing more can be made durable")]
    StoreFailed,
    /// The state machine failed.
    #[error("the state machine failed at index {index}")]
    MachineFailed {
        /// The entry.
        index: Index,
    },
    /// A committed entry has a kind that this version does not know.
    #[error("entry {index} has kind {kind}, which this version does not know: upgrade this node")]
    UnknownEntry {
        /// The entry.
        index: Index,
        /// Its kind.
        kind: u32,
    },
    /// A leader asked to replace an entry that is known to be committed: this node's log and the
    /// leader's have nothing to do with each other, or a quorum lost its data.
    #[error(
        "the leader {leader} of term {term} wants entry {index} replaced, but {committed} is committed here: a majority lost data, or belongs to another cluster; keep this node's directory, it may be the last to hold it"
    )]
    CommittedConflict {
        /// The leader.
        leader: NodeId,
        /// Its term.
        term: Term,
        /// The entry.
        index: Index,
        /// Up to where the log is committed here.
        committed: Index,
    },
    /// An invariant of the algorithm is broken: an error in Skiff itself.
    #[error("broken invariant: {0}; please report this")]
    Broken(&'static str),
}

/// Why a node cannot start from what it found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting contradicts another.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The state machine has applied more than the log holds: the log lost entries.
    #[error(
        "the state machine has applied {applied}, but the log ends at {last}: the log lost entries; put back the log and the machine that belong together"
    )]
    AppliedBeyondLog {
        /// What the machine has applied.
        applied: Index,
        /// Where the log ends.
        last: Index,
    },
    /// The state machine stands before the log begins, and nothing can bring it there.
    #[error(
        "the state machine has applied {applied}, but the log begins after {base}: put back the log and the machine that belong together"
    )]
    AppliedBeforeLog {
        /// What the machine has applied.
        applied: Index,
        /// The log begins after it.
        base: Index,
    },
    /// The recovered terms and positions contradict each other.
    #[error("the recovered log is inconsistent: {0}")]
    Inconsistent(&'static str),
}

/// A setting that contradicts another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The range of the election timeout is empty.
    #[error("max election timeout ({max_ms} ms) is below min election timeout ({min_ms} ms)")]
    TimeoutRange {
        /// The lower end in milliseconds.
        min_ms: u64,
        /// The upper end in milliseconds.
        max_ms: u64,
    },
    /// Followers would give up on a leader that does all it should.
    #[error(
        "min election timeout ({min_ms} ms) must be above the heartbeat interval ({heartbeat_ms} ms)"
    )]
    HeartbeatTooSlow {
        /// The lower end of the election timeout in milliseconds.
        min_ms: u64,
        /// The heartbeat interval in milliseconds.
        heartbeat_ms: u64,
    },
    /// A number that must not be zero is.
    #[error("{0} must not be zero")]
    Zero(&'static str),
}

/// Why entries could not be read back from the log store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The log begins after the entry.
    #[error("compacted")]
    Compacted,
    /// The entry was cut off.
    #[error("truncated")]
    Truncated,
    /// The store could not read.
    #[error("the store could not read")]
    Failed,
}
