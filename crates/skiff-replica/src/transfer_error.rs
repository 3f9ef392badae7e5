//! Why leadership was not handed over, as whoever asked for it is told.

use skiff_core::TransferFailure;
use skiff_transport as wire;
use thiserror::Error;

use crate::{
    call_error::leader_is,
    refused::{Leader, Outcome, Refused, code, leader_from, of_word, word_of},
};

/// Why leadership was not handed over. Whoever leads takes commands again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TransferError {
    /// This node does not lead: ask the leader.
    #[doc(alias = "ENOTLEADER")]
    #[error("not the leader{}", leader_is(leader.as_ref()))]
    NotLeader {
        /// Who does, if known.
        leader: Option<Leader>,
    },
    /// The leader did not hand over.
    #[error("leadership was not handed over: {why}")]
    NotTransferred {
        /// What stood in the way.
        why: TransferFailure,
    },
    /// Too much is under way: try again later.
    #[error("too much is under way ({bytes} bytes): try again later")]
    Busy {
        /// How many bytes wait.
        bytes: usize,
    },
    /// The deadline passed before it was known who leads.
    #[error("the deadline passed before it was known who leads")]
    Timeout,
    /// The connection to the node that was asked is gone.
    #[error("the connection broke before the answer came")]
    Disconnected,
    /// The node stopped.
    #[error("the node stopped")]
    Stopped,
    /// The node cannot do that.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// What.
        what: String,
    },
    /// Another node refused, for a reason this version does not know.
    #[error("{}", .0.message)]
    Other(Box<wire::Refusal>),
}

impl TransferError {
    /// A short word for programs.
    #[must_use]
    #[doc(alias = "ENOTLEADER")]
    pub fn code(&self) -> &str {
        match self {
            Self::NotLeader { .. } => code::NOT_LEADER,
            Self::NotTransferred { why } => word(*why),
            Self::Busy { .. } => code::BUSY,
            Self::Timeout => code::TIMEOUT,
            Self::Disconnected => code::DISCONNECTED,
            Self::Stopped => code::STOPPED,
            Self::Unsupported { .. } => code::UNSUPPORTED,
            Self::Other(refusal) => &refusal.code,
        }
    }

    /// Whether leadership may yet come to whom it was meant for.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::NotTransferred { why } => outcome(*why),
            Self::NotLeader { .. } | Self::Busy { .. } | Self::Unsupported { .. } => {
                Outcome::NotApplied
            }
            Self::Timeout | Self::Disconnected | Self::Stopped => Outcome::Unknown,
            Self::Other(refusal) => refusal.outcome,
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

impl From<Refused> for TransferError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotLeader { leader } => Self::NotLeader { leader },
            Refused::NotTransferred { why } => Self::NotTransferred { why },
            Refused::Busy { bytes } => Self::Busy { bytes },
            Refused::Timeout { .. } => Self::Timeout,
            Refused::Disconnected => Self::Disconnected,
            Refused::Stopped { .. } => Self::Stopped,
            Refused::Unsupported { what } => Self::Unsupported { what },
            other => Self::Other(Box::new(other.into())),
        }
    }
}

/// What travels in place of a failure.
pub(crate) fn refusal(why: TransferFailure) -> wire::Refusal {
    wire::Refusal {
        code: word(why).to_owned(),
        message: why.to_string(),
        outcome: outcome(why),
        ..wire::Refusal::default()
    }
}

/// The failure of this word.
pub(crate) fn failure(word: &str) -> Option<TransferFailure> {
    of_word(&WORDS, word)
}

/// Who was told to campaign may yet do so.
const fn outcome(why: TransferFailure) -> Outcome {
    match why {
        TransferFailure::NotTaken => Outcome::Unknown,
        _ => Outcome::NotApplied,
    }
}

/// The words for programs. They are part of the wire format.
const WORDS: [(TransferFailure, &str); 8] = [
    (TransferFailure::Unknown, "EUNKNOWNNODE"),
    (TransferFailure::NotVoter, "ENOTVOTER"),
    (TransferFailure::Silent, "EUNREACHABLE"),
    (TransferFailure::Nobody, "ENOSUCCESSOR"),
    (TransferFailure::InProgress, "ETRANSFERRING"),
    (TransferFailure::Behind, "EBEHIND"),
    (TransferFailure::NotTaken, "ENOTTAKEN"),
    (TransferFailure::Elsewhere, "EOTHERLEADS"),
];

fn word(why: TransferFailure) -> &'static str {
    // Of a later core; this crate is made together with its own.
    word_of(&WORDS, why).unwrap_or("ENOTTRANSFERRED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_back_from_the_wire_as_it_went() {
        for why in [
            TransferFailure::Unknown,
            TransferFailure::NotVoter,
            TransferFailure::Silent,
            TransferFailure::Nobody,
            TransferFailure::InProgress,
            TransferFailure::Behind,
            TransferFailure::NotTaken,
            TransferFailure::Elsewhere,
        ] {
            let refused = Refused::NotTransferred { why };
            let refusal = wire::Refusal::from(refused.clone());
            assert_eq!(Refused::from(refusal), refused);
            let error = TransferError::from(refused);
            assert_eq!(error.code(), word(why));
            assert_eq!(error.outcome() == Outcome::Unknown, why == TransferFailure::NotTaken);
        }
    }
}
