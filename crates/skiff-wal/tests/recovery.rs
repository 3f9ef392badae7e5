//! What recovery does about damage and loss. The names are those of bugs that others had.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use bytes::Bytes;
use common::*;
use skiff_core::{Entry, HardState, Index, NodeId, Payload, Position, Term, Write};
use skiff_storage::{
    Identity, InstanceId, LogReader, SnapshotMeta, SnapshotStore, Standing, StoreError,
};
use skiff_wal::{
    Log, LogId, Options, Place, Record,
    disk::sim::{Fate, SimDisk, Unsynced},
    inspect::{Finding, Inspection},
};

/// Where each batch of the log begins, and where its last record ends.
fn batches(disk: &SimDisk) -> Vec<(Place, u64)> {
    let mut batches = Vec::new();
    let inspection = Inspection::of(disk.clone()).unwrap();
    let walked = inspection.walk(|finding| {
        if let Finding::Batch { header, .. } = finding {
            batches.push((header.place, header.place.offset + 160 + u64::from(header.length)));
        }
    });
    walked.unwrap();
    batches
}

/// Where in its file each entry's record stands.
fn place_of(disk: &SimDisk, index: u64) -> (u64, usize) {
    let mut found = None;
    let inspection = Inspection::of(disk.clone()).unwrap();
    let walked = inspection.walk(|finding| {
        let Finding::Batch { header, records, .. } = finding else { return };
        for (offset, record) in records {
            if matches!(record, Record::Entry(entry) if entry.position.index.0 == index) {
                found = Some((header.place.segment, usize::try_from(*offset).unwrap()));
            }
        }
    });
    walked.unwrap();
    found.unwrap()
}

#[track_caller]
fn assert_holds(disk: &SimDisk, segment_size: u64, model: &Model) {
    assert_eq!(Model::of(&open(disk, segment_size)), *model);
}

/// Opening must be refused as corrupt; and the refusal changes nothing.
#[track_caller]
fn assert_corrupt(disk: &SimDisk, segment_size: u64) -> (String, u64, Option<Index>) {
    let before = disk.counts().changes;
    let error = try_open(disk, segment_size).map(|opened| Model::of(&opened)).unwrap_err();
    assert_eq!(disk.counts().changes, before, "a refusal changed something");
    let verified = Inspection::of(disk.clone()).unwrap().verify().unwrap_err();
    assert_eq!(verified.to_string(), error.to_string());
    match error {
        StoreError::Corrupt { path, offset, index, .. } => {
            (path.file_name().unwrap().to_string_lossy().into_owned(), offset, index)
        }
        other => panic!("not corrupt but: {other}"),
    }
}

#[track_caller]
fn assert_lost(disk: &SimDisk) {
    let before = disk.counts().changes;
    let error = try_open(disk, TINY).map(|opened| Model::of(&opened)).unwrap_err();
    assert!(matches!(error, StoreError::Lost { .. }), "not lost but: {error}");
    assert_eq!(disk.counts().changes, before, "a refusal changed something");
}

/// A log of ten entries in batches of one, which was closed, so that all is proven.
fn ten_entries(segment_size: u64) -> (SimDisk, Model) {
    let disk = SimDisk::new();
    let mut opened = open(&disk, segment_size);
    let mut model = Model::default();
    for index in 1..=10 {
        let write = append(1, index, index + 1);
        model = model.after(&write);
        put(&mut opened.log, write);
    }
    close(opened);
    (disk, model)
}

/// A log that was dropped with its last batch unsynced and not proven by anything.
fn with_unsynced(last: Write) -> (SimDisk, Model) {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 64 << 10);
    let model = Model::default().after(&append(1, 1, 4));
    put(&mut opened.log, append(1, 1, 4));
    // The batch is written, and then the sync does not happen.
    disk.halt_after(1);
    assert!(try_put(&mut opened.log, last).is_err());
    (disk, model)
}

#[test]
fn torn_and_zeroed_tails() {
    let last = Write { entries: vec![entry(1, 4, 3_000)], ..append(1, 4, 4) };
    let (disk, model) = with_unsynced(last.clone());
    let [Unsynced::Write { name, at, .. }] = &disk.unsynced()[..] else {
        panic!("{:?}", disk.unsynced())
    };
    let sectors = disk.unsynced()[0].sectors();
    let at = usize::try_from(*at).unwrap();
    let whole = disk.fork();
    whole.crash(|_| Fate::Keep);
    assert_holds(&whole.fork(), 64 << 10, &model.after(&last));
    for sector in 0..sectors {
        let zeroed = disk.fork();
        zeroed.crash(|_| Fate::Tear((0..sectors).map(|one| one != sector).collect()));
        let torn = disk.fork();
        torn.crash(|_| Fate::Tear((0..sectors).map(|one| one < sector).collect()));
        // The length of the file was synced before it was used: no power cut makes it shorter.
        let cut_off = whole.fork();
        let mut content = cut_off.content(name).unwrap();
        content.truncate(at + sector * 512);
        cut_off.put(name, content);
        assert_lost(&cut_off);
        for (disk, is_told) in [(zeroed, true), (torn, sector > 0)] {
            let opened = open(&disk, 64 << 10);
            assert_eq!(Model::of(&opened), model);
            let remarks = opened.recovered.remarks;
            assert_eq!(!remarks.is_empty(), is_told, "sector {sector}: {remarks:?}");
            drop((opened.log, opened.snapshots));
            let again = open(&disk, 64 << 10).recovered.remarks;
            assert_eq!(again, Vec::<String>::new(), "it is told once");
        }
    }
}

#[test]
fn a_fresh_segment_may_be_empty_or_half_made() {
    let (disk, model) = ten_entries(TINY);
    let next = segment(99);
    for content in [Vec::new(), vec![0; 512], vec![0; 2_048], vec![0xee; 700]] {
        let disk = disk.fork();
        disk.put(&next, content);
        assert_holds(&disk, TINY, &model);
        let mut opened = open(&disk, TINY);
        let write = append(2, 11, 30);
        put(&mut opened.log, write.clone());
        drop(opened);
        disk.crash(|_| Fate::Drop);
        assert_holds(&disk, TINY, &model.after(&write));
    }
}

#[test]
fn corrupt_old_segment_not_end() {
    let (disk, _) = ten_entries(TINY);
    let last = batches(&disk).last().unwrap().0.segment;
    assert!(last > 3, "the log has several segments");
    for index in 1..10 {
        let (number, offset) = place_of(&disk, index);
        let disk = disk.fork();
        flip(&disk, &segment(number), offset + 50);
        let (file, damaged_at, hit) = assert_corrupt(&disk, TINY);
        assert_eq!((file, hit), (segment(number), Some(Index(index))));
        assert_eq!(damaged_at, offset as u64);
    }
}

#[test]
fn a_flipped_bit_of_an_acknowledged_record() {
    // With and without room for the mark that the log was closed.
    flip_each_bit(&[append(1, 1, 3), cut(2, append(2, 2, 3)), vote(3, 4)]);
    flip_each_bit(&[append(1, 1, 3), cut(2, append(2, 2, 3))]);
}

fn flip_each_bit(writes: &[Write]) {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let mut model = Model::default();
    for write in writes {
        model = model.after(write);
        put(&mut opened.log, write.clone());
    }
    close(opened);
    let (closing, _) = *batches(&disk).last().unwrap();
    let mut is_last_closing = false;
    let inspection = Inspection::of(disk.clone()).unwrap();
    let walked = inspection.walk(|finding| {
        if let Finding::Batch { records, .. } = finding {
            is_last_closing = matches!(records, [(_, Record::Closed)]);
        }
    });
    walked.unwrap();
    for (place, end) in batches(&disk) {
        for offset in place.offset..end.next_multiple_of(512) {
            let disk = disk.fork();
            flip(&disk, &segment(place.segment), usize::try_from(offset).unwrap());
            if offset >= end || (place == closing && is_last_closing) {
                // Nothing is there, or nothing but the mark that the log was closed.
                assert_holds(&disk, TINY, &model);
            } else if Inspection::of(disk.clone()).unwrap().verify().is_ok() {
                // What it hits said nothing that a later batch does not say too.
                assert_holds(&disk, TINY, &model);
            } else {
                assert_corrupt(&disk, TINY);
            }
        }
    }
}

#[test]
fn cross_segment_truncation_crash() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let mut model = Model::default();
    let mut write = |log: &mut _, write: Write| {
        model = model.after(&write);
        put(log, write);
    };
    for index in 1..=30 {
        write(&mut opened.log, append(1, index, index + 1));
    }
    write(&mut opened.log, cut(15, append(2, 15, 16)));
    drop(opened);
    disk.crash(|_| Fate::Drop);
    assert_eq!(model.last(), Position::new(2, 15));
    assert_holds(&disk, TINY, &model);
    assert_holds(&disk, TINY, &model);
}

#[test]
fn suffix_cut_in_sealed_segment() {
    // One batch to a segment of this size, so each of these cuts at, before and behind a seal.
    for (count, cut_from) in [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (4, 2), (4, 3)] {
        for size in [TINY, TINY + 512, TINY + 1_024] {
            let disk = SimDisk::new();
            let mut opened = open(&disk, size);
            let mut model = Model::default();
            for index in 1..=count {
                let write = append(1, index, index + 1);
                model = model.after(&write);
                put(&mut opened.log, write);
            }
            let truncation = cut(cut_from, append(2, cut_from, cut_from));
            model = model.after(&truncation);
            put(&mut opened.log, truncation);
            close(opened);
            let mut opened = open(&disk, size);
            assert_eq!(Model::of(&opened), model);
            let write = append(2, cut_from, cut_from + 2);
            model = model.after(&write);
            put(&mut opened.log, write);
            close(opened);
            assert_holds(&disk, size, &model);
        }
    }
}

#[test]
fn failed_sync_is_final() {
    let probe = SimDisk::new();
    let mut opened = open(&probe, TINY);
    let before = probe.counts();
    put(&mut opened.log, append(1, 1, 8));
    let after = probe.counts();
    let syncs = after.syncs + after.dir_syncs - before.syncs - before.dir_syncs;
    assert!(syncs > 4, "segments are made and batches are synced");
    for nth in 1..=syncs {
        let disk = SimDisk::new();
        let mut opened = open(&disk, TINY);
        disk.fail_sync(nth);
        let write = append(1, 1, 8);
        let error = try_put(&mut opened.log, write.clone()).unwrap_err();
        assert!(!error.is_recoverable(), "{error}");
        for _ in 0..2 {
            let error = try_put(&mut opened.log, vote(3, 1)).unwrap_err();
            assert!(matches!(error, StoreError::Poisoned { .. }), "sync {nth}: {error}");
            let error = opened.log.identify(&opened.identity).unwrap_err();
            assert!(matches!(error, StoreError::Poisoned { .. }), "sync {nth}: {error}");
        }
        drop(opened);
        // The next process sees what the kernel still has in memory. What it says is there must be
        // on the medium.
        disk.kill();
        let seen = Model::of(&open(&disk, TINY));
        assert!(Model::default().during(&write).contains(&seen), "sync {nth}: {seen:?}");
        disk.crash(|_| Fate::Drop);
        assert_eq!(Model::of(&open(&disk, TINY)), seen, "sync {nth}");
    }
}

#[test]
fn vote_on_disk_before_reply() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    put(&mut opened.log, vote(5, 1));
    let image = disk.fork();
    image.crash(|_| Fate::Drop);
    let found = open(&image, TINY).recovered.hard_state;
    assert_eq!(found, HardState { term: Term(5), vote: Some(NodeId(1)) });
    disk.fail_write(1);
    let error = try_put(&mut opened.log, vote(6, 2)).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert!(try_put(&mut opened.log, vote(6, 2)).is_err());
}

#[test]
fn restored_without_hard_state() {
    // The log ends in term 7, and no batch is left that says in which term the node is.
    let (disk, _) = {
        let disk = SimDisk::new();
        let mut opened = open(&disk, 64 << 10);
        put(&mut opened.log, append(7, 1, 10));
        close(opened);
        (disk, ())
    };
    let gone = disk.fork();
    for (place, _) in batches(&disk) {
        flip(&gone, &segment(place.segment), usize::try_from(place.offset).unwrap());
    }
    assert_corrupt(&gone, 64 << 10);
    // A large write is torn between its batches: its entries are of term 7, the vote is of term 5.
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    put(&mut opened.log, vote(5, 1));
    let full = disk.counts().changes;
    let large = append(7, 1, 30);
    put(&mut opened.log, large);
    let total = disk.counts().changes - full;
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    put(&mut opened.log, vote(5, 1));
    disk.halt_after(total / 2);
    assert!(try_put(&mut opened.log, append(7, 1, 30)).is_err());
    disk.crash(|_| Fate::Drop);
    let opened = open(&disk, TINY);
    assert_eq!(opened.recovered.last.term, Term(7));
    assert_eq!(opened.recovered.hard_state, HardState { term: Term(7), vote: None });
}

#[test]
fn torn_batch_is_not_corruption() {
    let large = Write { entries: vec![entry(1, 4, 15_500)], ..append(1, 4, 4) };
    let (disk, model) = with_unsynced(large);
    let sectors = disk.unsynced()[0].sectors();
    let page = 4_096 / 512;
    assert!(sectors > 3 * page);
    let torn = disk.fork();
    torn.crash(|_| Fate::Tear((0..sectors).map(|sector| sector >= page).collect()));
    let opened = open(&torn, 64 << 10);
    assert_eq!(Model::of(&opened), model);
    assert_eq!(opened.recovered.remarks.len(), 1);
    // The same damage with a later batch behind it.
    disk.crash(|_| Fate::Keep);
    let mut opened = open(&disk, 64 << 10);
    put(&mut opened.log, append(1, 5, 6));
    drop(opened);
    let (number, offset) = place_of(&disk, 4);
    let start = offset / 512 * 512;
    let mut content = disk.content(&segment(number)).unwrap();
    content[start..start + page * 512].fill(0);
    disk.put(&segment(number), content);
    let (_, _, index) = assert_corrupt(&disk, 64 << 10);
    assert_eq!(index, Some(Index(4)));
}

#[test]
fn pieces_of_a_dropped_batch_are_never_taken_for_good() {
    let large = Write { entries: vec![entry(1, 4, 3_000)], ..append(1, 4, 4) };
    let (disk, model) = with_unsynced(large.clone());
    let sectors = disk.unsynced()[0].sectors();
    let torn = disk.fork();
    torn.crash(|_| Fate::Tear((0..sectors).map(|sector| sector != 1).collect()));
    let mut opened = open(&torn, 64 << 10);
    assert_eq!(Model::of(&opened), model);
    // The same entry comes again and is torn in turn, so that each sector is of one of the two.
    torn.halt_after(1);
    assert!(try_put(&mut opened.log, large).is_err());
    drop(opened);
    for mask in 0_u32..1 << sectors {
        if mask == (1 << sectors) - 1 {
            continue;
        }
        let torn = torn.fork();
        torn.crash(|_| Fate::Tear((0..sectors).map(|sector| mask >> sector & 1 == 1).collect()));
        assert_holds(&torn, 64 << 10, &model);
    }
}

#[test]
fn vote_inside_the_hole() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 64 << 10);
    put(&mut opened.log, append(4, 1, 4));
    put(&mut opened.log, vote(5, 9));
    let voted = HardState { term: Term(5), vote: Some(NodeId(9)) };
    put(&mut opened.log, Write { hard_state: voted, ..append(5, 4, 6) });
    put(&mut opened.log, Write { hard_state: voted, ..append(5, 6, 8) });
    close(opened);
    let (place, _) = batches(&disk)[2];
    flip(&disk, &segment(place.segment), usize::try_from(place.offset).unwrap() + 100);
    // The vote is known from the batches behind it too, and no entry was lost.
    assert_eq!(open(&disk.fork(), 64 << 10).recovered.hard_state, voted);
    let newest = Inspection::of(disk).unwrap().newest_batch().unwrap().unwrap();
    assert_eq!(newest.hard_state, voted);
}

#[test]
fn segments_gone_identity_left() {
    let (disk, _) = ten_entries(TINY);
    let newest = batches(&disk).last().unwrap().0.segment;
    let without = |names: &[String]| {
        let disk = disk.fork();
        names.iter().for_each(|name| disk.take_away(name));
        disk
    };
    let all: Vec<String> = (1..=newest).map(segment).collect();
    assert_lost(&without(&all));
    for name in &all {
        // What stands in later ones tells how much is missing.
        let disk = without(std::slice::from_ref(name));
        if *name == segment(newest) {
            assert_lost(&disk);
        } else {
            assert_corrupt(&disk, TINY);
        }
    }
    assert_lost(&without(&["IDENTITY".to_owned()]));
    // A file that is there but empty is as good as gone.
    for name in &all {
        let disk = disk.fork();
        disk.put(name, Vec::new());
        assert_corrupt(&disk, TINY);
    }
}

#[test]
fn a_member_without_its_snapshot_has_lost_data() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let meta = SnapshotMeta { position: Position::new(1, 1), ..SnapshotMeta::default() };
    opened.snapshots.save(&meta, b"genesis").unwrap();
    put(&mut opened.log, begin_after(1, 1, append(1, 2, 3)));
    let instance = Some(InstanceId(3));
    let member = Identity { standing: Standing::Member, instance, ..opened.identity };
    opened.log.identify(&member).unwrap();
    drop((opened.log, opened.snapshots));
    let opened = open(&disk, TINY);
    assert_eq!(opened.identity, Identity { boot: 2, ..member });
    drop(opened);
    let name = "snapshot-00000000000000000001-00000000000000000001";
    assert!(disk.content(name).is_some());
    disk.take_away(name);
    assert_lost(&disk);
}

#[test]
fn an_interrupted_forming_leaves_a_fresh_store() {
    let disk = SimDisk::new();
    for instance in 1..4 {
        let mut opened = open(&disk, TINY);
        assert_eq!(opened.identity.standing, Standing::Fresh);
        let instance = InstanceId(instance);
        let meta =
            SnapshotMeta { instance, position: Position::new(1, 1), ..SnapshotMeta::default() };
        opened.snapshots.save(&meta, b"genesis").unwrap();
        put(&mut opened.log, begin_after(1, 1, append(1, 2, 2)));
        drop(opened);
        disk.crash(|_| Fate::Drop);
        let opened = open(&disk, TINY);
        assert_eq!(opened.snapshots.newest().unwrap().unwrap().0.instance, instance);
        assert_eq!(opened.recovered.last, Position::new(1, 1));
    }
}

#[test]
fn what_identity_knows_to_be_synced_is_not_torn() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 64 << 10);
    put(&mut opened.log, append(1, 1, 4));
    opened.log.identify(&opened.identity).unwrap();
    drop(opened);
    let torn = disk.fork();
    let (number, offset) = place_of(&disk, 2);
    flip(&torn, &segment(number), offset + 40);
    assert_corrupt(&torn, 64 << 10);
}

#[test]
fn a_failed_read_is_tried_once_more() {
    let (disk, model) = ten_entries(TINY);
    let opened = open(&disk, TINY);
    let read = || opened.log.reader().read(Index(1), Index(11), usize::MAX);
    disk.fail_reads(1);
    assert_eq!(read().unwrap(), model.entries);
    // Nor does it matter if no more than what is wanted can be read.
    disk.fail_reads(2);
    assert_eq!(read().unwrap(), model.entries);
    disk.fail_reads(4);
    assert!(matches!(read(), Err(StoreError::Io { .. })));
    assert_eq!(read().unwrap(), model.entries);
}

#[test]
fn a_full_disk_keeps_what_is_there_and_goes_on_when_there_is_room() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let mut model = Model::default();
    disk.limit(Some(3 * TINY));
    let mut next = 1;
    let error = loop {
        let write = append(1, next, next + 1);
        match try_put(&mut opened.log, write.clone()) {
            Ok(()) => (model, next) = (model.after(&write), next + 1),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    let error = try_put(&mut opened.log, append(1, next, next + 1)).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    let image = disk.fork();
    image.crash(|_| Fate::Drop);
    assert_holds(&image, TINY, &model);
    disk.limit(None);
    let write = append(1, next, next + 5);
    put(&mut opened.log, write.clone());
    drop(opened);
    disk.crash(|_| Fate::Drop);
    assert_holds(&disk, TINY, &model.after(&write));
}

#[test]
fn half_a_write_on_a_full_disk_is_final() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    disk.limit(Some(3 * TINY));
    let error = try_put(&mut opened.log, append(1, 1, 100)).unwrap_err();
    assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
    drop(opened);
    disk.crash(|_| Fate::Drop);
    let found = Model::of(&open(&disk, TINY));
    assert!(Model::default().during(&append(1, 1, 100)).contains(&found));
}

#[test]
fn the_number_of_a_dropped_batch_is_not_used_again() {
    let (disk, _) = with_unsynced(Write { entries: vec![entry(1, 4, 3_000)], ..append(1, 4, 4) });
    disk.crash(|_| Fate::Tear(vec![true]));
    drop(open(&disk, 64 << 10));
    let mut numbers = Vec::new();
    let inspection = Inspection::of(disk).unwrap();
    let walked = inspection.walk(|finding| {
        if let Finding::Batch { header, records, .. } = finding {
            numbers.push((header.number, header.boot));
            if let [(_, Record::Opened { highest })] = records {
                assert_eq!(*highest, header.number - 1);
            }
        }
    });
    walked.unwrap();
    // Number 3 was that of the torn one.
    assert_eq!(numbers, [(1, 1), (2, 1), (4, 2)]);
}

/// Two logs that are the same up to a batch; then a sector of one gets into the other, as by a write
/// that went to a wrong place or was lost on a disk that is put back.
#[test]
fn a_batch_of_another_history_does_not_fit() {
    let history = |middle: u64| {
        let disk = SimDisk::new();
        let mut opened = open(&disk, 64 << 10);
        put(&mut opened.log, append(1, 1, 2));
        put(&mut opened.log, append(middle, 2, 3));
        put(&mut opened.log, append(9, 3, 4));
        disk
    };
    let (disk, other) = (history(1), history(2));
    let (place, end) = batches(&disk)[2];
    let range = usize::try_from(place.offset).unwrap()..usize::try_from(end).unwrap();
    let name = segment(place.segment);
    let mut content = disk.content(&name).unwrap();
    content[range.clone()].copy_from_slice(&other.content(&name).unwrap()[range]);
    disk.put(&name, content);
    disk.kill();
    let (file, offset, index) = assert_corrupt(&disk, 64 << 10);
    assert_eq!((file, offset, index), (name, end.next_multiple_of(512), Some(Index(2))));
}

#[test]
fn a_segment_of_another_log_does_not_fit() {
    let (disk, model) = ten_entries(TINY);
    let other = SimDisk::new();
    let options = Options { segment_size: TINY, fresh_log: LogId(0xdef) };
    let mut opened = Log::open(other.clone(), &opening(), options).unwrap();
    (1..=10).for_each(|index| put(&mut opened.log, append(1, index, index + 1)));
    let foreign = other.content(&segment(2)).unwrap();
    let replaced = disk.fork();
    replaced.put(&segment(2), foreign.clone());
    assert_corrupt(&replaced, TINY);
    // Where the log does not need it, it is left alone.
    disk.put(&segment(70), foreign.clone());
    let opened = open(&disk, TINY);
    assert_eq!(Model::of(&opened), model);
    assert!(opened.recovered.remarks[0].contains("another log"));
    let mut log = opened.log;
    (11..=30).for_each(|index| put(&mut log, append(1, index, index + 1)));
    assert_eq!(disk.content(&segment(70)).unwrap(), foreign);
}

/// A folder that is put back to an older copy cannot know it. Its boot counter is what shows it to
/// others: the copy never tells one that is above what the original has told.
#[test]
fn rolled_back_directory() {
    let disk = SimDisk::new();
    drop(open(&disk, TINY));
    let copy = disk.fork();
    let mut opened = open(&disk, TINY);
    put(&mut opened.log, vote(5, 1));
    let told = opened.identity.boot;
    assert!(open(&copy, TINY).identity.boot <= told);
}

#[test]
fn an_entry_that_could_not_be_read_back_is_not_written() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let payload = Payload::Unknown { kind: 0, body: Bytes::from_static(b"not nothing") };
    let wrong = Entry { payload, ..entry(1, 2, 0) };
    let group = [append(1, 1, 2), Write { entries: vec![wrong], ..append(1, 2, 2) }];
    let appended = opened.log.append(&group);
    assert_eq!(appended.durable, 1);
    assert!(matches!(appended.error, Some(StoreError::Misuse(_))), "{:?}", appended.error);
    put(&mut opened.log, append(1, 2, 3));
    close(opened);
    assert_eq!(open(&disk, TINY).recovered.last, Position::new(1, 2));
}
