//! Clients with sessions: they try again what they do not know the outcome of, sometimes at two nodes at
//! once, they pause, give up, and expire.

use bytes::Bytes;
use skiff_replica::{Call, CommandError, Input, Outcome, Refused, SessionAsk, SessionId, Token};

use super::{
    Step, World,
    clients::{Answer, Attempt},
    queue::Event,
};
use crate::{
    plan::{MS, PlannedSession},
    workload::{Operation, Workload},
};

/// A client that waits looks again after this.
const GLANCE: u64 = 20 * MS;
/// So often a command is tried before it is given up.
const TRIES_MAX: u32 = 40;

/// Which of a client's commands an attempt is; none is the beginning of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InSession {
    client: usize,
    /// The session, and the command's number in it.
    command: Option<(SessionId, u64)>,
}

/// A client with a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionClient {
    id: Option<SessionId>,
    /// Of its commands in this session.
    number: u64,
    /// How many of its plan it is through with.
    through: usize,
    /// The command it is at, once it was asked.
    current: Option<Current>,
    waiting: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Current {
    invoked: u64,
    tries: u32,
    /// It may have been executed.
    doubt: bool,
    answer: Option<Bytes>,
    /// It will not be answered any more.
    over: bool,
}

impl<W: Workload> World<'_, '_, W> {
    /// A client of the plan has its turn.
    pub(super) fn session_turn(&mut self, client: usize) -> Step {
        let plan = &self.plan.sessions[client];
        let (calls, nanos) = (plan.calls.len(), self.plan.nanos);
        let state = &self.sessions[client];
        if state.through >= calls || self.now > nanos {
            return self.give_up_session(client);
        }
        if state.current.as_ref().is_some_and(|current| current.answer.is_some()) {
            self.session_cancel(client)?;
        }
        let state = &self.sessions[client];
        let is_waiting = |number: &usize| self.attempts[*number].is_waiting();
        if state.waiting.iter().any(is_waiting) {
            return self.session_later(client, GLANCE);
        }
        self.sessions[client].waiting.clear();
        match &self.sessions[client].current {
            Some(current) if current.answer.is_some() || current.over => self.session_next(client),
            Some(current) if current.tries >= self.patience_of(client) => self.session_next(client),
            _ => self.session_ask(client),
        }
    }

    /// How often the client tries the command it is at.
    fn patience_of(&self, client: usize) -> u32 {
        let plan = &self.plan.sessions[client];
        let gives_up = plan.calls.get(self.sessions[client].through).is_some_and(|c| c.gives_up);
        if gives_up { 1 } else { TRIES_MAX }
    }

    /// It has its answer by one try: now and then it waits no longer for the others.
    fn session_cancel(&mut self, client: usize) -> Step {
        for attempt in self.sessions[client].waiting.clone() {
            if !self.attempts[attempt].is_waiting() || self.random.client.bool() {
                continue;
            }
            let node = self.attempts[attempt].node();
            // Of one that stands still nobody knows what it answers when it goes on.
            if self.nodes[node].paused.is_some() {
                continue;
            }
            let Some(process) = &self.nodes[node].process else { continue };
            let Some(place) = process.calls.iter().position(|one| *one == attempt) else {
                continue;
            };
            let input = Input::Cancel { token: Token(place as u64 + 1) };
            self.reached.session_cancels += 1;
            self.attempts[attempt].give_up();
            self.step(node, input);
            self.drain(node)?;
        }
        Ok(())
    }

    fn session_later(&mut self, client: usize, nanos: u64) -> Step {
        self.queue.push(self.now + nanos, 0, 0, Event::SessionTurn(client));
        Ok(())
    }

    /// It is through with a command, whatever came of it.
    fn session_next(&mut self, client: usize) -> Step {
        self.remember_session(client);
        let plan = &self.plan.sessions[client];
        let state = &mut self.sessions[client];
        let gap = plan.calls[state.through].gap;
        state.through += 1;
        self.session_later(client, gap)
    }

    /// What is known of the command that it is at goes into the history.
    fn remember_session(&mut self, client: usize) {
        let seed = self.plan.sessions[client].calls.get(self.sessions[client].through);
        let state = &mut self.sessions[client];
        let (Some(current), Some(id), Some(call)) = (state.current.take(), state.id, seed) else {
            return;
        };
        let waits = state.waiting.iter().any(|number| self.attempts[*number].is_waiting());
        if current.answer.is_none() && !current.doubt && !waits {
            return; // It has no effect.
        }
        let number = state.number;
        self.session_places.push((self.history.len(), id, number));
        self.history.push(Operation {
            seed: call.seed,
            read: false,
            invoked: current.invoked,
            returned: current.answer.as_ref().map(|_| self.now),
            answer: current.answer,
            place: None,
        });
        self.remembered.push(Bytes::new());
    }

    /// It is through with its plan: now and then it says so.
    fn give_up_session(&mut self, client: usize) -> Step {
        self.remember_session(client);
        let id = self.sessions[client].id.take();
        match id {
            Some(id) if self.random.client.bool() => {
                self.reached.sessions_ended += 1;
                let ask = SessionAsk::End { session: id.0 };
                self.ask_in_session(client, self.believed_leader, ask, 500 * MS)
            }
            _ => Ok(()),
        }
    }

    /// Begins a session, or asks for the command that it is at, at one node or at two.
    fn session_ask(&mut self, client: usize) -> Step {
        let PlannedSession { timeout, ref calls, .. } = self.plan.sessions[client];
        let state = &mut self.sessions[client];
        let call = calls[state.through];
        let ask = match state.id {
            None => SessionAsk::Begin { timeout_ms: timeout / MS },
            Some(id) => {
                if state.current.is_none() {
                    state.number += 1;
                    let invoked = self.now;
                    let doubt = call.twice;
                    state.current =
                        Some(Current { invoked, tries: 0, doubt, answer: None, over: false });
                }
                let command = self.workload.command(call.seed);
                SessionAsk::Command { session: id.0, number: state.number, command }
            }
        };
        let mut nodes = vec![self.believed_leader];
        if let Some(current) = &mut state.current {
            current.tries += 1;
            self.reached.session_retries += u64::from(current.tries > 1);
            if call.twice {
                nodes.push(self.random.client.usize(0..self.nodes.len()));
            }
        }
        for node in nodes {
            self.ask_in_session(client, node, ask.clone(), call.patience)?;
        }
        self.session_later(client, GLANCE)
    }

    fn ask_in_session(
        &mut self,
        client: usize,
        node: usize,
        ask: SessionAsk,
        patience: u64,
    ) -> Step {
        let state = &self.sessions[client];
        let command = state.id.map(|id| (id, state.number));
        let now = self.nodes[node].clock.shows(self.now);
        let attempt = self.attempts.len();
        let Some(process) = &mut self.nodes[node].process else {
            self.believed_leader = (node + 1) % self.nodes.len();
            return Ok(());
        };
        process.calls.push(attempt);
        let token = Token(process.calls.len() as u64);
        self.judges.called(node);
        let of = InSession { client, command };
        self.attempts.push(Attempt::in_session(of, node, self.now, patience));
        self.sessions[client].waiting.push(attempt);
        self.trace(node, |_| format!("is asked {token}: {ask:?}"));
        let input = Input::Call { token, call: Call::Session(ask), deadline: now.after(patience) };
        if let Some(waiting) = &mut self.nodes[node].paused {
            waiting.push(Event::Asked(Box::new(input)));
            return Ok(());
        }
        self.step(node, input);
        self.drain(node)
    }

    /// A client is told something.
    pub(super) fn session_answered(&mut self, of: InSession, node: usize, answer: Answer) -> Step {
        match (of.command, answer) {
            // The end of a session answers nothing.
            (None, Answer::Response(bytes)) if bytes.is_empty() => Ok(()),
            (None, Answer::Response(bytes)) => {
                let state = &mut self.sessions[of.client];
                let id = bytes.as_ref().try_into().map(u64::from_le_bytes).unwrap_or_default();
                if state.id.is_none() {
                    (state.id, state.number) = (Some(SessionId(id)), 0);
                    self.reached.sessions_begun += 1;
                }
                self.believed_leader = node;
                Ok(())
            }
            (Some((id, number)), Answer::Response(bytes)) => {
                self.judges.session_told(id, number, &bytes)?;
                self.believed_leader = node;
                if let Some(current) = self.session_current(of) {
                    current.answer = Some(bytes);
                    self.reached.session_commands += 1;
                }
                Ok(())
            }
            (_, Answer::Refused(refused)) => self.session_refused(of, node, refused),
        }
    }

    /// The command that a client is at, if it is this one.
    fn session_current(&mut self, of: InSession) -> Option<&mut Current> {
        let state = &mut self.sessions[of.client];
        let is_it = of.command.is_some_and(|(id, n)| (state.id, state.number) == (Some(id), n));
        state.current.as_mut().filter(|current| is_it && current.answer.is_none())
    }

    fn session_refused(&mut self, of: InSession, node: usize, refused: Refused) -> Step {
        let expired = matches!(refused, Refused::SessionExpired);
        let acknowledged = matches!(refused, Refused::Acknowledged | Refused::ResponseLost);
        let error = CommandError::from(refused);
        let leader = error.leader().and_then(|leader| leader.name[1..].parse().ok());
        self.believed_leader = leader.unwrap_or((node + 1) % self.nodes.len());
        if let Some(current) = self.session_current(of) {
            current.doubt |= error.outcome() != Outcome::NotApplied;
            current.over |= expired || acknowledged;
            let is_certain = expired && !current.doubt && current.tries == 1;
            if let (true, Some((id, number))) = (is_certain, of.command) {
                self.judges.session_refused(id, number)?;
            }
            if expired {
                self.remember_session(of.client);
                let state = &mut self.sessions[of.client];
                (state.id, state.current) = (None, None);
                self.reached.sessions_expired += 1;
            }
        }
        Ok(())
    }

    /// A process is gone, and with it the answer.
    pub(super) fn session_lost(&mut self, of: InSession) {
        if let Some(current) = self.session_current(of) {
            current.doubt = true;
        }
    }

    /// At the end: where each command took effect.
    pub(super) fn place_sessions(&mut self) {
        for client in 0..self.sessions.len() {
            self.remember_session(client);
        }
        self.reached.retries_answered += self.judges.sessions.retries_answered;
        self.reached.sessions_full += self.judges.sessions.full;
        for (place, id, number) in std::mem::take(&mut self.session_places) {
            let index = self.judges.sessions.index_of(id, number);
            self.history[place].place = index.map(|index| 2 * index.0);
        }
    }
}
