//! `skiff sim --mutants`: every planted bug must be found.

use super::args::Sim;
use crate::failure::Failure;

/// Without the bugs in it the program can only say how to build one with them.
#[cfg(not(feature = "mutants"))]
pub(super) fn run(_: &Sim) -> Result<(), Failure> {
    Err(Failure::usage(
        "there are no planted bugs in this program, and none belong there; build another one:\n  \
         cargo run --release --features mutants -- sim --mutants",
    ))
}

#[cfg(feature = "mutants")]
pub(super) use hunting::run;

#[cfg(feature = "mutants")]
mod hunting {
    use std::time::Instant;

    use serde::Serialize;
    use skiff_sim::mutants::{Hunt, Quarry, Row, TABLE};

    use super::{
        super::{jobs, progress},
        Failure, Sim,
    };
    use crate::say;

    /// A bug that so many seeds have not shown is given up.
    const SEEDS_MAX: u64 = 3_000;
    /// For a quick look: one bug in so many.
    const SMOKE_EVERY: usize = 8;

    /// One line, with `--json`. These names are the program's interface.
    #[derive(Serialize)]
    struct Line {
        #[serde(flatten)]
        quarry: Quarry,
        breaks: &'static str,
        expected_judge: &'static str,
        seconds: f64,
    }

    #[derive(Serialize)]
    struct Summary {
        mutants: usize,
        killed: usize,
        median_seconds: f64,
        worst_seconds: f64,
        survivors: Vec<&'static str>,
    }

    pub(in crate::sim) fn run(args: &Sim) -> Result<(), Failure> {
        let every = if args.smoke { SMOKE_EVERY } else { 1 };
        let name = args.only.as_deref().unwrap_or_default();
        let rows: Vec<&Row> =
            TABLE.iter().filter(|row| row.name.contains(name)).step_by(every).collect();
        if rows.is_empty() {
            let all: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
            return Err(Failure::usage(format!(
                "no planted bug has `{name}` in its name; there are {}",
                all.join(", ")
            )));
        }
        let hunt = Hunt { seeds_max: SEEDS_MAX, threads: jobs(args) };
        let stop = crate::signals::interrupted()?;
        let bar = progress::bar(Some(rows.len() as u64));
        let mut lines = Vec::new();
        if !args.json {
            say::line(head());
        }
        for bug in rows {
            bar.set_message(format!("bugs; {}", bug.name));
            let began = Instant::now();
            let quarry = hunt.run(bug, || !stop());
            if stop() {
                return Err(Failure::interrupted());
            }
            let seconds = began.elapsed().as_secs_f64();
            let line = Line { quarry, breaks: bug.breaks, expected_judge: bug.judge, seconds };
            if args.json {
                say::json(&line)?;
            } else {
                bar.suspend(|| say::line(row(&line)));
            }
            lines.push(line);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let summary = summary(&lines);
        if args.json {
            say::json(&summary)?;
        } else {
            say::line(format_args!(
                "{} of {} found, median {:.2} s, worst {:.2} s",
                summary.killed, summary.mutants, summary.median_seconds, summary.worst_seconds
            ));
        }
        if summary.survivors.is_empty() {
            return Ok(());
        }
        Err(Failure::damaged(format!("not found: {}", summary.survivors.join(", "))))
    }

    fn summary(lines: &[Line]) -> Summary {
        let mut seconds: Vec<f64> = lines.iter().map(|line| line.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let survivors = lines.iter().filter(|line| line.quarry.seen.is_none());
        let survivors: Vec<&'static str> = survivors.map(|line| line.quarry.name).collect();
        Summary {
            mutants: lines.len(),
            killed: lines.len() - survivors.len(),
            median_seconds: seconds.get(seconds.len() / 2).copied().unwrap_or_default(),
            worst_seconds: seconds.last().copied().unwrap_or_default(),
            survivors,
        }
    }

    /// What each column of [`row`] is.
    fn head() -> String {
        format!(
            "{:<28} {:>7} {:>7}  {:<22} {:<22} {}",
            "bug", "tried", "seconds", "where", "seen by", "what it breaks"
        )
    }

    fn row(line: &Line) -> String {
        let (place, judge) = match &line.quarry.seen {
            Some(seen) => (seen.place.as_str(), seen.failure.judge.as_str()),
            None => ("nowhere", "nobody"),
        };
        format!(
            "{:<28} {:>7} {:>7.2}  {place:<22} {judge:<22} {}",
            line.quarry.name, line.quarry.tried, line.seconds, line.breaks
        )
    }
}
