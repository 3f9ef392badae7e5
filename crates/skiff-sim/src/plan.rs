//! What is to happen in a run: the cluster, its settings, the faults and the calls, all of it plain
//! data. A plan made from a seed can be kept, changed and run again; what it leaves open (each delay,
//! each sector of a torn write) is drawn from the streams of its seed.

mod ailment;
mod faults;
mod knobs;
mod make;

pub use self::{
    ailment::Ailment,
    faults::{Cut, Damage, Fault, Lie, Point, Successor, Who},
    knobs::{ClockKnobs, Forming, Knobs, MarkKnobs, SnapshotKnobs},
    make::Limits,
};
use serde::{Deserialize, Serialize};

/// A millisecond, in nanoseconds.
pub const MS: u64 = 1_000_000;
/// A second, in nanoseconds.
pub const SECOND: u64 = 1_000 * MS;

/// How bad it may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Crashes, lost and late messages, slow, full and failing disks. Nothing that was synced is
    /// damaged, so everything must survive, and go on.
    #[default]
    Crash,
    /// Beside that, disks of members are damaged, but of each entry an intact copy is left, except on
    /// a minority. Nothing wrong may ever be done; and those whose logs are damaged must be mended.
    Recoverable,
    /// Any number of disks is damaged, rolled back or wiped. A node may stop; it must not take damage
    /// for data.
    Unlimited,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What everything left open is drawn from.
    pub seed: u64,
    /// How bad it may get.
    pub mode: Mode,
    /// How many nodes there are.
    pub nodes: usize,
    /// For how long there are faults and calls, in nanoseconds. Afterwards a majority is left alone
    /// and must make progress.
    pub nanos: u64,
    /// The settings of nodes, network and disks.
    pub knobs: Knobs,
    /// The faults, by the time they begin.
    pub faults: Vec<(u64, Fault)>,
    /// The calls.
    pub calls: Vec<PlannedCall>,
    /// The clients with sessions.
    #[serde(default)]
    pub sessions: Vec<PlannedSession>,
    /// What stays wrong when the faults have ended.
    #[serde(default)]
    pub ailment: Ailment,
    /// Whether disks say that all is durable and write nothing: to see that the judges see it.
    #[serde(default)]
    pub canary: bool,
}

/// Something a client will ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCall {
    /// When, in nanoseconds from the start.
    pub at: u64,
    /// What: the workload makes a command or a read of this number.
    pub seed: u64,
    /// Whether it is a read.
    pub read: bool,
    /// How long the caller waits, in nanoseconds.
    pub patience: u64,
}

/// A client with a session: it gives one command after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSession {
    /// When it begins, in nanoseconds from the start.
    pub at: u64,
    /// How long its session lives without being used, in nanoseconds.
    pub timeout: u64,
    /// Its commands.
    pub calls: Vec<SessionCall>,
}

/// A command of a client with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCall {
    /// The command, as in [`PlannedCall`].
    pub seed: u64,
    /// How long each try waits, in nanoseconds.
    pub patience: u64,
    /// How long it rests before the next.
    pub gap: u64,
    /// Whether each try goes to two nodes at once.
    pub twice: bool,
    /// Whether it is tried only once, whatever comes of it.
    pub gives_up: bool,
}
