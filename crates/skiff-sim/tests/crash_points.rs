//! Power cuts at some places of each script.

#![allow(clippy::unwrap_used, reason = "tests")]

use skiff_sim::crash_points::{Case, CrashPoints, ScriptReport, replay, scripts};

/// Fewer than the smoke run tries: nothing is optimized here.
const FEW: CrashPoints = CrashPoints { every: 80, choices_max: 3, downs_max: 1 };

fn run_one(script: &str, threads: usize) -> ScriptReport {
    FEW.run_one(script, threads, |_| true).unwrap()
}

#[test]
fn a_power_cut_loses_nothing_in_any_script() {
    let reports = FEW.run(2, |_| true);
    let names: Vec<&str> = reports.iter().map(|report| report.script).collect();
    assert_eq!(names, scripts());
    for report in &reports {
        assert_eq!(report.failures, [], "{}", report.script);
        assert!(report.positions > 0 && report.operations > 0, "{report:?}");
        let places = report.positions + report.operations;
        let some = places.div_ceil(FEW.every as u64);
        assert_eq!((report.tried, report.stopped), (some, false), "{report:?}");
        assert!(report.choices >= report.cases && report.cases >= report.tried, "{report:?}");
    }
}

#[test]
fn every_place_and_every_choice_in_the_smallest_script() {
    let report = CrashPoints::FULL.run_one("recycle", 2, |_| true).unwrap();
    assert_eq!(report.failures, []);
    assert_eq!(report.tried, report.positions + report.operations);
    assert!(report.cases > report.tried && report.choices > report.cases, "{report:?}");
}

#[test]
fn the_same_comes_out_on_any_number_of_threads() {
    let report = run_one("form", 1);
    assert_eq!(run_one("form", 3), report);
}

#[test]
fn it_stops_when_told_to() {
    let report = CrashPoints::SMOKE.run_one("form", 1, |progress| progress.done < 3).unwrap();
    assert_eq!((report.tried, report.stopped), (3, true));
    assert_eq!(CrashPoints::SMOKE.run_one("nonsense", 1, |_| true), None);
}

#[test]
fn a_case_tells_its_story() {
    for words in ["replicate/n1/op30/k/10ms", "form/n0/job9/-/600ms", "roll/n0/op100/d/0ms"] {
        let mut story = Vec::new();
        let tell = &mut |line: &str| story.push(line.to_owned());
        assert_eq!(replay(&words.parse().unwrap(), tell), Ok(None), "{words}");
        let is_cut = |line: &String| line.contains("loses power") || line.contains("power fails");
        assert_eq!(story.iter().filter(|line| is_cut(line)).count(), 1, "{words}: {story:#?}");
    }
    let nowhere: Case = "form/n0/op99999/k/10ms".parse().unwrap();
    let failure = replay(&nowhere, &mut |_| {}).unwrap().unwrap();
    assert_eq!(failure.text, "the place was not reached");
    let nothing: Case = "nothing/n0/op1/k/10ms".parse().unwrap();
    assert!(replay(&nothing, &mut |_| {}).is_err());
}
