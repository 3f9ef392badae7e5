//! The rules of the house: which crate may know which, how long files may get, what may not be
//! left behind. Each rule is one test; the last test shows that each rule can be broken.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// The layers, from the top. To the right stands all that a crate may use of ours.
const LAYERS: &[(&str, &[&str])] = &[
    ("skiff-cli", &["skiff", "skiff-kv", "skiff-redb", "skiff-sim", "skiff-wal"]),
    (
        "skiff-fuzz",
        &[
            "skiff-core",
            "skiff-kv",
            "skiff-replica",
            "skiff-storage",
            "skiff-tcp",
            "skiff-transport",
            "skiff-wal",
        ],
    ),
    ("skiff-redb", &["skiff", "skiff-kv"]),
    ("skiff-kv", &["skiff"]),
    ("skiff", &["skiff-replica", "skiff-tcp", "skiff-wal"]),
    ("skiff-sim", &["skiff-replica", "skiff-transport", "skiff-wal"]),
    ("skiff-replica", &["skiff-core", "skiff-storage", "skiff-transport"]),
    ("skiff-tcp", &["skiff-transport"]),
    ("skiff-wal", &["skiff-core", "skiff-storage"]),
    ("skiff-transport", &["skiff-core"]),
    ("skiff-storage", &["skiff-core"]),
    ("skiff-core", &[]),
];

/// Who may name tokio in a manifest. `skiff-kv` and `skiff-redb` only run it in tests.
const TOKIO: &[(&str, DependencyKind)] = &[
    ("skiff", DependencyKind::Normal),
    ("skiff", DependencyKind::Development),
    ("skiff-cli", DependencyKind::Normal),
    ("skiff-cli", DependencyKind::Development),
    ("skiff-kv", DependencyKind::Development),
    ("skiff-redb", DependencyKind::Development),
    ("skiff-tcp", DependencyKind::Normal),
    ("skiff-tcp", DependencyKind::Development),
];

/// Crates that must not reach tokio through others either, nor threads through it.
const WITHOUT_RUNTIME: &[&str] =
    &["skiff-core", "skiff-storage", "skiff-transport", "skiff-wal", "skiff-replica", "skiff-sim"];

const LINES_PER_FILE: usize = 600;
const LINES_OF_THE_CORE: usize = 6_500;
/// Files of the core that do not run the algorithm but look at it: they serve its tests.
const BESIDE_THE_CORE: &[&str] = &["tests.rs", "fingerprint.rs", "invariants.rs", "mutants.rs"];
/// How the head of a longer file begins its reason.
const REASON: &str = "This file is long because";
/// A reason is looked for in so many lines.
const HEAD: usize = 30;

#[test]
fn crates_depend_on_each_other_as_the_layers_say() {
    let metadata = metadata();
    let found: BTreeMap<String, BTreeSet<String>> = metadata
        .packages
        .iter()
        .map(|package| {
            let ours = package.dependencies.iter().filter(|dependency| {
                dependency.kind != DependencyKind::Development && dependency.path.is_some()
            });
            (package.name.to_string(), ours.map(|dependency| dependency.name.clone()).collect())
        })
        .collect();
    assert_kept(&edges_beside(&found, LAYERS));
}

#[test]
fn only_the_upper_layers_name_tokio() {
    let metadata = metadata();
    let named = metadata.packages.iter().flat_map(|package| {
        package
            .dependencies
            .iter()
            .filter(|dependency| dependency.name.starts_with("tokio"))
            .map(|dependency| (package.name.to_string(), dependency.kind))
    });
    assert_kept(&tokio_beside(named, TOKIO));
}

#[test]
fn the_lower_layers_do_not_reach_tokio_through_others() {
    for crate_name in WITHOUT_RUNTIME {
        let tree = tree(&["--package", crate_name, "--edges", "normal,build"]);
        assert!(tree.contains(crate_name), "no tree of {crate_name}: {tree}");
        assert!(!names_in(&tree).contains("tokio"), "{crate_name} reaches tokio:\n{tree}");
    }
}

#[test]
fn the_core_asks_no_dependency_for_std() {
    let tree = tree(&["--package", "skiff-core", "--edges", "normal,features"]);
    assert!(tree.contains("bytes"), "no tree of skiff-core: {tree}");
    assert!(!tree.contains("feature \"std\""), "skiff-core asks for std:\n{tree}");
    let lib = fs::read_to_string(root().join("crates/skiff-core/src/lib.rs")).unwrap();
    assert!(lib.lines().any(|line| line == "#![no_std]"), "skiff-core is not no_std");
}

#[test]
fn every_version_stands_in_the_workspace_manifest() {
    let mut broken = Vec::new();
    for dir in crate_dirs() {
        let manifest = dir.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        broken.extend(own_versions(&text).into_iter().map(|line| format!("{manifest:?}: {line}")));
    }
    assert_kept(&broken);
}

#[test]
fn long_files_give_a_reason() {
    let sources = files_under("src", "rs");
    assert_kept(
        &sources.iter().filter_map(|(path, text)| too_long(path, text)).collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_is_left_for_later() {
    let sources = code_files();
    assert_kept(&sources.iter().flat_map(|(path, text)| left_over(path, text)).collect::<Vec<_>>());
}

#[test]
fn the_core_stays_small() {
    let lines: usize = files_under("src", "rs")
        .iter()
        .filter(|(path, _)| path.starts_with(root().join("crates/skiff-core")))
        .filter(|(path, _)| !BESIDE_THE_CORE.iter().any(|name| path.ends_with(name)))
        .map(|(_, text)| without_tests(text).count())
        .sum();
    assert!(lines > 0, "nothing was counted");
    assert!(
        lines <= LINES_OF_THE_CORE,
        "skiff-core has {lines} lines without tests, at most {LINES_OF_THE_CORE} are allowed"
    );
}

#[test]
fn each_rule_can_be_broken() {
    let layers: &[(&str, &[&str])] = &[("upper", &["lower"]), ("lower", &[])];
    let edges = |upper: &[&str], lower: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        BTreeMap::from([("upper".to_owned(), owned(upper)), ("lower".to_owned(), owned(lower))])
    };
    assert!(edges_beside(&edges(&["lower"], &[]), layers).is_empty());
    assert_eq!(edges_beside(&edges(&["lower"], &["upper"]), layers).len(), 1, "an edge too many");
    assert_eq!(edges_beside(&edges(&[], &[]), layers).len(), 1, "an edge too few");
    assert_eq!(edges_beside(&edges(&["lower"], &[]), &layers[..1]).len(), 1, "an unlisted crate");

    let normal = [("skiff-core".to_owned(), DependencyKind::Normal)];
    assert_eq!(tokio_beside(normal.into_iter(), TOKIO).len(), 1);
    let normal = [("skiff-kv".to_owned(), DependencyKind::Normal)];
    assert_eq!(tokio_beside(normal.into_iter(), TOKIO).len(), 1, "allowed in tests only");
    assert!(names_in("skiff v0.1.0 (/x)\ntokio v1.54.1\n").contains("tokio"));

    let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\n\
        c = { workspace = true, features = [\n    \"x\",\n] }\n[target.'cfg(unix)'.dependencies]\n\
        d = { version = \"2\" }\n[dev-dependencies.e]\nversion = \"3\"\n[[bin]]\nname = \"x\"\n";
    assert_eq!(
        own_versions(manifest),
        ["b = \"1\"", "d = { version = \"2\" }", "[dev-dependencies.e]"]
    );

    let long = "x\n".repeat(LINES_PER_FILE + 1);
    assert!(too_long(Path::new("a.rs"), &long).is_some());
    assert!(too_long(Path::new("a.rs"), &long[2..]).is_none());
    assert!(too_long(Path::new("a.rs"), &format!("//! {REASON} it must.\n{long}")).is_none());

    for leftover in leftovers() {
        assert_eq!(left_over(Path::new("a.rs"), &format!("    {leftover}(x);")).len(), 1);
        assert!(left_over(Path::new("a.rs"), &format!("    // no {leftover} here")).is_empty());
    }

    let tested = "a\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod tests {\nc\n}\n";
    assert_eq!(without_tests(tested).collect::<Vec<_>>(), ["a", "#[cfg(test)]", "mod tests;", "b"]);
}

/// What differs between the edges found and those of the list.
fn edges_beside(
    found: &BTreeMap<String, BTreeSet<String>>,
    listed: &[(&str, &[&str])],
) -> Vec<String> {
    let listed: BTreeMap<&str, BTreeSet<&str>> =
        listed.iter().map(|(name, edges)| (*name, edges.iter().copied().collect())).collect();
    let found: BTreeMap<&str, BTreeSet<&str>> = found
        .iter()
        .map(|(name, edges)| (name.as_str(), edges.iter().map(String::as_str).collect()))
        .collect();
    let names: BTreeSet<&str> = listed.keys().chain(found.keys()).copied().collect();
    names
        .into_iter()
        .filter(|name| listed.get(name) != found.get(name))
        .map(|name| format!("{name}: listed {:?}, found {:?}", listed.get(name), found.get(name)))
        .collect()
}

/// Who names tokio without being on the list.
fn tokio_beside(
    named: impl Iterator<Item = (String, DependencyKind)>,
    listed: &[(&str, DependencyKind)],
) -> Vec<String> {
    named
        .filter(|(name, kind)| !listed.contains(&(name.as_str(), *kind)))
        .map(|(name, kind)| format!("{name} names tokio as a {kind} dependency"))
        .collect()
}

/// The lines of a manifest that give a dependency a version of its own.
fn own_versions(manifest: &str) -> Vec<&str> {
    let mut broken = Vec::new();
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
            if line.contains("dependencies.") {
                broken.push(line);
            }
        } else if in_dependencies
            && line.starts_with(|c: char| c.is_ascii_alphabetic())
            && !line.contains("workspace = true")
        {
            broken.push(line);
        }
    }
    broken
}

/// Whether this file is over the limit and says nothing about it.
fn too_long(path: &Path, text: &str) -> Option<String> {
    let lines = text.lines().count();
    let reason = text.lines().take(HEAD).any(|line| line.contains(REASON));
    (lines > LINES_PER_FILE && !reason).then(|| {
        format!(
            "{path:?} has {lines} lines: look for a second noun, or write `{REASON} ...` on top"
        )
    })
}

/// Where something was left for later in this file. Comments may speak of it.
fn left_over(path: &Path, text: &str) -> Vec<String> {
    let is_left = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        leftovers().iter().any(|leftover| code.contains(leftover.as_str()))
    };
    let numbered = text.lines().enumerate().filter(|(_, line)| is_left(line));
    numbered.map(|(at, line)| format!("{path:?}:{}: {}", at + 1, line.trim())).collect()
}

/// Put together here, so that this file does not find itself.
fn leftovers() -> [String; 3] {
    ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!"))
}

/// The lines of a file up to its test module.
fn without_tests(text: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    let count = end.unwrap_or(lines.len());
    lines.into_iter().take(count)
}

/// The names of the crates in a listing of `cargo tree`.
fn names_in(tree: &str) -> BTreeSet<&str> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

fn assert_kept(broken: &[String]) {
    assert!(broken.is_empty(), "broken here:\n  {}", broken.join("\n  "));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// What the manifests say. Nothing is resolved, so nothing is downloaded.
fn metadata() -> Metadata {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata")
}

/// What cargo resolves for the machine this runs on.
fn tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--prefix", "none"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo tree");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree failed: {complaint}");
    String::from_utf8(output.stdout).expect("utf-8")
}

fn crate_dirs() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("crates")).expect("the crates");
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    dirs.retain(|dir| dir.join("Cargo.toml").is_file());
    dirs.sort();
    assert!(!dirs.is_empty(), "no crates found");
    dirs
}

/// All files of this kind below this folder of each crate, with what is in them.
fn files_under(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = crate_dirs().iter().map(|dir| dir.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    found
}

/// All code there is: sources, tests, examples, benchmarks.
fn code_files() -> Vec<(PathBuf, String)> {
    let folders = ["src", "tests", "examples", "benches"];
    let found: Vec<_> = folders.iter().flat_map(|folder| files_under(folder, "rs")).collect();
    assert!(!found.is_empty(), "no code found");
    found
}
