//! The table of planted bugs is complete: each stands in it once, and in one line of the code.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use skiff_sim::mutants::{Ground, Mutant, TABLE, named};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text of all Rust files under a folder of one of the crates.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![crates().join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                sources.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    sources
}

#[test]
fn each_bug_stands_in_the_table_once() {
    for mutant in Mutant::ALL {
        let rows = TABLE.iter().filter(|row| row.mutant == *mutant).count();
        assert_eq!(rows, 1, "{mutant:?}");
    }
    assert_eq!(TABLE.len(), Mutant::ALL.len());
}

#[test]
fn there_are_many_of_them_and_ten_in_the_log() {
    assert!(TABLE.len() >= 40);
    let in_the_log =
        sources("skiff-wal/src").iter().map(|(_, text)| plantings(text)).sum::<usize>();
    assert!(in_the_log >= 10, "{in_the_log}");
}

fn plantings(text: &str) -> usize {
    text.matches("planted(Mutant::").count()
}

#[test]
fn names_are_the_names_of_the_bugs() {
    let mut names = BTreeSet::new();
    for row in TABLE {
        let words = format!("{:?}", row.mutant);
        let plain: String = row.name.split('-').collect();
        assert_eq!(plain, words.to_lowercase(), "{}", row.name);
        assert!(names.insert(row.name), "{} is there twice", row.name);
        assert_eq!(named(row.name).map(|found| found.mutant), Some(row.mutant));
        assert!(row.breaks.ends_with('.'), "{} wants a sentence", row.name);
    }
    assert!(named("no-such-bug").is_none());
}

#[test]
fn each_bug_is_planted_in_one_line() {
    let all = ["skiff-core/src", "skiff-wal/src", "skiff-replica/src"].map(sources).concat();
    for mutant in Mutant::ALL {
        let planting = format!("planted(Mutant::{mutant:?})");
        let places = all.iter().map(|(_, text)| text.matches(&planting).count()).sum::<usize>();
        assert_eq!(places, 1, "{planting}");
    }
    let places = all.iter().map(|(_, text)| plantings(text)).sum::<usize>();
    assert_eq!(places, Mutant::ALL.len(), "some planting has no bug");
}

#[test]
fn judges_and_pitfalls_are_there() {
    let judges = sources("skiff-sim/src");
    let pitfalls = fs::read_to_string(crates().parent().unwrap().join("docs/pitfalls.md")).unwrap();
    for row in TABLE {
        let judge = format!("\"{}\"", row.judge);
        let known = |(path, text): &(PathBuf, String)| {
            !path.ends_with("mutants.rs") && text.contains(&judge)
        };
        assert!(judges.iter().any(known), "no judge is called {}", row.judge);
        let entry = format!("| {} |", row.pitfall);
        assert!(row.pitfall.is_empty() || pitfalls.contains(&entry), "{}", row.pitfall);
        assert_eq!(row.ground == Ground::Log, row.judge == "log", "{}", row.name);
    }
}

/// Without the feature the compiler knows that nothing is planted, and leaves no line of it.
#[cfg(not(feature = "mutants"))]
const _: () = assert!(!skiff_replica::core::mutants::planted(Mutant::VotesTwice));
