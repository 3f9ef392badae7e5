//! Short scenes with the log alone that no power cut is a part of: a disk that is full in the middle of
//! a write, and damage to what was synced last.

use skiff_replica::{
    core::{Entry, Index, Write},
    storage::{OnLostData, StoreError},
};
use skiff_wal::{
    Opened,
    disk::{
        Disk,
        sim::{Fate, SimDisk},
    },
};

use super::{model::Model, open, open_with};

/// What happens, and what is wrong if anything is.
pub(crate) type Scene = fn() -> Result<(), String>;

/// All of them, with their names.
pub(crate) const SCENES: [(&str, Scene); 4] = [
    ("full in the middle of a write", full),
    ("damage to what was found before", damaged),
    ("damage before a torn end", before_torn),
    ("a cut within what is damaged", cut_within),
];

const SEGMENT: u64 = 4 << 10;
const FIRST_SEGMENT: &str = "log-00000000000000000001";
/// As much as three segments hold.
const ENTRIES: u64 = 16;
const ENTRY: usize = 700;

fn words(error: StoreError) -> String {
    error.to_string()
}

/// Appends an entry to a log of which this is known.
fn put(opened: &mut Opened<SimDisk>, model: &mut Model) -> Result<(), String> {
    let write = model.append(1, 100);
    make(opened, model, write)
}

fn make(opened: &mut Opened<SimDisk>, model: &mut Model, write: Write) -> Result<(), String> {
    *model = model.after(&write);
    opened.log.append(&[write]).error.map_or(Ok(()), |error| Err(words(error)))
}

/// Where the first segment is no longer as it was.
fn differs_at(disk: &SimDisk, before: &[u8]) -> Option<usize> {
    let content = disk.content(FIRST_SEGMENT)?;
    before.iter().zip(&content).position(|(one, other)| one != other)
}

fn flip(disk: &SimDisk, at: usize) {
    let mut content = disk.content(FIRST_SEGMENT).unwrap_or_default();
    content[at] ^= 1;
    disk.put(FIRST_SEGMENT, content);
}

/// There is room for a part of a write, every part in turn. Either the log is told to be unusable from
/// then on, or nothing of that write is in it.
fn full() -> Result<(), String> {
    for room in (0..ENTRIES * ENTRY as u64 * 2).step_by(512) {
        let disk = SimDisk::new();
        let mut opened = open(&disk, SEGMENT).map_err(words)?;
        let mut before = Model::default();
        for _ in 0..2 {
            put(&mut opened, &mut before)?;
        }
        let used = |disk: &SimDisk| {
            let names = disk.list().unwrap_or_default();
            let sizes = names.iter().filter_map(|name| disk.content(name)).map(|file| file.len());
            sizes.sum::<usize>() as u64
        };
        disk.limit(Some(used(&disk) + room));
        // What is cut makes a write that a part of is worse than none.
        let write = before.overwrite(1, ENTRIES, ENTRY);
        let Some(error) = opened.log.append(std::slice::from_ref(&write)).error else { continue };
        if !error.is_recoverable() {
            continue;
        }
        drop(opened);
        disk.kill();
        let opened = open(&disk, SEGMENT).map_err(words)?;
        let found = Model::of(&opened).map_err(words)?;
        if found != before {
            return Err(format!(
                "with {room} bytes of room nothing was to be written, and {found:?} is there, not {before:?}"
            ));
        }
    }
    Ok(())
}

/// A log was opened again, and then a byte of its last batches is damaged, or all from a byte on is
/// gone. What was found at that opening is not taken for torn: the identity says how far it went.
fn damaged() -> Result<(), String> {
    let disk = SimDisk::new();
    let mut model = Model::default();
    let mut opened = open(&disk, SEGMENT).map_err(words)?;
    for _ in 0..3 {
        put(&mut opened, &mut model)?;
    }
    drop(opened);
    disk.kill();
    drop(open(&disk, SEGMENT).map_err(words)?);
    disk.kill();
    let names = disk.list().unwrap_or_default();
    let logs = names.iter().filter(|name| name.starts_with("log-"));
    for name in logs {
        let content = disk.content(name).unwrap_or_default();
        let end = content.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        for at in (end.saturating_sub(400)..end).step_by(7) {
            let mut flipped = content.clone();
            flipped[at] ^= 0x10;
            let mut ended = content.clone();
            ended[at..].fill(0);
            for (what, content) in [("flipped", flipped), ("the last one left", ended)] {
                let hurt = disk.fork();
                hurt.put(name, content);
                let Ok(opened) = open(&hurt, SEGMENT) else { continue };
                let found = Model::of(&opened);
                if found.as_ref().is_ok_and(|found| *found != model) {
                    return Err(format!("byte {at} of {name} was {what}, and {found:?} is there"));
                }
            }
        }
    }
    Ok(())
}

/// The power goes within a write, of which any beginning is there; and what was written before it is
/// damaged. That is missed, unless nothing of the torn write says that anything was there.
fn before_torn() -> Result<(), String> {
    for sectors in 1..4 {
        let disk = SimDisk::new();
        let mut model = Model::default();
        let mut opened = open(&disk, 4 * SEGMENT).map_err(words)?;
        put(&mut opened, &mut model)?;
        let sound = disk.content(FIRST_SEGMENT).unwrap_or_default();
        put(&mut opened, &mut model)?;
        // The last batch before the torn one begins where the two differ.
        let Some(at) = differs_at(&disk, &sound) else { continue };
        disk.halt_after(1);
        let torn = model.append(1, 3 * ENTRY);
        let _torn = opened.log.append(std::slice::from_ref(&torn));
        drop(opened);
        disk.crash(|unsynced| {
            Fate::Tear((0..unsynced.sectors()).map(|sector| sector < sectors).collect())
        });
        flip(&disk, at + 100);
        if let Ok(opened) = open(&disk, 4 * SEGMENT) {
            let found = Model::of(&opened).map_err(words)?;
            return Err(format!("{found:?} is taken for all that there was, not {model:?}"));
        }
    }
    Ok(())
}

/// Three entries are damaged, and the log was cut among them later. What is missing then ends with the
/// entry that was put in the place of the first that was cut.
fn cut_within() -> Result<(), String> {
    let disk = SimDisk::new();
    let mut model = Model::default();
    let mut opened = open(&disk, 4 * SEGMENT).map_err(words)?;
    for _ in 0..3 {
        put(&mut opened, &mut model)?;
    }
    let sound = disk.content(FIRST_SEGMENT).unwrap_or_default();
    let damaged = model.append(3, 100);
    make(&mut opened, &mut model, damaged)?;
    let at = differs_at(&disk, &sound).ok_or("nothing was written")?;
    put(&mut opened, &mut model)?;
    let replaced = model.overwrite(3, 1, 100);
    let last = replaced.entries.last().map(Entry::position).ok_or("nothing was replaced")?;
    make(&mut opened, &mut model, replaced)?;
    put(&mut opened, &mut model)?;
    drop(opened);
    disk.kill();
    flip(&disk, at + 200);
    let opened = open_with(&disk, 4 * SEGMENT, OnLostData::Mend).map_err(words)?;
    let holes: Vec<_> = opened.recovered.holes.iter().map(|hole| (hole.first, hole.last)).collect();
    if holes != [(Index(4), last)] {
        return Err(format!("{holes:?} is missing, not what ends with {last}"));
    }
    Ok(())
}

#[test]
fn all_is_well_in_each_scene() {
    for (name, scene) in SCENES {
        assert_eq!(scene(), Ok(()), "{name}");
    }
}
