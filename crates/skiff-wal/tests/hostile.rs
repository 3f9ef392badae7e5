//! Bytes that nobody wrote: opening and inspecting never panics, whatever stands in the files.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::env;

use common::*;
use proptest::{
    collection::vec,
    prelude::{ProptestConfig, any, proptest},
    sample::Index as Pick,
};
use skiff_core::{Index, Position};
use skiff_storage::{Hole, LogReader, SnapshotMeta, SnapshotStore};
use skiff_wal::{disk::sim::SimDisk, inspect::Inspection};

/// A folder with everything in it: several segments, a snapshot, an identity.
fn folder() -> SimDisk {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let meta = SnapshotMeta {
        position: Position::new(1, 1),
        codec: "codec".to_owned(),
        ..SnapshotMeta::default()
    };
    opened.snapshots.save(&meta, b"a snapshot").unwrap();
    put(&mut opened.log, begin_after(1, 1, append(1, 2, 9)));
    put(&mut opened.log, cut(5, append(2, 5, 9)));
    put(&mut opened.log, vote(3, 1));
    close(opened);
    disk
}

/// Looks at everything there is in every way there is.
fn look(disk: &SimDisk) {
    let inspection = Inspection::of(disk.clone()).unwrap();
    let _ = inspection.identity();
    let _ = inspection.segments();
    let _ = inspection.snapshots();
    let verified = inspection.verify();
    let mut entries = 0;
    inspection
        .walk(|finding| {
            entries += usize::from(matches!(finding, skiff_wal::inspect::Finding::Batch { .. }))
        })
        .unwrap();
    assert!(entries <= 10_000);
    match try_open(disk, TINY) {
        Ok(mut opened) => {
            assert!(verified.is_ok(), "{verified:?}");
            let model = Model::of(&opened);
            let _ = opened.snapshots.newest();
            let next = model.last().index.0 + 1;
            put(&mut opened.log, append(99, next, next + 1));
        }
        Err(_) => {
            drop(verified.map(|found| panic!("verified but not opened: {found:?}")));
            look_with_holes(disk);
        }
    }
}

/// Opens what is refused if nothing may be lost: all that is not in a hole can be read.
fn look_with_holes(disk: &SimDisk) {
    let examined = Inspection::of(disk.clone()).unwrap().examine();
    match try_open_holed(disk, TINY) {
        Ok(mut opened) => {
            let found = examined.unwrap();
            assert_eq!(found.holes, opened.recovered.holes);
            let next = opened.recovered.last.index.next();
            let written = try_put(&mut opened.log, append(99, next.0, next.0 + 1));
            assert_eq!(written.is_ok(), found.holes.is_empty(), "{written:?}");
            for index in found.base.index.0..found.last.index.0 {
                let read = opened.log.reader().read(Index(index + 1), Index(index + 2), 0);
                let in_hole =
                    |hole: &Hole| (hole.first.0..=hole.last.index.0).contains(&(index + 1));
                assert!(read.is_ok() || found.holes.iter().any(in_hole), "{index}: {read:?}");
            }
        }
        Err(_) => drop(examined.map(|found| panic!("examined but not opened: {found:?}"))),
    }
}

fn names(disk: &SimDisk) -> Vec<String> {
    let inspection = Inspection::of(disk.clone()).unwrap();
    let segments = inspection.segments().into_iter().map(|segment| segment.path);
    let snapshots = inspection.snapshots().into_iter().map(|(path, _)| path);
    let paths = segments.chain(snapshots);
    let names = paths.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    names.chain(["IDENTITY".to_owned()]).collect()
}

fn config() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 400, ..config },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arbitrary_files_never_panic(
        log in vec(any::<u8>(), 0..5_000),
        identity in vec(any::<u8>(), 0..200),
        snapshot in vec(any::<u8>(), 0..200),
        keep in any::<[bool; 3]>(),
    ) {
        let disk = folder();
        if !keep[0] {
            disk.put(&segment(2), log);
        }
        if !keep[1] {
            disk.put("IDENTITY", identity);
        }
        if !keep[2] {
            disk.put("snapshot-00000000000000000007-00000000000000000003", snapshot);
        }
        look(&disk);
    }

    #[test]
    fn mutated_files_never_panic(
        mutations in vec((any::<Pick>(), any::<Pick>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let disk = folder();
        let names = names(&disk);
        for (file, at, byte, kind) in mutations {
            let name = file.get(&names);
            let mut content = disk.content(name).unwrap();
            let at = at.index(content.len() + 1);
            match kind {
                0 => content.truncate(at),
                1 => content.splice(at..at, [byte; 7]).for_each(drop),
                2 => content[at..].iter_mut().take(4).for_each(|one| *one = byte),
                _ => content.iter_mut().skip(at).take(512).for_each(|one| *one = 0),
            }
            disk.put(name, content);
        }
        look(&disk);
    }
}
