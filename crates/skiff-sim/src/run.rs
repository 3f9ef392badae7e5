//! One run, from a plan to a report.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use crate::{
    failure::Failure,
    plan::Plan,
    reached::Reached,
    workload::Workload,
    world::{Tracer, Watch, World},
};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is wrong, if anything is.
    pub failure: Option<Failure>,
    /// How many things happened.
    pub events: u64,
    /// How much time passed in the simulation, in nanoseconds.
    pub simulated: u64,
    /// A hash of everything that happened.
    pub hash: u64,
    /// What was met.
    pub reached: Reached,
}

/// Runs a plan on a workload.
pub fn run<W: Workload>(plan: &Plan, workload: &W) -> Report {
    run_watched(plan, workload, None, None).0
}

/// Runs a plan on a workload, and tells its story line by line.
pub fn run_with_trace<W: Workload>(
    plan: &Plan,
    workload: &W,
    tracer: &mut dyn FnMut(&str),
) -> Report {
    run_watched(plan, workload, None, Some(tracer)).0
}

/// Runs a plan on a workload while somebody looks on, and gives that one back.
pub(crate) fn run_watched<W: Workload>(
    plan: &Plan,
    workload: &W,
    watch: Option<Watch>,
    tracer: Option<Tracer<'_>>,
) -> (Report, Option<Watch>) {
    let mut world = World::new(plan, workload, tracer);
    world.watch = watch;
    // A panic is a failure like any other; the world is only looked at afterwards.
    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
    let failure = match ended {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(panic) => Some(world.failure("no_panic", words_of(panic.as_ref()))),
    };
    let report = Report {
        failure,
        events: world.events,
        simulated: world.simulated(),
        hash: world.hash.value(),
        reached: world.reached,
    };
    (report, world.watch)
}

/// What a panic said.
pub(crate) fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().map(ToString::to_string);
    let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
    words.unwrap_or_else(|| "a panic without words".to_owned())
}
