//! All power cuts at one place of one script.

use std::collections::BTreeSet;

use skiff_wal::disk::{Disk, sim::SimDisk};

use super::{
    Case, Choice, CrashPoints, FailedCase, PowerCut, Spot, played::Played, script::Script,
};
use crate::hash::Running;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Trial {
    pub(super) choices: u64,
    pub(super) cases: u64,
    pub(super) failed: Vec<FailedCase>,
}

impl Trial {
    pub(super) fn of(script: &Script, spot: Spot, extent: &CrashPoints) -> Self {
        let mut trial = Self::default();
        for down in script.downs().iter().take(extent.downs_max) {
            let operations = trial.spot(script, spot, *down, extent);
            // The disk works beside everything else: it may have come to any point by then.
            if let Spot::AfterJob { node, job, .. } = spot {
                for operations in 1..=operations {
                    let spot = Spot::AfterJob { node, job, operations };
                    trial.spot(script, spot, *down, extent);
                }
            }
        }
        trial
    }

    /// Tries all choices. Returns how many operations there are in what the disk was doing.
    fn spot(&mut self, script: &Script, spot: Spot, down: u64, extent: &CrashPoints) -> u64 {
        self.choices += 1;
        let first = self.case(script, PowerCut { spot, choice: Choice::nothing(), down });
        let Some(struck) = first.struck else { return 0 };
        let mut seen = BTreeSet::from([left_by(&Choice::nothing(), &struck.disk)]);
        let all = Choice::all(&struck.disk.unsynced());
        let step = all.len().div_ceil(extent.choices_max).max(1);
        for choice in all.into_iter().step_by(step) {
            self.choices += 1;
            if seen.insert(left_by(&choice, &struck.disk)) {
                self.case(script, PowerCut { spot, choice, down });
            }
        }
        struck.operations
    }

    fn case(&mut self, script: &Script, cut: PowerCut) -> Played {
        self.cases += 1;
        let played = script.play(Some(&cut), None);
        if let Some(failure) = played.failure.clone() {
            let case = Some(Case { script: script.name.to_owned(), cut });
            self.failed.push(FailedCase { case, failure });
        }
        played
    }
}

/// Names what a choice leaves of a disk.
fn left_by(choice: &Choice, disk: &SimDisk) -> u64 {
    let disk = disk.fork();
    choice.cut(&disk);
    let mut hash = Running::default();
    for name in disk.list().unwrap_or_default() {
        hash.bytes(name.as_bytes());
        hash.bytes(&disk.content(&name).unwrap_or_default());
    }
    hash.value()
}
