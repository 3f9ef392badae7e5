//! Why the members were not changed.

use skiff_transport as wire;
use thiserror::Error;

use crate::refused::{Leader, Outcome, Refused, code, leader_from, of_word, word_of};

/// Why a change of the members was not made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// No leader is known, so nobody can change anything.
    #[doc(alias = "ENOTLEADER")]
    #[error("nobody is known to lead, and only a leader can change the members")]
    NotLeader {
        /// Who leads, if known.
        leader: Option<Leader>,
    },
    /// The change cannot be made, and nothing was.
    #[error("{message}")]
    Refused {
        /// Why, for programs.
        why: Why,
        /// Why, and what to do.
        message: String,
    },
    /// Too much is under way: try again later.
    #[error("too much is under way ({bytes} bytes): try again later")]
    Busy {
        /// How many bytes wait.
        bytes: usize,
    },
    /// The deadline passed. If the change had begun, whoever leads carries it on: asking again is
    /// harmless.
    #[error("the deadline passed{}", if *begun { "; the change goes on" } else { "; nothing was changed" })]
    Timeout {
        /// Whether the change may have begun.
        begun: bool,
    },
    /// The node stopped.
    #[error("the node stopped; asking another node again is harmless")]
    Stopped,
    /// The connection to the node that was to answer is gone.
    #[error("the connection broke before the answer came; asking again is harmless")]
    Disconnected,
    /// Another node refused, for a reason this version does not know.
    #[error("{}", .0.message)]
    Other(Box<wire::Refusal>),
}

/// Why a change of the members cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// Another change is under way.
    InProgress,
    /// No member has this name.
    UnknownMember,
    /// A member has the name of the node to be added.
    NameTaken,
    /// A member is at the address of the node to be added.
    AddressTaken,
    /// The node is a voter already.
    AlreadyVoter,
    /// Without this member there would be no cluster.
    LastVoter,
    /// Too few of those who would be the voters answer and have caught up.
    Unready,
    /// Nobody answers at the address.
    NobodyThere,
    /// Who is at the address belongs to a cluster already, or did once.
    NotFresh,
    /// Who is at the address wants to be no voter.
    Learner,
    /// The members are set from outside.
    Fixed,
}

const CODES: [(Why, &str); 11] = [
    (Why::InProgress, "ECHANGEINPROGRESS"),
    (Why::UnknownMember, "EUNKNOWNMEMBER"),
    (Why::NameTaken, "ENAMETAKEN"),
    (Why::AddressTaken, "EADDRESSTAKEN"),
    (Why::AlreadyVoter, "EALREADYVOTER"),
    (Why::LastVoter, "ELASTVOTER"),
    (Why::Unready, "EUNREADY"),
    (Why::NobodyThere, "ENOBODYTHERE"),
    (Why::NotFresh, "ENOTFRESH"),
    (Why::Learner, "ELEARNER"),
    (Why::Fixed, "EFIXED"),
];

impl Why {
    /// The word for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        word_of(&CODES, self).unwrap_or_default()
    }

    pub(crate) fn of_code(code: &str) -> Option<Self> {
        of_word(&CODES, code)
    }
}

impl ChangeError {
    /// A short word for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::NotLeader { .. } => code::NOT_LEADER,
            Self::Refused { why, .. } => why.code(),
            Self::Busy { .. } => code::BUSY,
            Self::Timeout { .. } => code::TIMEOUT,
            Self::Stopped => code::STOPPED,
            Self::Disconnected => code::DISCONNECTED,
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

impl From<Refused> for ChangeError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotLeader { leader } | Refused::LeadershipLost { leader, .. } => {
                Self::NotLeader { leader }
            }
            Refused::Change { why, message } => Self::Refused { why, message },
            Refused::Busy { bytes } => Self::Busy { bytes },
            Refused::Timeout { outcome, .. } => {
                Self::Timeout { begun: outcome != Outcome::NotApplied }
            }
            Refused::Stopped { .. } => Self::Stopped,
            Refused::Disconnected => Self::Disconnected,
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
            assert_eq!(why.code(), code);
            let refused = Refused::Change { why, message: "as it is".to_owned() };
            let refusal = wire::Refusal::from(refused.clone());
            assert_eq!(refusal.code, code);
            assert_eq!(refusal.outcome, Outcome::NotApplied);
            assert_eq!(Refused::from(refusal), refused);
        }
    }
}
