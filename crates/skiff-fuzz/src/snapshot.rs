//! Snapshot files of any content: refused, or read as they are.

use skiff_core::Position;
use skiff_storage::{SnapshotSource, SnapshotStore};
use skiff_wal::{backup::Backup, disk::sim::SimDisk, inspect::Inspection};

use crate::{
    folder::{self, snapshot_name},
    source::Source,
};

/// Where the content of an example begins.
const EXAMPLE: (u64, u64) = (40, 3);

/// Reads a file that is made up, or a sound one that was changed, with or without right checksums.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    let (seals, changed) = (source.flag(), source.flag());
    let mut content = match changed {
        true => change(sound(&mut source), &mut source),
        false => [b"SKIFFSNA", source.rest()].concat(),
    };
    if seals {
        folder::seal(&mut content);
    }
    read(content);
}

/// The bytes of a snapshot that was saved.
fn sound(source: &mut Source<'_>) -> Vec<u8> {
    let disk = SimDisk::new();
    let opened = folder::open(&disk);
    let meta = skiff_storage::SnapshotMeta {
        position: Position::new(EXAMPLE.1, EXAMPLE.0),
        membership: crate::said::membership(source),
        codec: source.text(100),
        ..Default::default()
    };
    let content = source.bytes(2_000);
    let saved = opened.snapshots.save(&meta, content);
    saved.unwrap_or_else(|error| panic!("a sound snapshot cannot be saved: {error}"));
    disk.content(&snapshot_name(EXAMPLE.0, EXAMPLE.1)).unwrap_or_default()
}

/// As a backup it is refused, or read as it is, whatever it is called.
fn read_as_backup(content: &[u8]) {
    let disk = SimDisk::new();
    disk.put("backup", content.to_vec());
    let Ok(backup) = Backup::of(disk, "backup") else { return };
    if backup.verify().is_err() {
        return;
    }
    let state = backup.read_whole();
    assert!(state.is_ok_and(|state| content.ends_with(&state)), "another state was read");
}

fn change(mut content: Vec<u8>, source: &mut Source<'_>) -> Vec<u8> {
    while !source.is_empty() && !content.is_empty() {
        let at = usize::from(source.short()) % content.len();
        match source.byte() {
            0..200 => content[at] = source.byte(),
            200..230 => content.truncate(at),
            _ => drop(content.splice(at..at, source.bytes(50).iter().copied())),
        }
    }
    content
}

fn read(content: Vec<u8>) {
    read_as_backup(&content);
    let disk = SimDisk::new();
    let opened = folder::open(&disk);
    // What a file is called follows from what it holds, wherever that is readable.
    let place = |from: usize| {
        let bytes = content.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    disk.put(&snapshot_name(place(48), place(56)), content.clone());
    let seen = match Inspection::of(disk) {
        Ok(inspection) => inspection.snapshots(),
        Err(error) => panic!("the files of a sound disk cannot be listed: {error}"),
    };
    let newest = opened.snapshots.newest();
    let [(_, seen)] = &seen[..] else { panic!("one snapshot is there: {seen:?}") };
    let Ok(Some((meta, state))) = newest else {
        return assert!(seen.is_err(), "seen, but not read: {newest:?}");
    };
    assert_eq!(seen.as_ref().ok(), Some(&meta));
    assert!(content.ends_with(&state), "another state was read");
    opened.snapshots.save(&meta, &state).unwrap_or_else(|error| panic!("cannot save: {error}"));
    let again = opened.snapshots.newest();
    assert_eq!(again.ok().flatten(), Some((meta, state)), "saved again, it is another one");
}
