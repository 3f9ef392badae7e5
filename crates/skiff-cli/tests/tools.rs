//! The demonstration, the measurement, and the help.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{said, skiff};

#[test]
fn the_demonstration_loses_nothing() {
    let output = skiff(&["demo", "--commands", "300", "--kill", "1", "--seed", "7"]);
    let text = said(&output);
    assert!(output.status.success() && text.contains("lost 0"), "{text}");
    assert!(text.contains("is killed"), "{text}");
}

#[test]
fn the_demonstration_is_one_object_for_programs() {
    let output = skiff(&["demo", "--commands", "200", "--kill", "1", "--seed", "7", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["acknowledged"], 200);
    assert_eq!(result["seed"], 7);
    assert_eq!(result["lost"], 0);
    assert_eq!(result["nodes_agree"], true);
    assert_eq!(result["failovers_ms"].as_array().unwrap().len(), 1);
}

#[test]
fn a_demonstration_with_too_little_to_do_is_wrong_usage() {
    let output = skiff(&["demo", "--commands", "10", "--kill", "3"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--commands 32"), "{}", said(&output));
}

#[test]
fn the_measurement_prints_one_object_a_line() {
    prints_one_object_a_line(&["--memory", "--clients", "1,8"]);
    prints_one_object_a_line(&["--reads", "--clients", "1,8"]);
    // With it and without it.
    prints_one_object_a_line(&["--snapshot", "4MiB", "--clients", "8"]);
}

fn prints_one_object_a_line(mode: &[&str]) {
    let output = skiff(&[&["bench", "--seconds", "200ms", "--json"], mode].concat());
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        let mut keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let wanted = [
            "clients",
            "floor_us",
            "mode",
            "nodes",
            "ops_per_second",
            "p50_us",
            "p999_us",
            "p99_us",
            "ratio_to_floor",
            "switches_per_command",
        ];
        assert_eq!(keys, wanted);
        assert!(line["ops_per_second"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn every_command_teaches_by_an_example() {
    let commands = [
        "serve",
        "put",
        "get",
        "delete",
        "list",
        "status",
        "demo",
        "bench",
        "log",
        "log dump",
        "log verify",
        "log repair-plan",
        "transfer",
        "outcome",
        "member list",
        "member add",
        "member remove",
        "member replace",
        "sim",
    ];
    for command in commands {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let output = skiff(&words);
        let text = said(&output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("Example") && text.contains(&format!("skiff {command}")), "{text}");
    }
}
