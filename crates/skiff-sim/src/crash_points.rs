//! A power cut at every place of a few scripted runs, with everything that it may leave on the disk.
//!
//! A script forms a cluster, elects, replicates, and so on, always in the same way; or it drives a log
//! alone. [`CrashPoints::run`] first runs each without a power cut and counts what every node does: the
//! jobs that its replica puts out, and the operations of its disk. Then it runs it again for each of
//! these places, with the power failing there, and again for each choice of what had reached the medium
//! of all that no sync had covered. The node comes back, the run goes on to its end, and all judges look
//! on: nothing durable may be lost, what is recovered may not change when it is recovered again, and the
//! cluster must make progress.

mod case;
mod choice;
mod cluster;
mod crew;
pub(crate) mod log;
mod members;
mod played;
mod report;
mod script;
mod snapshots;
mod spot;
mod trial;

pub use self::{
    case::{Case, PowerCut, UnknownCase},
    choice::Choice,
    report::{FailedCase, Progress, ScriptReport},
    spot::Spot,
};
use self::{crew::Crew, script::Script};
use crate::failure::Failure;

/// How many of the places and choices to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPoints {
    /// One place in so many.
    pub every: usize,
    /// So many choices for each at most, out of all.
    pub choices_max: usize,
    /// How long a node stays away: of the two lengths there are, so many are tried.
    pub downs_max: usize,
}

impl CrashPoints {
    /// All.
    pub const FULL: Self = Self { every: 1, choices_max: usize::MAX, downs_max: usize::MAX };
    /// A few of each script.
    pub const SMOKE: Self = Self { every: 16, choices_max: 4, downs_max: 1 };

    /// Tries them, on so many threads. `go_on` is told how far it has come, and stops all by answering
    /// no. The same reports come out however many threads there are.
    pub fn run(
        &self,
        threads: usize,
        go_on: impl Fn(&Progress) -> bool + Sync,
    ) -> Vec<ScriptReport> {
        self.run_scripts(&Script::all(), threads, go_on)
    }

    /// As [`run`](Self::run), for one script alone. There is none if no script has this name.
    pub fn run_one(
        &self,
        script: &str,
        threads: usize,
        go_on: impl Fn(&Progress) -> bool + Sync,
    ) -> Option<ScriptReport> {
        self.run_scripts(&[Script::named(script)?], threads, go_on).pop()
    }

    fn run_scripts(
        &self,
        scripts: &[Script],
        threads: usize,
        go_on: impl Fn(&Progress) -> bool + Sync,
    ) -> Vec<ScriptReport> {
        Crew::new(self, scripts).run(threads, &go_on)
    }
}

/// The names of the scripts.
#[must_use]
pub const fn scripts() -> &'static [&'static str] {
    Script::NAMES
}

/// Runs one case again, and tells its story line by line.
///
/// # Errors
///
/// If there is no such script.
pub fn replay(case: &Case, tell: &mut dyn FnMut(&str)) -> Result<Option<Failure>, UnknownCase> {
    let script = Script::named(&case.script).ok_or_else(|| UnknownCase(case.to_string()))?;
    Ok(script.play(Some(&case.cut), Some(tell)).failure)
}
