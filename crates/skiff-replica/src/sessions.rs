//! Sessions (dissertation 6.3): what was executed for whom, so that a command that is tried again is
//! executed once. Part of the replicated state, beside the machine's: every node comes to the same
//! tables at the same entry.

mod codec;
mod proposal;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use skiff_core::{
    Entry, Index, LogTime, Token,
    mutants::{Mutant, planted},
};

use crate::refused::Refused;

pub use self::proposal::{Limits, Proposal, SessionEntry};

/// Names a session for good within its cluster's instance: the entry that began it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A longer response is not kept: whoever asks again is told that it is lost.
const RESPONSE_MAX: usize = 1 << 20;

/// All sessions there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    /// By when they were last used, for those that expire.
    by_age: BTreeSet<(LogTime, SessionId)>,
    /// How many bytes all kept responses have.
    bytes: u64,
    limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    /// How long it lives without being used, in the log's time.
    timeout: u64,
    used: LogTime,
    /// The number of the command executed last; those below it are acknowledged.
    number: u64,
    /// What that answered.
    response: Kept,
}

/// What is left of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// There is none: no command was executed yet, or its response is not kept.
    #[default]
    Lost,
    Response(Bytes),
}

/// What is to be done with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new: to be executed.
    Execute,
    /// It was executed before, and answered this.
    Answered(Bytes),
    /// It was executed before, and its response is not there any more.
    ResponseLost,
    /// A later one was executed, so the caller has its answer or does not want it.
    Acknowledged,
    /// There is no such session: it has expired, was ended, or never was.
    Expired,
    /// As many bytes of responses are kept as may be.
    Full { bytes: u64 },
}

/// What became of an entry of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The entry.
    pub index: Index,
    /// The call that it answers, if one waits here.
    pub token: Option<Token>,
    /// Whether it held a command that was executed now.
    pub executed: bool,
    /// What is answered.
    pub result: Result<Bytes, Refused>,
}

impl From<Verdict> for Result<Bytes, Refused> {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Answered(response) => Ok(response),
            Verdict::Execute | Verdict::ResponseLost => Err(Refused::ResponseLost),
            Verdict::Acknowledged => Err(Refused::Acknowledged),
            Verdict::Expired => Err(Refused::SessionExpired),
            Verdict::Full { bytes } => Err(Refused::SessionsFull {
                reason: format!("{bytes} bytes of responses are kept, as many as may be"),
            }),
        }
    }
}

impl Sessions {
    /// How many there are, also expired ones that nobody has noticed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How many bytes all kept responses have.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The entry at this index begins a session. `None` if there are as many as may be.
    pub(crate) fn begin(
        &mut self,
        index: Index,
        time: LogTime,
        timeout: u64,
        limits: Limits,
    ) -> Option<SessionId> {
        self.limits = limits;
        self.expire(time);
        if self.sessions.len() as u64 >= limits.sessions {
            if planted(Mutant::EvictsASession) {
                let oldest = self.by_age.first().map(|(_, id)| *id);
                oldest.into_iter().for_each(|id| self.end(id));
            } else {
                return None;
            }
        }
        let id = SessionId(index.0);
        let session = Session { timeout, used: time, number: 0, response: Kept::Lost };
        self.by_age.insert((session.ends(), id));
        self.sessions.insert(id, session);
        Some(id)
    }

    /// Judges a command; one that is to be executed counts as executed from now on, and its response
    /// comes by [`executed`](Self::executed).
    pub(crate) fn judge(&mut self, id: SessionId, number: u64, time: LogTime) -> Verdict {
        let is_over = |session: &Session| session.ends() < time;
        if self.sessions.get(&id).is_none_or(is_over) && !planted(Mutant::ExpiredExecutes) {
            self.end(id);
            return Verdict::Expired;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return Verdict::Execute };
        self.by_age.remove(&(session.ends(), id));
        session.used = session.used.max(time);
        self.by_age.insert((session.ends(), id));
        if number < session.number && !planted(Mutant::ExecutesTheAcknowledged) {
            return Verdict::Acknowledged;
        }
        if number == session.number && !planted(Mutant::ExecutesARetry) {
            return match &session.response {
                Kept::Response(response) => Verdict::Answered(response.clone()),
                Kept::Lost => Verdict::ResponseLost,
            };
        }
        let others = self.bytes - session.response.size();
        if others >= self.limits.bytes {
            return Verdict::Full { bytes: others };
        }
        self.bytes = others;
        session.number = number;
        session.response = Kept::Lost;
        Verdict::Execute
    }

    /// A command that was to be executed was, and answered this.
    pub(crate) fn executed(&mut self, id: SessionId, number: u64, response: &Bytes) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.number == number && response.len() <= RESPONSE_MAX {
            // Copied, since it may be a small part of a large piece of memory.
            session.response = Kept::Response(Bytes::copy_from_slice(response));
            self.bytes += session.response.size();
        }
    }

    /// An entry was applied before; this is what it answered, if that was kept.
    pub(crate) fn remember(&mut self, entry: &Entry, what: SessionEntry, answer: Option<&Bytes>) {
        match what {
            SessionEntry::Begin { timeout, limits } => {
                self.begin(entry.index, entry.time, timeout, limits);
            }
            SessionEntry::Command { session, number, .. } => {
                let verdict = self.judge(session, number, entry.time);
                if let (Verdict::Execute, Some(answer)) = (verdict, answer) {
                    self.executed(session, number, answer);
                }
            }
            SessionEntry::End { session } => self.end(session),
        }
    }

    /// A session is not needed any more.
    pub(crate) fn end(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            self.by_age.remove(&(session.ends(), id));
            self.bytes -= session.response.size();
        }
    }

    /// Forgets all that have not been used for as long as they live.
    fn expire(&mut self, time: LogTime) {
        while let Some((_, id)) = self.by_age.first().copied().filter(|(ends, _)| *ends < time) {
            self.end(id);
        }
    }
}

impl Session {
    const fn ends(&self) -> LogTime {
        LogTime(self.used.0.saturating_add(self.timeout))
    }
}

impl Kept {
    /// So many bytes it is counted with.
    fn size(&self) -> u64 {
        match self {
            Self::Lost => 0,
            Self::Response(bytes) => bytes.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests;
