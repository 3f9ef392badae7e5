//! Every crate this project depends on has its reason in `ARCHITECTURE.md`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

#[test]
fn every_dependency_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let table = table.split("\n[").next().unwrap();
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let reasons: String = text.lines().filter(|line| line.starts_with("| ")).collect();
    let named = |name: &str| {
        reasons.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).any(|w| w == name)
    };
    let names = table.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim());
    let missing: Vec<&str> =
        names.filter(|name| !name.starts_with("skiff") && !named(name)).collect();
    assert!(missing.is_empty(), "no reason for {missing:?}");
    assert!(!named("no-such-crate"));
}

#[test]
fn the_map_stays_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    assert!(text.lines().count() < 300);
}
