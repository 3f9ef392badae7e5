//! Why a replica does not start, and why it stops although nobody asked it to.

use skiff_core::{self as core, Index, Position};
use skiff_storage::{Hole, InstanceId};
use thiserror::Error;

use crate::input::NotMended;

/// Why a replica cannot start from what it found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The core cannot start.
    #[error("{0}")]
    Core(#[from] core::StartError),
    /// A member without the state its cluster began with, or a later one.
    #[error("the store of member `{name}` has no snapshot: its data was lost; put it back")]
    NoSnapshot {
        /// The member.
        name: String,
    },
    /// The snapshot and the log do not fit together.
    #[error(
        "the log begins after {log}, but the newest snapshot is of {snapshot}: data was lost; put it back"
    )]
    Gap {
        /// Where the log begins.
        log: Position,
        /// What the snapshot covers.
        snapshot: Position,
    },
    /// Damage has taken entries from the log, and there is no other voter who could have them.
    #[error(
        "entries {} to {} are lost: {} is damaged at byte {} ({}), and this node is the only voter of its cluster; put the file back from a copy",
        hole.first, hole.last.index, hole.path.display(), hole.offset, hole.reason
    )]
    Lost {
        /// What is lost.
        hole: Hole,
    },
    /// A node that was removed from its cluster stays out.
    #[error(
        "`{name}` was removed from its cluster, and stays out of it; to belong to it again, start it with `--rejoin`, which sets its directory aside"
    )]
    Removed {
        /// The node.
        name: String,
    },
    /// The machine belongs to another instance of the cluster than the store.
    #[error(
        "the state machine belongs to instance {machine} of the cluster, its store to {store}: use the machine and the directory that belong together"
    )]
    OtherInstance {
        /// The machine's.
        machine: InstanceId,
        /// The store's.
        store: InstanceId,
    },
    /// What the machine has applied last is something else in the log.
    #[error(
        "the state machine has applied {machine}, but the log has {log} there: put back the log and the machine that belong together"
    )]
    OtherLog {
        /// What the machine has applied.
        machine: Position,
        /// What the log holds.
        log: Position,
    },
    /// What the machine has kept for Skiff cannot be read.
    #[error("what the state machine has kept of its place in the log cannot be read: {reason}")]
    Mark {
        /// Why.
        reason: String,
    },
    /// The machine holds data, the directory is new.
    #[error(
        "the state machine holds data of instance {machine}, but the node's directory is new: use the directory that belongs to it, or adopt its state"
    )]
    NotEmpty {
        /// The machine's.
        machine: InstanceId,
    },
    /// The snapshot cannot be read by this machine.
    #[error("the snapshot cannot be used: {reason}")]
    Format {
        /// Why, with what was found and what is known.
        reason: String,
    },
}

/// Why a replica stops although nobody asked it to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The core must not go on.
    #[error("{0}")]
    Core(core::Fatal),
    /// The core cannot start.
    #[error("{0}")]
    Start(#[from] StartError),
    /// The store failed.
    #[error(
        "the store failed, nothing more can be made durable: {reason}; see to the disk, then start the node again"
    )]
    Store {
        /// What it said.
        reason: String,
        /// Whether it found that data is damaged or lost.
        damaged: bool,
    },
    /// Entries that were durable could not be read back, twice in succession.
    #[error(
        "entries from {from} on are durable and cannot be read back: see to the disk, then start the node again; if they are damaged, it gets them back from the other members"
    )]
    Unreadable {
        /// The first entry that was wanted.
        from: Index,
    },
    /// Damage has taken entries from the log, and no other voter has them any more.
    #[error(
        "entries {} to {} are lost: {} is damaged at byte {} ({}), and every other voter has answered that it cannot give them; put the file back from a copy",
        hole.first, hole.last.index, hole.path.display(), hole.offset, hole.reason
    )]
    Lost {
        /// What is lost.
        hole: Hole,
    },
    /// The machine failed.
    #[error(
        "the state machine failed at index {index}: {reason}; once that is mended, start the node again: it applies the entry anew"
    )]
    Machine {
        /// The entry.
        index: Index,
        /// What it said.
        reason: String,
    },
    /// The machine could not give or take its state.
    #[error("the state machine cannot {action} its state: {reason}")]
    MachineState {
        /// "give", "take" or "keep".
        action: &'static str,
        /// What it said.
        reason: String,
    },
    /// This node founded a cluster of its own while the one it belongs to still exists.
    #[error(
        "this node founded instance {ours} of the cluster by itself, but {peer} belongs to instance {theirs}, which has a member `{name}` already: stop this node and start it on an empty directory without bootstrap"
    )]
    SecondInstance {
        /// This node's name.
        name: String,
        /// This node's instance.
        ours: InstanceId,
        /// The other.
        theirs: InstanceId,
        /// Who showed it.
        peer: String,
    },
}

impl From<NotMended> for ReplicaError {
    fn from(error: NotMended) -> Self {
        Self::Store { reason: error.reason, damaged: error.damaged }
    }
}
