//! Backups and folders made from them, on a disk that loses its power at every place.

#![allow(clippy::unwrap_used, reason = "tests")]

use skiff_core::{Index, LogTime, Membership, NodeId, Position, Term};
use skiff_storage::{
    InstanceId, Opening, SnapshotInfo, SnapshotMeta, SnapshotSource, SnapshotStore, Standing,
    StoreError,
};
use skiff_wal::{
    Log, LogId, Options,
    backup::{Backup, BackupWriter, Restore, RestoreError, restore},
    disk::{
        Disk,
        sim::{Fate, SimDisk},
    },
};

const NAME: &str = "orders.backup";
const PLACE: Position = Position::new(5, 100);

fn content() -> Vec<u8> {
    (0..3_000_u32).map(|number| number.to_le_bytes()[0]).collect()
}

fn info() -> SnapshotInfo {
    let meta = SnapshotMeta {
        instance: InstanceId(1),
        position: PLACE,
        time: LogTime(77),
        membership: Membership::of([NodeId(1), NodeId(2), NodeId(3)]),
        terms: vec![(Index(1), Term(1)), (Index(40), Term(5))],
        machine_version: 3,
        codec: "own".to_owned(),
    };
    let content = content();
    SnapshotInfo { meta, size: content.len() as u64, checksum: crc32c::crc32c(&content) }
}

fn write(disk: &SimDisk) -> Result<(), StoreError> {
    let mut writer = BackupWriter::on(disk.clone(), NAME, "orders", &info())?;
    content().chunks(700).try_for_each(|piece| writer.write(piece))?;
    writer.finish()
}

fn written() -> SimDisk {
    let disk = SimDisk::new();
    write(&disk).unwrap();
    disk
}

fn wish() -> Restore {
    Restore {
        cluster: "orders".to_owned(),
        name: "r".to_owned(),
        address: "r:1".to_owned(),
        node: NodeId(9),
        instance: InstanceId(2),
        options: Options { segment_size: 1 << 14, fresh_log: LogId(4) },
    }
}

fn open(disk: &SimDisk) -> Result<skiff_wal::Opened<SimDisk>, StoreError> {
    let opening = Opening {
        cluster: "orders".to_owned(),
        name: Some("r".to_owned()),
        fresh_node: NodeId(10),
        ..Opening::default()
    };
    let options = Options { segment_size: 1 << 14, fresh_log: LogId(5) };
    Log::open(disk.clone(), &opening, options)
}

#[test]
fn a_backup_is_read_as_it_was_written() {
    let disk = written();
    let backup = Backup::of(disk.clone(), NAME).unwrap();
    backup.verify().unwrap();
    assert_eq!((backup.info(), backup.cluster()), (&info(), Some("orders")));
    assert_eq!(backup.read_whole().unwrap(), content());
    assert_eq!(disk.list().unwrap(), [NAME]);
}

#[test]
fn a_backup_is_there_as_a_whole_or_not_at_all() {
    for halt in 0.. {
        let disk = SimDisk::new();
        disk.halt_after(halt);
        let is_done = write(&disk).is_ok();
        for keeps in [false, true] {
            let after = disk.fork();
            after.crash(|_| if keeps { Fate::Keep } else { Fate::Drop });
            let found = Backup::of(after.clone(), NAME).and_then(|backup| {
                backup.verify()?;
                backup.read_whole()
            });
            match found {
                Ok(found) => assert_eq!(found, content()),
                Err(error) => {
                    assert!(!is_done, "after {halt} operations: {error}");
                    assert!(
                        !after.list().unwrap().contains(&NAME.to_owned()),
                        "{halt}: half a file"
                    );
                }
            }
        }
        if is_done {
            assert!(halt > 8, "only {halt} operations");
            return;
        }
    }
}

#[test]
fn what_did_not_come_whole_gets_no_name() {
    for (piece, what) in
        [(&content()[..2_999], "short"), (&[&content()[..], b"x"].concat(), "long")]
    {
        let disk = SimDisk::new();
        let mut writer = BackupWriter::on(disk.clone(), NAME, "orders", &info()).unwrap();
        writer.write(piece).unwrap();
        let error = writer.finish().unwrap_err();
        assert!(error.to_string().contains("were meant"), "{what}: {error}");
        assert!(disk.list().unwrap().is_empty(), "{what}");
    }
    let disk = SimDisk::new();
    drop(BackupWriter::on(disk.clone(), NAME, "orders", &info()).unwrap());
    assert!(disk.list().unwrap().is_empty(), "given up, it leaves nothing behind");
}

#[test]
fn every_flipped_bit_of_a_backup_is_noticed() {
    let sound = written().content(NAME).unwrap();
    for byte in (0..sound.len()).filter(|at| *at < 300 || at % 97 == 0) {
        let mut damaged = sound.clone();
        damaged[byte] ^= 1 << (byte % 8);
        let disk = SimDisk::new();
        disk.put(NAME, damaged);
        let verified = Backup::of(disk, NAME).and_then(|backup| backup.verify());
        assert!(verified.is_err(), "byte {byte}");
    }
    for length in (0..sound.len()).step_by(53) {
        let disk = SimDisk::new();
        disk.put(NAME, sound[..length].to_vec());
        let verified = Backup::of(disk, NAME).and_then(|backup| backup.verify());
        assert!(matches!(verified, Err(StoreError::Corrupt { .. })), "length {length}");
    }
}

#[test]
fn a_restored_folder_is_that_of_the_only_member_of_another_instance() {
    let backup = Backup::of(written(), NAME).unwrap();
    let disk = SimDisk::new();
    restore(disk.clone(), &backup, &wish()).unwrap();
    let error = restore(disk.clone(), &backup, &wish()).unwrap_err();
    assert!(matches!(error, RestoreError::NotEmpty { .. }), "{error}");
    let opened = open(&disk).unwrap();
    let identity = &opened.identity;
    assert_eq!((identity.standing, identity.node), (Standing::Member, NodeId(9)));
    assert_eq!(identity.instance, Some(InstanceId(2)));
    let (meta, state) = opened.snapshots.newest().unwrap().unwrap();
    assert_eq!((meta.position, meta.instance, state), (PLACE, InstanceId(2), content().into()));
    assert_eq!(meta.membership.voters.iter().collect::<Vec<_>>(), [&NodeId(9)]);
    assert_eq!(meta.membership.nodes[&NodeId(9)].address, "r:1");
    assert_eq!((meta.time, meta.terms), (LogTime(77), vec![(Index(100), Term(5))]));
    assert_eq!(opened.recovered.last, Position::default());
}

#[test]
fn a_damaged_backup_touches_nothing() {
    let source = written();
    let length = source.content(NAME).unwrap().len() as u64;
    source.flip_bit(NAME, length - 1, 0);
    let backup = Backup::of(source, NAME).unwrap();
    let disk = SimDisk::new();
    let error = restore(disk.clone(), &backup, &wish()).unwrap_err();
    assert!(matches!(error, RestoreError::Store(StoreError::Corrupt { .. })), "{error}");
    assert!(disk.list().unwrap().is_empty());
}

/// Half a member would begin a cluster with the state of another, or with none.
#[test]
fn a_restore_that_is_cut_short_leaves_no_half_member() {
    let backup = Backup::of(written(), NAME).unwrap();
    let mut seen = [0; 3];
    for halt in 0.. {
        let disk = SimDisk::new();
        disk.halt_after(halt);
        let is_done = restore(disk.clone(), &backup, &wish()).is_ok();
        for choice in 0..16_u32 {
            let after = disk.fork();
            let mut nth = 0;
            after.crash(|_| {
                nth += 1;
                if choice >> (nth % 4) & 1 == 1 { Fate::Keep } else { Fate::Drop }
            });
            after.forget_faults();
            let opened = match open(&after) {
                Ok(opened) => opened,
                // Refused.
                Err(error) => {
                    assert!(!is_done, "after {halt} operations: {error}");
                    seen[0] += 1;
                    continue;
                }
            };
            let held = opened.snapshots.newest().unwrap();
            match (opened.identity.standing, held) {
                (Standing::Member, Some((meta, state))) => {
                    assert_eq!((meta.instance, state), (InstanceId(2), content().into()));
                    assert_eq!(opened.identity.instance, Some(InstanceId(2)));
                    seen[1] += 1;
                }
                // A node without a snapshot does not start as a member.
                (Standing::Member | Standing::Fresh, None) => {
                    assert!(!is_done, "after {halt} operations, choice {choice}");
                    seen[2] += 1;
                }
                other => panic!("after {halt} operations, choice {choice}: {other:?}"),
            }
        }
        if is_done {
            break;
        }
    }
    assert!(seen[1] > 0 && seen[2] > 0, "{seen:?}");
}
