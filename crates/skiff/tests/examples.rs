//! The program on the front page: short, and the same as the example that runs.

#![allow(clippy::unwrap_used, reason = "tests")]

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
