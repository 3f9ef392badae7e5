//! Every name of the original's README leads to its place in the docs: as the name of an item, or
//! as a `doc(alias)`.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{fs, path::Path};

const NAMES: &[&str] = &[
    "Node",
    "id",
    "cluster",
    "transport",
    "persistence",
    "uuid",
    "heartbeatInterval",
    "minElectionTimeout",
    "maxElectionTimeout",
    "join",
    "peers",
    "command",
    "ENOTLEADER",
    "err.leader",
    "err.code",
    "error",
    "state",
    "loaded",
    "election timeout",
    "applied log",
    "connect",
    "invoke",
    "listen",
    "close",
    "saveMeta",
    "loadMeta",
    "applyLog",
    "lastAppliedCommitIndex",
];

fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_name_of_the_original_is_found() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut text = String::new();
    for name in ["skiff", "skiff-replica", "skiff-storage", "skiff-transport"] {
        sources(&crates.join(name).join("src"), &mut text);
    }
    let found = |name: &str| {
        text.contains(&format!("#[doc(alias = \"{name}\")]"))
            || text.contains(&format!("fn {name}("))
            || text.contains(&format!("pub struct {name}<"))
    };
    let missing: Vec<&str> = NAMES.iter().copied().filter(|name| !found(name)).collect();
    assert!(missing.is_empty(), "not found: {missing:?}");
    assert!(!found("no such name"));
}
