//! What came of the power cuts in a script.

use serde::{Serialize, Serializer};

use super::{Case, trial::Trial};
use crate::failure::Failure;

/// What came of one script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScriptReport {
    /// Its name.
    pub script: &'static str,
    /// How many places there are between the jobs of all nodes.
    pub positions: u64,
    /// How many there are between the operations of all disks.
    pub operations: u64,
    /// How many of these places were tried.
    pub tried: u64,
    /// How many choices of what a power cut leaves were made.
    pub choices: u64,
    /// How many runs there were: choices that leave the same on the medium are run once.
    pub cases: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The first failures.
    pub failures: Vec<FailedCase>,
    /// Whether it was told to stop before the end.
    pub stopped: bool,
}

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedCase {
    /// Which power cut; none if the script fails without.
    #[serde(serialize_with = "words")]
    pub case: Option<Case>,
    /// What was seen.
    pub failure: Failure,
}

/// How far all scripts together have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The script whose places are tried.
    pub script: &'static str,
    /// So many places were tried.
    pub done: u64,
    /// Of so many.
    pub places: u64,
    /// In so many runs.
    pub cases: u64,
    /// Of which so many failed.
    pub failed: u64,
}

/// So many failures of a script are told.
const TOLD_MAX: usize = 20;

impl ScriptReport {
    pub(super) fn new(script: &'static str) -> Self {
        Self {
            script,
            positions: 0,
            operations: 0,
            tried: 0,
            choices: 0,
            cases: 0,
            failed: 0,
            failures: Vec::new(),
            stopped: false,
        }
    }

    pub(super) fn add(&mut self, trial: Trial) {
        self.tried += 1;
        self.choices += trial.choices;
        self.cases += trial.cases;
        for failed in trial.failed {
            self.fail(failed);
        }
    }

    pub(super) fn fail(&mut self, failed: FailedCase) {
        self.failed += 1;
        if self.failures.len() < TOLD_MAX {
            self.failures.push(failed);
        }
    }
}

fn words<S: Serializer>(case: &Option<Case>, serializer: S) -> Result<S::Ok, S::Error> {
    match case {
        Some(case) => serializer.collect_str(case),
        None => serializer.serialize_none(),
    }
}
