//! Hunts a planted bug: seed by seed, or power cut by power cut, until a judge sees it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use serde::Serialize;
use skiff_replica::core::mutants::{Mutant, plant};

use super::{Ground, Row};
use crate::{
    campaign::Campaign,
    crash_points::{self, CrashPoints, log::scenes},
    failure::Failure,
    plan::{Plan, SECOND},
    registers::Registers,
    run::run,
};

/// The scripts that drive the log alone.
const LOG_SCRIPTS: [&str; 2] = ["roll", "recycle"];

/// How to hunt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hunt {
    /// A bug that this many seeds have not shown is given up.
    pub seeds_max: u64,
    /// On how many threads. The same is found however many there are.
    pub threads: usize,
}

/// What came of a hunt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quarry {
    /// The bug.
    pub name: &'static str,
    /// How many seeds, or power cuts, it took.
    pub tried: u64,
    /// Where it was seen, and what; `None` if it was not.
    pub seen: Option<Seen>,
    /// Seeds that fail without any bug planted, and so prove nothing.
    pub sick: Vec<u64>,
}

/// Where a bug was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The seed, if it was seen in clusters.
    pub seed: Option<u64>,
    /// In words.
    pub place: String,
    /// What a judge said.
    pub failure: Failure,
}

/// The bugs are planted in the whole process, so there is one hunt at a time.
static FIELD: Mutex<()> = Mutex::new(());

/// Plants a bug while `work` is done, in the whole process. Nothing else may plant meanwhile.
pub fn planted<T>(mutant: Mutant, work: impl FnOnce() -> T) -> T {
    /// Takes it out again, also if the work panics.
    struct Planted;
    impl Drop for Planted {
        fn drop(&mut self) {
            plant(None);
        }
    }
    plant(Some(mutant));
    let _planted = Planted;
    work()
}

impl Hunt {
    /// The plan of a seed.
    #[must_use]
    pub fn plan(seed: u64) -> Plan {
        let (mode, nodes) = (None, None);
        let nanos = 10 * SECOND;
        Campaign { first: 0, count: None, mode, nodes, nanos, canary: false }.plan(seed)
    }

    /// Hunts the bug of this row. `go_on` is asked after each seed, and ends the hunt by answering no.
    pub fn run(&self, row: &Row, go_on: impl Fn() -> bool + Sync) -> Quarry {
        let _field = FIELD.lock().unwrap_or_else(PoisonError::into_inner);
        match row.ground {
            Ground::Clusters => self.in_clusters(row, &go_on),
            Ground::Log => self.in_the_log(row, &go_on),
        }
    }

    fn in_clusters(&self, row: &Row, go_on: &(impl Fn() -> bool + Sync)) -> Quarry {
        let mut quarry = Quarry { name: row.name, tried: 0, seen: None, sick: Vec::new() };
        while quarry.tried < self.seeds_max {
            let first = quarry.tried;
            let (seed, failure) = match planted(row.mutant, || self.first_failing(first, go_on)) {
                Ok(found) => found,
                Err(tried) => {
                    quarry.tried = tried;
                    break;
                }
            };
            quarry.tried = seed + 1;
            if run(&Self::plan(seed), &Registers).failure.is_none() {
                let (seed, place) = (Some(seed), format!("seed {seed}"));
                quarry.seen = Some(Seen { seed, place, failure });
                break;
            }
            quarry.sick.push(seed);
        }
        quarry
    }

    /// The lowest seed from `first` on that fails; or how many were tried in vain.
    fn first_failing(
        &self,
        first: u64,
        go_on: &(impl Fn() -> bool + Sync),
    ) -> Result<(u64, Failure), u64> {
        let next = AtomicU64::new(first);
        let stop = AtomicBool::new(false);
        let found: Mutex<Option<(u64, Failure)>> = Mutex::new(None);
        let work = || {
            while !stop.load(Ordering::Relaxed) && go_on() {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.seeds_max {
                    return;
                }
                let Some(failure) = run(&Self::plan(seed), &Registers).failure else { continue };
                stop.store(true, Ordering::Relaxed);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                // Whoever runs a lower seed ends it first.
                if found.as_ref().is_none_or(|(other, _)| seed < *other) {
                    *found = Some((seed, failure));
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        let tried = next.into_inner().min(self.seeds_max);
        found.into_inner().unwrap_or_else(PoisonError::into_inner).ok_or(tried)
    }

    fn in_the_log(&self, row: &Row, go_on: &(impl Fn() -> bool + Sync)) -> Quarry {
        let mut quarry = Quarry { name: row.name, tried: 0, seen: None, sick: Vec::new() };
        for (name, scene) in scenes::SCENES {
            quarry.tried += 1;
            if let Err(text) = planted(row.mutant, scene) {
                let failure = Failure { judge: "log".to_owned(), text, at: 0 };
                quarry.seen = Some(Seen { seed: None, place: name.to_owned(), failure });
                return quarry;
            }
        }
        for script in LOG_SCRIPTS {
            let report = planted(row.mutant, || {
                let unseen = |progress: &crash_points::Progress| progress.failed == 0 && go_on();
                CrashPoints::FULL.run_one(script, self.threads, unseen)
            });
            let Some(report) = report else { continue };
            quarry.tried += report.cases;
            if let Some(failed) = report.failures.into_iter().next() {
                let case = failed.case.map(|case| case.to_string());
                let place = case.unwrap_or_else(|| script.to_owned());
                quarry.seen = Some(Seen { seed: None, place, failure: failed.failure });
                break;
            }
        }
        quarry
    }
}
