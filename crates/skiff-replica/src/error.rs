//! Why a call got no response, and why a replica does not start or stops.

use std::fmt;

use skiff_core::{self as core, Index, Position, Term};
use skiff_storage::InstanceId;
use skiff_transport as wire;
pub use skiff_transport::Outcome;
use thiserror::Error;

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
}

impl fmt::Display for EntryPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/t{} of instance {}", self.index, self.term, self.instance)
    }
}

/// Why a call got no response: what [`CommandError`] and [`ReadError`] are made from.
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
    /// The bytes are not what the machine understands.
    Undecodable {
        /// What is wrong with them.
        reason: String,
    },
    /// This version cannot do that.
    Unsupported {
        /// What.
        what: String,
    },
    /// Another node refused, for a reason this version does not know.
    Other(Box<wire::Refusal>),
}

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

/// The words for programs. They are part of the wire format.
mod code {
    pub(super) const NOT_LEADER: &str = "ENOTLEADER";
    pub(super) const BUSY: &str = "EBUSY";
    pub(super) const TOO_LARGE: &str = "ETOOLARGE";
    pub(super) const TIMEOUT: &str = "ETIMEOUT";
    pub(super) const LEADERSHIP_LOST: &str = "ELEADERSHIPLOST";
    pub(super) const DISCONNECTED: &str = "EDISCONNECTED";
    pub(super) const STOPPED: &str = "ESTOPPED";
    pub(super) const UNDECODABLE: &str = "EUNDECODABLE";
    pub(super) const UNSUPPORTED: &str = "EUNSUPPORTED";
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
            Self::TooLarge { .. } => code::TOO_LARGE,
            Self::Timeout { .. } => code::TIMEOUT,
            Self::LeadershipLost { .. } => code::LEADERSHIP_LOST,
            Self::Disconnected => code::DISCONNECTED,
            Self::Stopped { .. } => code::STOPPED,
            Self::Undecodable { .. } => code::UNDECODABLE,
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
            | Self::TooLarge { .. }
            | Self::Unsupported { .. } => Outcome::NotApplied,
            Self::LeadershipLost { .. } | Self::Disconnected => Outcome::Unknown,
            Self::Timeout { outcome, .. }
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
            Refused::TooLarge { size, limit } => Self::TooLarge { size, limit },
            Refused::Timeout { outcome, position } => Self::Timeout { outcome, position },
            Refused::LeadershipLost { position, leader } => {
                Self::LeadershipLost { position, leader }
            }
            Refused::Disconnected => Self::Disconnected,
            Refused::Stopped { outcome, position } => Self::Stopped { outcome, position },
            Refused::Undecodable { reason } => {
                Self::Undecodable { reason, outcome: Outcome::NotApplied }
            }
            Refused::Unsupported { what } => Self::Unsupported { what },
            Refused::Other(refusal) => Self::Other(refusal),
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
            Refused::TooLarge { size, limit } => Self::Undecodable {
                reason: format!("the question has {size} bytes, the limit is {limit}"),
            },
            Refused::Timeout { .. } => Self::Timeout,
            Refused::Disconnected => Self::Disconnected,
            Refused::Stopped { .. } => Self::Stopped,
            Refused::Undecodable { reason } => Self::Undecodable { reason },
            Refused::Unsupported { what } => Self::Unsupported { what },
            Refused::Other(refusal) => Self::Other(refusal),
        }
    }
}

impl From<Refused> for wire::Refusal {
    fn from(refused: Refused) -> Self {
        let error = match refused {
            Refused::Other(refusal) => return *refusal,
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
            (code::TOO_LARGE, _) if numbers.len() == 2 => {
                Self::TooLarge { size: numbers[0], limit: numbers[1] }
            }
            (code::TIMEOUT, position) => Self::Timeout { outcome, position },
            (code::LEADERSHIP_LOST, Some(position)) => Self::LeadershipLost { position, leader },
            (code::DISCONNECTED, _) => Self::Disconnected,
            (code::STOPPED, position) => Self::Stopped { outcome, position },
            (code::UNDECODABLE, _) => Self::Undecodable { reason: refusal.message },
            (code::UNSUPPORTED, _) => Self::Unsupported { what: refusal.message },
            _ => Self::Other(Box::new(refusal)),
        }
    }
}

/// The sizes in a sentence: they travel in the text.
fn numbers_in(text: &str) -> Vec<usize> {
    let words = text.split(|c: char| !c.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

fn leader_from(refusal: &wire::Refusal) -> Option<Leader> {
    let (name, address) = refusal.leader.clone()?;
    Some(Leader { name, address })
}

fn position_from(refusal: &wire::Refusal) -> Option<EntryPosition> {
    let (instance, position) = refusal.position?;
    Some(EntryPosition::new(InstanceId(instance), position))
}

fn leader_is(leader: Option<&Leader>) -> String {
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

/// Why a replica cannot start from what it found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The core cannot start.
    #[error("{0}")]
    Core(#[from] core::StartError),
    /// A member without the state its cluster began with, or a later one.
    #[error("the store of member `{name}` has no snapshot: its data was lost")]
    NoSnapshot {
        /// The member.
        name: String,
    },
    /// The snapshot and the log do not fit together.
    #[error("the log begins after {log}, but the newest snapshot is of {snapshot}: data was lost")]
    Gap {
        /// Where the log begins.
        log: Position,
        /// What the snapshot covers.
        snapshot: Position,
    },
    /// A node that was removed from its cluster stays out.
    #[error("`{name}` was removed from its cluster; use a new directory to begin anew")]
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
    #[error("the store failed, nothing more can be made durable: {reason}")]
    Store {
        /// What it said.
        reason: String,
    },
    /// The machine failed.
    #[error("the state machine failed at index {index}: {reason}")]
    Machine {
        /// The entry.
        index: Index,
        /// What it said.
        reason: String,
    },
    /// The machine could not give or take its state.
    #[error("the state machine cannot {action} its state: {reason}")]
    MachineState {
        /// "give" or "take".
        action: &'static str,
        /// What it said.
        reason: String,
    },
    /// The machine's first state is too large to travel in one piece.
    #[error(
        "the state the cluster is to begin with has {size} bytes, the limit is {limit}: begin with a smaller one"
    )]
    GenesisTooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
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
