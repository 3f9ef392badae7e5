//! The program on the front page: short, and the same as the example that runs.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/program.rs"]
mod program;

use std::process::Command;

const EXAMPLE: &str = include_str!("../examples/three_nodes.rs");
const README: &str = include_str!("../../../README.md");

#[test]
fn a_durable_cluster_takes_at_most_thirty_lines() {
    assert!(EXAMPLE.lines().count() <= 30);
    assert!(EXAMPLE.contains(".data_dir(") && EXAMPLE.contains(".listen("));
}

#[test]
fn the_readme_shows_the_example() {
    let block = README.split("```rust,no_run\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(block, EXAMPLE);
}

#[test]
fn the_readme_names_its_two_commands() {
    assert!(README.contains("\ncargo run --release -- demo\ncargo test --workspace\n"));
}

/// Runs an example to its end; what it printed.
fn run(name: &str) -> String {
    let program = program::example(name);
    let output = Command::new(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn the_counter_counts() {
    let text = run("counter");
    assert!(text.contains("ann added one: 1") && text.contains("cleo added one: 3"), "{text}");
    assert_eq!(text.matches("holds 3").count(), 3, "{text}");
}

#[test]
fn a_cluster_on_providers_of_ones_own_agrees() {
    let text = run("custom_providers");
    assert!(text.contains("the cluster agreed"), "{text}");
    assert!(text.contains("a keeps term") && text.contains("b keeps term"), "{text}");
}
