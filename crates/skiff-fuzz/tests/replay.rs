//! What fuzzing keeps is replayed: the corpus and the regressions of each target, through the function
//! that the fuzzer calls, with an eye on memory.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    alloc::System,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use skiff_fuzz::{TARGETS, Target};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Where inputs are kept, a folder for each target.
const KEPT: [&str; 2] = ["corpus", "regressions"];
/// All that is kept together has at most so many bytes.
const LIMIT: u64 = 1 << 20;
/// So many inputs are made up for each target.
const MADE_UP: u64 = 200;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The files in a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Runs a target, and tells how much memory it has asked for.
fn run(target: &Target, input: &[u8]) -> usize {
    // Memory is counted for the whole process.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let region = Region::new(COUNTED);
    (target.run)(input);
    region.change().bytes_allocated
}

fn check(target: &Target, input: &[u8], what: &str) {
    let asked = run(target, input);
    let (base, each) = target.memory;
    let limit = base + each * input.len();
    assert!(asked <= limit, "{} asks for {asked} bytes, not {limit}, for {what}", target.name);
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let mut replayed = 0;
    for kept in KEPT {
        for path in files(&fuzz().join(kept).join(name)) {
            println!("{}", path.display());
            check(target, &fs::read(&path).unwrap(), &path.display().to_string());
            replayed += 1;
        }
    }
    assert!(replayed > 0, "nothing is kept for {name}");
    made_up(target);
}

/// Bytes that look random, the same each time.
fn made_up(target: &Target) {
    let mut state = 0x5eed_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    for number in 0..MADE_UP {
        let length = usize::from(next()) * usize::from(next()) % 2_000;
        let input: Vec<u8> = (0..length).map(|_| next()).collect();
        println!("made up: {number}");
        check(target, &input, "bytes that are made up");
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

replays! {
    frames handshake identity kv log_bytes log_damage payload replica snapshot step wire
}

#[test]
fn each_target_is_replayed_and_has_its_folders_and_its_file() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names, REPLAYED.iter().map(ToString::to_string).collect());
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let called: BTreeSet<String> =
        files(&fuzz().join("fuzz_targets")).into_iter().map(stem).collect();
    assert_eq!(names, called);
    let corpora: BTreeSet<String> = files(&fuzz().join("corpus")).into_iter().map(stem).collect();
    assert_eq!(names, corpora);
    let regressions = files(&fuzz().join("regressions")).into_iter().map(stem);
    assert!(regressions.collect::<BTreeSet<_>>().is_subset(&names));
}

#[test]
fn little_is_kept() {
    let folders = KEPT.iter().flat_map(|kept| files(&fuzz().join(kept)));
    let all = folders.flat_map(|folder| files(&folder));
    let bytes: u64 = all.map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(bytes <= LIMIT, "{bytes} bytes are kept, at most {LIMIT} may be");
}

#[test]
fn memory_is_counted() {
    let greedy = Target {
        name: "greedy",
        run: |input| drop(vec![0_u8; 50_000 * input.len()]),
        memory: (0, 0),
    };
    assert!(run(&greedy, &[1, 2]) >= 100_000);
}
