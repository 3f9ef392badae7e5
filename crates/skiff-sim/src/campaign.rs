//! Many seeds, on as many threads as wanted. The runs themselves know of no thread: each is one, from
//! its seed alone.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use serde::Serialize;

use crate::{
    failure::Failure,
    plan::{Limits, Mode, Plan},
    random::mix,
    reached::Reached,
    run::{Report, run},
    workload::Workload,
};

/// One seed in so many is run twice: both runs must be the same.
const TWICE_IN: u64 = 100;
/// One seed in so many fails, if the alarm is tested.
const CANARY_IN: u64 = 100;

/// Which seeds to run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub first: u64,
    /// How many; `None`: until told to stop.
    pub count: Option<u64>,
    /// How bad it may get; `None` mixes: of ten seeds seven, two and one.
    pub mode: Option<Mode>,
    /// How many nodes; `None` samples.
    pub nodes: Option<usize>,
    /// For how long there are faults in each, in nanoseconds.
    pub nanos: u64,
    /// Tests the alarm: in one seed in a hundred all disks lie about what is durable.
    pub canary: bool,
}

/// A seed that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// Its mode.
    pub mode: Mode,
    /// What was seen.
    pub failure: Failure,
    /// Whether it was to fail.
    pub canary: bool,
}

/// What came of all seeds so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// How many were run.
    pub seeds: u64,
    /// How many of them were to fail.
    pub canaries: u64,
    /// How many things happened.
    pub events: u64,
    /// How much time passed in the simulations, in nanoseconds.
    pub simulated: u64,
    /// Those that failed.
    pub failed: Vec<Failed>,
    /// What was met.
    pub reached: Reached,
}

impl Campaign {
    /// The plan of a seed.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan {
        let canary = self.canary && mix(seed ^ 1).is_multiple_of(CANARY_IN);
        let mode = match (self.mode, mix(seed) % 10) {
            // Where disks are damaged anyway, not everything is judged.
            _ if canary => Mode::Crash,
            (Some(mode), _) => mode,
            (None, 0..7) => Mode::Crash,
            (None, 7..9) => Mode::Recoverable,
            (None, _) => Mode::Unlimited,
        };
        let mut plan = Plan::of_seed(seed, Limits { mode, nodes: self.nodes, nanos: self.nanos });
        plan.canary = canary;
        plan
    }

    /// Runs them on so many threads. `go_on` is told of the totals after each seed, and stops all by
    /// answering no.
    pub fn run<W: Workload + Sync>(
        &self,
        workload: &W,
        threads: usize,
        go_on: impl Fn(&Totals) -> bool + Sync,
    ) -> Totals {
        let next = AtomicU64::new(0);
        let stop = AtomicBool::new(false);
        let totals = Mutex::new(Totals::default());
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if self.count.is_some_and(|count| number >= count) {
                    return;
                }
                let plan = self.plan(self.first + number);
                let report = run_and_again(&plan, workload);
                let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                totals.add(&plan, report);
                if !go_on(&totals) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(work);
            }
        });
        let mut totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        totals.failed.sort_by_key(|failed| failed.seed);
        totals
    }
}

/// Runs a plan, and now and then once more, to see that it comes to the same.
fn run_and_again<W: Workload>(plan: &Plan, workload: &W) -> Report {
    let mut report = run(plan, workload);
    if plan.seed.is_multiple_of(TWICE_IN) && report.failure.is_none() {
        let again = run(plan, workload);
        if again.hash != report.hash || again.reached != report.reached {
            let text = format!("two runs of a seed differ: {} and {}", report.hash, again.hash);
            let (judge, at) = ("determinism".to_owned(), report.simulated);
            report.failure = Some(Failure { judge, text, at });
        }
    }
    report
}

impl Totals {
    fn add(&mut self, plan: &Plan, report: Report) {
        self.seeds += 1;
        self.canaries += u64::from(plan.canary);
        self.events += report.events;
        self.simulated += report.simulated;
        self.reached.add(&report.reached);
        if let Some(failure) = report.failure {
            let (seed, mode, canary) = (plan.seed, plan.mode, plan.canary);
            self.failed.push(Failed { seed, mode, failure, canary });
        }
    }

    /// The failures that were not wanted, and how many of the wanted ones were missed.
    #[must_use]
    pub fn unexpected(&self) -> (Vec<&Failed>, u64) {
        let seen = self.failed.iter().filter(|failed| failed.canary).count() as u64;
        (self.failed.iter().filter(|failed| !failed.canary).collect(), self.canaries - seen)
    }
}
