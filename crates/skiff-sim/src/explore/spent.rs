//! What a path has spent of its budgets.

use super::bounds::{Budget, UNLIMITED};

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Commands,
    Reads,
    Timeouts,
    Heartbeats,
    Crashes,
    Disconnects,
    SlowWrites,
    Duplicates,
}

/// How many kinds there are.
const KINDS: usize = Counted::Duplicates as usize + 1;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent([Budget; KINDS]);

impl Spent {
    /// One more of this kind, of which there are so many. `false` if there is none left. What is
    /// unlimited is not counted, so that paths do not differ by it.
    pub(super) const fn spend(&mut self, kind: Counted, limit: Budget) -> bool {
        let one = &mut self.0[kind as usize];
        if limit == UNLIMITED {
            return true;
        }
        let left = *one < limit;
        *one += left as Budget;
        left
    }

    /// All of it as one number, a byte for each kind.
    pub(super) fn print(&self) -> u64 {
        const { assert!(KINDS <= size_of::<u64>()) };
        self.0.iter().fold(0, |all, one| all << 8 | u64::from(*one))
    }
}
