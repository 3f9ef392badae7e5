//! Each command of a session is executed once, none below one that was, and none of a session that has
//! expired; a session lives as long as it should; what is answered is what was; and all nodes have the
//! same tables (EVIDENCE: each (session, number) is executed once).
//!
//! A model of its own: it knows the entries in the order of the log, and what became of each.

use std::collections::BTreeMap;

use skiff_replica::{Answer, Index, LogTime, Refused, SessionEntry, SessionId, core::Entry};

use crate::{
    failure::{Verdict, must},
    hash,
};

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    alive: BTreeMap<SessionId, Alive>,
    /// Where each command was executed, and what it answered.
    executed: BTreeMap<(SessionId, u64), (Index, Option<u64>)>,
    /// The last entry that the model knows.
    newest: Index,
    /// What the tables were after an entry, on the first node that was there.
    tables: BTreeMap<Index, u64>,
    /// How often a session expired, and how often a retry was answered without being executed.
    pub(crate) expired: u64,
    pub(crate) retries_answered: u64,
    pub(crate) full: u64,
}

#[derive(Debug)]
struct Alive {
    timeout: u64,
    used: LogTime,
    /// The highest number that was executed.
    number: u64,
}

impl Sessions {
    /// A node has applied an entry of a session. Only the first node that comes to an entry teaches the
    /// model; that the others do the same is judged by their responses.
    pub(crate) fn applied(
        &mut self,
        entry: &Entry,
        held: &SessionEntry,
        answer: &Answer,
    ) -> Verdict {
        if entry.index <= self.newest {
            return Ok(());
        }
        self.newest = entry.index;
        match held {
            SessionEntry::Begin { timeout, limits } => {
                self.begun(entry, *timeout, limits.sessions, answer)
            }
            SessionEntry::Command { session, number, .. } => {
                self.command(entry, *session, *number, answer)
            }
            SessionEntry::End { session } => {
                self.alive.remove(session);
                Ok(())
            }
        }
    }

    fn begun(&mut self, entry: &Entry, timeout: u64, most: u64, answer: &Answer) -> Verdict {
        self.alive.retain(|_, one| one.lives_at(entry.time));
        let room = (self.alive.len() as u64) < most;
        must(answer.result.is_ok() == room, || {
            let are = self.alive.len();
            format!("{are} sessions are alive, {most} may be, and one more got {answer:?}")
        })?;
        if room {
            let id = SessionId(entry.index.0);
            self.alive.insert(id, Alive { timeout, used: entry.time, number: 0 });
        } else {
            self.full += 1;
        }
        Ok(())
    }

    fn command(&mut self, entry: &Entry, id: SessionId, number: u64, answer: &Answer) -> Verdict {
        let Some(alive) = self.alive.get_mut(&id).filter(|one| one.lives_at(entry.time)) else {
            self.alive.remove(&id);
            self.expired += 1;
            return must(answer.result == Err(Refused::SessionExpired), || {
                format!("{id:?} has expired, and its command {number} got {answer:?}")
            });
        };
        alive.used = alive.used.max(entry.time);
        if matches!(answer.result, Err(Refused::SessionsFull { .. })) {
            self.full += 1;
            return must(!answer.executed, || "a refused command was executed".to_owned());
        }
        must(answer.result != Err(Refused::SessionExpired), || {
            format!("{id:?} is alive, and its command {number} is told that it has expired")
        })?;
        let response = answer.result.as_ref().ok().map(|bytes| hash::of(bytes));
        if answer.executed {
            must(number > alive.number, || {
                format!("command {number} of {id:?} is executed, after command {}", alive.number)
            })?;
            alive.number = number;
            self.executed.insert((id, number), (entry.index, response));
            return Ok(());
        }
        self.retries_answered += 1;
        match self.executed.get(&(id, number)) {
            Some((_, before)) if number == alive.number => must(*before == response, || {
                format!("command {number} of {id:?} is answered otherwise when it is tried again")
            }),
            _ => must(number < alive.number && answer.result == Err(Refused::Acknowledged), || {
                format!("command {number} of {id:?} was never executed, and got {answer:?}")
            }),
        }
    }

    /// Where a command was executed.
    pub(crate) fn index_of(&self, id: SessionId, number: u64) -> Option<Index> {
        self.executed.get(&(id, number)).map(|(index, _)| *index)
    }

    /// A client is told what its command answered.
    pub(crate) fn told(&self, id: SessionId, number: u64, response: &[u8]) -> Verdict {
        let executed = self.executed.get(&(id, number));
        must(executed.is_some_and(|(_, was)| *was == Some(hash::of(response))), || {
            format!("command {number} of {id:?} answered something else, or was not executed")
        })
    }

    /// A client is told that its command had no effect, and it was never tried before.
    pub(crate) fn refused(&self, id: SessionId, number: u64) -> Verdict {
        must(!self.executed.contains_key(&(id, number)), || {
            format!("command {number} of {id:?} is said to have had no effect, and was executed")
        })
    }

    /// The tables of a node after this entry.
    pub(crate) fn tables(&mut self, index: Index, tables: u64) -> Verdict {
        let first = *self.tables.entry(index).or_insert(tables);
        must(first == tables, || format!("two nodes have different sessions after entry {index}"))
    }
}

impl Alive {
    const fn lives_at(&self, time: LogTime) -> bool {
        time.0 <= self.used.0.saturating_add(self.timeout)
    }
}
