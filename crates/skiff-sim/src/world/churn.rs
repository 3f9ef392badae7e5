//! Members come and go.

use skiff_replica::{Call, Input, MemberChange, Standing, Token};

use super::{Step, World, clients::Answer};
use crate::{plan::MS, workload::Workload};

/// Stands for a change of the members among the attempts of a process.
pub(super) const CHANGE: usize = usize::MAX;
/// A member that has answered nobody for so long may be replaced by a fresh node of its name: twenty of the
/// longest election timeouts and ten seconds, and some more, since what it last said is heard late.
pub(crate) const GONE: u64 = 20 * 300 * MS + 10_000 * MS + 3_000 * MS;
/// How long whoever asks for a change waits, in nanoseconds.
pub(super) const PATIENCE: u64 = 2_000 * MS;

impl<W: Workload> World<'_, '_, W> {
    /// A node is asked to have another removed.
    pub(super) fn ask_to_remove(&mut self, asked: usize, node: usize) -> Step {
        self.ask_to_change(asked, MemberChange::Remove { name: format!("n{node}") })
    }

    /// A node is asked to have another replaced by a third.
    pub(super) fn ask_to_replace(&mut self, asked: usize, node: usize, by: usize) -> Step {
        let (name, address) = (format!("n{node}"), self.address(by));
        self.ask_to_change(asked, MemberChange::Replace { name, address })
    }

    fn ask_to_change(&mut self, asked: usize, change: MemberChange) -> Step {
        let now = self.nodes[asked].clock.shows(self.now);
        let Some(process) = &mut self.nodes[asked].process else { return Ok(()) };
        process.calls.push(CHANGE);
        let token = Token(process.calls.len() as u64);
        if matches!(change, MemberChange::Replace { .. }) {
            process.replaces.push(token);
        }
        let words = format!("is asked {token}: {change:?}");
        let call = Call::Change(change);
        self.judges.called(asked);
        self.trace(asked, |_| words);
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
        let process = self.nodes[node].process.as_ref();
        let replaces = process.is_some_and(|process| process.replaces.contains(&token));
        match answer {
            Answer::Response(_) if replaces => self.reached.replaced += 1,
            Answer::Response(_) => self.reached.changes_done += 1,
            Answer::Refused(_) => self.reached.changes_refused += 1,
        }
        if matches!(answer, Answer::Response(_)) && !self.cuts.is_empty() {
            self.reached.changes_under_partition += 1;
        }
    }

    /// A member is killed, and comes back at another address.
    pub(super) fn move_away(&mut self, node: usize, down: u64) {
        let is_formed = (0..self.nodes.len()).all(|one| self.nodes[one].starts > 0);
        if !is_formed || !self.is_member(node) {
            return;
        }
        self.end_process(node, true, down);
        self.nodes[node].moves += 1;
    }

    /// In the midst of a sound cluster a member loses its folder: not where that would leave too few.
    pub(super) fn lose_folder(&mut self, node: usize, place: u64, at: u64) {
        let all_are_members = (0..self.nodes.len())
            .all(|one| self.judges.ledgers[one].last() > skiff_replica::Index::ZERO);
        if self.nodes[node].process.is_none() || !all_are_members {
            return;
        }
        self.end_process(node, true, u64::MAX);
        self.damage(node, crate::plan::Damage::Wipe, place);
        self.reached.wiped += 1;
        self.queue.push(at, node, 0, super::queue::Event::Start);
    }

    /// Where a node listens now.
    pub(super) fn address(&self, node: usize) -> String {
        format!("n{node}:{}", self.nodes[node].moves + 1)
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
        use crate::plan::Fault;
        let is_change = |fault: &Fault| {
            matches!(fault, Fault::Remove { .. } | Fault::Replace { .. } | Fault::Move { .. })
        };
        self.is_wiped() || self.plan.faults.iter().any(|(_, fault)| is_change(fault))
    }

    /// Whether a member of a sound cluster has lost its folder.
    pub(super) fn is_wiped(&self) -> bool {
        self.plan.mode == crate::plan::Mode::Crash && self.nodes.iter().any(|node| node.wiped > 0)
    }

    /// Whether all have a place who had one before they lost their folder.
    pub(super) fn are_back(&self, leader: usize) -> bool {
        !self.is_wiped() || (0..self.nodes.len()).all(|node| self.belongs(leader, node))
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

    /// Whether the members that this node knows of are joint.
    pub(super) fn is_joint(&self, node: usize) -> bool {
        let raft = self.nodes[node].process.as_ref().and_then(|process| process.replica.raft());
        raft.is_some_and(|raft| raft.membership().is_joint())
    }

    /// Whether the members that this node knows of are changing, or about to.
    pub(super) fn is_changing(&self, node: usize) -> bool {
        let raft = self.nodes[node].process.as_ref().and_then(|process| process.replica.raft());
        raft.is_some_and(|raft| {
            let members = raft.membership();
            let is_wanted = !members.wishes.is_empty();
            is_wanted || members.is_joint() || raft.committed_membership().1 != *members
        })
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
