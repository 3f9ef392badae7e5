//! Tries all places on some threads.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::{CrashPoints, FailedCase, Progress, ScriptReport, Spot, script::Script, trial::Trial};
use crate::world::Counted;

pub(super) struct Crew<'s> {
    extent: CrashPoints,
    scripts: &'s [Script],
    /// All places to try, each with the number of its script.
    places: Vec<(usize, Spot)>,
    reports: Vec<ScriptReport>,
}

impl<'s> Crew<'s> {
    /// Runs each script without a power cut.
    pub(super) fn new(extent: &CrashPoints, scripts: &'s [Script]) -> Self {
        let (mut places, mut reports) = (Vec::new(), Vec::new());
        for (number, script) in scripts.iter().enumerate() {
            let played = script.play(None, None);
            let spots = spots(&played.counted);
            let mut report = ScriptReport::new(script.name);
            let is_position = |spot: &&Spot| matches!(spot, Spot::AfterJob { .. });
            report.positions = spots.iter().filter(is_position).count() as u64;
            report.operations = spots.len() as u64 - report.positions;
            match played.failure {
                // Nothing can be learnt from power cuts in it.
                Some(failure) => report.fail(FailedCase { case: None, failure }),
                None => {
                    let some = spots.into_iter().step_by(extent.every.max(1));
                    places.extend(some.map(|spot| (number, spot)));
                }
            }
            reports.push(report);
        }
        Self { extent: *extent, scripts, places, reports }
    }

    pub(super) fn run(
        self,
        threads: usize,
        go_on: &(impl Fn(&Progress) -> bool + Sync),
    ) -> Vec<ScriptReport> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let places = self.places.len() as u64;
        let shared = Mutex::new((Progress { places, ..Progress::default() }, Vec::new()));
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some((number, spot)) = self.places.get(place) else { return };
                let script = &self.scripts[*number];
                let trial = Trial::of(script, *spot, &self.extent);
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let (progress, trials) = &mut *shared;
                progress.add(script.name, &trial);
                trials.push((place, trial));
                if !go_on(progress) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(work);
            }
        });
        let (_, mut trials) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        trials.sort_by_key(|(place, _)| *place);
        self.finish(trials)
    }

    fn finish(mut self, trials: Vec<(usize, Trial)>) -> Vec<ScriptReport> {
        for (number, report) in self.reports.iter_mut().enumerate() {
            let all = self.places.iter().filter(|(of, _)| *of == number).count();
            let done = trials.iter().filter(|(place, _)| self.places[*place].0 == number).count();
            report.stopped = done < all;
        }
        for (place, trial) in trials {
            self.reports[self.places[place].0].add(trial);
        }
        self.reports
    }
}

impl Progress {
    fn add(&mut self, script: &'static str, trial: &Trial) {
        self.script = script;
        self.done += 1;
        self.cases += trial.cases;
        self.failed += trial.failed.len() as u64;
    }
}

/// All places in what the nodes did.
fn spots(counted: &[Counted]) -> Vec<Spot> {
    let mut spots = Vec::new();
    for (node, counted) in counted.iter().enumerate() {
        let jobs = counted.jobs.start + 1..=counted.jobs.end;
        spots.extend(jobs.map(|job| Spot::AfterJob { node, job, operations: 0 }));
        let operations = counted.operations.start..=counted.operations.end;
        spots.extend(operations.map(|operation| Spot::AfterOperation { node, operation }));
    }
    spots
}
