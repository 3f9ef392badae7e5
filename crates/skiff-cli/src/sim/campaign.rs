//! Many seeds, and what they met.

use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use skiff_sim::{Reached, Registers, Totals};

use super::{args::Sim, jobs, one, progress::Progress, replay, seeds};
use crate::{failure::Failure, say};

/// So many failures are told in full.
const TOLD_MAX: usize = 10;

/// The last line with `--json`. These names are the program's interface.
#[derive(Serialize)]
struct Summary<'t> {
    seeds: u64,
    events: u64,
    /// On one core.
    events_per_second: f64,
    simulated_seconds: f64,
    seconds: f64,
    failures: usize,
    canaries: u64,
    canaries_missed: u64,
    commit: &'static str,
    failed: &'t [skiff_sim::Failed],
    states_reached: &'t Reached,
}

pub(super) fn run(args: &Sim) -> Result<(), Failure> {
    let campaign = seeds(args);
    let progress = Progress::new(campaign.count);
    let began = Instant::now();
    let until = args.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let stop = crate::signals::interrupted()?;
    let go_on = |totals: &Totals| {
        progress.show(totals);
        !stop() && until.is_none_or(|until| began.elapsed() < until)
    };
    let jobs = jobs(args);
    let totals = campaign.run(&Registers, jobs, go_on);
    progress.end();
    let seconds = began.elapsed().as_secs_f64();
    tell_failures(args, &totals)?;
    let zeros = zeros(&totals);
    if args.json {
        say::json(&summary(&totals, seconds, jobs))?;
    } else {
        tell(&totals, seconds, jobs);
    }
    let (unexpected, missed) = totals.unexpected();
    if !unexpected.is_empty() || missed > 0 {
        let (failed, canaries) = (unexpected.len(), totals.canaries);
        return Err(Failure::damaged(format!(
            "{failed} of {} seeds failed, and {missed} of {canaries} that should have did not",
            totals.seeds
        )));
    }
    if args.all_states && !zeros.is_empty() {
        return Err(Failure::failed(format!("never met: {}", zeros.join(", "))));
    }
    if stop() { Err(Failure::interrupted()) } else { Ok(()) }
}

/// What was never met.
fn zeros(totals: &Totals) -> Vec<&'static str> {
    let rows = totals.reached.rows();
    rows.into_iter().filter(|(_, _, count)| *count == 0).map(|(_, words, _)| words).collect()
}

fn tell_failures(args: &Sim, totals: &Totals) -> Result<(), Failure> {
    let (unexpected, _) = totals.unexpected();
    for failed in unexpected.iter().take(TOLD_MAX) {
        let (seed, command) = (failed.seed, replay(args, failed));
        let commit = env!("SKIFF_COMMIT");
        say::aside(format_args!(
            "seed {seed} failed: {}\n  {command}  (commit {commit})",
            failed.failure
        ));
        let plan = seeds(args).plan(seed);
        if args.shrink {
            one::shrink(args, &plan, &format!("seed-{seed}"))?;
        } else if let Some(dir) = &args.save {
            one::keep(dir, &plan, &format!("seed-{seed}"))?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn summary(totals: &Totals, seconds: f64, jobs: usize) -> Summary<'_> {
    let (unexpected, missed) = totals.unexpected();
    Summary {
        seeds: totals.seeds,
        events: totals.events,
        events_per_second: (totals.events as f64 / seconds / jobs as f64).round(),
        simulated_seconds: totals.simulated as f64 / 1e9,
        seconds,
        failures: unexpected.len(),
        canaries: totals.canaries,
        canaries_missed: missed,
        commit: env!("SKIFF_COMMIT"),
        failed: &totals.failed,
        states_reached: &totals.reached,
    }
}

fn tell(totals: &Totals, seconds: f64, jobs: usize) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (_, words, count) in totals.reached.rows() {
        table.add_row([count.to_string(), words.to_owned()]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say::line("states reached");
    say::line(table);
    let summary = summary(totals, seconds, jobs);
    say::line(format_args!(
        "{} seeds, {} events, {:.0} a second on each of {jobs} threads, {:.0} s simulated in {seconds:.1} s ({:.0} times real time)",
        summary.seeds,
        summary.events,
        summary.events_per_second,
        summary.simulated_seconds,
        summary.simulated_seconds / seconds
    ));
    if summary.canaries > 0 {
        say::line(format_args!(
            "{} seeds were to fail, {} of them did not",
            summary.canaries, summary.canaries_missed
        ));
    }
    say::line(format_args!("{} failures (commit {})", summary.failures, summary.commit));
}
