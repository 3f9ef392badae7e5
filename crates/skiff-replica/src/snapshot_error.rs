//! Why there is no snapshot, or no copy of one, as whoever asked for it is told.

use skiff_transport as wire;
use thiserror::Error;

use crate::{
    call_error::leader_is,
    refused::{Leader, Refused, code, leader_from, of_word, word_of},
};

/// Why no snapshot was taken, or none given. What the node holds is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The node cannot give one.
    #[error("{message}")]
    Refused {
        /// Why, for programs.
        why: NoSnapshot,
        /// Why, and what to do.
        message: String,
    },
    /// No leader answers, so nobody knows what was acknowledged: only a backup asks for that.
    #[doc(alias = "ENOTLEADER")]
    #[error("no leader could be asked what was acknowledged{}", leader_is(leader.as_ref()))]
    NotLeader {
        /// Who leads, if known.
        leader: Option<Leader>,
    },
    /// Too much is under way: try again later.
    #[error("too much is under way ({bytes} bytes): try again later")]
    Busy {
        /// How many bytes wait.
        bytes: usize,
    },
    /// The deadline passed. A snapshot that was being taken goes on.
    #[error("the deadline passed before the snapshot was there; one that is being taken goes on")]
    Timeout,
    /// The connection to the node that was asked is gone.
    #[error("the connection broke before the answer came")]
    Disconnected,
    /// The node stopped.
    #[error("the node stopped")]
    Stopped,
    /// The node cannot do that.
    #[error("{what} is not supported by that node")]
    Unsupported {
        /// What.
        what: String,
    },
    /// Another node refused, for a reason this version does not know.
    #[error("{}", .0.message)]
    Other(Box<wire::Refusal>),
}

/// Why a node gives no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoSnapshot {
    /// It belongs to no cluster, or to none any more.
    NotMember,
    /// Its log has holes, which are being filled.
    Mending,
    /// It could not be taken: the machine or the disk refused.
    Failed,
    /// It is not there any more.
    Gone,
}

const CODES: [(NoSnapshot, &str); 4] = [
    (NoSnapshot::NotMember, "ENOTMEMBER"),
    (NoSnapshot::Mending, "EMENDING"),
    (NoSnapshot::Failed, "ESNAPSHOTFAILED"),
    (NoSnapshot::Gone, "ESNAPSHOTGONE"),
];

impl NoSnapshot {
    /// The word for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        word_of(&CODES, self).unwrap_or_default()
    }

    pub(crate) fn of_code(code: &str) -> Option<Self> {
        of_word(&CODES, code)
    }
}

impl SnapshotError {
    /// A short word for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { why, .. } => why.code(),
            Self::NotLeader { .. } => code::NOT_LEADER,
            Self::Busy { .. } => code::BUSY,
            Self::Timeout => code::TIMEOUT,
            Self::Disconnected => code::DISCONNECTED,
            Self::Stopped => code::STOPPED,
            Self::Unsupported { .. } => code::UNSUPPORTED,
            Self::Other(refusal) => &refusal.code,
        }
    }

    /// Who leads, as far as the node that refused knew.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        match self {
            Self::NotLeader { leader } => leader.clone(),
            Self::Other(refusal) => leader_from(refusal),
            _ => None,
        }
    }
}

impl From<Refused> for SnapshotError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoSnapshot { why, message } => Self::Refused { why, message },
            Refused::NotLeader { leader } | Refused::LeadershipLost { leader, .. } => {
                Self::NotLeader { leader }
            }
            Refused::Busy { bytes } => Self::Busy { bytes },
            Refused::Timeout { .. } => Self::Timeout,
            Refused::Disconnected => Self::Disconnected,
            Refused::Stopped { .. } => Self::Stopped,
            Refused::Unsupported { what } => Self::Unsupported { what },
            Refused::Other(refusal) => Self::Other(refusal),
            other => Self::Other(Box::new(other.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_survives_the_wire() {
        for (why, code) in CODES {
            let refused = Refused::NoSnapshot { why, message: "as it is".to_owned() };
            let refusal = wire::Refusal::from(refused.clone());
            assert_eq!(refusal.code, code);
            assert_eq!(Refused::from(refusal), refused);
            assert_eq!(SnapshotError::from(refused).code(), code);
        }
    }
}
