//! What runs in a simulation: a state machine, and what its clients want of it.

use std::fmt::Debug;

use bytes::Bytes;
use skiff_replica::Snapshots;

/// A state machine under test, and its clients.
///
/// The library's own is [`Registers`](crate::Registers).
pub trait Workload {
    /// The machine.
    type Machine: Snapshots;

    /// A machine in its first state, as each node starts with.
    fn machine(&self) -> Self::Machine;

    /// The command of this number, encoded. The same number gives the same command; different ones
    /// should differ, so that it shows when one is executed twice.
    fn command(&self, seed: u64) -> Bytes;

    /// Answers the read of this number from the machine as it stands.
    fn read(&self, seed: u64, machine: &Self::Machine) -> Bytes;

    /// Judges what the clients saw, once everything has ended. The default has no opinion: that all
    /// nodes answer alike and nothing is lost or done twice is judged for every machine.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    fn judge(&self, history: &[Operation]) -> Result<(), String> {
        let _ = history;
        Ok(())
    }

    /// Whether machines in the same state give the same bytes as their snapshot: then those of all nodes are
    /// compared.
    fn is_canonical(&self) -> bool {
        false
    }

    /// A command or response in words, for traces.
    fn describe(&self, bytes: &Bytes) -> String {
        format!("{} bytes", bytes.len())
    }
}

/// What a client asked for, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The number of the command or read.
    pub seed: u64,
    /// Whether it was a read.
    pub read: bool,
    /// When it was asked for, in nanoseconds.
    pub invoked: u64,
    /// When it was answered; `None` if what became of it is unknown: then it may take effect at any
    /// time, or never.
    pub returned: Option<u64>,
    /// The answer, encoded.
    pub answer: Option<Bytes>,
    /// Where the simulation saw it take effect, if it did: twice the index of a command; for a read
    /// one more than that of the last command before it. A history in this order is a proposal, to be
    /// checked.
    pub place: Option<u64>,
}
