//! Why a node does not start, and why it stops.

use skiff_replica::{ReplicaError, storage::StoreError, transport::TransportError};
use thiserror::Error;

use crate::options::OptionsError;

/// Why a node does not start.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The data cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network cannot be used.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// What was found does not fit together.
    #[error(transparent)]
    Replica(#[from] skiff_replica::StartError),
    /// The state machine could not be opened.
    #[error("the state machine cannot be opened: {reason}")]
    Machine {
        /// What it said.
        reason: String,
    },
    /// There is no tokio runtime.
    #[error("a node must be started inside a tokio runtime with time enabled")]
    NoRuntime,
}

/// Why a node stopped although nobody asked it to.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// It must not go on.
    #[error(transparent)]
    Fatal(#[from] ReplicaError),
    /// It is not a member of a cluster with a leader yet. It goes on trying.
    #[error("not ready within {timeout:?}{}", waits_for(waiting_for))]
    NotReady {
        /// How long was waited.
        timeout: std::time::Duration,
        /// For whom or what the node waits, in words.
        waiting_for: Vec<String>,
    },
    /// Its task was ended from outside, for example with its runtime.
    #[error("the node's task is gone: its runtime was shut down, or it panicked")]
    Gone,
    /// It did not end in time; it may still be ending.
    #[error("the node did not stop within {0:?}")]
    StopTimeout(std::time::Duration),
}

impl StartError {
    /// Whether data is damaged or lost: to start it again as it is does not help.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_damage(),
            Self::Replica(error) => has_lost_data(error),
            _ => false,
        }
    }
}

impl StartError {
    /// Whether the state machine holds data that does not belong to the node's directory. Without that data
    /// the node would start, and bring the machine up to date.
    #[must_use]
    pub const fn is_of_another_machine(&self) -> bool {
        use skiff_replica::StartError::{NotEmpty, OtherInstance, OtherLog};
        matches!(self, Self::Replica(NotEmpty { .. } | OtherInstance { .. } | OtherLog { .. }))
    }
}

impl NodeError {
    /// Whether data is damaged or lost.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Fatal(ReplicaError::Lost { .. } | ReplicaError::Unreadable { .. }) => true,
            Self::Fatal(ReplicaError::Store { damaged, .. }) => *damaged,
            Self::Fatal(ReplicaError::Start(error)) => has_lost_data(error),
            _ => false,
        }
    }
}

const fn has_lost_data(error: &skiff_replica::StartError) -> bool {
    use skiff_replica::StartError::{Gap, Lost, NoSnapshot};
    matches!(error, Lost { .. } | NoSnapshot { .. } | Gap { .. })
}

fn waits_for(waiting_for: &[String]) -> String {
    if waiting_for.is_empty() {
        return "; no leader is known yet".to_owned();
    }
    format!("; it waits: {}", waiting_for.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_found_damage_while_the_node_ran_has_found_damage() {
        let failed = |damaged| {
            NodeError::Fatal(ReplicaError::Store { reason: "log-1 is damaged".into(), damaged })
        };
        assert!(failed(true).is_damage());
        assert!(!failed(false).is_damage());
    }
}
