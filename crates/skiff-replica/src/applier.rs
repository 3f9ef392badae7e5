//! Brings committed entries into the state machine: each once, in order, and none after a failure.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use skiff_core::{Apply, Entry, Index, Payload, Token};
use skiff_storage::InstanceId;
use thiserror::Error;

use crate::{
    machine::{Batch, Encoded, MachineError, Mark, Opened, Queries, Snapshots},
    refused::{Outcome, Refused},
};

/// Owns a state machine and does the jobs of the machine lane on it.
///
/// Reads take [`machine`](Self::machine); a driver that reads and applies at the same time puts
/// the applier behind a lock.
#[derive(Debug)]
pub struct Applier<M> {
    machine: M,
    instance: InstanceId,
    applied: Index,
    failed: Option<ApplyError>,
}

/// The machine could not apply an entry. It is not to be used any more: what the entry did to it
/// before it failed is not known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the state machine failed at index {index}: {reason}")]
pub struct ApplyError {
    /// The entry.
    pub index: Index,
    /// Why, in words.
    pub reason: String,
}

impl<M: Snapshots> Applier<M> {
    /// An applier of this machine, as far as that says it is.
    #[must_use]
    pub fn new(machine: M) -> Self {
        let (instance, applied) = match machine.opened_at() {
            Opened::Empty => (InstanceId::default(), Index::ZERO),
            Opened::At { mark, stored } => (mark.instance, mark.position.index.max(stored)),
        };
        Self { machine, instance, applied, failed: None }
    }

    /// The machine, to read from.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// The last entry applied.
    #[must_use]
    pub const fn applied(&self) -> Index {
        self.applied
    }

    /// Why the machine is not to be used any more, also not to be read from.
    #[must_use]
    pub const fn failed(&self) -> Option<&ApplyError> {
        self.failed.as_ref()
    }

    /// Applies what is not applied yet, and puts the responses that somebody waits for into
    /// `responses`, with the calls they answer. Returns the last entry applied.
    ///
    /// # Errors
    ///
    /// If the machine failed or panicked, or a command cannot be decoded, now or before. Then none
    /// of these entries counts as applied, and nothing is ever applied again.
    pub fn apply(
        &mut self,
        apply: &Apply,
        responses: &mut Vec<(Token, M::Response)>,
    ) -> Result<Index, ApplyError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let answered = responses.len();
        let result = self.apply_new(apply, responses);
        if let Err(failed) = &result {
            responses.truncate(answered);
            self.failed = Some(failed.clone());
        }
        result
    }

    fn apply_new(
        &mut self,
        apply: &Apply,
        responses: &mut Vec<(Token, M::Response)>,
    ) -> Result<Index, ApplyError> {
        let known = apply.entries.partition_point(|entry| entry.index <= self.applied);
        let entries = &apply.entries[known..];
        let Some(last) = entries.last() else { return Ok(self.applied) };
        self.check_place(entries)?;
        let known = apply.tokens.partition_point(|(index, _)| *index <= self.applied);
        let waiting = &apply.tokens[known..];
        let answered = responses.len();
        let mut current = self.applied;
        let batch = Batch::new(self.instance, entries, waiting, &mut current, responses);
        let machine = &mut self.machine;
        catch(|| machine.apply_batch(batch))
            .map_err(|error| ApplyError { index: current, reason: error.reason })?;
        if current < last_command(entries) {
            let reason = "the machine left commands of a batch unapplied".to_owned();
            return Err(ApplyError { index: current.next(), reason });
        }
        if responses.len() - answered != waiting.len() {
            let reason = "the machine left commands of a batch unanswered".to_owned();
            return Err(ApplyError { index: current, reason });
        }
        self.applied = last.index;
        Ok(self.applied)
    }

    /// Entries must follow what is applied, and be of kinds that are known.
    fn check_place(&self, entries: &[Entry]) -> Result<(), ApplyError> {
        let mut expected = self.applied.next();
        for entry in entries {
            if entry.index != expected {
                let reason = format!("entry {expected} was to be applied, {} came", entry.index);
                return Err(ApplyError { index: expected, reason });
            }
            if let Payload::Unknown { kind, .. } = entry.payload {
                let reason = format!("kind {kind} is not known: upgrade this node");
                return Err(ApplyError { index: expected, reason });
            }
            expected = expected.next();
        }
        Ok(())
    }

    /// The machine's state as it stands.
    ///
    /// # Errors
    ///
    /// If the machine failed or panicked.
    pub fn capture(&self) -> Result<Bytes, MachineError> {
        if let Some(failed) = &self.failed {
            return Err(MachineError::new(failed));
        }
        catch(|| {
            let mut content = Vec::new();
            self.machine.snapshot()?(&mut content)?;
            Ok(Bytes::from(content))
        })
    }

    /// Makes `content` the machine's state; entries after the mark are applied next.
    ///
    /// # Errors
    ///
    /// If the machine failed or panicked.
    pub fn restore(&mut self, content: &[u8], mark: Mark) -> Result<(), MachineError> {
        let (instance, applied) = (mark.instance, mark.position.index);
        let machine = &mut self.machine;
        let result = catch(|| machine.restore(&mut &content[..], mark));
        match &result {
            Ok(()) => {
                (self.instance, self.applied, self.failed) = (instance, applied, None);
            }
            Err(error) => {
                self.failed = Some(ApplyError { index: applied, reason: error.reason.clone() });
            }
        }
        result
    }

    /// Answers an encoded question.
    ///
    /// # Errors
    ///
    /// If it cannot be decoded, the answer not be encoded, or the machine panicked.
    pub fn query(&self, query: &Bytes) -> Result<Bytes, Refused>
    where
        M: Queries,
    {
        if let Some(failed) = &self.failed {
            return Err(unanswered(failed.to_string()));
        }
        catch(|| Ok(self.machine.query(M::Query::decode(query)?).encode()?))
            .map_err(|error| unanswered(error.reason))
    }
}

const fn unanswered(reason: String) -> Refused {
    Refused::Undecodable { reason, outcome: Outcome::NotApplied }
}

/// The index of the last command among these.
fn last_command(entries: &[Entry]) -> Index {
    let is_command = |entry: &&Entry| matches!(entry.payload, Payload::Command(_));
    entries.iter().rev().find(is_command).map_or(Index::ZERO, |entry| entry.index)
}

/// Runs a user's code; its panic becomes an error.
///
/// What it leaves behind half done is never looked at: after an error the applier refuses all.
pub(crate) fn catch<T>(run: impl FnOnce() -> Result<T, MachineError>) -> Result<T, MachineError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        Err(MachineError::new(format!("panicked: {}", words_of(panic.as_ref()))))
    })
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}
