//! In the end, when nothing is wrong, leadership is handed over to whoever is named, and then the one
//! that has it is told to stop: each must come about, at once, and no call may be the worse for it.

use super::{Step, World, clients::Progress, healing::TIMEOUT, queue::Event};
use crate::{
    failure::Failure,
    plan::{Ailment, MS, Mode, PlannedCall, SECOND, Successor, Who},
    workload::Workload,
};

/// How long each may take: an election timeout, and what it takes to hear of it.
const PATIENCE: u64 = TIMEOUT + 100 * MS;

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handing {
    /// The leader was asked for this, which names a node.
    Asked { attempt: usize, to: usize },
    /// The leader was told to stop, after it was asked for a command.
    Leaves { node: usize, attempt: usize, since: u64 },
}

impl<W: Workload> World<'_, '_, W> {
    /// Nothing is wrong, and nothing changed for long.
    pub(super) fn begin_to_hand_over(&mut self, leader: usize) -> Step {
        let others = self.healing.left.iter().copied().filter(|node| *node != leader);
        let others: Vec<usize> = others.filter(|node| self.has_a_vote(leader, *node)).collect();
        let is_fair = self.healing.ailment == Ailment::None && self.plan.mode == Mode::Crash;
        if others.is_empty() || !is_fair || self.watch.is_some() {
            return self.heals();
        }
        let to = others[self.random.client.usize(0..others.len())];
        let successor = Successor::Node(Who::Node(to));
        let attempt = self.ask_for_transfer(leader, successor)?;
        self.healing.handing = attempt.map(|attempt| Handing::Asked { attempt, to });
        self.look_soon();
        Ok(())
    }

    /// Whether a node is a voter, as its leader knows.
    fn has_a_vote(&self, leader: usize, node: usize) -> bool {
        let process = self.nodes[leader].process.as_ref();
        let raft = process.and_then(|process| process.replica.raft());
        let id = self.judges.ledgers[node].node;
        raft.is_some_and(|raft| raft.membership().voters.contains(&id))
    }

    fn look_soon(&mut self) {
        self.queue.push(self.now + super::healing::EVERY, 0, 0, Event::Probe);
    }

    fn heals(&mut self) -> Step {
        self.reached.healed += 1;
        self.finished = true;
        Ok(())
    }

    /// Looks how far it is.
    pub(super) fn hand_over(&mut self, handing: Handing) -> Step {
        match handing {
            Handing::Asked { attempt, to } => self.is_handed_over(attempt, to),
            Handing::Leaves { node, attempt, since } => self.is_gone(node, attempt, since),
        }
    }

    fn is_handed_over(&mut self, attempt: usize, to: usize) -> Step {
        let asked = &self.attempts[attempt];
        if asked.state == Progress::Waiting && self.now <= asked.invoked + PATIENCE {
            self.look_soon();
            return Ok(());
        }
        if asked.state != Progress::Answered || self.leader() != Some(to) {
            return Err(self.not_handed_over(&format!("n{to} was to lead, and does not")));
        }
        self.reached.handed_over_in_calm += 1;
        // A majority must be left.
        if 2 * (self.healing.left.len() - 1) <= self.nodes.len() {
            return self.heals();
        }
        let seed = crate::random::mix(self.plan.seed ^ self.now);
        let call = PlannedCall { at: self.now, seed, read: false, patience: SECOND };
        let asked = self.ask(to, call, None, 0)?;
        self.tell_to_leave(to, u64::MAX)?;
        let leaves = |attempt| Handing::Leaves { node: to, attempt, since: self.now };
        self.healing.handing = asked.map(leaves);
        self.look_soon();
        Ok(())
    }

    fn is_gone(&mut self, node: usize, attempt: usize, since: u64) -> Step {
        if self.nodes[node].process.is_some() {
            if self.now > since + 2 * PATIENCE {
                return Err(self.not_handed_over(&format!("n{node} was told to stop, and has not")));
            }
            self.look_soon();
            return Ok(());
        }
        if self.leader().is_none() {
            return Err(self.not_handed_over(&format!("n{node} has stopped, and nobody leads")));
        }
        // Refused it may be, and then had no effect.
        let asked = &self.attempts[attempt];
        let is_known = asked.state == Progress::Answered || !asked.is_unknown;
        if !is_known {
            return Err(self.not_handed_over("a command was left behind"));
        }
        self.reached.handed_over_in_calm += 1;
        self.heals()
    }

    fn not_handed_over(&self, what: &str) -> Failure {
        self.failure("liveness", format!("nothing is wrong, but {what}: {}", self.describe()))
    }
}
