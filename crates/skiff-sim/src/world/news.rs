//! What replicas tell of, down to their end: counted, and judged where it says that something is wrong.

use skiff_replica::{Event as Told, ReplicaError, Standing, core::Fatal};

use super::{Step, World};
use crate::{
    plan::{MS, Mode},
    workload::Workload,
};

impl<W: Workload> World<'_, '_, W> {
    /// A replica tells of something.
    pub(super) fn told(&mut self, node: usize, event: &Told) -> Step {
        self.trace(node, |_| format!("says {event:?}"));
        match event {
            Told::Formed { founder, .. } => {
                let founded = founder.as_ref().is_none_or(|name| *name == format!("n{node}"));
                self.reached.clusters_formed += u64::from(founded);
                let joined = self.plan.knobs.forming != crate::plan::Forming::Closed;
                self.reached.formed_by_joins += u64::from(founded && joined);
                let crashed = self.nodes.iter().any(|node| node.starts > 1);
                self.reached.formed_after_crash += u64::from(founded && crashed);
            }
            Told::SnapshotTaken { .. } => self.reached.snapshots_taken += 1,
            Told::NeedsSnapshot { .. } => {
                self.reached.needed_in_change += u64::from(self.is_changing(node));
            }
            Told::LogCompacted { base } => {
                self.reached.compactions += 1;
                self.judge_compaction(node, *base)?;
            }
            Told::SnapshotReceiving { .. } => self.reached.snapshots_offered += 1,
            Told::SnapshotInstalled { position } => {
                let process = self.nodes[node].process.as_ref();
                let raft = process.and_then(|process| process.replica.raft());
                let end = position.index;
                if let Some(members) = raft.and_then(|raft| raft.memberships_from(end).next()) {
                    self.judges.snapshot_members(end, members)?;
                }
                let leads = process.map(|process| {
                    (process.replica.raft().is_some(), process.replica.identity().standing)
                });
                match leads {
                    Some((false, Standing::Fresh)) => self.reached.snapshots_begun_with += 1,
                    Some((false, _)) => self.reached.holes_covered += 1,
                    _ => {
                        self.reached.snapshots_installed += 1;
                        let joint = self.is_joint(node)
                            || self.leader().is_some_and(|one| self.is_joint(one));
                        self.reached.installed_while_joint += u64::from(joint);
                    }
                }
            }
            Told::MemberMoved { name, .. } if *name == format!("n{node}") => {
                self.reached.moved += 1;
            }
            Told::SnapshotAborted { .. } => self.reached.snapshots_aborted += 1,
            Told::MemberJoined { name, .. } if *name == format!("n{node}") => {
                self.reached.admissions += 1;
            }
            Told::MemberPromoted { name, .. } if *name == format!("n{node}") => {
                self.reached.promotions += 1;
                self.reached.back_after_wipe +=
                    u64::from(self.is_wiped() && self.nodes[node].wiped > 0);
            }
            Told::MemberLeft { name, .. } if *name == format!("n{node}") => {
                self.reached.removals += 1;
            }
            Told::SlowDisk { .. } => self.reached.slow_disks += 1,
            Told::TransferStarted { .. } => self.reached.transfers += 1,
            Told::TransferDone { .. } => self.reached.transfers_done += 1,
            Told::TransferAborted { .. } => self.reached.transfers_aborted += 1,
            Told::Reverted { node: peer, .. } => {
                let damaged = self.nodes.iter().any(|node| node.is_damaged || node.wiped > 0);
                if !damaged {
                    let text = format!("n{node} takes {peer} for one that lost its log");
                    return Err(self.failure("no_false_alarm", text));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A replica has ended by itself.
    pub(super) fn stopped(&mut self, node: usize, result: Result<(), ReplicaError>) -> Step {
        let state = &self.nodes[node];
        // A bad disk excuses that the store fails, and nothing else: that the core finds itself broken,
        // or what is committed contradicted, is what such a disk must not lead to.
        let may_stop = match &result {
            Err(ReplicaError::Store { .. } | ReplicaError::Unreadable { .. }) => {
                state.may_stop || state.is_damaged || self.judges.lenient
            }
            // A snapshot that cannot be read now is read at the next start.
            Err(ReplicaError::MachineState { .. }) => state.may_stop || state.is_damaged,
            Ok(()) => state.leaves.is_some(),
            Err(ReplicaError::Core(Fatal::Broken(_))) => false,
            Err(ReplicaError::Lost { .. }) => self.plan.mode == Mode::Unlimited,
            Err(_) => self.judges.lenient,
        };
        let words = match &result {
            Ok(()) => "it was told to".to_owned(),
            Err(error) => error.to_string(),
        };
        self.trace(node, |_| format!("stops: {words}"));
        if !may_stop {
            return Err(self.failure("no_stop", format!("n{node} stops: {words}")));
        }
        match result {
            Ok(()) => return self.has_left(node),
            Err(ReplicaError::Unreadable { .. }) => self.reached.unreadable += 1,
            Err(_) => self.reached.failed_syncs += 1,
        }
        self.nodes[node].disk.kill();
        let Some(process) = self.nodes[node].process.take() else { return Ok(()) };
        self.forget_calls(&process.calls);
        drop(process);
        let down = self.random.process.u64(10 * MS..500 * MS);
        self.after_end(node, down);
        Ok(())
    }
}
