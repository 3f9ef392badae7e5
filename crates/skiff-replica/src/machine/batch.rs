//! Commands on their way into a machine, and responses on their way out.

use std::{fmt, mem, slice};

use bytes::Bytes;
use skiff_core::{
    Entry, Index, Payload, Position, Token,
    mutants::{Mutant, planted},
};
use skiff_storage::InstanceId;

use super::{At, Encoded, MachineError, StateMachine, Stored};
use crate::{
    refused::{Outcome, Refused},
    sessions::{Answer, SessionEntry, SessionId, Sessions, Verdict},
};

/// Consecutive commands to apply: take one, apply it, answer it, take the next.
///
/// Commands of sessions that were executed before are not among them.
pub struct Batch<'a, M: StateMachine> {
    instance: InstanceId,
    entries: slice::Iter<'a, Entry>,
    last: Position,
    /// The calls that entries still to be applied answer, in ascending order of index.
    waiting: &'a [(Index, Token)],
    sessions: &'a mut Sessions,
    progress: &'a mut Progress,
    responses: &'a mut Vec<(Token, M::Response)>,
}

/// How far a batch is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The command taken last; zero before the first.
    pub(crate) current: Index,
    /// A command of a session that was taken and not answered.
    pub(crate) pending: Option<(SessionId, u64)>,
    /// What became of the entries of sessions.
    pub(crate) answers: Vec<Answer>,
    /// What commands of sessions answered that were executed.
    pub(crate) executed: Vec<(Index, Bytes)>,
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
        sessions: &'a mut Sessions,
        progress: &'a mut Progress,
        responses: &'a mut Vec<(Token, M::Response)>,
    ) -> Self {
        let last = entries.last().map(Entry::position).unwrap_or_default();
        Self { instance, entries: entries.iter(), last, waiting, sessions, progress, responses }
    }

    /// The same commands, for a machine inside of this one.
    pub fn lend<N>(&mut self) -> Batch<'_, N>
    where
        N: StateMachine<Command = M::Command, Response = M::Response>,
    {
        Batch {
            instance: self.instance,
            entries: mem::take(&mut self.entries),
            last: self.last,
            waiting: mem::take(&mut self.waiting),
            sessions: self.sessions,
            progress: self.progress,
            responses: self.responses,
        }
    }

    /// The last entry of the batch: once it is applied, the machine stands here.
    #[must_use]
    pub const fn last(&self) -> Position {
        self.last
    }

    /// What an engine that commits by itself keeps of the batch, in the same transaction as its effects,
    /// until the next [checkpoint](super::Snapshots::checkpoint): so that no command is applied again, and
    /// those of sessions are answered again. Asked for after the last command was answered.
    ///
    /// # Errors
    ///
    /// If there are commands left, or one was not answered.
    pub fn stored(&mut self) -> Result<Bytes, MachineError> {
        if self.next_command()?.is_some() {
            return Err(MachineError::new("commands of the batch are left"));
        }
        let answers = self.progress.executed.clone();
        Ok(Stored { last: self.last.index, answers }.encode())
    }

    /// The next command, with its place; `None` after the last.
    ///
    /// # Errors
    ///
    /// If it cannot be decoded, or the one before was of a session and was not answered.
    pub fn next_command(&mut self) -> Result<Option<(M::Command, At)>, MachineError> {
        if self.progress.pending.is_some() {
            return Err(MachineError::new("the machine left a command of a session unanswered"));
        }
        while let Some(entry) = self.entries.next() {
            let command = match &entry.payload {
                Payload::Command(bytes) => {
                    self.progress.current = entry.index;
                    M::Command::decode(bytes)?
                }
                Payload::Session(bytes) => {
                    self.progress.current = entry.index;
                    let Some(bytes) = self.of_session(entry, bytes)? else { continue };
                    M::Command::decode(&bytes)?
                }
                Payload::Noop | Payload::Membership(_) | Payload::Unknown { .. } => continue,
            };
            return Ok(Some((command, At::new(self.instance, entry.position(), entry.time))));
        }
        Ok(None)
    }

    /// Answers the command taken last. Without an answer its caller waits in vain.
    pub fn respond(&mut self, response: M::Response) {
        if let Some((session, number)) = self.progress.pending.take() {
            let result = response.encode().map_err(|error| Refused::Undecodable {
                reason: error.reason,
                outcome: Outcome::AppliedResponseLost,
            });
            let token = self.caller();
            let forgets = token.is_none() && planted(Mutant::AnswersStayWithTheLeader);
            if let (Ok(response), false) = (&result, forgets) {
                self.sessions.executed(session, number, response);
                self.progress.executed.push((self.progress.current, response.clone()));
            }
            return self.answer(token, true, result);
        }
        if let Some(token) = self.caller() {
            self.responses.push((token, response));
        }
    }

    /// Who waits for the command taken last, if anybody does.
    fn caller(&mut self) -> Option<Token> {
        let current = self.progress.current;
        while let Some(((index, token), rest)) = self.waiting.split_first() {
            if *index > current {
                return None;
            }
            self.waiting = rest;
            if *index == current {
                return Some(*token);
            }
        }
        None
    }

    /// Does what an entry of a session says. Returns the command that is to be executed, if one is.
    fn of_session(&mut self, entry: &Entry, bytes: &Bytes) -> Result<Option<Bytes>, MachineError> {
        let result = match SessionEntry::decode(bytes)? {
            SessionEntry::Begin { timeout, limits } => {
                self.sessions.begin(entry.index, entry.time, timeout, limits).map_or(
                    Err(Refused::SessionsFull {
                        reason: format!(
                            "there are {} sessions, as many as may be",
                            limits.sessions
                        ),
                    }),
                    |id| Ok(Bytes::copy_from_slice(&id.0.to_le_bytes())),
                )
            }
            SessionEntry::End { session } => {
                self.sessions.end(session);
                Ok(Bytes::new())
            }
            SessionEntry::Command { session, number, command } => {
                match self.sessions.judge(session, number, entry.time) {
                    Verdict::Execute => {
                        self.progress.pending = Some((session, number));
                        return Ok(Some(command));
                    }
                    verdict => verdict.into(),
                }
            }
        };
        let token = self.caller();
        self.answer(token, false, result);
        Ok(None)
    }

    fn answer(&mut self, token: Option<Token>, executed: bool, result: Result<Bytes, Refused>) {
        let index = self.progress.current;
        self.progress.answers.push(Answer { index, token, executed, result });
    }
}
