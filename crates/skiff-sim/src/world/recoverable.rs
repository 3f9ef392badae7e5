//! Where disks were damaged: whether a cluster can go on at all, or is not stuck but lost.

use skiff_replica::{Index, Position, Standing, storage::SnapshotStore};
use skiff_wal::{Opened, disk::sim::SimDisk};

use super::{World, healing::TIMEOUT, process::lost};
use crate::{checker::ledger::Ledger, plan::Mode, workload::Workload};

/// Nothing is judged any more where nodes keep stopping for so many election timeouts.
const TIMEOUTS: u64 = 100;
/// Who is not up so many election timeouts after the faults does not come back.
const TIMEOUTS_TO_START: u64 = 5;

impl<W: Workload> World<'_, '_, W> {
    /// Whether progress can be asked for: always where no disk was damaged; else while a majority is
    /// up, each with the log that it had. Those must then go on by themselves.
    pub(super) fn can_go_on(&mut self) -> bool {
        if self.plan.mode == Mode::Crash {
            return true;
        }
        let touched = self.judges.lenient || self.nodes.iter().any(|node| node.wiped > 0);
        // Where a majority stays recoverable all can, that are not refused: form, mend, follow.
        let is_up = |node: &usize| match self.plan.mode {
            Mode::Recoverable => self.nodes[*node].given_up.is_none(),
            Mode::Crash | Mode::Unlimited => self.is_member(*node) && !self.is_mending(*node),
        };
        let up: Vec<usize> = (0..self.nodes.len()).filter(is_up).collect();
        if touched || up.len() * 2 <= self.nodes.len() {
            return false;
        }
        if up != self.healing.left {
            self.healing.left = up;
            self.healing.begin_again(self.now);
        }
        true
    }

    /// Whether the cluster can go on by itself if this node's disk is damaged like this. All can, but
    /// a minority: whose folder is refused, or has lost entries that nobody else has whole.
    pub(super) fn stays_recoverable(&mut self, node: usize, damaged: &SimDisk) -> bool {
        let after = match &self.open(node, &damaged.fork()) {
            Ok(opened) if is_whole_member(opened) => Some(lost(&opened.recovered)),
            _ => None,
        };
        // Without all who are to form a cluster there is none.
        let has_begun = |ledger: &Ledger| ledger.last() > Index::ZERO;
        let is_formed = self.judges.ledgers.iter().all(has_begun);
        if self.plan.mode == Mode::Recoverable && !is_formed {
            return false;
        }
        let before = std::mem::replace(&mut self.nodes[node].lost, after);
        let stays = self.plan.mode != Mode::Recoverable || self.is_recoverable();
        if !stays {
            self.nodes[node].lost = before;
        }
        stays
    }

    fn is_recoverable(&self) -> bool {
        let lost: Vec<_> = self.nodes.iter().map(|node| node.lost.as_ref()).collect();
        let has = |one: usize, at: Position| {
            let lost = lost[one];
            let within = |(first, last): &(Index, Index)| (*first..=*last).contains(&at.index);
            self.judges.ledgers[one].holds(at) && lost.is_some_and(|l| !l.iter().any(within))
        };
        let is_doomed = |one: &usize| {
            let Some(lost) = lost[*one] else { return true };
            let mut indexes = lost.iter().flat_map(|(first, last)| first.0..=last.0).map(Index);
            !indexes.all(|index| {
                let Some((term, _)) = self.judges.ledgers[*one].at(index) else { return false };
                let at = Position { term, index };
                (0..self.nodes.len()).any(|other| other != *one && has(other, at))
            })
        };
        (0..self.nodes.len()).filter(is_doomed).count() * 2 < self.nodes.len()
    }

    /// Where any disk may lose anything, nobody can be asked to fill the holes of this one.
    fn is_mending(&self, node: usize) -> bool {
        let process = self.nodes[node].process.as_ref();
        process.is_some_and(|process| process.replica.is_mending())
    }

    /// Whether it has been looked at for long enough.
    pub(super) fn is_lost(&self) -> bool {
        let since = self.now - self.healing.since;
        let judged = self.healing.steady.is_some() || self.healing.is_waited_for();
        since >= if judged { TIMEOUTS } else { TIMEOUTS_TO_START } * TIMEOUT
    }
}

/// Whether a folder is that of a member and its snapshot is well.
fn is_whole_member(opened: &Opened<SimDisk>) -> bool {
    let is_member = opened.identity.standing == Standing::Member;
    is_member && opened.snapshots.newest().is_ok_and(|newest| newest.is_some())
}
