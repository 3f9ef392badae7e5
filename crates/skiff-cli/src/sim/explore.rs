//! `skiff sim --explore`: every order of events in a small cluster, within bounds.

use std::time::Instant;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::ProgressBar;
use serde::Serialize;
use skiff_sim::explore::{Bounds, End, Violation, explore};

use super::{args::Sim, jobs, progress};
use crate::{failure::Failure, say};

/// What was searched within some bounds. These names are the program's interface.
#[derive(Serialize)]
struct Line {
    bounds: &'static str,
    end: End,
    distinct: u64,
    transitions: u64,
    /// How many steps the furthest state is away from the first, by the shortest way.
    depth: usize,
    seconds: f64,
    states_per_second: f64,
    violation: Option<Violation>,
}

/// The last line with `--json`. These names are the program's interface.
#[derive(Serialize)]
struct Summary<'r> {
    bounds: &'r [Line],
    distinct: u64,
    transitions: u64,
    violations: usize,
    seconds: f64,
}

pub(super) fn run(args: &Sim) -> Result<(), Failure> {
    let all = if args.smoke { Bounds::smoke() } else { Bounds::full() };
    let stop = crate::signals::interrupted()?;
    let bar = progress::bar(None);
    let mut lines = Vec::new();
    for bounds in &all {
        lines.push(search(bounds, jobs(args), &bar, &stop));
        if stop() {
            break;
        }
    }
    bar.finish_and_clear();
    lines.iter().for_each(tell);
    let summary = summary(&lines);
    if args.json {
        say::json(&summary)?;
    } else {
        say::line(table(&lines));
        say::line(format_args!(
            "{} states, {} transitions in {:.1} s, {} violations",
            summary.distinct, summary.transitions, summary.seconds, summary.violations
        ));
    }
    match summary.violations {
        _ if stop() => Err(Failure::interrupted()),
        0 => Ok(()),
        _ => Err(Failure::damaged("a rule of the algorithm was broken")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn search(bounds: &Bounds, threads: usize, bar: &ProgressBar, stop: &dyn Fn() -> bool) -> Line {
    let began = Instant::now();
    let report = explore(bounds, threads, &mut |report| {
        bar.set_position(report.distinct);
        bar.set_message(format!("states; {}, {} steps deep", bounds.name, report.by_depth.len()));
        !stop()
    });
    let seconds = began.elapsed().as_secs_f64();
    Line {
        bounds: bounds.name,
        end: report.end,
        distinct: report.distinct,
        transitions: report.transitions,
        depth: report.by_depth.len().saturating_sub(1),
        seconds,
        states_per_second: report.distinct as f64 / seconds,
        violation: report.violation,
    }
}

/// The way to what broke, if anything did.
fn tell(line: &Line) {
    let Some(violation) = &line.violation else { return };
    say::aside(format_args!("{}: broken: {}", line.bounds, violation.rule));
    for (number, step) in violation.trace.iter().enumerate() {
        say::aside(format_args!("{:>4}  {step}", number + 1));
    }
}

fn summary(lines: &[Line]) -> Summary<'_> {
    Summary {
        bounds: lines,
        distinct: lines.iter().map(|line| line.distinct).sum(),
        transitions: lines.iter().map(|line| line.transitions).sum(),
        violations: lines.iter().filter(|line| line.violation.is_some()).count(),
        seconds: lines.iter().map(|line| line.seconds).sum(),
    }
}

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "bounds",
        "states",
        "transitions",
        "depth",
        "seconds",
        "states/s",
        "end",
    ]);
    for line in lines {
        table.add_row([
            line.bounds.to_owned(),
            line.distinct.to_string(),
            line.transitions.to_string(),
            line.depth.to_string(),
            format!("{:.1}", line.seconds),
            format!("{:.0}", line.states_per_second),
            line.end.to_string(),
        ]);
    }
    for column in 1..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
