//! `skiff sim`: what it prints, and how it ends.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;

use common::{path, skiff};
use serde_json::Value;
use tempfile::tempdir;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../skiff-sim/corpus");

/// The exit code and what was printed: the result, and what stands beside it.
fn sim(args: &[&str]) -> (Option<i32>, String, String) {
    let output = skiff(&[&["sim"], args].concat());
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), words(&output.stdout), words(&output.stderr))
}

/// The object in the last line.
fn last(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_campaign_ends_with_one_object() {
    let (code, said, _) = sim(&["--seeds", "6", "--span", "1s", "--json"]);
    assert_eq!(code, Some(0));
    let object = last(&said);
    assert_eq!((object["seeds"].as_u64(), object["failures"].as_u64()), (Some(6), Some(0)));
    for name in ["events", "events_per_second", "simulated_seconds"] {
        assert!(object[name].as_f64().unwrap() > 0.0, "{name}");
    }
    assert!(object["states_reached"]["leaders_elected"].as_u64().unwrap() > 0);
}

#[test]
fn a_state_that_is_never_reached_fails_the_run_that_asks_for_all() {
    let (code, _, beside) = sim(&["--seeds", "1", "--span", "1s", "--all-states"]);
    assert_eq!(code, Some(1), "{beside}");
    assert!(beside.contains("disks damaged"), "{beside}");
}

#[test]
fn a_failure_names_the_seed_the_judge_and_the_command_that_runs_it_again() {
    let canaries = ["--canary", "--seeds", "200", "--span", "1s"];
    let (code, _, beside) = sim(&canaries);
    assert_eq!(code, Some(0), "each was seen: {beside}");

    let dir = tempdir().unwrap();
    let plan = fs::read_dir(CORPUS).unwrap().next().unwrap().unwrap().path();
    let mut kept: Value = serde_json::from_str(&fs::read_to_string(plan).unwrap()).unwrap();
    kept["canary"] = Value::Bool(true);
    let file = dir.path().join("lies.json");
    fs::write(&file, kept.to_string()).unwrap();
    let (code, told, beside) = sim(&["--plan", path(&file), "--trace"]);
    assert_eq!(code, Some(5), "{beside}");
    assert!(beside.contains("lies failed: durable_before_told"), "{beside}");
    assert!(told.contains("starts as") && told.contains(" ms  n"), "a trace: {told}");
}

#[test]
fn what_is_short_of_a_run_is_refused() {
    for args in [&["--seeds", "0"], &["--minutes", "0"], &["--nodes", "0"]] {
        let (code, _, beside) = sim(args);
        assert_eq!(code, Some(2), "{beside}");
        assert!(beside.contains(args[0]), "{beside}");
    }
    let (code, _, beside) = sim(&["--crash-points", "--case", "elsewhere"]);
    assert!(code == Some(2) && beside.contains("replicate"), "{beside}");
}

#[test]
fn power_cuts_and_orders_of_events_end_with_one_object() {
    let (code, said, _) = sim(&["--crash-points", "--smoke", "--json"]);
    let object = last(&said);
    assert_eq!((code, object["failures"].as_u64()), (Some(0), Some(0)));
    assert!(object["cases"].as_u64().unwrap() > 100);

    let (code, story, _) = sim(&["--crash-points", "--case", "roll/n0/op5/d/0ms"]);
    assert!(code == Some(0) && story.contains("the power fails"), "{story}");
}
