//! The clients: they ask, wait, are told, and ask again where it is safe.

use bytes::Bytes;
use skiff_replica::{Call, CommandError, Consistency, Index, Input, Outcome, Refused, Token};

use super::{Step, World, churn::CHANGE, orders::Order, sessions::InSession};
use crate::{plan::MS, plan::PlannedCall, workload::Operation, workload::Workload};

/// So often a call is made that was refused without effect.
const ATTEMPTS_MAX: u32 = 3;
/// An answer may come this much after its deadline: a clock is read, a job is done.
const SLACK: u64 = 20 * MS;

/// One try at a call.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) seed: u64,
    pub(super) read: bool,
    /// The call of the plan; `None` for a probe.
    pub(super) call: Option<usize>,
    pub(super) tries: u32,
    pub(super) node: usize,
    pub(super) invoked: u64,
    pub(super) deadline: u64,
    /// The newest entry known to be committed when it was asked.
    pub(crate) floor: Index,
    pub(super) command: Bytes,
    /// Which command of which client with a session it is, if it is one.
    pub(super) session: Option<InSession>,
    /// What the machine had applied when it was read.
    pub(super) read_at: Option<Index>,
    /// What is asked of the node itself, not of its machine.
    pub(super) order: Option<Order>,
    pub(crate) state: Progress,
    /// When it was told something.
    pub(super) told: u64,
    /// Refused because too much was under way: what was asked before may still be, for a while.
    pub(super) was_busy: bool,
    /// Whether it had an effect is not known.
    pub(super) is_unknown: bool,
}

impl Attempt {
    /// One of a client with a session.
    pub(super) const fn in_session(of: InSession, node: usize, now: u64, patience: u64) -> Self {
        Self {
            seed: 0,
            read: false,
            call: None,
            tries: 0,
            node,
            invoked: now,
            deadline: now + patience,
            floor: Index::ZERO,
            command: Bytes::new(),
            session: Some(of),
            read_at: None,
            order: None,
            state: Progress::Waiting,
            told: 0,
            was_busy: false,
            is_unknown: false,
        }
    }

    /// Whoever asked waits no longer.
    pub(super) const fn give_up(&mut self) {
        self.state = Progress::Gone;
    }

    pub(super) const fn node(&self) -> usize {
        self.node
    }

    /// Whether it was told what somebody is told who asks while nothing is wrong.
    pub(super) fn is_served(&self) -> bool {
        self.state == Progress::Answered || self.was_busy
    }

    /// Whether it has its answer by now, if it gets one in time.
    pub(super) const fn was_due(&self, now: u64) -> bool {
        self.deadline <= now
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.state == Progress::Waiting
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    Answered,
    Refused,
    /// The node is gone, and with it the answer.
    Gone,
}

/// What a caller is told.
#[derive(Debug)]
pub(super) enum Answer {
    Response(Bytes),
    Refused(Refused),
}

impl<W: Workload> World<'_, '_, W> {
    /// A call of the plan is made: to whom a client believes to lead, or to anybody.
    pub(super) fn call(&mut self, number: usize) -> Step {
        let call = self.plan.calls[number];
        let random = &mut self.random.client;
        let anybody = random.usize(0..self.nodes.len());
        let node = if random.u32(0..5) < 3 { self.believed_leader } else { anybody };
        self.ask(node, call, Some(number), 0).map(drop)
    }

    /// Asks a node, if it runs. Returns the attempt.
    pub(super) fn ask(
        &mut self,
        node: usize,
        call: PlannedCall,
        number: Option<usize>,
        tries: u32,
    ) -> Result<Option<usize>, crate::Failure> {
        let attempt = self.attempts.len();
        let now = self.nodes[node].clock.shows(self.now);
        let Some(process) = &mut self.nodes[node].process else {
            self.believed_leader = (node + 1) % self.nodes.len();
            return Ok(None);
        };
        process.calls.push(attempt);
        self.judges.called(node);
        let token = Token(process.calls.len() as u64);
        let command = if call.read { Bytes::new() } else { self.workload.command(call.seed) };
        self.attempts.push(Attempt {
            seed: call.seed,
            read: call.read,
            call: number,
            tries,
            node,
            invoked: self.now,
            deadline: self.now + call.patience,
            floor: self.judges.newest().index,
            command: command.clone(),
            session: None,
            read_at: None,
            order: None,
            state: Progress::Waiting,
            told: 0,
            was_busy: false,
            is_unknown: false,
        });
        let deadline = now.after(call.patience);
        let call = if call.read {
            Call::Read(Consistency::Linearizable)
        } else {
            self.judges.asked(&command);
            Call::Command(command)
        };
        self.trace(node, |world| match &call {
            Call::Command(bytes) => format!("is asked {token}: {}", world.workload.describe(bytes)),
            call => format!("is asked {token}: {call:?}"),
        });
        let input = Input::Call { token, call, deadline };
        if let Some(waiting) = &mut self.nodes[node].paused {
            waiting.push(super::queue::Event::Asked(Box::new(input)));
            return Ok(Some(attempt));
        }
        self.step(node, input);
        self.drain(node)?;
        Ok(Some(attempt))
    }

    pub(super) fn attempt_of(&self, node: usize, token: Token) -> Option<&Attempt> {
        let process = self.nodes[node].process.as_ref()?;
        let place = usize::try_from(token.0.checked_sub(1)?).ok()?;
        self.attempts.get(*process.calls.get(place)?)
    }

    pub(super) fn attempt_mut(&mut self, node: usize, token: Token) -> Option<&mut Attempt> {
        let process = self.nodes[node].process.as_ref()?;
        let place = usize::try_from(token.0.checked_sub(1)?).ok()?;
        self.attempts.get_mut(*process.calls.get(place)?)
    }

    /// A local caller is told something.
    pub(super) fn answered(&mut self, node: usize, token: Token, answer: Answer) -> Step {
        let place = usize::try_from(token.0 - 1).unwrap_or(usize::MAX);
        let process = self.nodes[node].process.as_ref();
        let Some(number) = process.and_then(|process| process.calls.get(place)).copied() else {
            return Err(self.failure("answers", format!("{token} is answered, which nobody asked")));
        };
        self.hash.number(number as u64);
        if number == CHANGE {
            self.change_answered(node, token, &answer);
            return Ok(());
        }
        self.trace(node, |_| format!("answers {token}: {answer:?}"));
        let attempt = self.attempts[number].clone();
        if attempt.state != Progress::Waiting {
            // The replica may refuse what its machine has answered in the same moment.
            let crosses = attempt.state == Progress::Answered && attempt.told == self.now;
            if crosses && matches!(answer, Answer::Refused(_)) {
                return Ok(());
            }
            return Err(self.failure("answers", format!("{token} is answered a second time")));
        }
        if self.now > self.due(&attempt) {
            let late = super::millis(self.now - attempt.deadline);
            let text = format!("{token} is answered {late} ms after its deadline");
            return Err(self.failure("answers", text));
        }
        self.attempts[number].told = self.now;
        if let Some(of) = attempt.session {
            let is_response = matches!(answer, Answer::Response(_));
            self.attempts[number].state =
                if is_response { Progress::Answered } else { Progress::Refused };
            return self.session_answered(of, node, answer);
        }
        if let Some(order) = attempt.order {
            return self.ordered(number, order, answer);
        }
        match answer {
            Answer::Response(response) => {
                self.attempts[number].state = Progress::Answered;
                if !attempt.read {
                    self.judges.answered(&attempt.command)?;
                    self.reached.commands_answered += 1;
                }
                self.remember(&attempt, Some(response));
                self.believed_leader = node;
                Ok(())
            }
            Answer::Refused(refused) => {
                self.attempts[number].state = Progress::Refused;
                self.attempts[number].was_busy = matches!(refused, Refused::Busy { .. });
                self.refused(number, &attempt, refused)
            }
        }
    }

    /// When it must have been told something: a clock that is too slow waits longer, and a process that
    /// stood still cannot say anything before it goes on.
    fn due(&self, attempt: &Attempt) -> u64 {
        let patience = (attempt.deadline - attempt.invoked) / 10;
        (attempt.deadline + patience).max(self.nodes[attempt.node].resumed) + SLACK
    }

    fn refused(&mut self, number: usize, attempt: &Attempt, refused: Refused) -> Step {
        self.reached.busy += u64::from(matches!(refused, Refused::Busy { .. }));
        self.reached.no_room += u64::from(matches!(refused, Refused::Full { .. }));
        let error = CommandError::from(refused);
        if error.outcome() != Outcome::NotApplied {
            self.reached.unknown += 1;
            self.attempts[number].is_unknown = true;
            if error.outcome() == Outcome::AppliedResponseLost {
                self.judges.response_lost(&attempt.command)?;
            }
            if let Some(position) = error.position().filter(|_| !attempt.read) {
                self.ask_afterwards(position, attempt.command.clone());
            }
            self.remember(attempt, None);
            return Ok(());
        }
        self.reached.refused += 1;
        if !attempt.read {
            self.judges.refused(&attempt.command)?;
        }
        let leader = error.leader().and_then(|leader| leader.name[1..].parse().ok());
        self.believed_leader = leader.unwrap_or((attempt.node + 1) % self.nodes.len());
        // It is asked again by itself: the same call, to whom is said to lead.
        if let Some(number) = attempt.call
            && attempt.tries < ATTEMPTS_MAX
        {
            let at = self.now + self.random.client.u64(0..50 * MS);
            self.queue.push(at, 0, 0, super::queue::Event::CallAgain(number, attempt.tries + 1));
        }
        Ok(())
    }

    pub(super) fn call_again(&mut self, number: usize, tries: u32) -> Step {
        let (node, call) = (self.believed_leader, self.plan.calls[number]);
        self.ask(node, call, Some(number), tries).map(drop)
    }

    /// What a client knows in the end.
    fn remember(&mut self, attempt: &Attempt, answer: Option<Bytes>) {
        if attempt.read && answer.is_none() {
            return;
        }
        self.history.push(Operation {
            seed: attempt.seed,
            read: attempt.read,
            invoked: attempt.invoked,
            returned: answer.as_ref().map(|_| self.now),
            answer,
            place: attempt.read_at.map(|index| 2 * index.0 + 1),
        });
        self.remembered.push(attempt.command.clone());
    }

    /// The process that these calls were made to is gone.
    pub(super) fn forget_calls(&mut self, calls: &[usize]) {
        for number in calls {
            let Some(attempt) = self.attempts.get_mut(*number) else { continue };
            if attempt.state == Progress::Waiting {
                attempt.state = Progress::Gone;
                attempt.is_unknown = !attempt.read;
                let attempt = attempt.clone();
                if let Some(of) = attempt.session {
                    self.session_lost(of);
                    continue;
                }
                if let Some(Order::Copy(number)) = attempt.order {
                    self.copy_later(number);
                    continue;
                }
                self.reached.unknown += u64::from(!attempt.read);
                self.remember(&attempt, None);
            }
        }
    }

    /// At the end: where each command took effect.
    pub(super) fn place_commands(&mut self) {
        for (operation, command) in self.history.iter_mut().zip(&self.remembered) {
            if !operation.read {
                operation.place = self.judges.index_of(command).map(|index| 2 * index.0);
            }
        }
    }

    /// At the end: who waits has waited in vain, or not long enough.
    pub(super) fn end_calls(&mut self) -> Step {
        for number in 0..self.attempts.len() {
            let attempt = self.attempts[number].clone();
            if attempt.state != Progress::Waiting {
                continue;
            }
            if self.due(&attempt) < self.now && self.nodes[attempt.node].paused.is_none() {
                let text = format!("a call to n{} was not answered in time", attempt.node);
                return Err(self.failure("answers", text));
            }
            if attempt.session.is_none() {
                self.remember(&attempt, None);
            }
        }
        Ok(())
    }
}
