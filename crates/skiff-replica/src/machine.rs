//! The state machine: what a user writes, and what an engine may write besides.

mod batch;
mod encoded;
mod keeps_nothing;
mod mark;
mod snapshots;

pub use batch::Batch;
pub(crate) use batch::Progress;
pub use encoded::{Encoded, Malformed, Raw};
pub use keeps_nothing::KeepsNothing;
pub(crate) use mark::Stored;
pub use mark::{Mark, Opened};
use skiff_core::{Index, LogTime, Position, Term};
use skiff_storage::InstanceId;
pub use snapshots::{SnapshotWriter, Snapshots};
use thiserror::Error;

/// A deterministic state machine, replicated command by command (the original's `applyLog`).
///
/// The same commands in the same order must have the same results everywhere: so no clock, no
/// randomness of its own, no order of a hash map. [`At`] has replacements for the first two.
///
/// A machine that is also `Clone + Serialize + DeserializeOwned` is complete with this. One that
/// keeps its data elsewhere implements [`Snapshots`] besides.
#[doc(alias = "applyLog")]
pub trait StateMachine: Send + Sync + 'static {
    /// What changes it: any serde type, [`Raw`] bytes, or a type with an encoding of its own.
    type Command: Encoded;
    /// What a command answers. Refusals that follow from the data belong in here.
    type Response: Encoded;

    /// Applies one command. Called for each command once, in the order of the log, on every node.
    ///
    /// A panic stops the node and names the index.
    fn apply(&mut self, command: Self::Command, at: At) -> Self::Response;

    /// The version of the data, kept in snapshots. A snapshot of a newer version is refused.
    const VERSION: u32 = 0;

    /// A number that is equal on all nodes that have applied the same commands; `None` if it is not
    /// worth its cost.
    fn digest(&self) -> Option<u64> {
        None
    }
}

/// An optional part of a machine: questions that can travel, for clients elsewhere.
pub trait Queries: StateMachine {
    /// A question.
    type Query: Encoded;
    /// Its answer.
    type Answer: Encoded;

    /// Answers a question. Changes nothing.
    fn query(&self, query: Self::Query) -> Self::Answer;
}

/// Where and when a command is applied; equal on all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct At {
    /// Its index in the log.
    pub index: Index,
    /// The term it was appended in.
    pub term: Term,
    /// The log's time, in nanoseconds. It never goes back, and stands still without a leader.
    pub time: LogTime,
    /// A random number, the same on all nodes and another for each command.
    pub random: u64,
}

impl At {
    /// What a machine is told at this place.
    #[must_use]
    pub fn new(instance: InstanceId, position: Position, time: LogTime) -> Self {
        Self { index: position.index, term: position.term, time, random: mix(instance, position) }
    }
}

/// A number that looks random (the finalizer of MurmurHash3, twice), from what is equal everywhere.
fn mix(instance: InstanceId, position: Position) -> u64 {
    let [low, high] = halves(instance.0);
    let mut state = low ^ position.index.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for salt in [high, position.term.0] {
        state ^= salt;
        state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state = (state ^ (state >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        state ^= state >> 33;
    }
    state
}

fn halves(number: u128) -> [u64; 2] {
    let bytes = number.to_le_bytes();
    [0, 8].map(|at| {
        let mut half = [0; 8];
        half.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(half)
    })
}

/// A machine could not do what it was asked. The node stops and says why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct MachineError {
    /// Why, in words.
    pub reason: String,
}

impl MachineError {
    /// An error with this reason.
    pub fn new(reason: impl ToString) -> Self {
        Self { reason: reason.to_string() }
    }
}

impl From<std::io::Error> for MachineError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}

impl From<Malformed> for MachineError {
    fn from(error: Malformed) -> Self {
        Self::new(error)
    }
}
