//! Members come and go.

use skiff_replica::{Call, Input, MemberChange, Standing, Token};

use super::{Step, World, clients::Answer};
use crate::{plan::MS, workload::Workload};

/// Stands for a change of the members among the attempts of a process.
pub(super) const CHANGE: usize = usize::MAX;
/// How long whoever asks for a change waits, in nanoseconds.
pub(super) const PATIENCE: u64 = 2_000 * MS;

impl<W: Workload> World<'_, '_, W> {
    /// A node is asked to have another removed.
    pub(super) fn ask_to_remove(&mut self, asked: usize, node: usize) -> Step {
        let now = self.nodes[asked].clock.shows(self.now);
        let Some(process) = &mut self.nodes[asked].process else { return Ok(()) };
        process.calls.push(CHANGE);
        let token = Token(process.calls.len() as u64);
        let call = Call::Change(MemberChange::Remove { name: format!("n{node}") });
        self.judges.called(asked);
        self.trace(asked, |_| format!("is asked {token}: to remove n{node}"));
        let input = Input::Call { token, call, deadline: now.after(PATIENCE) };
        if let Some(waiting) = &mut self.nodes[asked].paused {
            waiting.push(super::queue::Event::Asked(Box::new(input)));
            return Ok(());
        }
        self.step(asked, input);
        self.drain(asked)
    }

    /// Whoever asked for a change is told what became of it.
    pub(super) fn change_answered(&mut self, node: usize, token: Token, answer: &Answer) {
        self.trace(node, |_| format!("answers {token}: {answer:?}"));
        match answer {
            Answer::Response(_) => self.reached.changes_done += 1,
            Answer::Refused(_) => self.reached.changes_refused += 1,
        }
        if matches!(answer, Answer::Response(_)) && !self.cuts.is_empty() {
            self.reached.changes_under_partition += 1;
        }
    }

    /// A node that was removed is started anew.
    pub(super) fn comeback(&mut self, node: usize) -> Step {
        if self.calm || !self.is_removed(node) {
            return Ok(());
        }
        self.end_process(node, true, 10 * MS);
        Ok(())
    }

    pub(super) fn is_removed(&self, node: usize) -> bool {
        let process = self.nodes[node].process.as_ref();
        process.is_some_and(|process| process.replica.identity().standing == Standing::Removed)
    }

    /// Whether the plan has members removed: then who is left when the faults end depends on who is a
    /// member by then.
    pub(super) fn has_churn(&self) -> bool {
        let is_change =
            |fault: &crate::plan::Fault| matches!(fault, crate::plan::Fault::Remove { .. });
        self.plan.faults.iter().any(|(_, fault)| is_change(fault))
    }

    /// Whether this node is a member, as its leader knows.
    pub(super) fn belongs(&self, leader: usize, node: usize) -> bool {
        let raft = self.nodes[leader].process.as_ref().and_then(|process| process.replica.raft());
        let process = self.nodes[node].process.as_ref();
        let id = process.map(|process| process.replica.identity().node);
        raft.zip(id).is_some_and(|(raft, id)| raft.membership().contains(id))
    }

    /// Whether a node runs that was removed and does not know it.
    pub(super) fn somebody_is_unaware(&self, leader: usize) -> bool {
        let is_unaware = |node: &usize| {
            let raft = self.nodes[*node].process.as_ref().and_then(|p| p.replica.raft());
            raft.is_some_and(skiff_replica::core::Raft::was_member) && !self.belongs(leader, *node)
        };
        (0..self.nodes.len()).any(|node| is_unaware(&node))
    }

    /// Whether the leader's members are about to change.
    pub(super) fn changes_hang(&self, leader: usize) -> bool {
        let raft = self.nodes[leader].process.as_ref().and_then(|process| process.replica.raft());
        raft.is_some_and(|raft| {
            let members = raft.membership();
            let leads = members.contains(raft.id());
            !leads || members.is_joint() || raft.committed_membership().1 != *members
        })
    }
}
