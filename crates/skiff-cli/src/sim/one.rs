//! One seed or one plan: told, shrunk, kept.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;
use skiff_sim::{Plan, Registers, Report};

use super::args::Sim;
use crate::{failure::Failure, say};

/// Shrinking ends after this long.
const SHRINK: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Told<'r> {
    seed: u64,
    failed: bool,
    #[serde(flatten)]
    report: &'r Report,
}

pub(super) fn seed(args: &Sim, seed: u64) -> Result<(), Failure> {
    run(args, &super::seeds(args).plan(seed), &format!("seed-{seed}"))
}

pub(super) fn plan(args: &Sim, file: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", file.display())))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{} is no plan of `skiff sim`: {error}", file.display()))
    })?;
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    run(args, &plan, &name.unwrap_or_default())
}

fn run(args: &Sim, plan: &Plan, name: &str) -> Result<(), Failure> {
    let report = if args.trace {
        skiff_sim::run_with_trace(plan, &Registers, &mut |line| say::line(line))
    } else {
        skiff_sim::run(plan, &Registers)
    };
    if report.failure.is_some() && args.shrink {
        shrink(args, plan, name)?;
    }
    if args.json {
        let failed = report.failure.is_some();
        say::json(&Told { seed: plan.seed, failed, report: &report })?;
    } else {
        let (events, hash) = (report.events, report.hash);
        say::line(format_args!("{name}: {} nodes, {events} events, hash {hash:016x}", plan.nodes));
    }
    match report.failure {
        None => Ok(()),
        Some(failure) => Err(Failure::damaged(format!("{name} failed: {failure}"))),
    }
}

/// Makes a failing plan small, and keeps it.
pub(super) fn shrink(args: &Sim, plan: &Plan, name: &str) -> Result<(), Failure> {
    let until = Instant::now() + SHRINK;
    let Some(shrunk) = skiff_sim::shrink(plan, &Registers, |_| Instant::now() < until) else {
        return Ok(());
    };
    let kept = keep(args.save.as_deref().unwrap_or_else(|| Path::new(".")), &shrunk.plan, name)?;
    say::aside(format_args!(
        "{name}: {} events, {} faults, {} calls and {} nodes are left after {} tries\n  {}\n  \
         skiff sim --plan {} --trace",
        shrunk.events,
        shrunk.plan.faults.len(),
        shrunk.plan.calls.len(),
        shrunk.plan.nodes,
        shrunk.tried,
        shrunk.failure,
        kept.display()
    ));
    Ok(())
}

/// Keeps a plan as a file.
pub(super) fn keep(dir: &Path, plan: &Plan, name: &str) -> Result<PathBuf, Failure> {
    fs::create_dir_all(dir)?;
    let file = dir.join(format!("{name}.json"));
    fs::write(&file, serde_json::to_vec_pretty(plan).map_err(Failure::failed)?)?;
    Ok(file)
}
