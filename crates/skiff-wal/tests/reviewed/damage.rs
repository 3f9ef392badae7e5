//! One piece of damage to a folder that has seen a lot: it is noticed, or it does not matter. The log
//! never comes back shorter, longer or older.

use std::ops::Range;

use skiff_storage::{SnapshotStore, StoreError};
use skiff_wal::disk::sim::{Fate, Image, SimDisk};

use super::lives::Life;
use crate::common::*;

const KINDS: usize = 7;
const STALE: usize = 6;

#[test]
fn damage_is_noticed_or_does_not_matter() {
    let mut outcomes = [(0, 0); KINDS];
    for seed in 0..super::lives::lives() / 5 {
        let mut life = Life::new(seed);
        let steps = life.below(20) + 5;
        let old = life.below(steps);
        let mut image = life.disk.image();
        for step in 0..steps {
            life.step();
            if step == old {
                image = life.disk.image();
            }
        }
        life.settle();
        for (kind, outcome) in outcomes.iter_mut().enumerate() {
            for _ in 0..6 {
                let disk = life.disk.fork();
                let Some(told) = damage(&mut life, &disk, &image, kind) else { continue };
                life.note(told);
                let noticed =
                    if kind == STALE { check_stale(&life, &disk) } else { check(&life, &disk) };
                match noticed {
                    Noticed::Yes => outcome.0 += 1,
                    Noticed::No => outcome.1 += 1,
                }
            }
        }
    }
    println!("noticed and not noticed: {outcomes:?}");
    assert!(outcomes[..STALE].iter().all(|(noticed, _)| *noticed > 0), "{outcomes:?}");
}

enum Noticed {
    Yes,
    No,
}

/// Reads that were wrong for a while have not harmed what is there.
fn check_stale(life: &Life, disk: &SimDisk) -> Noticed {
    let opened = try_open(disk, life.size);
    let noticed = if opened.is_ok() { Noticed::No } else { Noticed::Yes };
    drop(opened);
    disk.crash(|_| Fate::Drop);
    let opened = open(disk, life.size);
    assert_eq!(Model::of(&opened), life.now);
    assert!(opened.identity.boot > life.identity.boot);
    noticed
}

fn check(life: &Life, disk: &SimDisk) -> Noticed {
    let before = disk.counts().changes;
    match try_open(disk, life.size) {
        Ok(opened) => {
            assert_eq!(Model::of(&opened), life.now);
            let identity = opened.identity.clone();
            assert_eq!(identity.boot, life.identity.boot + 1);
            assert_eq!((identity.standing, identity.instance), {
                (life.identity.standing, life.identity.instance)
            });
            match opened.snapshots.newest() {
                Ok(newest) => {
                    let newest = newest.map(|(meta, content)| (meta.position, content.to_vec()));
                    // One that is not there cannot be missed unless the log needs it.
                    let is_older = newest.as_ref().map(|(position, _)| position.index)
                        < life.snapshot.as_ref().map(|(position, _)| position.index);
                    assert!(newest == life.snapshot || is_older, "{newest:?}");
                    Noticed::No
                }
                Err(
                    StoreError::Corrupt { .. }
                    | StoreError::Io { .. }
                    | StoreError::NewerFormat { .. },
                ) => Noticed::Yes,
                Err(error) => panic!("{error}"),
            }
        }
        Err(
            StoreError::Corrupt { .. }
            | StoreError::Lost { .. }
            | StoreError::Io { .. }
            | StoreError::NewerFormat { .. },
        ) => {
            assert_eq!(disk.counts().changes, before, "a refusal changed something");
            Noticed::Yes
        }
        Err(error) => panic!("{error}"),
    }
}

/// Does something to a file; says what.
fn damage(life: &mut Life, disk: &SimDisk, image: &Image, kind: usize) -> Option<String> {
    let files = disk.synced_files();
    let (name, length) = files[usize::try_from(life.below(files.len() as u64)).unwrap()].clone();
    let at = life.below(length);
    let is_last = files.iter().rfind(|(name, _)| name.starts_with("log-"))?.0 == name;
    let sectors =
        |at: u64, count: u64| -> Range<u64> { at / 512 * 512..at / 512 * 512 + 512 * count };
    let done = match kind {
        0 => disk.flip_bit(&name, at, life.below(8).to_le_bytes()[0]),
        1 => disk.zero_sector(&name, at),
        2 => {
            disk.take_away(&name);
            true
        }
        3 => {
            let mut content = disk.content(&name)?;
            content.truncate(usize::try_from(at).unwrap());
            disk.put(&name, content);
            true
        }
        4 => {
            let (other, length) = &files[usize::try_from(life.below(files.len() as u64)).unwrap()];
            let from = life.below(length.div_ceil(512)) * 512;
            let from = usize::try_from(from).unwrap();
            let other = disk.content(other)?;
            let sector = other.get(from..(from + 512).min(other.len()))?.to_vec();
            let mut content = disk.content(&name)?;
            let to = usize::try_from(at / 512 * 512).unwrap();
            let end = content.len().min(to + sector.len());
            content[to..end].copy_from_slice(&sector[..end - to]);
            disk.put(&name, content);
            true
        }
        5 => disk.break_sector(&name, at),
        _ => {
            let reads = life.below(8);
            let last = reads + 1 + life.below(3);
            // Old bytes at the end of the log, again and again, are as good as a log that is older.
            let count = if is_last { 1 } else { life.below(5) + 1 };
            let reads = if is_last { reads..reads + 1 } else { reads..last };
            disk.stale_reads(&name, sectors(at, count), image, reads)
        }
    };
    done.then(|| format!("damage {kind} to {name} at {at}"))
}
