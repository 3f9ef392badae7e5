//! The alarm works: runs that are to fail do, others do not, and both can be repeated and made small.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use skiff_sim::{Campaign, Limits, Mode, Plan, Registers, run, shrink};

const SECOND: u64 = 1_000_000_000;

fn campaign(canary: bool) -> Campaign {
    Campaign { first: 0, count: Some(200), mode: None, nodes: None, nanos: 2 * SECOND, canary }
}

#[test]
fn one_seed_in_a_hundred_fails_by_design() {
    let totals = campaign(true).run(&Registers, 2, |_| true);
    let (unexpected, missed) = totals.unexpected();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    assert_eq!(missed, 0, "{:?}", totals.failed);
    assert!(totals.canaries > 0);
}

#[test]
fn without_a_canary_nothing_fails() {
    let totals = campaign(false).run(&Registers, 2, |_| true);
    assert!(totals.failed.is_empty(), "{:?}", totals.failed);
    assert_eq!((totals.seeds, totals.canaries), (200, 0));
}

fn lying_plan() -> Plan {
    let limits = Limits { mode: Mode::Crash, nodes: Some(5), nanos: 4 * SECOND };
    Plan { canary: true, ..Plan::of_seed(7, limits) }
}

#[test]
fn a_failing_plan_becomes_small_and_still_fails() {
    let plan = lying_plan();
    let failure = run(&plan, &Registers).failure.unwrap();
    let shrunk = shrink(&plan, &Registers, |_| true).unwrap();
    assert_eq!(shrunk.failure.judge, failure.judge);
    assert!(shrunk.plan.faults.is_empty(), "{:?}", shrunk.plan.faults);
    assert!(shrunk.plan.calls.len() <= 1 && shrunk.plan.nodes <= 3, "{:?}", shrunk.plan);
    assert_eq!(run(&shrunk.plan, &Registers).failure, Some(shrunk.failure));
}

#[test]
fn a_plan_survives_being_kept() {
    let plan = lying_plan();
    let kept = serde_json::to_string(&plan).unwrap();
    let again: Plan = serde_json::from_str(&kept).unwrap();
    assert_eq!(again, plan);
    assert_eq!(run(&again, &Registers).hash, run(&plan, &Registers).hash);
}

/// A seed gives the same in debug and release builds, and on every machine: if one of these changes
/// and nothing in the simulation was changed on purpose, something is not deterministic.
#[test]
fn a_seed_is_the_same_everywhere() {
    let hashes: Vec<String> = (0..6)
        .map(|seed| {
            let limits = Limits { mode: Mode::Crash, nodes: None, nanos: 2 * SECOND };
            format!("{:016x}", run(&Plan::of_seed(seed, limits), &Registers).hash)
        })
        .collect();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hashes.txt");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        fs::write(file, hashes.join("\n") + "\n").unwrap();
    }
    let kept = fs::read_to_string(file).unwrap();
    assert_eq!(hashes, kept.lines().collect::<Vec<_>>(), "UPDATE_GOLDENFILES=1 if it was meant");
}
