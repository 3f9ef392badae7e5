//! Where disks were damaged: whether a cluster can go on at all, or is not stuck but lost.

use super::{World, healing::TIMEOUT};
use crate::{plan::Mode, workload::Workload};

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
        let is_up = |node: &usize| self.is_member(*node) && self.may_be_mended(*node);
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

    /// Whether a node can be asked to go on. Where any disk may lose anything, one with holes cannot:
    /// perhaps nobody has what belongs there.
    fn may_be_mended(&self, node: usize) -> bool {
        let process = self.nodes[node].process.as_ref();
        self.plan.mode == Mode::Recoverable
            || !process.is_some_and(|process| process.replica.is_mending())
    }

    /// Whether it has been looked at for long enough.
    pub(super) fn is_lost(&self) -> bool {
        let since = self.now - self.healing.since;
        let judged = self.healing.steady.is_some() || self.healing.is_waited_for();
        since >= if judged { TIMEOUTS } else { TIMEOUTS_TO_START } * TIMEOUT
    }
}
