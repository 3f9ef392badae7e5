//! What an engine writes besides the machine itself.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

use super::{Batch, MachineError, Mark, Opened, StateMachine};

/// Writes a machine's state, as it was when this was made, somewhere else.
pub type SnapshotWriter = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// A machine whose state can be given away and taken.
///
/// Every machine that is `Clone + Serialize + DeserializeOwned` has this. Engines write it: a type
/// that keeps its data elsewhere, and is not all of these three, may implement it for itself.
pub trait Snapshots: StateMachine {
    /// How the bytes of a snapshot are to be read. A snapshot of another encoding is refused.
    const CODEC: &'static str = "own";

    /// Whether the machine gets a thread of its own. One that waits for a disk, or takes long in any
    /// other way, needs it: it would hold up what else there is to do, heartbeats first. One that
    /// lives in memory does better without.
    const OWN_THREAD: bool = true;

    /// Whether the machine is durable by itself: whether [`checkpoint`](Self::checkpoint) is called. One
    /// that lives in memory does better without.
    const KEEPS_MARKS: bool = true;

    /// Applies a batch of commands, each by [`StateMachine::apply`] unless the machine has a better
    /// way, such as one transaction for all.
    ///
    /// # Errors
    ///
    /// If a command cannot be decoded, or the machine failed. The node stops.
    fn apply_batch(&mut self, mut batch: Batch<'_, Self>) -> Result<(), MachineError>
    where
        Self: Sized,
    {
        while let Some((command, at)) = batch.next_command()? {
            let response = self.apply(command, at);
            batch.respond(response);
        }
        Ok(())
    }

    /// Captures the state as it stands, quickly; what is returned writes it, at leisure and
    /// elsewhere. Called between batches.
    ///
    /// # Errors
    ///
    /// If the machine failed.
    fn snapshot(&self) -> Result<SnapshotWriter, MachineError>;

    /// Replaces the state by one that [`snapshot`](Self::snapshot) wrote, here or on another node.
    /// The bytes are as they were written. A durable machine keeps `mark` with them.
    ///
    /// # Errors
    ///
    /// If it cannot. The node stops, and calls again at its next start.
    fn restore(&mut self, from: &mut dyn Read, mark: Mark) -> Result<(), MachineError>;

    /// What the machine held when it was opened (the original's `lastAppliedCommitIndex`).
    #[doc(alias = "lastAppliedCommitIndex")]
    fn opened_at(&self) -> Opened {
        Opened::Empty
    }

    /// Makes all that was applied so far durable together with `mark`, in one piece. Between
    /// checkpoints the log is the durability: whatever was applied since the last one may be lost in a
    /// crash, as long as all of a batch and what was [kept of it](Batch::stored) is lost together.
    ///
    /// Called after so many commands, after a pause, before the log is compacted, and at the end.
    ///
    /// # Errors
    ///
    /// If it cannot. The node stops.
    fn checkpoint(&mut self, mark: Mark) -> Result<(), MachineError> {
        let _ = mark;
        Ok(())
    }
}

impl<M: StateMachine + Clone + Serialize + DeserializeOwned> Snapshots for M {
    const CODEC: &'static str = "msgpack-named";
    const OWN_THREAD: bool = false;
    const KEEPS_MARKS: bool = false;

    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        let state = self.clone();
        Ok(Box::new(move |mut to| {
            rmp_serde::encode::write_named(&mut to, &state).map_err(io::Error::other)
        }))
    }

    fn restore(&mut self, from: &mut dyn Read, _: Mark) -> Result<(), MachineError> {
        *self = rmp_serde::from_read(from).map_err(MachineError::new)?;
        Ok(())
    }
}
