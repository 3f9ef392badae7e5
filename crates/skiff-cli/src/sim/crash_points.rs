//! `skiff sim --crash-points`: a power cut at every place of short runs.

use std::time::Instant;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use skiff_sim::crash_points::{self, Case, CrashPoints, ScriptReport, UnknownCase};

use super::{args::Sim, jobs, progress};
use crate::{failure::Failure, say};

/// The last line with `--json`. These names are the program's interface.
#[derive(Serialize)]
struct Summary<'r> {
    scripts: &'r [ScriptReport],
    cases: u64,
    failures: u64,
    seconds: f64,
}

pub(super) fn run(args: &Sim) -> Result<(), Failure> {
    if let Some(case) = &args.case {
        return tell(case);
    }
    let points = if args.smoke { CrashPoints::SMOKE } else { CrashPoints::FULL };
    let stop = crate::signals::interrupted()?;
    let bar = progress::bar(None);
    let began = Instant::now();
    let reports = points.run(jobs(args), |progress| {
        bar.set_position(progress.cases);
        bar.set_message(format!(
            "runs; {}: {} of {} places, {} failed",
            progress.script, progress.done, progress.places, progress.failed
        ));
        !stop()
    });
    bar.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    let cases = reports.iter().map(|report| report.cases).sum();
    let failures = reports.iter().map(|report| report.failed).sum();
    for report in &reports {
        for failed in &report.failures {
            let case = failed.case.as_ref().map(ToString::to_string).unwrap_or_default();
            say::aside(format_args!("{} {case}: {}", report.script, failed.failure));
            say::aside(format_args!(
                "  skiff sim --crash-points --case {case}  (commit {})",
                env!("SKIFF_COMMIT")
            ));
        }
    }
    if args.json {
        say::json(&Summary { scripts: &reports, cases, failures, seconds })?;
    } else {
        say::line(table(&reports));
        say::line(format_args!("{cases} runs in {seconds:.1} s, {failures} failures"));
    }
    match failures {
        _ if stop() => Err(Failure::interrupted()),
        0 => Ok(()),
        _ => Err(Failure::damaged(format!("{failures} of {cases} power cuts did harm"))),
    }
}

/// Runs one case again.
fn tell(words: &str) -> Result<(), Failure> {
    let unknown = |error: UnknownCase| {
        let scripts = crash_points::scripts().join(", ");
        Failure::usage(format!("{error}; the scripts are {scripts}"))
    };
    let case: Case = words.parse().map_err(unknown)?;
    match crash_points::replay(&case, &mut |line| say::line(line)).map_err(unknown)? {
        None => Ok(()),
        Some(failure) => Err(Failure::damaged(format!("{case} failed: {failure}"))),
    }
}

fn table(reports: &[ScriptReport]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "script",
        "outputs",
        "disk operations",
        "places tried",
        "runs",
        "failed",
    ]);
    for report in reports {
        table.add_row([
            report.script.to_owned(),
            report.positions.to_string(),
            report.operations.to_string(),
            report.tried.to_string(),
            report.cases.to_string(),
            report.failed.to_string(),
        ]);
    }
    for column in 1..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
