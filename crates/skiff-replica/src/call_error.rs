//! Why a command or a read got no response, as its caller is told.

use skiff_transport as wire;
use thiserror::Error;

use crate::refused::{EntryPosition, Leader, Outcome, Refused, code, leader_from, position_from};

/// Why a command got no response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// This node does not lead. The command had no effect: give it to the leader.
    #[doc(alias = "ENOTLEADER")]
    #[error("not the leader{}", leader_is(leader.as_ref()))]
    NotLeader {
        /// Who does, if known.
        leader: Option<Leader>,
    },
    /// Too much is under way. The command had no effect: try again later.
    #[error("too much is under way ({bytes} bytes): try again later")]
    Busy {
        /// How many bytes wait.
        bytes: usize,
    },
    /// The leader has no room for its log. The command had no effect: try again once room was made.
    #[error("{reason}")]
    Full {
        /// Where there is none, how much is free, and what to do.
        reason: String,
    },
    /// The command is larger than allowed. It had no effect.
    #[error("the command has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The deadline passed before the response came.
    #[error("the deadline passed{}", effect(*outcome, position.as_ref()))]
    Timeout {
        /// What is known of the effect.
        outcome: Outcome,
        /// Where the entry stands, if that is known.
        position: Option<EntryPosition>,
    },
    /// Leadership was lost after the command was appended: it may or may not take effect.
    #[error("leadership was lost while entry {position} was replicated: it may still take effect")]
    LeadershipLost {
        /// Where the entry stands, or stood.
        position: EntryPosition,
        /// Who leads now, if known.
        leader: Option<Leader>,
    },
    /// The connection to the node the command was given to is gone: it may or may not take effect.
    #[error("the connection broke before the response came: the command may still take effect")]
    Disconnected,
    /// The node stopped.
    #[error("the node stopped{}", effect(*outcome, position.as_ref()))]
    Stopped {
        /// What is known of the effect.
        outcome: Outcome,
        /// Where the entry stands, if it was appended.
        position: Option<EntryPosition>,
    },
    /// The command or its response cannot be turned into bytes or back.
    #[error("not understood: {reason}")]
    Undecodable {
        /// What is wrong.
        reason: String,
        /// What is known of the effect.
        outcome: Outcome,
    },
    /// There is no such session any more: it has expired, or was ended. This try had no effect; whether
    /// one before it had is not known any more.
    #[error("the session has expired or was ended{}", effect(*outcome, None))]
    SessionExpired {
        /// What is known of the effect: none, unless it was tried before.
        outcome: Outcome,
    },
    /// A later command of the session was executed. This one was before, or never will be.
    #[error("a later command of the session was executed already")]
    Acknowledged,
    /// There are as many sessions, or as many bytes of their responses are kept, as may be. The command
    /// had no effect: try again later.
    #[error("{reason}")]
    SessionsFull {
        /// Which, and how many.
        reason: String,
    },
    /// The command was executed when it was tried before, and its response is not kept any more.
    #[error("the command took effect before, only its response is lost")]
    ResponseLost,
    /// This version cannot do that. The command had no effect.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// What.
        what: String,
    },
    /// Another node refused, for a reason this version does not know.
    #[error("{}", .0.message)]
    Other(Box<wire::Refusal>),
}

/// Why a read got no answer. A read has no effect, so it can always be tried again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// This node does not lead, and knows no leader to ask.
    #[doc(alias = "ENOTLEADER")]
    #[error("not the leader{}", leader_is(leader.as_ref()))]
    NotLeader {
        /// Who does, if known.
        leader: Option<Leader>,
    },
    /// Too much is under way: try again later.
    #[error("too much is under way ({bytes} bytes): try again later")]
    Busy {
        /// How many bytes wait.
        bytes: usize,
    },
    /// The deadline passed.
    #[error("the deadline passed")]
    Timeout,
    /// The connection to the node that was asked is gone.
    #[error("the connection broke before the answer came")]
    Disconnected,
    /// The node stopped.
    #[error("the node stopped")]
    Stopped,
    /// The question or its answer cannot be turned into bytes or back.
    #[error("not understood: {reason}")]
    Undecodable {
        /// What is wrong.
        reason: String,
    },
    /// This version cannot do that.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// What.
        what: String,
    },
    /// Another node refused, for a reason this version does not know.
    #[error("{}", .0.message)]
    Other(Box<wire::Refusal>),
}

impl CommandError {
    /// A short word for programs. The original's where it had one: `ENOTLEADER`.
    #[must_use]
    #[doc(alias = "ENOTLEADER")]
    #[doc(alias = "err.code")]
    pub fn code(&self) -> &str {
        match self {
            Self::NotLeader { .. } => code::NOT_LEADER,
            Self::Busy { .. } => code::BUSY,
            Self::Full { .. } => code::FULL,
            Self::TooLarge { .. } => code::TOO_LARGE,
            Self::Timeout { .. } => code::TIMEOUT,
            Self::LeadershipLost { .. } => code::LEADERSHIP_LOST,
            Self::Disconnected => code::DISCONNECTED,
            Self::Stopped { .. } => code::STOPPED,
            Self::Undecodable { .. } => code::UNDECODABLE,
            Self::SessionExpired { .. } => code::SESSION_EXPIRED,
            Self::Acknowledged => code::ACKNOWLEDGED,
            Self::SessionsFull { .. } => code::SESSIONS_FULL,
            Self::ResponseLost => code::RESPONSE_LOST,
            Self::Unsupported { .. } => code::UNSUPPORTED,
            Self::Other(refusal) => &refusal.code,
        }
    }

    /// What is known of the command's effect.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::NotLeader { .. }
            | Self::Busy { .. }
            | Self::Full { .. }
            | Self::TooLarge { .. }
            | Self::SessionsFull { .. }
            | Self::Unsupported { .. } => Outcome::NotApplied,
            Self::LeadershipLost { .. } | Self::Disconnected | Self::Acknowledged => {
                Outcome::Unknown
            }
            Self::ResponseLost => Outcome::AppliedResponseLost,
            Self::SessionExpired { outcome }
            | Self::Timeout { outcome, .. }
            | Self::Stopped { outcome, .. }
            | Self::Undecodable { outcome, .. } => *outcome,
            Self::Other(refusal) => refusal.outcome,
        }
    }

    /// Who leads, as far as the node that refused knew.
    #[must_use]
    #[doc(alias = "err.leader")]
    pub fn leader(&self) -> Option<Leader> {
        match self {
            Self::NotLeader { leader } | Self::LeadershipLost { leader, .. } => leader.clone(),
            Self::Other(refusal) => leader_from(refusal),
            _ => None,
        }
    }

    /// Where the command's entry stands, if it was appended and that is known.
    #[must_use]
    pub fn position(&self) -> Option<EntryPosition> {
        match self {
            Self::LeadershipLost { position, .. } => Some(*position),
            Self::Timeout { position, .. } | Self::Stopped { position, .. } => *position,
            Self::Other(refusal) => position_from(refusal),
            _ => None,
        }
    }
}

impl ReadError {
    /// A short word for programs.
    #[must_use]
    #[doc(alias = "ENOTLEADER")]
    pub fn code(&self) -> &str {
        match self {
            Self::NotLeader { .. } => code::NOT_LEADER,
            Self::Busy { .. } => code::BUSY,
            Self::Timeout => code::TIMEOUT,
            Self::Disconnected => code::DISCONNECTED,
            Self::Stopped => code::STOPPED,
            Self::Undecodable { .. } => code::UNDECODABLE,
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

impl From<Refused> for CommandError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotLeader { leader } => Self::NotLeader { leader },
            Refused::Busy { bytes } => Self::Busy { bytes },
            Refused::Full { reason } => Self::Full { reason },
            Refused::TooLarge { size, limit } => Self::TooLarge { size, limit },
            Refused::Timeout { outcome, position } => Self::Timeout { outcome, position },
            Refused::LeadershipLost { position, leader } => {
                Self::LeadershipLost { position, leader }
            }
            Refused::Disconnected => Self::Disconnected,
            Refused::Stopped { outcome, position } => Self::Stopped { outcome, position },
            Refused::Undecodable { reason, outcome } => Self::Undecodable { reason, outcome },
            Refused::SessionExpired => Self::SessionExpired { outcome: Outcome::NotApplied },
            Refused::Acknowledged => Self::Acknowledged,
            Refused::SessionsFull { reason } => Self::SessionsFull { reason },
            Refused::ResponseLost => Self::ResponseLost,
            Refused::Unsupported { what } => Self::Unsupported { what },
            // Nobody refuses a command for that.
            other @ Refused::NotTransferred { .. } => Self::Other(Box::new(other.into())),
            Refused::Other(refusal) => Self::Other(refusal),
            // Nobody refuses a command for that.
            other @ (Refused::Change { .. } | Refused::NoSnapshot { .. }) => {
                Self::Other(Box::new(other.into()))
            }
        }
    }
}

impl From<Refused> for ReadError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotLeader { leader } | Refused::LeadershipLost { leader, .. } => {
                Self::NotLeader { leader }
            }
            Refused::Busy { bytes } => Self::Busy { bytes },
            // Nobody refuses a read for that.
            other @ (Refused::Full { .. }
            | Refused::NotTransferred { .. }
            | Refused::Change { .. }
            | Refused::NoSnapshot { .. }
            | Refused::SessionExpired
            | Refused::Acknowledged
            | Refused::SessionsFull { .. }
            | Refused::ResponseLost) => Self::Other(Box::new(other.into())),
            Refused::TooLarge { size, limit } => Self::Undecodable {
                reason: format!("the question has {size} bytes, the limit is {limit}"),
            },
            Refused::Timeout { .. } => Self::Timeout,
            Refused::Disconnected => Self::Disconnected,
            Refused::Stopped { .. } => Self::Stopped,
            Refused::Undecodable { reason, .. } => Self::Undecodable { reason },
            Refused::Unsupported { what } => Self::Unsupported { what },
            Refused::Other(refusal) => Self::Other(refusal),
        }
    }
}

pub(crate) fn leader_is(leader: Option<&Leader>) -> String {
    leader.map_or_else(
        || "; who leads is not known yet".to_owned(),
        |leader| format!("; the leader is {leader}"),
    )
}

fn effect(outcome: Outcome, position: Option<&EntryPosition>) -> String {
    let place = position.map(|position| format!(" (entry {position})")).unwrap_or_default();
    match outcome {
        Outcome::NotApplied => "; the command had no effect".to_owned(),
        Outcome::Unknown => format!("; the command may have taken effect, or do so later{place}"),
        Outcome::AppliedResponseLost => {
            format!("; the command took effect, only its response is lost{place}")
        }
    }
}
