//! Why a call got no response, here and on the wire.

use std::fmt;

use skiff_core::{Index, Position, Term, TransferFailure};
use skiff_storage::InstanceId;
use skiff_transport as wire;
pub use skiff_transport::Outcome;

use crate::{
    call_error::CommandError, change_error::Why, snapshot_error::NoSnapshot, transfer_error,
};

/// Who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub name: String,
    /// Where it is; empty if it does not listen.
    pub address: String,
}

impl fmt::Display for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at {}", self.name, self.address)
    }
}

/// Names one entry for good: across terms, and across instances of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntryPosition {
    /// The instance of the cluster.
    pub instance: InstanceId,
    /// The term it was appended in.
    pub term: Term,
    /// Its index.
    pub index: Index,
}

impl EntryPosition {
    pub(crate) const fn new(instance: InstanceId, position: Position) -> Self {
        Self { instance, term: position.term, index: position.index }
    }

    /// Its place in the log of that instance.
    #[must_use]
    pub const fn place(self) -> Position {
        Position { term: self.term, index: self.index }
    }
}

impl fmt::Display for EntryPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/t{} of instance {}", self.index, self.term, self.instance)
    }
}

/// Why a call got no response: what [`CommandError`] and [`ReadError`](crate::ReadError) are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// This node does not lead.
    NotLeader {
        /// Who does, if known.
        leader: Option<Leader>,
    },
    /// Too much is under way.
    Busy {
        /// How many bytes wait.
        bytes: usize,
    },
    /// There is no room for the log.
    Full {
        /// How much is free, and what to do.
        reason: String,
    },
    /// The command is larger than allowed.
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The deadline passed.
    Timeout {
        /// What is known of the effect.
        outcome: Outcome,
        /// Where the entry stands, if it was appended.
        position: Option<EntryPosition>,
    },
    /// Leadership was lost after the entry was appended.
    LeadershipLost {
        /// Where the entry stands, or stood.
        position: EntryPosition,
        /// Who leads now, if known.
        leader: Option<Leader>,
    },
    /// The connection to the node that was to answer is gone.
    Disconnected,
    /// The node stopped.
    Stopped {
        /// What is known of the effect.
        outcome: Outcome,
        /// Where the entry stands, if it was appended.
        position: Option<EntryPosition>,
    },
    /// The bytes are not what the machine understands, or its response makes no bytes.
    Undecodable {
        /// What is wrong with them.
        reason: String,
        /// What is known of the effect.
        outcome: Outcome,
    },
    /// There is no such session any more: it has expired, or was ended. Nothing was executed now.
    SessionExpired,
    /// A later command of the session was executed. This one was before, or never will be.
    Acknowledged,
    /// There are as many sessions, or as many bytes of their responses are kept, as may be. Nothing was
    /// executed.
    SessionsFull {
        /// Which, and how many.
        reason: String,
    },
    /// The command was executed before, and its response is not kept any more.
    ResponseLost,
    /// Leadership was not handed over.
    NotTransferred {
        /// What stood in the way.
        why: TransferFailure,
    },
    /// This version cannot do that.
    Unsupported {
        /// What.
        what: String,
    },
    /// The members cannot be changed so.
    Change {
        /// Why, for programs.
        why: Why,
        /// Why, and what to do.
        message: String,
    },
    /// There is no snapshot to be had.
    NoSnapshot {
        /// Why, for programs.
        why: NoSnapshot,
        /// Why, and what to do.
        message: String,
    },
    /// Another node refused, for a reason this version does not know.
    Other(Box<wire::Refusal>),
}

impl Refused {
    /// What is known of the effect of the call.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Timeout { outcome, .. }
            | Self::Stopped { outcome, .. }
            | Self::Undecodable { outcome, .. } => *outcome,
            Self::LeadershipLost { .. } | Self::Disconnected | Self::Acknowledged => {
                Outcome::Unknown
            }
            Self::ResponseLost => Outcome::AppliedResponseLost,
            Self::Other(refusal) => refusal.outcome,
            _ => Outcome::NotApplied,
        }
    }
}

/// The words for programs. They are part of the wire format.
pub(crate) mod code {
    pub(crate) const NOT_LEADER: &str = "ENOTLEADER";
    pub(crate) const BUSY: &str = "EBUSY";
    pub(crate) const FULL: &str = "ENOSPC";
    pub(crate) const TOO_LARGE: &str = "ETOOLARGE";
    pub(crate) const TIMEOUT: &str = "ETIMEOUT";
    pub(crate) const LEADERSHIP_LOST: &str = "ELEADERSHIPLOST";
    pub(crate) const DISCONNECTED: &str = "EDISCONNECTED";
    pub(crate) const STOPPED: &str = "ESTOPPED";
    pub(crate) const UNDECODABLE: &str = "EUNDECODABLE";
    pub(crate) const SESSION_EXPIRED: &str = "ESESSIONEXPIRED";
    pub(crate) const ACKNOWLEDGED: &str = "EACKNOWLEDGED";
    pub(crate) const SESSIONS_FULL: &str = "ESESSIONSFULL";
    pub(crate) const RESPONSE_LOST: &str = "ERESPONSELOST";
    pub(crate) const UNSUPPORTED: &str = "EUNSUPPORTED";
}

impl From<Refused> for wire::Refusal {
    fn from(refused: Refused) -> Self {
        let error = match refused {
            Refused::Other(refusal) => return *refusal,
            Refused::NotTransferred { why } => return transfer_error::refusal(why),
            Refused::Change { why, message } => {
                return Self { code: why.code().to_owned(), message, ..Self::default() };
            }
            Refused::NoSnapshot { why, message } => {
                return Self { code: why.code().to_owned(), message, ..Self::default() };
            }
            refused => CommandError::from(refused),
        };
        let message = match &error {
            CommandError::Unsupported { what } => what.clone(),
            CommandError::Undecodable { reason, .. } => reason.clone(),
            error => error.to_string(),
        };
        Self {
            code: error.code().to_owned(),
            message,
            leader: error.leader().map(|leader| (leader.name, leader.address)),
            outcome: error.outcome(),
            position: error
                .position()
                .map(|at| (at.instance.0, Position { term: at.term, index: at.index })),
        }
    }
}

impl From<wire::Refusal> for Refused {
    fn from(refusal: wire::Refusal) -> Self {
        let leader = leader_from(&refusal);
        let position = position_from(&refusal);
        let outcome = refusal.outcome;
        let numbers = numbers_in(&refusal.message);
        match (refusal.code.as_str(), position) {
            (code::NOT_LEADER, _) => Self::NotLeader { leader },
            (code::BUSY, _) if numbers.len() == 1 => Self::Busy { bytes: numbers[0] },
            (code::FULL, _) => Self::Full { reason: refusal.message },
            (code::TOO_LARGE, _) if numbers.len() == 2 => {
                Self::TooLarge { size: numbers[0], limit: numbers[1] }
            }
            (code::TIMEOUT, position) => Self::Timeout { outcome, position },
            (code::LEADERSHIP_LOST, Some(position)) => Self::LeadershipLost { position, leader },
            (code::DISCONNECTED, _) => Self::Disconnected,
            (code::STOPPED, position) => Self::Stopped { outcome, position },
            (code::UNDECODABLE, _) => Self::Undecodable { reason: refusal.message, outcome },
            (code::SESSION_EXPIRED, _) => Self::SessionExpired,
            (code::ACKNOWLEDGED, _) => Self::Acknowledged,
            (code::SESSIONS_FULL, _) => Self::SessionsFull { reason: refusal.message },
            (code::RESPONSE_LOST, _) => Self::ResponseLost,
            (code::UNSUPPORTED, _) => Self::Unsupported { what: refusal.message },
            (code, _) => {
                if let Some(why) = transfer_error::failure(code) {
                    return Self::NotTransferred { why };
                }
                if let Some(why) = Why::of_code(code) {
                    return Self::Change { why, message: refusal.message };
                }
                if let Some(why) = NoSnapshot::of_code(code) {
                    return Self::NoSnapshot { why, message: refusal.message };
                }
                Self::Other(Box::new(refusal))
            }
        }
    }
}

/// The sizes in a sentence: they travel in the text.
fn numbers_in(text: &str) -> Vec<usize> {
    let words = text.split(|c: char| !c.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// The word for a reason.
pub(crate) fn word_of<W: PartialEq>(
    words: &[(W, &'static str)],
    reason: W,
) -> Option<&'static str> {
    words.iter().find(|(one, _)| *one == reason).map(|(_, word)| *word)
}

/// The reason that has this word.
pub(crate) fn of_word<W: Copy>(words: &[(W, &'static str)], word: &str) -> Option<W> {
    words.iter().find(|(_, one)| *one == word).map(|(reason, _)| *reason)
}

pub(crate) fn leader_from(refusal: &wire::Refusal) -> Option<Leader> {
    let (name, address) = refusal.leader.clone()?;
    Some(Leader { name, address })
}

pub(crate) fn position_from(refusal: &wire::Refusal) -> Option<EntryPosition> {
    let (instance, position) = refusal.position?;
    Some(EntryPosition::new(InstanceId(instance), position))
}
