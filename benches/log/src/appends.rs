//! How fast each contestant makes batches durable.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    contestants::{self, Entrant},
    folder,
    load::Load,
    quiet::{Quiet, Ticks},
    spread::{Spread, quantile},
};

/// What one contestant reached under one load.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) load: Load,
    pub(crate) name: &'static str,
    pub(crate) batches_a_second: Spread,
    pub(crate) entries_a_second: Spread,
    pub(crate) p50_us: Spread,
    pub(crate) p99_us: Spread,
    /// Batches a second, in each round beside those of the floor.
    pub(crate) of_floor: Spread,
    /// Batches a second of every round.
    pub(crate) rounds: Vec<f64>,
}

/// One contestant's turn in a round.
struct Turn {
    batches_a_second: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Lets all contestants have their turn in each round, everybody first in another, so that the noise
/// of the machine hits all alike.
pub(crate) fn measure(
    above: &Path,
    load: Load,
    rounds: usize,
    quiet: &mut Quiet,
) -> Result<Vec<Row>> {
    let entrants = contestants::all();
    let mut turns: Vec<Vec<Turn>> = entrants.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for turn in 0..entrants.len() {
            let at = (round + turn) % entrants.len();
            let entrant = &entrants[at];
            let turn = quiet.take(|quiet| {
                folder::fresh(above, |dir| take(dir, entrant, &load, quiet)).context(entrant.name)
            })?;
            eprintln!("{}: {} {:.0}", load.name(), entrant.name, turn.batches_a_second);
            turns[at].push(turn);
        }
    }
    let rates = |turns: &[Turn]| turns.iter().map(|turn| turn.batches_a_second).collect();
    // The floor is the first.
    let floor: Vec<f64> = rates(&turns[0]);
    let row = |(entrant, turns): (&Entrant, &Vec<Turn>)| {
        let rounds: Vec<f64> = rates(turns);
        Row {
            load,
            name: entrant.name,
            batches_a_second: Spread::of(rounds.iter().copied()),
            entries_a_second: Spread::of(rounds.iter().map(|rate| rate * load.entries as f64)),
            p50_us: Spread::of(turns.iter().map(|turn| turn.p50_us)),
            p99_us: Spread::of(turns.iter().map(|turn| turn.p99_us)),
            of_floor: Spread::of(rounds.iter().zip(&floor).map(|(rate, floor)| rate / floor)),
            rounds,
        }
    };
    Ok(entrants.iter().zip(&turns).map(row).collect())
}

/// Opens a log, appends an eighth of the load without looking, then the rest by the clock. Opening
/// and closing do not count. Gives too what others used of the processors meanwhile.
fn take(dir: &Path, entrant: &Entrant, load: &Load, quiet: &Quiet) -> Result<(Turn, f64)> {
    let payloads = load.payloads();
    let mut log = (entrant.open)(dir, load)?;
    folder::settle(dir)?;
    quiet.wait()?;
    let ticks = Ticks::now()?;
    let mut index = 1;
    let mut append = || {
        let appended = log.append(index, &payloads);
        index += load.entries as u64;
        appended
    };
    let warm_up = load.batches / 8;
    for _ in 0..warm_up {
        append()?;
    }
    let mut took_us = Vec::with_capacity(load.batches);
    let begun = Instant::now();
    for _ in warm_up..load.batches {
        let begun = Instant::now();
        append()?;
        took_us.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let others = ticks.others_since()?;
    took_us.sort_by(f64::total_cmp);
    let turn = Turn {
        batches_a_second: took_us.len() as f64 / seconds,
        p50_us: quantile(&took_us, 0.5),
        p99_us: quantile(&took_us, 0.99),
    };
    Ok((turn, others))
}
