//! Brings committed entries into the state machine: each once, in order, and none after a failure.

use std::{
    any::Any,
    collections::BTreeMap,
    io::Read,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use skiff_core::{
    Apply, Entry, Index, Payload, Token,
    mutants::{Mutant, planted},
};
use skiff_storage::InstanceId;
use thiserror::Error;

use crate::{
    machine::{
        Batch, Encoded, MachineError, Malformed, Mark, Opened, Progress, Queries, SnapshotWriter,
        Snapshots, Stored,
    },
    refused::{Outcome, Refused},
    replica::GENESIS,
    sessions::{Answer, SessionEntry, Sessions},
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
    sessions: Sessions,
    /// The last entry that is in the sessions: behind what is applied while a machine that is durable by
    /// itself is further than its mark.
    sessions_at: Index,
    /// What commands of sessions answered that are in the machine's data and not yet in the sessions.
    stored: BTreeMap<Index, Bytes>,
    answers: Vec<Answer>,
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
        let opened = machine.opened_at();
        Self::opened(machine, &opened)
    }

    /// An applier of this machine, which was opened like this.
    fn opened(machine: M, opened: &Opened) -> Self {
        let mut applier = Self {
            machine,
            instance: InstanceId::default(),
            applied: Index::ZERO,
            sessions: Sessions::default(),
            sessions_at: Index::ZERO,
            stored: BTreeMap::new(),
            answers: Vec::new(),
            failed: None,
        };
        if let Err(error) = applier.go_on(opened) {
            let (index, reason) = (applier.applied, error.reason);
            applier.failed = Some(ApplyError { index, reason });
        }
        applier
    }

    /// Goes on where the machine stood when it was opened.
    fn go_on(&mut self, opened: &Opened) -> Result<(), Malformed> {
        let Opened::At { mark, stored } = opened else { return Ok(()) };
        self.instance = mark.instance;
        self.sessions_at = mark.position.index;
        self.applied = mark.position.index;
        self.sessions = Sessions::decode(&mark.sessions)?;
        for one in stored {
            let one = Stored::decode(one)?;
            if !planted(Mutant::StoredAppliedAgain) {
                self.applied = self.applied.max(one.last);
            }
            self.stored.extend(one.answers);
        }
        Ok(())
    }

    /// Lets the machine make all that it was given so far durable, with this mark and the sessions.
    ///
    /// # Errors
    ///
    /// If it cannot, or has not applied just everything up to the mark.
    pub fn checkpoint(&mut self, mark: Mark) -> Result<(), MachineError> {
        if let Some(failed) = &self.failed {
            return Err(MachineError::new(failed));
        }
        self.must_stand_at(mark.position.index)?;
        let bare = planted(Mutant::MarkWithoutSessions);
        let sessions = if bare { Bytes::new() } else { self.sessions.encode() };
        let mut mark = mark.with_sessions(sessions);
        if planted(Mutant::MarkTooHigh) {
            mark.position.index = mark.position.index.next();
        }
        let result = catch(|| self.machine.checkpoint(mark));
        if let Err(error) = &result {
            let (index, reason) = (self.applied, error.reason.clone());
            self.failed = Some(ApplyError { index, reason });
        }
        result
    }

    fn must_stand_at(&self, index: Index) -> Result<(), MachineError> {
        let applied = self.applied;
        if applied == index && self.sessions_at == index {
            return Ok(());
        }
        let reason = format!("the machine stands at {applied}, and was wanted at {index}");
        Err(MachineError { reason })
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

    /// The sessions of clients, as they stand after the last entry applied.
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What became of the entries of sessions, since this was last asked, in their order.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        mem::take(&mut self.answers)
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
        let (stored, entries) = apply.entries.split_at(known);
        self.remember(stored)?;
        let Some(last) = entries.last() else {
            return Ok(stored.last().map_or(self.applied, |entry| entry.index));
        };
        self.check_place(entries)?;
        let known = apply.tokens.partition_point(|(index, _)| *index <= self.applied);
        let waiting = &apply.tokens[known..];
        let answered = responses.len();
        let mut progress = Progress { current: self.applied, ..Progress::default() };
        let (machine, sessions) = (&mut self.machine, &mut self.sessions);
        let batch = Batch::new(self.instance, entries, waiting, sessions, &mut progress, responses);
        let done = catch(|| machine.apply_batch(batch));
        let Progress { current, pending, answers, .. } = progress;
        done.map_err(|error| ApplyError { index: current, reason: error.reason })?;
        if current < last_command(entries) {
            let reason = "the machine left commands of a batch unapplied".to_owned();
            return Err(ApplyError { index: current.next(), reason });
        }
        let told = answers.iter().filter(|answer| answer.token.is_some()).count();
        if responses.len() - answered + told != waiting.len() || pending.is_some() {
            let reason = "the machine left commands of a batch unanswered".to_owned();
            return Err(ApplyError { index: current, reason });
        }
        self.answers.extend(answers);
        (self.applied, self.sessions_at) = (last.index, last.index);
        Ok(self.applied)
    }

    /// Brings the sessions up to entries that the machine has stored already: what those executed is
    /// known, what they answered is not.
    fn remember(&mut self, stored: &[Entry]) -> Result<(), ApplyError> {
        for entry in stored.iter().filter(|entry| entry.index > self.sessions_at) {
            let index = entry.index;
            if let Payload::Session(bytes) = &entry.payload {
                let entry_of = SessionEntry::decode(bytes)
                    .map_err(|error| ApplyError { index, reason: error.reason })?;
                let answer = self.stored.remove(&index);
                let answer = answer.filter(|_| !planted(Mutant::StoredAnswersForgotten));
                self.sessions.remember(entry, entry_of, answer.as_ref());
            }
        }
        let last = stored.last().map_or(self.sessions_at, |entry| entry.index);
        self.sessions_at = self.sessions_at.max(last);
        Ok(())
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

    /// A view of the state as it stands, to be written elsewhere: the sessions, then the machine.
    ///
    /// # Errors
    ///
    /// If the machine failed or panicked, or has not applied just everything up to `upto`.
    pub fn view(&self, upto: Index) -> Result<SnapshotWriter, MachineError> {
        if let Some(failed) = &self.failed {
            return Err(MachineError::new(failed));
        }
        self.must_stand_at(upto)?;
        let bare = planted(Mutant::SnapshotWithoutSessions);
        let head = if bare { Sessions::default().head() } else { self.sessions.head() };
        let view = catch(|| self.machine.snapshot())?;
        Ok(Box::new(move |to| {
            to.write_all(&head)?;
            view(to)
        }))
    }

    /// Makes `content` the machine's state; entries after the mark are applied next. The content of a
    /// snapshot begins with its [sessions](Sessions::head), but for that of the genesis.
    ///
    /// # Errors
    ///
    /// If the machine failed or panicked.
    pub fn restore(&mut self, content: &[u8], mark: Mark) -> Result<(), MachineError> {
        self.restore_from(&mut &content[..], mark)
    }

    /// As [`restore`](Self::restore), from a stream.
    ///
    /// # Errors
    ///
    /// If the machine failed or panicked.
    pub fn restore_from(&mut self, from: &mut dyn Read, mark: Mark) -> Result<(), MachineError> {
        let (instance, applied) = (mark.instance, mark.position.index);
        let (mut from, machine) = (from, &mut self.machine);
        let mut sessions = Sessions::default();
        let result = catch(|| {
            // A cluster begins without sessions.
            if applied > GENESIS.index {
                sessions = Sessions::read_head(&mut from)?;
            }
            let mark = mark.with_sessions(sessions.encode());
            machine.restore(&mut from, mark)
        });
        match &result {
            Ok(()) => {
                (self.instance, self.applied, self.failed) = (instance, applied, None);
                (self.sessions, self.sessions_at) = (sessions, applied);
                self.stored.clear();
                self.answers.clear();
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
    let is_command =
        |entry: &&Entry| matches!(entry.payload, Payload::Command(_) | Payload::Session(_));
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
