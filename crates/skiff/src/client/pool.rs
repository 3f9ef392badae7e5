//! A client's sessions: each command takes one, so that it can be tried again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use skiff_replica::{CommandError, Outcome, Refused, SessionAsk, SessionId, transport::Ask};
use tokio::time::Instant;

use super::{Cluster, PAUSE, link::Asked};
use crate::session::{note, session_id};

/// The sessions that no command has at the moment.
#[derive(Debug)]
pub(super) struct Pool {
    free: Mutex<Vec<Seat>>,
    /// How long a session lives without being used.
    timeout: Duration,
}

/// One session.
#[derive(Debug)]
struct Seat {
    id: SessionId,
    /// That of its newest command.
    number: u64,
}

impl Pool {
    pub(super) fn new(timeout: Duration) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), timeout })
    }

    fn take(&self) -> Option<Seat> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, seat: Seat) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(seat);
    }

    /// Has a command executed once; tries it until the deadline, whatever goes wrong.
    pub(super) async fn command(
        &self,
        cluster: &Cluster,
        command: &Bytes,
        deadline: Instant,
    ) -> Result<Bytes, CommandError> {
        loop {
            let mut seat = match self.take() {
                Some(seat) => seat,
                None => self.begin(cluster, deadline).await?,
            };
            seat.number += 1;
            match seat.command(cluster, command, deadline).await {
                // It has expired while nobody used it: another one is begun.
                Err(CommandError::SessionExpired { outcome: Outcome::NotApplied }) => {}
                Err(expired @ CommandError::SessionExpired { .. }) => return Err(expired),
                // Its next command gives this one up if it is not known to have been executed.
                done => {
                    self.give_back(seat);
                    return done;
                }
            }
        }
    }

    async fn begin(&self, cluster: &Cluster, deadline: Instant) -> Result<Seat, CommandError> {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut doubt = None;
        loop {
            // One that was begun and whose answer was lost expires unused.
            match cluster.try_in_session(SessionAsk::Begin { timeout_ms }, deadline).await {
                Ok(answer) => return Ok(Seat { id: session_id(&answer)?, number: 0 }),
                Err(error) if may_again(&error) && Instant::now() < deadline => {
                    note(&mut doubt, error);
                    tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)).await;
                }
                // The command itself was not even sent.
                Err(error) if error.outcome() == Outcome::NotApplied => return Err(error),
                Err(_) => {
                    let outcome = Outcome::NotApplied;
                    return Err(CommandError::Timeout { outcome, position: None });
                }
            }
        }
    }

    /// Ends all sessions that no command has.
    pub(super) async fn end(&self, cluster: &Cluster, deadline: Instant) {
        while let Some(seat) = self.take() {
            let ask = SessionAsk::End { session: seat.id.0 };
            if cluster.try_in_session(ask, deadline).await.is_err() {
                return; // They expire.
            }
        }
    }
}

impl Seat {
    async fn command(
        &self,
        cluster: &Cluster,
        command: &Bytes,
        deadline: Instant,
    ) -> Result<Bytes, CommandError> {
        let mut doubt = None;
        loop {
            let (session, number) = (self.id.0, self.number);
            let ask = SessionAsk::Command { session, number, command: command.clone() };
            let error = match cluster.try_in_session(ask, deadline).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let again = may_again(&error) && Instant::now() < deadline;
            let error = note(&mut doubt, error);
            if !again {
                return Err(error);
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + PAUSE)).await;
        }
    }
}

/// Whether what failed so may be tried again: whenever that could help, since it is done only once.
const fn may_again(error: &CommandError) -> bool {
    matches!(
        error,
        CommandError::NotLeader { .. }
            | CommandError::LeadershipLost { .. }
            | CommandError::Disconnected
            | CommandError::Stopped { .. }
            | CommandError::Timeout { .. }
            | CommandError::Busy { .. }
            | CommandError::SessionsFull { .. }
    )
}

impl Cluster {
    /// Asks for something of a session, once: of whoever is believed to lead.
    async fn try_in_session(
        &self,
        ask: SessionAsk,
        deadline: Instant,
    ) -> Result<Bytes, CommandError> {
        let (address, link) = self.pick(deadline).await?;
        match link.ask(Ask::Session(ask), deadline).await {
            Asked::Answered(Ok(answer)) => Ok(answer),
            Asked::Answered(Err(refused)) => {
                self.try_elsewhere(&address, &refused, deadline).await;
                Err(refused.into())
            }
            Asked::NotSent => {
                let refused = Refused::NotLeader { leader: None };
                self.try_elsewhere(&address, &refused, deadline).await;
                Err(CommandError::NotLeader { leader: None })
            }
            Asked::Lost => {
                self.turn(&address);
                Err(CommandError::Disconnected)
            }
            Asked::Late => {
                self.turn(&address);
                Err(CommandError::Timeout { outcome: Outcome::Unknown, position: None })
            }
        }
    }
}
