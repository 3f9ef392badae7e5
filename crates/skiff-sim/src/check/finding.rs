//! What was found in a user's machine.

use thiserror::Error;

use crate::failure::Failure;

/// Something is wrong with a state machine.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Finding {
    /// Two machines that were given the same commands do not answer alike.
    #[error(
        "the machine is not deterministic: two of it answer command {number} differently ({first} and {second}); {cause}"
    )]
    NotDeterministic {
        /// Which command, counted from one.
        number: u64,
        /// The first answer, as bytes.
        first: String,
        /// The second.
        second: String,
        /// What that looks like.
        cause: Cause,
    },
    /// Two machines that were given the same commands do not hold the same.
    #[error(
        "the machine is not deterministic: two of it answer alike and hold different states after command {number}; {cause}"
    )]
    StatesDiffer {
        /// After which command, counted from one.
        number: u64,
        /// What that looks like.
        cause: Cause,
    },
    /// A machine that was restored from a snapshot is another.
    #[error(
        "the snapshot forgets something: restored after command {restored}, the machine answers command {number} with {second}, the one that was never restored with {first}; look for a field that is not in the snapshot"
    )]
    SnapshotForgets {
        /// After which command it was taken and restored, counted from one.
        restored: u64,
        /// The first command that is answered differently.
        number: u64,
        /// The answer of the machine that was never restored.
        first: String,
        /// That of the restored one.
        second: String,
    },
    /// The machine failed by itself.
    #[error("the machine fails at command {number}: {reason}")]
    Fails {
        /// Which command, counted from one.
        number: u64,
        /// What it said.
        reason: String,
    },
    /// Something went wrong in a cluster.
    #[error("seed {seed}: {failure}")]
    InCluster {
        /// The seed: run it again with [`Check::trace`](crate::Check::trace).
        seed: u64,
        /// What was seen.
        failure: Failure,
    },
}

/// What a difference looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The same in another order.
    #[error("they hold the same in another order: does it iterate a hash map? use a BTreeMap")]
    Order,
    /// Something else.
    #[error(
        "does it look at a clock, at random numbers, at an address or a file? use the time and the random number of `At`"
    )]
    Outside,
}

impl Cause {
    /// What the difference between these looks like.
    pub(super) fn of(first: &[u8], second: &[u8]) -> Self {
        if crate::world::is_reordered(first, second) { Self::Order } else { Self::Outside }
    }
}
