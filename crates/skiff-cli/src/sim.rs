//! `skiff sim`: whole clusters in virtual time, with faults and judges.

pub(crate) mod args;
mod campaign;
mod crash_points;
mod explore;
mod mutants;
mod one;
mod progress;

use std::thread;

use crate::failure::Failure;
use args::Sim;

pub(crate) fn run(args: &Sim) -> Result<(), Failure> {
    // A panic in a run is caught, judged and told; its own words would only be in the way.
    std::panic::set_hook(Box::new(|_| {}));
    match (&args.plan, args.seed) {
        _ if args.crash_points => crash_points::run(args),
        _ if args.mutants => mutants::run(args),
        _ if args.explore => explore::run(args),
        (Some(file), _) => one::plan(args, file),
        (None, Some(seed)) => one::seed(args, seed),
        (None, None) => campaign::run(args),
    }
}

/// How many threads to use.
fn jobs(args: &Sim) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    args.jobs.map_or_else(cores, usize::from)
}

/// What the seeds of this call are like.
fn seeds(args: &Sim) -> skiff_sim::Campaign {
    skiff_sim::Campaign {
        first: args.first,
        count: args.minutes.is_none().then_some(args.seeds),
        mode: args.mode.mode(),
        nodes: args.nodes.map(usize::from),
        nanos: u64::try_from(args.span.as_nanos()).unwrap_or(u64::MAX),
        canary: args.canary,
    }
}

/// The command that runs this seed again and tells its story.
fn replay(args: &Sim, failed: &skiff_sim::Failed) -> String {
    let mut command = format!("skiff sim --seed {}", failed.seed);
    if args.mode != args::ModeArg::Mix {
        command += &format!(" --mode {:?}", failed.mode).to_lowercase();
    }
    if let Some(nodes) = args.nodes {
        command += &format!(" --nodes {nodes}");
    }
    command += &format!(" --span {}ms", args.span.as_millis());
    if args.canary {
        command += " --canary";
    }
    command + " --trace"
}
