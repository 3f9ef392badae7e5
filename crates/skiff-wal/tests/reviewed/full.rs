//! Disks that are full at one byte after the other: whatever did not fit, what was there is there, and when
//! there is room again it goes on.

use skiff_core::{Position, Write};
use skiff_storage::{
    Identity, InstanceId, LogReader, SnapshotMeta, SnapshotStore, Standing, StoreError,
};
use skiff_wal::{
    Opened,
    disk::{
        Disk,
        sim::{Fate, SimDisk},
    },
};

use crate::common::*;

/// Each byte around the ends of sectors, and some of those between.
fn rooms(to: u64) -> impl Iterator<Item = u64> {
    (0..to).filter(|room| room % 11 == 0 || (room + 4) % 512 < 8)
}

fn used(disk: &SimDisk) -> u64 {
    let names = disk.list().unwrap();
    names.iter().map(|name| disk.content(name).unwrap().len() as u64).sum()
}

/// A log whose segment has room for one small batch more.
fn nearly_full_segment() -> (SimDisk, Model) {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let write = append(1, 1, 2);
    put(&mut opened.log, write.clone());
    (disk, Model::default().after(&write))
}

/// An open log on a disk that has room for so many bytes more.
fn with_room(disk: &SimDisk, room: u64) -> (SimDisk, Opened<SimDisk>) {
    let disk = disk.fork();
    let opened = open(&disk, TINY);
    disk.limit(Some(used(&disk) + room));
    (disk, opened)
}

/// What the medium holds, and what a process that begins now sees.
#[track_caller]
fn assert_holds(disk: &SimDisk, model: &Model, told: &str) {
    for fate in [Fate::Drop, Fate::Keep] {
        let image = disk.fork();
        image.crash(|_| fate.clone());
        assert_eq!(Model::of(&open(&image, TINY)), *model, "{told}");
    }
    assert_eq!(Model::of(&open(&disk.fork(), TINY)), *model, "{told}");
}

#[track_caller]
fn assert_full<T>(result: Result<T, StoreError>, told: &str) {
    match result.map(drop) {
        Err(StoreError::Full { .. }) => {}
        other => panic!("{told}: {other:?}"),
    }
}

#[test]
fn a_next_segment_that_does_not_fit() {
    let (disk, model) = nearly_full_segment();
    let (mut refused, mut taken) = (0, 0);
    for room in rooms(TINY + 600) {
        let told = format!("room for {room}");
        let (disk, mut opened) = with_room(&disk, room);
        let writes = [append(1, 2, 3), append(1, 3, 4)];
        let mut model = model.clone();
        for write in &writes {
            match try_put(&mut opened.log, write.clone()) {
                Ok(()) => {
                    taken += 1;
                    model = model.after(write);
                }
                Err(error) => {
                    refused += 1;
                    assert_full(Err::<(), _>(error), &told);
                    assert_full(try_put(&mut opened.log, write.clone()), &told);
                    if room % 2 == 0 {
                        assert_holds(&disk, &model, &told);
                    }
                    disk.limit(None);
                    put(&mut opened.log, write.clone());
                    model = model.after(write);
                }
            }
        }
        disk.crash(|_| Fate::Drop);
        assert_eq!(Model::of(&open(&disk, TINY)), model, "{told}");
    }
    assert!(refused > 200 && taken > 50, "{refused} refused, {taken} taken");
}

#[test]
fn an_identity_that_does_not_fit() {
    let (disk, model) = nearly_full_segment();
    let mut refused = 0;
    for room in rooms(200) {
        let told = format!("room for {room}");
        let (disk, mut opened) = with_room(&disk, room);
        let old = opened.identity.clone();
        let instance = Some(InstanceId(3));
        let new = Identity { standing: Standing::Member, instance, ..old.clone() };
        let Err(error) = opened.log.identify(&new) else { continue };
        refused += 1;
        assert_full(Err::<(), _>(error), &told);
        let image = disk.fork();
        image.crash(|_| Fate::Keep);
        assert_eq!(open(&image, TINY).identity, Identity { boot: old.boot + 1, ..old });
        disk.limit(None);
        put(&mut opened.log, append(1, 2, 3));
        opened.log.identify(&new).unwrap();
        disk.crash(|_| Fate::Drop);
        let opened = open(&disk, TINY);
        assert_eq!(opened.identity, Identity { boot: new.boot + 1, ..new });
        assert_eq!(Model::of(&opened), model.after(&append(1, 2, 3)));
    }
    assert!((5..20).contains(&refused), "{refused}");
}

#[test]
fn a_snapshot_that_does_not_fit() {
    let (disk, model) = nearly_full_segment();
    let meta =
        |index| SnapshotMeta { position: Position::new(1, index), ..SnapshotMeta::default() };
    let content = [7; 300];
    let newest = |opened: &Opened<SimDisk>| opened.snapshots.newest().unwrap();
    let (old, new) = (meta(1), meta(2));
    {
        let opened = open(&disk, TINY);
        opened.snapshots.save(&old, b"old").unwrap();
    }
    let mut refused = 0;
    for room in rooms(500) {
        let told = format!("room for {room}");
        let (disk, mut opened) = with_room(&disk, room);
        let Err(error) = opened.snapshots.save(&new, &content) else { continue };
        refused += 1;
        assert_full(Err::<(), _>(error), &told);
        assert_eq!(newest(&opened).unwrap().0, old, "{told}");
        let image = disk.fork();
        image.crash(|_| Fate::Keep);
        assert_eq!(newest(&open(&image, TINY)).unwrap().0, old, "{told}");
        disk.limit(None);
        put(&mut opened.log, append(1, 2, 3));
        opened.snapshots.save(&new, &content).unwrap();
        disk.crash(|_| Fate::Drop);
        let opened = open(&disk, TINY);
        assert_eq!(newest(&opened).unwrap(), (new.clone(), content.to_vec().into()));
        assert_eq!(Model::of(&opened), model.after(&append(1, 2, 3)));
    }
    assert!((30..50).contains(&refused), "{refused}");
}

/// The numbers of all segments there are.
fn numbers(disk: &SimDisk) -> Vec<u64> {
    let names = disk.list().unwrap();
    let numbers = names.iter().filter_map(|name| name.strip_prefix("log-")?.parse().ok());
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// A node that tries again and again, for a day, does not go through its numbers; whatever had to
/// become of the file, a part of it or nothing. Nor where room is lacking for a long segment only.
#[test]
fn a_try_that_makes_nothing_uses_up_no_number() {
    for (room, size) in [(0, 30), (700, 30), (TINY, 3 * 2_048)] {
        let (disk, mut model) = nearly_full_segment();
        let (disk, mut opened) = with_room(&disk, room);
        let mut write = |index: u64| {
            let write = Write { entries: vec![entry(1, index, size)], ..append(1, index, index) };
            let result = try_put(&mut opened.log, write.clone());
            if result.is_ok() {
                model = model.after(&write);
            }
            result
        };
        let first = (2..9).find(|index| write(*index).is_err()).unwrap();
        let (last, before) = (numbers(&disk).pop().unwrap(), used(&disk));
        for _ in 0..50 {
            assert_full(write(first), "it is full");
            assert_eq!(used(&disk), before, "nothing is left of it");
        }
        disk.limit(None);
        write(first).unwrap();
        assert_eq!(numbers(&disk).pop(), Some(last + 1), "room for {room}");
        assert_holds(&disk, &model, "with room");
    }
}

/// What is free on the disk, and all that the log has set aside already.
#[test]
fn the_room_of_a_log_is_what_it_can_still_write() {
    const PLENTY: u64 = 1 << 20;
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let reader = opened.log.reader();
    assert_eq!(reader.room(), None, "there is no limit");
    disk.limit(Some(PLENTY));
    let room = reader.room().unwrap();
    assert_eq!((room.total, room.step, room.path), (PLENTY, TINY, disk.path("")));
    let mut before = room.free;
    let mut index = 1;
    while numbers(&disk).len() < 9 {
        put(&mut opened.log, append(1, index, index + 1));
        index += 1;
        let free = reader.room().unwrap().free;
        // A batch, perhaps with the one that names the next segment; and the header of that.
        assert!(free < before && before - free <= TINY, "{before}, then {free}");
        before = free;
    }
    // All but the last segment becomes free or is used again.
    let last = index - 1;
    put(&mut opened.log, begin_after(1, last, append(1, index, index + 1)));
    let free = reader.room().unwrap().free;
    assert!(free > before + 4 * TINY, "{before}, then {free}");
    disk.limit(Some(0));
    let room = reader.room().unwrap();
    assert_eq!((room.total, room.free < 4 * TINY), (used(&disk), true), "{room:?}");
    assert!(room.free > 0, "what was set aside is still there");
}

/// Also where the mark of the opening needs a segment more.
#[test]
fn an_opening_that_does_not_fit() {
    let (disk, mut model) = nearly_full_segment();
    let mut opened = open(&disk, TINY);
    for index in 2..6 {
        drop(opened);
        disk.kill();
        let mut refused = 0;
        for room in rooms(TINY + 300) {
            let told = format!("{index} entries, room for {room}");
            let disk = disk.fork();
            let before = used(&disk);
            disk.limit(Some(before + room));
            let Err(error) = try_open(&disk, TINY) else { continue };
            refused += 1;
            assert_full(Err::<(), _>(error), &told);
            assert!(used(&disk) <= before, "{told}: it has left {}", used(&disk) - before);
            // Who tries again and again does no harm either.
            if room % 2 == 0 {
                (0..5).for_each(|_| assert_full(try_open(&disk, TINY), &told));
                assert_holds_with_room(&disk, &model, &told);
            }
        }
        assert!(refused > 8, "{refused}");
        opened = open(&disk, TINY);
        let write = append(1, index, index + 1);
        put(&mut opened.log, write.clone());
        model = model.after(&write);
    }
}

#[track_caller]
fn assert_holds_with_room(disk: &SimDisk, model: &Model, told: &str) {
    let disk = disk.fork();
    disk.limit(None);
    assert_holds(&disk, model, told);
}

#[test]
fn a_new_log_that_does_not_fit() {
    let mut refused = 0;
    for room in rooms(TINY + 300) {
        let told = format!("room for {room}");
        let disk = SimDisk::new();
        disk.limit(Some(room));
        let Err(error) = try_open(&disk, TINY) else { continue };
        refused += 1;
        assert_full(Err::<(), _>(error), &told);
        assert_full(try_open(&disk, TINY), &told);
        let power_cut = disk.fork();
        power_cut.crash(|_| if room % 2 == 0 { Fate::Keep } else { Fate::Drop });
        for disk in [power_cut, disk] {
            disk.limit(None);
            let mut opened = open(&disk, TINY);
            assert_eq!((Model::of(&opened), opened.identity.boot), (Model::default(), 1), "{told}");
            put(&mut opened.log, append(1, 1, 2));
        }
    }
    assert!(refused > 200, "{refused}");
}
