//! What operators want of the nodes themselves: that another leads, that one stops; and what clients
//! want to know afterwards.

use bytes::Bytes;
use skiff_replica::{
    Call, EntryPosition, Fate, Index, Input, Refused, Term, Token, TransferError,
    core::{NodeId, Raft, TransferFailure},
};

use super::{
    Step, World,
    clients::{Answer, Attempt, Progress},
    healing::TIMEOUT,
    queue::Event,
};
use crate::{
    checker::transfers::SLACK,
    failure::Failure,
    plan::{Mode, SECOND, Successor},
    workload::Workload,
};

/// A node that was told to stop must have done so after so many election timeouts.
const LEAVES: u64 = 5;
/// A name that no node has.
const NOBODY: &str = "nobody";

/// What is asked of a node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// That another leads: this node, if one was named. It was asked in this term.
    Transfer { to: Option<NodeId>, term: Term },
    /// What became of the doubtful command of this number.
    Fate(usize),
    /// A snapshot that covers what this node had applied then.
    Snapshot { floor: Index },
    /// Something of the backup of this number.
    Copy(usize),
}

/// A command whose outcome was unknown.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    position: EntryPosition,
    command: Bytes,
    /// What somebody was told of it.
    fate: Option<Fate>,
    told: u64,
}

/// A node was told to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leave {
    since: u64,
    /// For how long it will stay away.
    down: u64,
    led: bool,
}

impl<W: Workload> World<'_, '_, W> {
    /// An operator wants another node to lead.
    pub(super) fn ask_for_transfer(
        &mut self,
        node: usize,
        to: Successor,
    ) -> Result<Option<usize>, Failure> {
        let target = match to {
            Successor::Node(who) => Some(self.find(who)),
            Successor::Anybody | Successor::Nobody => None,
        };
        let name = match to {
            Successor::Anybody => None,
            Successor::Nobody => Some(NOBODY.to_owned()),
            Successor::Node(_) => target.map(|target| format!("n{target}")),
        };
        let process = self.nodes[node].process.as_ref();
        let term = process.and_then(|p| p.replica.raft()).map(Raft::term).unwrap_or_default();
        if let Some(target) = target.filter(|target| *target != node) {
            let (last, durable) =
                (self.judges.ledgers[node].last(), self.judges.ledgers[target].last());
            self.reached.transfers_to_lagging += u64::from(durable < last);
            let is_down =
                self.nodes[target].process.is_none() || self.nodes[target].paused.is_some();
            let is_cut = self.network.is_cut(node, target) || self.network.is_cut(target, node);
            self.reached.transfers_to_cut_off += u64::from(is_down || is_cut);
        }
        let to = target.map(|target| self.judges.ledgers[target].node);
        self.order(node, Order::Transfer { to, term }, Call::Transfer(name), SECOND)
    }

    /// Asks a node, if it runs. Returns the attempt.
    pub(super) fn order(
        &mut self,
        node: usize,
        order: Order,
        call: Call,
        patience: u64,
    ) -> Result<Option<usize>, Failure> {
        let attempt = self.attempts.len();
        let deadline = self.nodes[node].clock.shows(self.now).after(patience);
        let Some(process) = &mut self.nodes[node].process else { return Ok(None) };
        process.calls.push(attempt);
        let token = Token(process.calls.len() as u64);
        self.judges.called(node);
        self.attempts.push(Attempt {
            seed: 0,
            read: true,
            call: None,
            tries: 0,
            node,
            invoked: self.now,
            deadline: self.now + patience,
            floor: Default::default(),
            command: Bytes::new(),
            session: None,
            read_at: None,
            order: Some(order),
            state: Progress::Waiting,
            told: 0,
            was_busy: false,
            is_unknown: false,
        });
        self.trace(node, |_| format!("is asked {token}: {call:?}"));
        let input = Input::Call { token, call, deadline };
        if let Some(waiting) = &mut self.nodes[node].paused {
            waiting.push(Event::Asked(Box::new(input)));
            return Ok(Some(attempt));
        }
        self.step(node, input);
        self.drain(node)?;
        Ok(Some(attempt))
    }

    /// Whoever asked a node for something is told.
    pub(super) fn ordered(&mut self, attempt: usize, order: Order, answer: Answer) -> Step {
        let (node, is_done) = (self.attempts[attempt].node, matches!(answer, Answer::Response(_)));
        self.attempts[attempt].state = if is_done { Progress::Answered } else { Progress::Refused };
        match (order, answer) {
            (Order::Snapshot { floor }, answer) => self.snapshot_answered(node, floor, answer),
            (Order::Copy(number), answer) => self.copy_answered(number, answer),
            (Order::Transfer { to, term }, Answer::Response(_)) => {
                let by = self.judges.ledgers[node].node;
                if to == Some(by) { Ok(()) } else { self.judges.transferred(by, to, term) }
            }
            (Order::Transfer { .. }, Answer::Refused(refused)) => {
                let late = [TransferFailure::Behind, TransferFailure::NotTaken];
                let error = TransferError::from(refused);
                let ran =
                    late.iter().any(|why| error == TransferError::NotTransferred { why: *why });
                self.reached.transfers_refused += u64::from(!ran);
                Ok(())
            }
            (Order::Fate(doubt), Answer::Response(word)) => {
                // What it has just learnt counts.
                self.look(node)?;
                self.hear_fate(doubt, &word)
            }
            // The node stops, or the time was up while it stood still.
            (
                Order::Fate(_),
                Answer::Refused(Refused::Stopped { .. } | Refused::Timeout { .. }),
            ) => Ok(()),
            (Order::Fate(_), Answer::Refused(refused)) => {
                Err(self.failure("fates", format!("asked for a fate, n{node} says {refused:?}")))
            }
        }
    }

    /// A leader tells another node to campaign.
    pub(super) fn judge_successor(&self, node: usize, to: NodeId) -> Step {
        let process = self.nodes[node].process.as_ref();
        match process.and_then(|process| process.replica.raft()) {
            // Damage may have taken what was acknowledged.
            Some(raft) if self.plan.mode == Mode::Crash => self.judges.tells_to_campaign(raft, to),
            _ => Ok(()),
        }
    }

    /// Somebody tells a node to stop.
    pub(super) fn tell_to_leave(&mut self, node: usize, down: u64) -> Step {
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        if self.nodes[node].leaves.is_some() {
            return Ok(());
        }
        let led = process.replica.raft().is_some_and(Raft::is_leader);
        self.nodes[node].leaves = Some(Leave { since: self.now, down, led });
        self.trace(node, |_| "is told to stop".to_owned());
        if let Some(waiting) = &mut self.nodes[node].paused {
            waiting.push(Event::Asked(Box::new(Input::Leave)));
            return Ok(());
        }
        self.step(node, Input::Leave);
        self.drain(node)
    }

    /// Whether a node that was told to stop takes too long.
    pub(super) fn look_at_leaving(&self, node: usize) -> Step {
        let state = &self.nodes[node];
        let Some(Leave { since, .. }) = state.leaves.filter(|_| state.paused.is_none()) else {
            return Ok(());
        };
        let patience = LEAVES * TIMEOUT + LEAVES * TIMEOUT / 10;
        // It may have been told during a pause.
        if self.now > since.max(state.resumed) + patience + SLACK {
            let waited = super::millis(self.now - since);
            let text = format!("n{node} was told to stop {waited} ms ago, and has not");
            return Err(self.failure("leaving", text));
        }
        Ok(())
    }

    /// A node has stopped, as it was told.
    pub(super) fn has_left(&mut self, node: usize) -> Step {
        let Some(Leave { down, led, .. }) = self.nodes[node].leaves.take() else { return Ok(()) };
        self.reached.nodes_left += 1;
        let leads = self.leader();
        self.reached.leaders_left += u64::from(led && leads.is_some_and(|other| other != node));
        self.end_machine(node)?;
        self.nodes[node].disk.kill();
        let Some(process) = self.nodes[node].process.take() else { return Ok(()) };
        self.forget_calls(&process.calls);
        drop(process);
        self.after_end(node, down);
        Ok(())
    }

    /// A command has an unknown outcome: somebody will ask somebody for it.
    pub(super) fn ask_afterwards(&mut self, position: EntryPosition, command: Bytes) {
        let number = self.doubts.len();
        self.doubts.push(Doubt { position, command, fate: None, told: self.now });
        let node = self.random.client.usize(0..self.nodes.len());
        let at = self.now + self.random.client.u64(0..2 * SECOND);
        self.queue.push(at, node, 0, Event::AskAfterwards(number));
    }

    /// Asks a node what became of a command.
    pub(super) fn ask_for_fate(
        &mut self,
        node: usize,
        doubt: usize,
    ) -> Result<Option<usize>, Failure> {
        let position = self.doubts[doubt].position;
        self.order(node, Order::Fate(doubt), Call::Fate(position), SECOND)
    }

    fn hear_fate(&mut self, number: usize, word: &[u8]) -> Step {
        let text = String::from_utf8_lossy(word);
        let fate: Fate = text.parse().map_err(|_| self.failure("fates", text.into_owned()))?;
        let position = self.doubts[number].position;
        if fate != Fate::Undecided {
            self.doubts[number].fate = Some(fate);
        }
        self.reached.asked_afterwards += 1;
        self.reached.found_applied += u64::from(fate == Fate::Applied);
        self.reached.found_never += u64::from(fate == Fate::Never);
        self.judges.fate(fate, position.place())
    }

    /// At the end, what was told of each holds.
    pub(super) fn end_doubts(&self) -> Step {
        for Doubt { position, command, fate, .. } in &self.doubts {
            if let Some(fate) = fate {
                self.judges.fate_held(*fate, position.place(), command)?;
            }
        }
        Ok(())
    }

    /// Nothing is wrong any more, and a leader has long committed something: everybody who is asked knows
    /// what became of each doubtful command.
    pub(super) fn resolve_doubts(&mut self) -> Step {
        for number in 0..self.doubts.len() {
            if self.now - self.doubts[number].told < SECOND {
                continue; // It may yet be on its way.
            }
            let place = self.random.client.usize(0..self.healing.left.len());
            let node = self.healing.left[place];
            let Some(attempt) = self.ask_for_fate(node, number)? else { continue };
            let undecided = self.doubts[number].position.place();
            let raft = self.nodes[node].process.as_ref().and_then(|p| p.replica.raft());
            let fate = raft.map(|raft| raft.fate(undecided));
            let is_told = self.attempts[attempt].state == Progress::Answered;
            if !is_told || fate == Some(skiff_replica::core::Fate::Undecided) {
                let text =
                    format!("n{node} does not know what became of the command at {undecided}");
                return Err(self.failure("fates", text));
            }
        }
        Ok(())
    }
}
