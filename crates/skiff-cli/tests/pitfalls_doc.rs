//! `docs/pitfalls.md` lists the mistakes of others and the tests that guard against them, and
//! `docs/storage-faults.md` what disks do and the tests that show what becomes of it; `docs/live.md` what is
//! done to real processes. Here the pages are compared with the tests there are.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// What an entry may wait for.
const FEATURES: &[&str] = &["leases", "versions"];
const WAITS: &str = "waits for ";
const SCRIPTS: &str = "skiff-core/tests/scripts";

#[test]
fn every_pitfall_has_its_test_or_waits_for_a_feature() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let page = fs::read_to_string(root.join("docs/pitfalls.md")).unwrap();
    assert!(page.matches("\n## ").count() >= 18, "a section is gone");
    let wrong = complaints(&page, &tests_below(&root.join("crates")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_page_that_is_wrong_is_noticed() {
    let tests = BTreeMap::from([("a".to_owned(), BTreeSet::from(["no_hat".to_owned()]))]);
    let wrong = |row: &str| complaints(&format!("| entry | x | y |\n|---|---|---|\n{row}"), &tests);
    let right = "| no-hat | it rains | `a::no_hat` |";
    assert!(wrong(right).is_empty());
    assert!(wrong("| no-hat | it rains | waits for leases |").is_empty());
    for row in [
        "",
        "| no-hat | it rains |",
        "| no-hat | | `a::no_hat` |",
        "| no-hat | it rains | |",
        "| no-hat | it rains | `a::hat` |",
        "| no-hat | it rains | `b::no_hat` |",
        "| no-hat | it rains | `no_hat` |",
        "| no-coat | it rains | `a::no_hat` |",
        "| no-hat | it rains | waits for godot |",
        &format!("{right}\n{right}"),
    ] {
        assert!(!wrong(row).is_empty(), "{row}");
    }
}

const FAULTS: &str = "| fault | what Skiff does | what the operator sees and does | test |";

#[test]
fn every_storage_fault_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let page = fs::read_to_string(root.join("docs/storage-faults.md")).unwrap();
    let (_, table) = page.split_once(FAULTS).expect("the table has its header");
    let tests = tests_below(&root.join("crates"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    let wrong: Vec<String> =
        rows.clone().flat_map(|row| complaints_of_fault(row, &tests)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.count() >= 16, "a fault is gone");
}

#[test]
fn a_fault_without_a_test_is_noticed() {
    let tests = BTreeMap::from([("a".to_owned(), BTreeSet::from(["b".to_owned()]))]);
    assert!(complaints_of_fault("| x | y | z | `a::b` |", &tests).is_empty());
    for row in
        ["| x | y | z | |", "| x | | z | `a::b` |", "| x | y | z | `a::c` |", "| x | y | `a::b` |"]
    {
        assert!(!complaints_of_fault(row, &tests).is_empty(), "{row}");
    }
}

/// The page on live tests names each of them, and none that is not there.
#[test]
fn every_live_scenario_is_on_its_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let page = fs::read_to_string(root.join("docs/live.md")).unwrap();
    let named: BTreeSet<String> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|it| it.contains('_'))
        .map(str::to_owned)
        .collect();
    let files = fs::read_dir(root.join("crates/skiff-cli/tests/live")).unwrap();
    let sources = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let tests: BTreeSet<String> = sources.flat_map(|source| tests_in(&source)).collect();
    assert_eq!(named, tests);
}

fn complaints_of_fault(row: &str, tests: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [fault, .., named] = cells[..] else { return vec![format!("no row: {row}")] };
    let mut wrong = missing(fault, named, tests);
    if cells.len() != 4 || cells.iter().any(|cell| cell.is_empty()) {
        wrong.push(format!("{fault}: a cell is missing or empty"));
    }
    if !named.contains('`') {
        wrong.push(format!("{fault}: no test"));
    }
    wrong
}

/// The tests that are named and are not there.
fn missing(entry: &str, named: &str, tests: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let names = named.split('`').skip(1).step_by(2);
    let is_there = |name: &&str| {
        name.split_once("::").and_then(|(part, test)| tests.get(part)?.get(test)).is_some()
    };
    names
        .filter(|name| !is_there(name))
        .map(|name| format!("{entry}: there is no test {name}"))
        .collect()
}

/// What is wrong with the page.
fn complaints(page: &str, tests: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| entry "));
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [entry, story, guard] = cells[..] else {
            wrong.push(format!("not three cells: {row}"));
            continue;
        };
        if !seen.insert(entry) {
            wrong.push(format!("{entry}: twice"));
        }
        if entry.is_empty() || story.is_empty() {
            wrong.push(format!("{entry}: nothing is told"));
        }
        wrong.extend(complaints_of(entry, guard, tests));
    }
    if seen.is_empty() {
        wrong.push("there are no entries".to_owned());
    }
    wrong
}

/// What is wrong with what guards one entry.
fn complaints_of(
    entry: &str,
    guard: &str,
    tests: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let mut wrong = missing(entry, guard, tests);
    let named: Vec<&str> = guard.split('`').skip(1).step_by(2).collect();
    let waits = guard.split_once(WAITS).map(|(_, rest)| rest);
    if let Some(feature) = waits
        && !FEATURES.iter().any(|known| feature.starts_with(known))
    {
        wrong.push(format!("{entry}: it waits for {feature}, which is none of {FEATURES:?}"));
    }
    let own = entry.replace('-', "_");
    let carries = |name: &&str| name.rsplit("::").next().is_some_and(|test| test.starts_with(&own));
    if waits.is_none() && !named.iter().any(carries) {
        wrong.push(format!("{entry}: no test carries its name, and it waits for nothing"));
    }
    wrong
}

/// The names of all functions in the sources and tests of each crate, and those of the scripts.
fn tests_below(crates: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for part in fs::read_dir(crates).unwrap() {
        let part = part.unwrap();
        let names = found.entry(part.file_name().into_string().unwrap()).or_default();
        let mut folders = vec![part.path().join("src"), part.path().join("tests")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    names.extend(tests_in(&fs::read_to_string(&path).unwrap()));
                } else if folder.ends_with(SCRIPTS) {
                    names.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
                }
            }
        }
    }
    found
}

/// The names of the functions that stand below a line with `test` in an attribute.
fn tests_in(source: &str) -> Vec<String> {
    let mut attributed = false;
    let names = source.lines().map(str::trim).filter_map(move |line| {
        attributed |= line.starts_with("#[") && line.contains("test");
        let (_, rest) = line.split_once("fn ")?;
        let name = rest.split(['(', '<']).next().unwrap_or(rest).to_owned();
        std::mem::take(&mut attributed).then_some(name)
    });
    names.collect()
}
