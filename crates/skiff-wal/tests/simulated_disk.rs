//! What the simulated disk does, and what it does not do.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{io, sync::Arc};

use skiff_wal::disk::{
    Disk, DiskFile, LockError,
    sim::{Fate, PAGE, SECTOR, SimDisk, SimFile, Unsynced, UnsyncedCount},
};

/// A folder with one file, `a`, of so many synced sectors, each full of its number.
fn numbered(sectors: u8) -> (SimDisk, SimFile) {
    let disk = SimDisk::new();
    let file = disk.create("a").unwrap();
    file.write_at(&content(sectors), 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir().unwrap();
    (disk, file)
}

fn content(sectors: u8) -> Vec<u8> {
    (0..sectors).flat_map(|sector| [sector; SECTOR]).collect()
}

fn read(disk: &SimDisk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let mut bytes = vec![0; usize::try_from(file.size()?).unwrap()];
    let read = file.read_at(&mut bytes, 0)?;
    assert_eq!(read, bytes.len());
    Ok(bytes)
}

/// A small file with this content.
fn make(disk: &SimDisk, name: &str, content: &[u8]) -> SimFile {
    let file = disk.create(name).unwrap();
    file.write_at(content, 0).unwrap();
    file
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.list().unwrap()
}

fn name_of(operation: &Unsynced) -> Arc<str> {
    match operation {
        Unsynced::Write { name, .. }
        | Unsynced::Create { name }
        | Unsynced::Rename { to: name, .. }
        | Unsynced::Remove { name } => Arc::clone(name),
    }
}

#[test]
fn a_sync_makes_durable_what_it_covers_and_nothing_else() {
    let (disk, a) = numbered(1);
    let b = make(&disk, "b", b"new");
    a.write_at(b"other", 0).unwrap();
    b.sync().unwrap();
    let dropped = disk.fork();
    dropped.crash(|_| Fate::Drop);
    assert_eq!(names(&dropped), ["a"]);
    assert_eq!(read(&dropped, "a").unwrap(), content(1));
    disk.sync_dir().unwrap();
    disk.crash(|_| Fate::Drop);
    assert_eq!(read(&disk, "a").unwrap(), content(1));
    assert_eq!(read(&disk, "b").unwrap(), b"new");
}

#[test]
fn each_operation_has_its_own_fate() {
    let (disk, a) = numbered(2);
    a.write_at(b"one", 0).unwrap();
    a.write_at(b"two", 600).unwrap();
    make(&disk, "b", b"three");
    let operations = disk.unsynced();
    assert_eq!(operations.len(), 4);
    for kept in 0..16_u32 {
        let disk = disk.fork();
        let mut place = 0..;
        disk.crash(
            |_| if kept >> place.next().unwrap() & 1 == 1 { Fate::Keep } else { Fate::Drop },
        );
        let mut a = content(2);
        if kept & 1 == 1 {
            a[..3].copy_from_slice(b"one");
        }
        if kept & 2 == 2 {
            a[600..603].copy_from_slice(b"two");
        }
        assert_eq!(read(&disk, "a").unwrap(), a);
        let b: Option<&[u8]> = match kept >> 2 {
            0 | 2 => None,
            1 => Some(b""),
            _ => Some(b"three"),
        };
        assert_eq!(read(&disk, "b").ok().as_deref(), b, "{kept:b}");
        assert_eq!(disk.unsynced(), []);
    }
}

#[test]
fn writes_are_torn_at_sectors_and_at_pages() {
    let (disk, a) = numbered(24);
    // From the sixth sector to the seventeenth.
    a.write_at(&[0xff; 12 * SECTOR], 6 * SECTOR as u64).unwrap();
    let sectors = disk.fork();
    sectors.crash(|write| write.tear(SECTOR, |piece| piece % 2 == 1));
    let expected = |is_new: &dyn Fn(usize) -> bool| {
        let sector =
            |at: usize| if is_new(at) { [0xff; SECTOR] } else { [at.to_le_bytes()[0]; SECTOR] };
        (0..24).flat_map(sector).collect::<Vec<u8>>()
    };
    let odd = expected(&|at| (6..18).contains(&at) && at % 2 == 1);
    assert_eq!(read(&sectors, "a").unwrap(), odd);
    // The pages of the file lie at multiples of eight sectors.
    disk.crash(|write| write.tear(PAGE, |piece| piece != 1));
    let outer = expected(&|at| (6..8).contains(&at) || (16..18).contains(&at));
    assert_eq!(read(&disk, "a").unwrap(), outer);
}

#[test]
fn operations_land_in_another_order() {
    let (disk, a) = numbered(1);
    a.write_at(b"first", 0).unwrap();
    a.write_at(b"second", 0).unwrap();
    a.write_at(b"3", 0).unwrap();
    let in_order = |order: Vec<usize>| {
        let disk = disk.fork();
        disk.crash_in_order(
            |operations| {
                assert_eq!(operations.len(), 3);
                order
            },
            |_| Fate::Keep,
        );
        read(&disk, "a").unwrap()[..6].to_vec()
    };
    assert_eq!(in_order(vec![0, 1, 2]), b"3econd");
    assert_eq!(in_order(vec![2, 1, 0]), b"firstd");
    assert_eq!(in_order(vec![2, 0, 1]), b"second");
    // What is not named is dropped, what does not exist is ignored.
    assert_eq!(in_order(vec![0, 9]), b"first\0");
    disk.crash_in_order(|_| vec![2, 1, 0], |write| write.tear(SECTOR, |_| false));
    assert_eq!(read(&disk, "a").unwrap(), content(1));
}

#[test]
fn names_vanish_or_land_alone() {
    let (disk, _) = numbered(1);
    make(&disk, "b.tmp", b"b").sync().unwrap();
    disk.rename("b.tmp", "b").unwrap();
    disk.remove("a").unwrap();
    let only = |places: &'static [usize]| {
        let disk = disk.fork();
        disk.crash_in_order(|_| places.to_vec(), |_| Fate::Keep);
        let found = names(&disk);
        found.into_iter().map(|name| (read(&disk, &name).unwrap().len(), name)).collect::<Vec<_>>()
    };
    let file = |length: usize, name: &str| (length, name.to_owned());
    assert_eq!(only(&[]), [file(512, "a")]);
    assert_eq!(only(&[0]), [file(512, "a"), file(1, "b.tmp")]);
    // The new name stands for the file, whether or not its first name got there.
    assert_eq!(only(&[1]), [file(512, "a"), file(1, "b")]);
    assert_eq!(only(&[0, 1]), [file(512, "a"), file(1, "b")]);
    assert_eq!(only(&[1, 0]), [file(512, "a"), file(1, "b")]);
    assert_eq!(only(&[2]), []);
    assert_eq!(only(&[1, 2]), [file(1, "b")]);
}

#[test]
fn a_file_never_has_two_names() {
    let (disk, _) = numbered(1);
    disk.rename("a", "b").unwrap();
    disk.fail_sync(1);
    assert!(disk.sync_dir().is_err());
    disk.rename("b", "c").unwrap();
    let dropped = disk.fork();
    dropped.crash(|_| Fate::Drop);
    assert_eq!(names(&dropped), ["a"]);
    disk.sync_dir().unwrap();
    disk.crash(|_| Fate::Drop);
    assert_eq!(names(&disk), ["c"]);
}

#[test]
fn a_removal_takes_the_file_that_it_was_meant_for() {
    let (disk, _) = numbered(1);
    disk.remove("a").unwrap();
    make(&disk, "a", b"new").sync().unwrap();
    disk.crash_in_order(|_| vec![1, 0], |_| Fate::Keep);
    assert_eq!(read(&disk, "a").unwrap(), b"new");
}

#[test]
fn what_waits_for_a_sync_is_counted() {
    let (disk, a) = numbered(1);
    let count = |writes, names| UnsyncedCount { writes, names };
    assert_eq!(disk.unsynced_count(), count(0, 0));
    a.write_at(b"x", 0).unwrap();
    a.write_at(b"y", 0).unwrap();
    let b = make(&disk, "b", b"z");
    assert_eq!(disk.unsynced_count(), count(3, 1));
    assert_eq!(disk.unsynced().len(), 4);
    a.sync().unwrap();
    assert_eq!(disk.unsynced_count(), count(1, 1));
    disk.rename("b", "c").unwrap();
    assert_eq!(disk.unsynced_count(), count(1, 2));
    disk.sync_dir().unwrap();
    assert_eq!(disk.unsynced_count(), count(1, 0));
    // Of a file that nobody can see any more nothing is waited for.
    drop(b);
    disk.remove("c").unwrap();
    disk.sync_dir().unwrap();
    disk.crash(|_| Fate::Keep);
    assert_eq!(disk.unsynced_count(), count(0, 0));
    assert_eq!(names(&disk), ["a"]);
}

#[test]
fn a_file_without_a_name_stays_while_it_is_open() {
    let (disk, a) = numbered(1);
    disk.remove("a").unwrap();
    for _ in 0..10 {
        drop(make(&disk, "b", b"b"));
        disk.remove("b").unwrap();
        disk.sync_dir().unwrap();
    }
    a.write_at(b"still", 0).unwrap();
    a.sync().unwrap();
    assert_eq!(a.size().unwrap(), 512);
    let mut bytes = [0; 5];
    assert_eq!(a.read_at(&mut bytes, 0).unwrap(), 5);
    assert_eq!(&bytes, b"still");
}

#[test]
fn what_was_written_is_counted() {
    let (disk, a) = numbered(2);
    let mark = disk.counts();
    assert_eq!((mark.writes, mark.bytes), (1, 1_024));
    a.write_at(&[1; 700], 0).unwrap();
    assert_eq!(disk.counts().bytes - mark.bytes, 700);
    assert_eq!(disk.counts().changes - mark.changes, 1);
}

#[test]
fn a_bit_flips() {
    let (disk, a) = numbered(1);
    assert!(disk.flip_bit("a", 100, 3));
    assert_eq!(read(&disk, "a").unwrap()[100], 8);
    assert!(!disk.flip_bit("a", 512, 3), "there is no such byte");
    assert!(!disk.flip_bit("b", 0, 3), "there is no such file");
    // What is written and not synced covers it, until that is lost.
    a.write_at(&[7; 10], 100).unwrap();
    assert!(disk.flip_bit("a", 105, 0));
    assert_eq!(read(&disk, "a").unwrap()[105], 7);
    let kept = disk.fork();
    kept.crash(|_| Fate::Keep);
    assert_eq!(read(&kept, "a").unwrap()[105], 7);
    disk.crash(|_| Fate::Drop);
    assert_eq!(read(&disk, "a").unwrap()[100..106], [8, 0, 0, 0, 0, 1]);
}

#[test]
fn bytes_that_are_not_synced_do_not_rot() {
    let disk = SimDisk::new();
    make(&disk, "a", b"bytes");
    assert!(!disk.flip_bit("a", 0, 0));
    disk.sync_dir().unwrap();
    assert!(!disk.flip_bit("a", 0, 0));
    disk.open("a").unwrap().sync().unwrap();
    assert!(disk.flip_bit("a", 0, 0));
    assert_eq!(read(&disk, "a").unwrap(), b"cytes");
}

#[test]
fn a_sector_is_zeroed() {
    let (disk, _) = numbered(4);
    assert!(disk.zero_sector("a", 2 * 512 + 17));
    let mut expected = content(4);
    expected[1_024..1_536].fill(0);
    assert_eq!(read(&disk, "a").unwrap(), expected);
    assert!(!disk.zero_sector("a", 4 * 512));
    disk.crash(|_| Fate::Drop);
    assert_eq!(read(&disk, "a").unwrap(), expected);
}

#[test]
fn a_sector_cannot_be_read_until_it_is_written() {
    let (disk, a) = numbered(4);
    assert!(disk.break_sector("a", 700));
    assert!(!disk.break_sector("b", 700));
    let mut byte = [0];
    let read = |file: &SimFile, at| file.read_at(&mut [0], at);
    assert!(a.read_at(&mut byte, 511).is_ok() && a.read_at(&mut byte, 1_024).is_ok());
    assert!(a.read_at(&mut byte, 512).is_err() && a.read_at(&mut byte, 1_023).is_err());
    assert!(a.read_at(&mut [0; 2], 511).is_err(), "it begins before the sector");
    let fork = disk.fork();
    disk.crash(|_| Fate::Drop);
    for disk in [disk, fork] {
        let a = disk.open("a").unwrap();
        assert!(read(&a, 512).is_err(), "it lasts");
        a.write_at(&[1; 512], 0).unwrap();
        assert!(read(&a, 512).is_err(), "its neighbour was written");
        a.write_at(&[1], 600).unwrap();
        assert_eq!(read(&a, 512).unwrap(), 1);
    }
}

#[test]
fn a_write_goes_astray() {
    let (disk, a) = numbered(2);
    make(&disk, "b", &[9; 20]).sync().unwrap();
    disk.sync_dir().unwrap();
    disk.misdirect_write(2, "b", 5);
    a.write_at(b"straight", 0).unwrap();
    a.write_at(b"astray", 100).unwrap();
    a.write_at(b"straight", 200).unwrap();
    a.sync().unwrap();
    // The process has it in its memory.
    assert_eq!(&read(&disk, "a").unwrap()[100..106], b"astray");
    assert_eq!(read(&disk, "b").unwrap(), [9; 20]);
    disk.crash(|_| Fate::Drop);
    let found = read(&disk, "a").unwrap();
    assert_eq!((&found[..8], &found[200..208]), (&b"straight"[..], &b"straight"[..]));
    assert_eq!(found[100..106], [0; 6]);
    let b = read(&disk, "b").unwrap();
    assert_eq!((&b[..5], &b[5..11], &b[11..]), (&[9; 5][..], &b"astray"[..], &[9; 9][..]));
}

#[test]
fn a_write_goes_elsewhere_in_its_file_or_nowhere() {
    for (name, lands) in [("a", true), ("no such file", false)] {
        let (disk, a) = numbered(2);
        disk.misdirect_write(1, name, 512);
        a.write_at(b"astray", 0).unwrap();
        a.sync().unwrap();
        disk.crash(|_| Fate::Drop);
        let found = read(&disk, "a").unwrap();
        assert_eq!(found[..512], [0; 512]);
        assert_eq!(&found[512..518] == b"astray", lands);
    }
}

#[test]
fn reads_are_stale() {
    let (disk, a) = numbered(2);
    let old = disk.image();
    a.write_at(&[9; 1_024], 0).unwrap();
    a.sync().unwrap();
    assert!(!disk.stale_reads("b", 0..99, &old, 0..1));
    assert!(disk.stale_reads("a", 512..514, &old, 1..3));
    let mut bytes = [0; 4];
    a.read_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [9; 4], "other bytes are fresh and count for nothing");
    for expected in [[9; 4], [9, 1, 1, 9], [9, 1, 1, 9], [9; 4]] {
        a.read_at(&mut bytes, 511).unwrap();
        assert_eq!(bytes, expected);
    }
    disk.crash(|_| Fate::Drop);
    assert_eq!(read(&disk, "a").unwrap(), [9; 1_024], "the medium is well");
}

#[test]
fn a_stale_read_beyond_what_was_there_finds_zeros() {
    let (disk, a) = numbered(1);
    let old = disk.image();
    a.write_at(&[9; 600], 0).unwrap();
    assert!(disk.stale_reads("a", 510..600, &old, 0..1));
    let mut bytes = [1; 4];
    a.read_at(&mut bytes, 509).unwrap();
    assert_eq!(bytes, [9, 0, 0, 0]);
    let b = make(&disk, "b", b"b");
    assert!(!disk.stale_reads("b", 0..1, &old, 0..1), "there was no such file");
    b.read_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes[0], b'b');
}

#[test]
fn reads_fail() {
    let (disk, a) = numbered(1);
    let outcomes = |count: usize| -> Vec<bool> {
        (0..count).map(|_| a.read_at(&mut [0], 0).is_ok()).collect()
    };
    disk.fail_reads(2);
    assert_eq!(outcomes(3), [false, false, true]);
    disk.fail_read(2);
    assert_eq!(outcomes(3), [true, false, true]);
}

#[test]
fn a_failed_sync_is_lost_for_good() {
    let (disk, a) = numbered(1);
    disk.fail_sync(1);
    a.write_at(b"x", 0).unwrap();
    assert!(a.sync().is_err());
    assert_eq!(disk.unsynced_count(), UnsyncedCount::default());
    a.write_at(b"y", 1).unwrap();
    a.sync().unwrap();
    assert_eq!(&read(&disk, "a").unwrap()[..2], b"xy");
    disk.crash(|_| Fate::Keep);
    assert_eq!(read(&disk, "a").unwrap()[..2], [0, b'y']);
}

#[test]
fn a_sync_lies() {
    let (disk, a) = numbered(1);
    disk.lie_syncs(2);
    a.write_at(b"x", 0).unwrap();
    a.sync().unwrap();
    make(&disk, "b", b"b");
    disk.sync_dir().unwrap();
    assert_eq!(disk.unsynced_count(), UnsyncedCount { writes: 1, names: 0 });
    a.write_at(b"y", 1).unwrap();
    a.sync().unwrap();
    assert_eq!(names(&disk), ["a", "b"]);
    disk.crash(|_| Fate::Keep);
    assert_eq!(names(&disk), ["a"]);
    assert_eq!(read(&disk, "a").unwrap()[..2], [0, b'y']);
}

#[test]
fn a_disk_is_full_at_a_byte() {
    let (disk, a) = numbered(1);
    disk.limit(Some(515));
    a.write_at(b"within", 500).unwrap();
    let error = a.write_at(b"growing", 510).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(a.size().unwrap(), 515);
    assert_eq!(&read(&disk, "a").unwrap()[510..], b"growi");
    let b = disk.create("b").unwrap();
    assert!(b.write_at(b"b", 0).is_err());
    assert_eq!(b.size().unwrap(), 0);
    disk.limit(None);
    b.write_at(b"b", 0).unwrap();
}

#[test]
fn the_folder_is_removed() {
    let (disk, a) = numbered(1);
    let lock = disk.lock().unwrap();
    make(&disk, "b", b"b");
    disk.remove_folder();
    let gone = |result: io::Result<()>| result.unwrap_err().kind() == io::ErrorKind::NotFound;
    assert!(names(&disk).is_empty());
    assert!(gone(disk.open("a").map(drop)) && gone(disk.create("c").map(drop)));
    assert!(gone(disk.rename("a", "b")) && gone(disk.remove("a")) && gone(disk.sync_dir()));
    a.write_at(b"open", 0).unwrap();
    a.sync().unwrap();
    let fork = disk.fork();
    fork.crash(|_| Fate::Keep);
    assert!(gone(fork.create("c").map(drop)));
    // Who comes next gets a new folder, whoever holds the old one.
    let next = disk.lock().unwrap();
    drop(lock);
    assert!(matches!(disk.lock(), Err(LockError::Held(_))));
    drop(next);
    make(&disk, "c", b"c");
    assert_eq!(names(&disk), ["c"]);
}

#[test]
fn the_folder_is_rolled_back() {
    let (disk, a) = numbered(2);
    let lock = disk.lock().unwrap();
    a.write_at(b"not synced", 0).unwrap();
    let image = disk.image();
    a.sync().unwrap();
    make(&disk, "b", b"b");
    disk.sync_dir().unwrap();
    disk.fail_sync(1);
    disk.restore_image(&image);
    drop((lock, disk.lock().unwrap()));
    assert_eq!(names(&disk), ["a"]);
    assert_eq!(read(&disk, "a").unwrap(), content(2));
    assert!(a.write_at(b"old process", 0).is_err());
    // What comes after is not taken for what was.
    let b = make(&disk, "b", b"another");
    b.sync().unwrap();
    disk.sync_dir().unwrap();
    disk.crash(|_| Fate::Drop);
    assert_eq!(read(&disk, "b").unwrap(), b"another");
    assert_eq!(read(&disk, "a").unwrap(), content(2));
    let other = SimDisk::new();
    make(&other, "c", b"c");
    other.restore_image(&image);
    assert_eq!(names(&other), ["a"]);
    assert_eq!(read(&other, "a").unwrap(), content(2));
}

#[test]
fn what_can_be_damaged_is_listed() {
    let (disk, a) = numbered(2);
    a.write_at(b"longer", 1_024).unwrap();
    make(&disk, "b", b"b").sync().unwrap();
    assert_eq!(disk.synced_files(), [("a".into(), 1_024)]);
    assert_eq!(disk.synced_content("a").unwrap(), content(2));
    assert_eq!(disk.synced_content("b"), None);
    disk.sync_dir().unwrap();
    assert_eq!(disk.synced_files(), [("a".into(), 1_024), ("b".into(), 1)]);
    disk.rename("b", "c").unwrap();
    assert_eq!(disk.synced_files()[1].0.as_ref(), "b", "as it is on the medium");
}

#[test]
fn a_fork_goes_its_own_way() {
    let (disk, a) = numbered(1);
    a.write_at(b"unsynced", 0).unwrap();
    let fork = disk.fork();
    let operations: Vec<Arc<str>> = fork.unsynced().iter().map(name_of).collect();
    assert_eq!(operations, ["a".into()]);
    fork.open("a").unwrap().write_at(b"fork", 100).unwrap();
    a.write_at(b"disk", 200).unwrap();
    disk.crash(|_| Fate::Keep);
    fork.crash(|_| Fate::Keep);
    let (disk, fork) = (read(&disk, "a").unwrap(), read(&fork, "a").unwrap());
    assert_eq!((&disk[..8], &fork[..8]), (&b"unsynced"[..], &b"unsynced"[..]));
    assert_eq!((&disk[200..204], &fork[100..104]), (&b"disk"[..], &b"fork"[..]));
    assert_eq!((&disk[100..104], &fork[200..204]), (&[0; 4][..], &[0; 4][..]));
}
