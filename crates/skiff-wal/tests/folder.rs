//! Folders in a real file system: who may use them, and what else may lie in them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, id},
};

use bytes::Bytes;
use skiff_core::{Entry, Index, LogTime, NodeId, Payload, Term, Write};
use skiff_storage::{
    Done, OnLostData, Opening, Persistence, SnapshotMeta, Standing, Store, StoreError,
};
use skiff_wal::{
    DiskPersistence, FORMAT,
    disk::{Disk, files::FileDisk},
    inspect::inspect,
};
use tempfile::TempDir;

fn opening() -> Opening {
    Opening {
        cluster: "orders".to_owned(),
        name: Some("a".to_owned()),
        fresh_name: String::new(),
        fresh_node: NodeId(1),
        on_lost_data: OnLostData::Refuse,
        rejoin: false,
    }
}

fn persistence(dir: &Path) -> DiskPersistence {
    DiskPersistence::new(dir).segment_size(64 << 10)
}

fn open(dir: &Path) -> Store {
    persistence(dir).open(&opening()).unwrap()
}

fn refusal(dir: &Path) -> StoreError {
    persistence(dir).open(&opening()).unwrap_err()
}

fn write(store: &mut Store, index: u64) {
    let (tell, told) = std::sync::mpsc::channel();
    let payload = Payload::Command(Bytes::from_static(b"command"));
    let entry = Entry { term: Term(1), index: Index(index), time: LogTime(1), payload };
    let write = Write { entries: vec![entry], ..Write::default() };
    store.log.write(write, Done::new(move |result| tell.send(result).unwrap())).unwrap();
    told.recv().unwrap().unwrap();
}

#[test]
fn only_the_owner_may_look() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("made/on/the/way");
    let store = open(&data);
    store.snapshots.save(&SnapshotMeta::default(), b"content").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let mut files = 0;
    for file in fs::read_dir(&data).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
        files += 1;
    }
    assert!(files >= 4);
}

#[test]
fn a_second_opening_names_the_holder() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let StoreError::Locked { path, holder } = refusal(dir.path()) else {
        panic!("not locked");
    };
    assert_eq!((path.as_path(), holder.as_str()), (dir.path(), "this process already"));
    drop(store);
    drop(open(dir.path()));
}

/// Set for the process that the next test starts: the folder it is to open.
const OTHER: &str = "SKIFF_TEST_OTHER_PROCESS";

#[test]
fn a_second_process_is_told_the_number_of_the_first() {
    if let Some(dir) = env::var_os(OTHER) {
        let error = refusal(Path::new(&dir));
        println!("refused: {error}");
        return;
    }
    let dir = TempDir::new().unwrap();
    let _store = open(dir.path());
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_second_process_is_told_the_number_of_the_first", "--nocapture"])
        .env(OTHER, dir.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout);
    let expected = format!("is in use by process {}", id());
    assert!(output.contains(&expected), "{output}");
}

#[test]
fn a_newer_format_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    for name in ["IDENTITY", "log-00000000000000000001"] {
        let path = dir.path().join(name);
        let old = fs::read(&path).unwrap();
        let mut newer = old.clone();
        newer[12..16].copy_from_slice(&(FORMAT + 1).to_le_bytes());
        fs::write(&path, newer).unwrap();
        let error = refusal(dir.path());
        let StoreError::NewerFormat { path: named, found, known } = error else {
            panic!("{name}: {error}");
        };
        assert_eq!((named, found, known), (path.clone(), FORMAT + 1, FORMAT));
        fs::write(&path, old).unwrap();
    }
    drop(open(dir.path()));
}

#[test]
fn a_folder_of_another_node_or_cluster_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    let cluster = Opening { cluster: "payments".to_owned(), ..opening() };
    let name = Opening { name: Some("b".to_owned()), ..opening() };
    for (opening, what) in [(cluster, "cluster"), (name, "node")] {
        let error = persistence(dir.path()).open(&opening).unwrap_err();
        assert!(matches!(error, StoreError::Foreign { what: found, .. } if found == what));
    }
    assert_eq!(open(dir.path()).identity.boot, 2, "a refusal is no boot");
}

#[test]
fn files_of_others_are_left_alone_and_told() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    for boot in 1..3 {
        fs::write(dir.path().join("log-1"), "no segment's name").unwrap();
        let mut store = open(dir.path());
        assert_eq!((store.identity.boot, store.identity.standing), (boot, Standing::Fresh));
        let remarks = store.log.load().unwrap().remarks;
        let told = |name: &str| remarks.iter().any(|remark| remark.starts_with(name));
        assert!(told("log-1 ") && told("lost+found "), "{remarks:?}");
        assert_eq!(fs::read(dir.path().join("log-1")).unwrap(), b"no segment's name");
    }
}

#[test]
fn a_folder_can_be_looked_at_while_it_is_used() {
    let dir = TempDir::new().unwrap();
    let mut store = open(dir.path());
    (1..20).for_each(|index| write(&mut store, index));
    let inspection = inspect(dir.path()).unwrap();
    assert_eq!(inspection.identity().unwrap(), Some(&store.identity));
    let found = inspection.verify().unwrap();
    assert_eq!(found.last.index, Index(19));
    assert!(found.remarks.is_empty(), "{:?}", found.remarks);
    write(&mut store, 20);
}

#[test]
fn a_copy_of_the_folder_is_a_folder() {
    let (dir, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut store = open(dir.path());
    (1..100).for_each(|index| write(&mut store, index));
    // As after `kill -9`: nothing was closed.
    for file in fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let mut copied = open(copy.path());
    assert_eq!(copied.log.load().unwrap().last.index, Index(99));
    assert_eq!(copied.identity.boot, 2);
}

#[test]
fn a_real_folder_tells_the_room_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FileDisk::new(dir.path());
    let space = disk.space().unwrap().expect("this file system has a size");
    assert!(0 < space.free && space.free <= space.total, "{space:?}");
    assert!(FileDisk::new(dir.path().join("not there")).space().is_err());
}
