//! Commands on their way into a machine, and responses on their way out.

use std::{fmt, slice};

use skiff_core::{Entry, Index, Payload, Position, Token};
use skiff_storage::InstanceId;

use super::{At, Encoded, MachineError, StateMachine};

/// Consecutive commands to apply: take one, apply it, answer it, take the next.
pub struct Batch<'a, M: StateMachine> {
    instance: InstanceId,
    entries: slice::Iter<'a, Entry>,
    last: Position,
    /// The calls that entries still to be applied answer, in ascending order of index.
    waiting: &'a [(Index, Token)],
    /// The command taken last; zero before the first.
    current: &'a mut Index,
    responses: &'a mut Vec<(Token, M::Response)>,
}

impl<M: StateMachine> fmt::Debug for Batch<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("last", &self.last).finish_non_exhaustive()
    }
}

impl<'a, M: StateMachine> Batch<'a, M> {
    pub(crate) fn new(
        instance: InstanceId,
        entries: &'a [Entry],
        waiting: &'a [(Index, Token)],
        current: &'a mut Index,
        responses: &'a mut Vec<(Token, M::Response)>,
    ) -> Self {
        let last = entries.last().map(Entry::position).unwrap_or_default();
        Self { instance, entries: entries.iter(), last, waiting, current, responses }
    }

    /// The last entry of the batch: once it is applied, the machine stands here. An engine that is
    /// durable by itself keeps this index in the same transaction.
    #[must_use]
    pub const fn last(&self) -> Position {
        self.last
    }

    /// The next command, with its place; `None` after the last.
    ///
    /// # Errors
    ///
    /// If it cannot be decoded.
    pub fn next_command(&mut self) -> Result<Option<(M::Command, At)>, MachineError> {
        for entry in self.entries.by_ref() {
            if let Payload::Command(bytes) = &entry.payload {
                *self.current = entry.index;
                let command = M::Command::decode(bytes)?;
                return Ok(Some((command, At::new(self.instance, entry.position(), entry.time))));
            }
        }
        Ok(None)
    }

    /// Answers the command taken last. Without an answer its caller waits in vain.
    pub fn respond(&mut self, response: M::Response) {
        while let Some(((index, token), rest)) = self.waiting.split_first() {
            if *index > *self.current {
                break;
            }
            self.waiting = rest;
            if *index == *self.current {
                self.responses.push((*token, response));
                break;
            }
        }
    }
}
