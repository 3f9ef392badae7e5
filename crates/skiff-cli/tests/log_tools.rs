//! `skiff log` on directories that are damaged in every way: what it says, that it ends with the exit
//! code that it promises, and that it changes nothing.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Output,
    sync::mpsc,
};

use common::{Cluster, Server, free_address, path, said, segments, skiff};
use rustix::process::geteuid;
use skiff::{
    Encoded, LogTime,
    core::{Entry, HardState, Index, Membership, Node, NodeId, Payload, Position, Term, Write},
    storage::{
        Done, Identity, InstanceId, OnLostData, Opening, Persistence, Recovered, SnapshotMeta,
        Standing, Store, StoreError,
    },
};
use skiff_kv::Command;
use skiff_wal::DiskPersistence;

const SOUND: i32 = 0;
const CANNOT: i32 = 1;
const DAMAGED: i32 = 5;

/// Every way to look at a directory.
const LOOKS: [&[&str]; 7] = [
    &["dump"],
    &["dump", "--json"],
    &["verify"],
    &["repair-plan"],
    &["repair-plan", "--json"],
    &["export"],
    &["export", "--json"],
];

/// The directory of a node `a` in a cluster of so many voters, with entries 2 to 9 of term 1 and 10 to
/// 13 of term 2, each entry in a batch of its own, in several files.
struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    fn of_cluster(voters: u128) -> Self {
        Self::with(voters, Standing::Member)
    }

    fn with(voters: u128, standing: Standing) -> Self {
        let kept = Self { folder: tempfile::tempdir().unwrap() };
        let mut store = kept.open();
        let mut membership = Membership::of((1..=voters).map(NodeId));
        for (id, node) in &mut membership.nodes {
            let name = char::from(b'a' + u8::try_from(id.0 - 1).unwrap()).to_string();
            *node = Node { name, address: format!("127.0.0.1:700{}", id.0) };
        }
        let instance = InstanceId(5);
        let position = Position::new(1, 1);
        let (codec, machine_version) = ("codec".to_owned(), 1);
        let meta = SnapshotMeta {
            instance,
            position,
            membership,
            machine_version,
            codec,
            ..SnapshotMeta::default()
        };
        store.snapshots.save(&meta, b"the beginning").unwrap();
        let identity = Identity { standing, instance: Some(instance), ..store.identity.clone() };
        store.log.identify(&identity).unwrap();
        write(&mut store, Write { begin_after: Some(position), ..bare(1) });
        for index in 2..14 {
            let term = if index < 10 { 1 } else { 2 };
            write(&mut store, Write { entries: vec![entry(term, index)], ..bare(term) });
        }
        kept
    }

    fn open(&self) -> Store {
        open(&self.dir()).unwrap().0
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    fn snapshot(&self) -> PathBuf {
        self.file("snapshot-00000000000000000001-00000000000000000001")
    }

    /// Flips a bit in what the entries with these indexes hold; the file of the last one.
    fn flip(&self, indexes: &[u64]) -> PathBuf {
        let holding = |value: &[u8]| {
            segments(&self.dir()).into_iter().find_map(|file| {
                let bytes = fs::read(&file).unwrap();
                let at = bytes.windows(value.len()).position(|window| window == value);
                at.map(|at| (file, bytes, at))
            })
        };
        let mut last = PathBuf::new();
        for index in indexes {
            let (file, mut bytes, at) = holding(value(*index).as_bytes()).unwrap();
            bytes[at] ^= 1;
            fs::write(&file, bytes).unwrap();
            last = file;
        }
        last
    }

    fn look(&self, how: &[&str]) -> Output {
        look(&self.dir(), how)
    }

    /// What is said on stdout, and the exit code that it must be.
    fn out(&self, how: &[&str], exit: i32) -> String {
        let output = self.look(how);
        assert_eq!(output.status.code(), Some(exit), "{how:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn plan(&self, exit: i32) -> serde_json::Value {
        serde_json::from_str(&self.out(&["repair-plan", "--json"], exit)).unwrap()
    }

    fn export(&self, exit: i32) -> Vec<serde_json::Value> {
        let text = self.out(&["export", "--json"], exit);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Opens a directory as a node does.
fn open(dir: &Path) -> Result<(Store, Recovered), StoreError> {
    let opening = Opening {
        cluster: "skiff".to_owned(),
        name: Some("a".to_owned()),
        fresh_name: String::new(),
        fresh_node: NodeId(1),
        on_lost_data: OnLostData::Mend,
        rejoin: false,
    };
    let mut store = DiskPersistence::new(dir).segment_size(4 << 10).open(&opening)?;
    let recovered = store.log.load()?;
    Ok((store, recovered))
}

/// Starts on the directory, as far as that takes no other node: what a plan should have said.
fn start(dir: &Path) -> &'static str {
    let Ok((store, recovered)) = open(dir) else { return "refuses" };
    let is_member = store.identity.standing == Standing::Member;
    let snapshot = match store.snapshots.newest() {
        Ok(snapshot) => snapshot.map(|(meta, _)| meta.position),
        Err(_) => return "refuses",
    };
    match is_member {
        false => "new",
        true if snapshot != Some(recovered.base) => "refuses",
        true if recovered.holes.is_empty() => "goes_on",
        true => "mends",
    }
}

fn bare(term: u64) -> Write {
    Write { hard_state: HardState { term: Term(term), vote: None }, ..Write::default() }
}

fn value(index: u64) -> String {
    format!("value-of-{index:03}")
}

fn entry(term: u64, index: u64) -> Entry {
    let command = Command::put(format!("key-{index}"), value(index));
    let payload = Payload::Command(command.encode().unwrap());
    Entry { term: Term(term), index: Index(index), time: LogTime(1_000 + index), payload }
}

fn write(store: &mut Store, write: Write) {
    let (tell, told) = mpsc::channel();
    store.log.write(write, Done::new(move |result| tell.send(result).unwrap())).unwrap();
    told.recv().unwrap().unwrap();
}

fn look(dir: &Path, how: &[&str]) -> Output {
    skiff(&[&["log", how[0], path(dir)], &how[1..]].concat())
}

fn says(text: &str, all: &[&str]) {
    for one in all {
        assert!(text.contains(one), "`{one}` is missing in: {text}");
    }
}

/// Everything that would tell of a change: names, kinds, rights, times, lengths, and what is in them.
fn state(dir: &Path) -> Vec<(PathBuf, u32, i64, i64, u64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut paths = vec![dir.to_owned()];
    while let Some(path) = paths.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let content = if metadata.is_file() { fs::read(&path).unwrap_or_default() } else { vec![] };
        let (mode, size) = (metadata.mode(), metadata.size());
        found.push((path, mode, metadata.mtime(), metadata.mtime_nsec(), size, content));
    }
    found.sort();
    found
}

/// Looks in every way there is: none of them changes anything, none panics, and all end with a code that
/// is promised, and with words if it is not 0.
fn look_in_every_way(dir: &Path) -> Vec<i32> {
    let before = state(dir);
    let codes = LOOKS.iter().map(|how| {
        let output = look(dir, how);
        let code = output.status.code();
        let text = said(&output);
        assert!(matches!(code, Some(SOUND | CANNOT | DAMAGED)), "{how:?}: {code:?} {text}");
        assert!(!text.contains("panicked"), "{how:?}: {text}");
        assert!(code == Some(SOUND) || !output.stderr.is_empty(), "{how:?} says nothing");
        code.unwrap()
    });
    let codes = codes.collect();
    assert!(state(dir) == before, "something has changed in {}", dir.display());
    codes
}

#[test]
fn a_sound_directory_is_shown_in_every_way() {
    let kept = Kept::of_cluster(3);
    assert_eq!(look_in_every_way(&kept.dir()), [SOUND; 7]);
    let verified = kept.out(&["verify"], SOUND);
    says(&verified, &["is sound: 12 entries, from 2 to 13, term 2, in ", "0 mended pieces"]);
    let plan = kept.plan(SOUND);
    assert_eq!((&plan["start"], &plan["refused"]), (&"goes_on".into(), &serde_json::Value::Null));
    let exported = kept.export(SOUND);
    let indexes: Vec<u64> = exported.iter().map(|line| line["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, (2..14).collect::<Vec<_>>());
    assert!(exported.iter().all(|line| line["certain"] == true));
    let expected = serde_json::json!({
        "index": 11, "term": 2, "time": 1_011, "kind": 1, "certain": true,
        "holds": "put \"key-11\", 12 bytes",
        "payload": "01066b65792d31310c76616c75652d6f662d303131",
    });
    assert_eq!(exported[9], expected);
    let words = kept.out(&["export"], SOUND);
    assert!(words.starts_with("2/t1  time 1002  kind 1  put \"key-2\", 12 bytes\n"), "{words}");
}

#[test]
fn a_hole_is_told_with_what_a_start_does_about_it() {
    let kept = Kept::of_cluster(3);
    let file = kept.flip(&[6, 7, 8]);
    assert_eq!(look_in_every_way(&kept.dir()), [DAMAGED; 7]);
    let verified = said(&kept.look(&["verify"]));
    says(
        &verified,
        &[
            "is damaged: 12 entries, from 2 to 13, 3 of them damaged",
            "entries 6 to 8 are damaged: ",
            "at byte ",
            "was written after it was synced",
            "the node gets them back from the other members by itself when it is started",
        ],
    );
    let plan = kept.out(&["repair-plan"], DAMAGED);
    says(
        &plan,
        &[
            "asked of `b` at 127.0.0.1:7002 and `c` at 127.0.0.1:7003: entries 6 to 8, of which the \
             last one is of term 1",
            "start      mends: ",
            "advice     start the node and see that `b` at 127.0.0.1:7002 and `c` at \
             127.0.0.1:7003 run",
        ],
    );
    assert!(plan.lines().last().unwrap().starts_with("advice "), "{plan}");
    let plan = kept.plan(DAMAGED);
    assert_eq!(plan["start"], "mends");
    let hole = &plan["holes"][0];
    assert_eq!((&hole["first"], &hole["last"]), (&6.into(), &8.into()));
    assert_eq!(hole["last_term"], 1);
    assert!(Path::new(hole["path"].as_str().unwrap()).exists(), "{hole}");
    assert_eq!(plan["asked"][1]["address"], "127.0.0.1:7003");

    let exported = kept.export(DAMAGED);
    let shown = |line: &serde_json::Value| {
        (line["index"].as_u64().unwrap(), line["certain"].as_bool().unwrap())
    };
    let before = (2..6).map(|index| (index, false));
    let expected: Vec<_> = before.chain((9..14).map(|index| (index, true))).collect();
    assert_eq!(exported.iter().map(shown).collect::<Vec<_>>(), expected);
    let aside = String::from_utf8(kept.look(&["export"]).stderr).unwrap();
    says(&aside, &["missing: entries 6 to 8, up to term 1: ", "not certain: entries 2 to 5"]);
    assert!(file.starts_with(kept.dir()));
}

#[test]
fn each_of_several_holes_is_told() {
    let kept = Kept::of_cluster(2);
    kept.flip(&[3, 8, 11]);
    let plan = kept.plan(DAMAGED);
    let firsts: Vec<_> =
        plan["holes"].as_array().unwrap().iter().map(|hole| &hole["first"]).collect();
    assert_eq!(firsts, [3, 8, 11]);
    says(&said(&kept.look(&["verify"])), &["entry 3 is damaged", "entry 8 is", "entry 11 is"]);
    assert_eq!(kept.export(DAMAGED).len(), 9);
}

/// The cluster gives back what is damaged; how much of the log that is, is told from then on.
#[test]
fn what_was_mended_is_counted() {
    let kept = Kept::of_cluster(3);
    kept.flip(&[6]);
    let mut store = kept.open();
    store.log.mend(Position::new(1, 5), &[entry(1, 6)]).unwrap();
    drop(store);
    says(&kept.out(&["verify"], SOUND), &["and 1 mended piece\n"]);
    assert_eq!(kept.plan(SOUND)["log"]["mended"], 1);
    assert_eq!(kept.export(SOUND).len(), 12);
}

#[test]
fn a_voter_without_others_is_told_that_nobody_has_it() {
    let kept = Kept::of_cluster(1);
    let file = kept.flip(&[5]);
    let plan = kept.plan(DAMAGED);
    assert_eq!(plan["start"], "refuses");
    says(plan["refused"].as_str().unwrap(), &["the only voter"]);
    says(plan["advice"].as_str().unwrap(), &["put ", path(&file), "skiff log export"]);
    assert_eq!(kept.export(DAMAGED).len(), 11);
}

/// The last write before a crash, of which a part is not there.
#[test]
fn a_torn_write_is_told_and_is_no_damage() {
    let kept = Kept::of_cluster(3);
    let store = kept.open();
    // As after `kill -9`: no mark of the end.
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(kept.dir()).unwrap().map(|file| file.unwrap().path()) {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    drop(store);
    // Files that are made ahead hold none.
    let last_batch = |file: &PathBuf| {
        fs::read(file).unwrap().windows(8).rposition(|window| window == b"SKIFFBAT")
    };
    let files = segments(copy.path()).into_iter().rev();
    let (file, at) =
        files.filter_map(|file| Some((file.clone(), last_batch(&file)?))).next().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[at + 170] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert_eq!(look_in_every_way(copy.path()), [SOUND; 7]);
    let plan = said(&look(copy.path(), &["repair-plan"]));
    says(&plan, &["dropped    the last write, batch ", "nobody was told", "goes on"]);
}

#[test]
fn what_is_refused_is_told_with_what_to_do() {
    let refusal = |spoil: &dyn Fn(&Kept), exit: i32, why: &[&str], advice: &[&str]| {
        let kept = Kept::of_cluster(3);
        spoil(&kept);
        let codes = look_in_every_way(&kept.dir());
        assert!(codes[2..].iter().all(|code| *code == exit), "{codes:?}");
        let plan = kept.plan(exit);
        assert_eq!(plan["start"], "refuses", "{plan}");
        says(plan["refused"].as_str().unwrap(), why);
        says(plan["advice"].as_str().unwrap(), advice);
        says(&kept.out(&["repair-plan"], exit), &[plan["advice"].as_str().unwrap()]);
    };
    let remove = |path: PathBuf| fs::remove_file(path).unwrap();
    refusal(
        &|kept| remove(kept.file("IDENTITY")),
        DAMAGED,
        &["IDENTITY is missing"],
        &["put what is missing", "as it was when the node last ran"],
    );
    refusal(
        &|kept| fs::write(kept.file("IDENTITY"), "nothing like it").unwrap(),
        DAMAGED,
        &["IDENTITY is damaged"],
        &["IDENTITY back as it was"],
    );
    refusal(
        &|kept| newer(&kept.file("IDENTITY")),
        CANNOT,
        &["format 7"],
        &["the version of skiff that wrote this"],
    );
    refusal(
        &|kept| remove(segments(&kept.dir()).pop().unwrap()),
        DAMAGED,
        &["is missing, in which"],
        &["put what is missing", "skiff log export"],
    );
    refusal(
        &|kept| segments(&kept.dir()).into_iter().for_each(remove),
        DAMAGED,
        &["the log is missing beside IDENTITY"],
        &["put what is missing"],
    );
    refusal(
        &|kept| fs::write(kept.snapshot(), "not at all").unwrap(),
        DAMAGED,
        &["snapshot-", "is damaged"],
        &["back from any copy of it"],
    );
    refusal(
        &|kept| remove(kept.snapshot()),
        DAMAGED,
        &["no snapshot reaches that far"],
        &["put what is missing"],
    );
    refusal(
        &|kept| {
            let file = segments(&kept.dir()).remove(1);
            remove(file.clone());
            fs::create_dir(file).unwrap();
        },
        CANNOT,
        &["cannot read", "directory"],
        &["see to it that", "can be read"],
    );
    refusal(
        &|kept| {
            remove(kept.file("LOCK"));
            fs::create_dir(kept.file("LOCK")).unwrap();
        },
        SOUND,
        &["LOCK cannot be written to"],
        &["a file must be a plain one"],
    );
}

fn newer(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[12..16].copy_from_slice(&7_u32.to_le_bytes());
    fs::write(file, bytes).unwrap();
}

/// All that stands in other files is shown, although the log could not be opened.
#[test]
fn a_file_that_cannot_be_opened_hides_no_other() {
    let kept = Kept::of_cluster(3);
    let all = segments(&kept.dir());
    let whole = kept.export(SOUND).len();
    fs::remove_file(&all[1]).unwrap();
    fs::create_dir(&all[1]).unwrap();
    let left = kept.export(CANNOT);
    assert!(left.len() < whole && left.last().unwrap()["index"] == 13, "{left:?}");
    assert!(left.iter().all(|line| line["certain"] == false));
}

#[test]
fn a_removed_node_and_a_new_one_are_told() {
    let kept = Kept::with(3, Standing::Removed);
    let plan = kept.plan(SOUND);
    says(plan["refused"].as_str().unwrap(), &["`a` was removed from its cluster"]);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(look_in_every_way(empty.path()), [SOUND; 7]);
    let plan = said(&look(empty.path(), &["repair-plan"]));
    says(&plan, &["start      makes a new node here", "if it was a member before"]);
    says(&said(&look(empty.path(), &["export"])), &["holds nothing yet"]);
}

#[test]
fn what_is_no_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name| folder.path().join(name);
    fs::write(at("file"), "a file").unwrap();
    symlink(at("loop"), at("loop")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    for name in ["file", "loop", "dangling", "nothing"] {
        for how in LOOKS {
            let output = look(&at(name), how);
            assert_eq!(output.status.code(), Some(CANNOT), "{}", said(&output));
            says(&said(&output), &[path(&at(name)), "skiff serve --data-dir"]);
        }
    }
}

#[test]
fn links_in_place_of_files_are_followed_or_told() {
    let kept = Kept::of_cluster(3);
    let (file, moved) = (segments(&kept.dir()).remove(0), kept.folder.path().join("elsewhere"));
    fs::rename(&file, &moved).unwrap();
    symlink(&moved, &file).unwrap();
    assert_eq!(look_in_every_way(&kept.dir()), [SOUND; 7]);
    fs::remove_file(&file).unwrap();
    symlink(&file, &file).unwrap();
    assert_eq!(look_in_every_way(&kept.dir())[2..], [CANNOT; 5]);
    fs::remove_file(&file).unwrap();
    // It reaches from entry 1 on, and nothing that is left says so but the next one.
    symlink("/dev/zero", &file).unwrap();
    assert_eq!(look_in_every_way(&kept.dir()), [DAMAGED; 7]);
}

/// What could be read is not read at all if it says that it is short and is longer than memory.
#[test]
fn a_snapshot_without_end_is_damaged() {
    let kept = Kept::of_cluster(3);
    let file = fs::OpenOptions::new().write(true).open(kept.snapshot()).unwrap();
    file.set_len(1 << 42).unwrap();
    let output = kept.look(&["repair-plan"]);
    assert_eq!(output.status.code(), Some(DAMAGED), "{}", said(&output));
    says(&said(&output), &["is damaged at byte", "the checksum of its content is wrong"]);
}

#[test]
fn a_directory_that_is_read_only_is_shown_and_not_started() {
    let kept = Kept::of_cluster(3);
    let set = |mode| fs::set_permissions(kept.dir(), fs::Permissions::from_mode(mode)).unwrap();
    set(0o500);
    assert_eq!(look_in_every_way(&kept.dir()), [SOUND; 7]);
    let plan = kept.plan(SOUND);
    set(0o700);
    // Root may write everywhere.
    if !geteuid().is_root() {
        assert_eq!(plan["start"], "refuses");
        says(plan["refused"].as_str().unwrap(), &["cannot be written to"]);
    }
}

#[test]
fn a_directory_in_use_is_shown_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (listen, dir) = (free_address(), folder.path().join("data"));
    let mut server = Server::start(&["--listen", &listen, "--data-dir", path(&dir), "--bootstrap"]);
    server.hear("leads in term");
    let plan = |dir: &Path| said(&look(dir, &["repair-plan", "--json"]));
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            for number in 0..30 {
                let put = skiff(&["put", &format!("key-{number}"), "value", "--nodes", &listen]);
                assert!(put.status.success(), "{}", said(&put));
            }
        });
        while !writes.is_finished() {
            for how in LOOKS.iter().filter(|how| how[0] != "dump") {
                let output = look(&dir, how);
                assert_eq!(output.status.code(), Some(SOUND), "{how:?}: {}", said(&output));
            }
        }
    });
    let pid = server.pid();
    let found: serde_json::Value = serde_json::from_str(&plan(&dir)).unwrap();
    assert_eq!((&found["in_use_by"], &found["start"]), (&pid.into(), &"refuses".into()));
    says(found["advice"].as_str().unwrap(), &[&format!("do nothing: process {pid}")]);
    assert!(server.runs());
    server.kill();
    // The number stands there still, and holds nothing.
    let found: serde_json::Value = serde_json::from_str(&plan(&dir)).unwrap();
    assert_eq!(
        (&found["in_use_by"], &found["start"]),
        (&serde_json::Value::Null, &"goes_on".into())
    );
}

/// A number that looks random; the next one for each call.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap()
}

/// Does something to a file of the directory.
fn spoil(dir: &Path, state: &mut u64) {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    if files.is_empty() {
        return;
    }
    let file = &files[random(state) % files.len()];
    let mut bytes = fs::read(file).unwrap();
    let at = random(state) % (bytes.len() + 1);
    match random(state) % 7 {
        0 | 1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x10),
        2 => bytes.iter_mut().skip(at).take(512).for_each(|byte| *byte = 0),
        3 => bytes.truncate(at),
        4 => return fs::remove_file(file).unwrap(),
        5 => {
            let other = &files[random(state) % files.len()];
            bytes = fs::read(other).unwrap();
            fs::write(other, fs::read(file).unwrap()).unwrap();
        }
        _ => {
            fs::remove_file(file).unwrap();
            return fs::create_dir(file).unwrap();
        }
    }
    fs::write(file, bytes).unwrap();
}

/// And a start does what the plan said.
#[test]
fn nothing_is_changed_and_nothing_panics_whatever_stands_there() {
    let sound = Kept::of_cluster(3);
    let holed = Kept::of_cluster(3);
    holed.flip(&[6]);
    let mut store = holed.open();
    store.log.mend(Position::new(1, 5), &[entry(1, 6)]).unwrap();
    drop(store);
    let mut seen = [0; 6];
    for case in 0..24 {
        let from = if case % 2 == 0 { &sound } else { &holed };
        let folder = tempfile::tempdir().unwrap();
        for file in fs::read_dir(from.dir()).unwrap().map(|file| file.unwrap().path()) {
            fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
        let mut state = case;
        (0..=case % 4).for_each(|_| spoil(folder.path(), &mut state));
        for code in look_in_every_way(folder.path()) {
            seen[usize::try_from(code).unwrap()] += 1;
        }
        let plan = look(folder.path(), &["repair-plan", "--json"]);
        let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
        assert_eq!(plan["start"], start(folder.path()), "case {case}: {plan:#}");
    }
    assert!(seen[0] > 0 && seen[1] > 0 && seen[5] > 0, "too little variety: {seen:?}");
}

/// Flips a bit of what holds this value in each file of the log.
fn flip_value(dir: &Path, value: &str) {
    for file in segments(dir) {
        let mut bytes = fs::read(&file).unwrap();
        let found = bytes.windows(value.len()).position(|window| window == value.as_bytes());
        if let Some(at) = found {
            bytes[at] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
    }
}

#[test]
fn a_node_alone_that_lost_entries_ends_with_the_exit_code_of_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (listen, dir) = (free_address(), folder.path().join("data"));
    let args = ["--listen", &listen, "--data-dir", path(&dir), "--bootstrap"];
    let mut server = Server::start(&args);
    server.hear("leads in term");
    for value in ["first-value", "second-value"] {
        assert!(skiff(&["put", "key", value, "--nodes", &listen]).status.success());
    }
    server.kill();
    flip_value(&dir, "first-value");
    says(&said(&look(&dir, &["repair-plan"])), &["refuses: this node is the only voter"]);
    let mut server = Server::start(&args);
    server.hear("this node is the only voter of its cluster");
    assert_eq!(server.ended().code(), Some(DAMAGED));
}

#[test]
fn nodes_whose_cluster_has_lost_entries_end_with_the_exit_code_of_damage() {
    let mut cluster = Cluster::formed();
    for value in ["first-value", "second-value"] {
        let put = cluster.run(&["put", "key", value]);
        assert!(put.status.success(), "{}", said(&put));
    }
    for node in 0..3 {
        cluster.kill(node);
        flip_value(&cluster.dir(node), "first-value");
        let plan = said(&look(&cluster.dir(node), &["repair-plan"]));
        says(&plan, &["start      mends", "asked of"]);
    }
    (0..3).for_each(|node| cluster.start(node));
    for node in 0..3 {
        let server = cluster.servers[node].as_mut().unwrap();
        server.hear("every other voter has answered that it cannot give them");
        assert_eq!(server.ended().code(), Some(DAMAGED));
    }
}
