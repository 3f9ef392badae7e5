//! What can be read of a log that is damaged, and whether it is said truly.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{collections::BTreeMap, env};

use common::*;
use proptest::{
    collection::vec,
    prelude::{ProptestConfig, any, proptest},
    sample::Index as Pick,
};
use skiff_core::{Entry, Index, Position};
use skiff_wal::{
    Place,
    disk::{Disk, DiskFile, sim::SimDisk},
    inspect::{Finding, Inspection, Part},
};

/// Room for everything in one segment.
const ROOMY: u64 = 64 << 10;

fn batches(disk: &SimDisk) -> Vec<Place> {
    let mut found = Vec::new();
    let inspection = Inspection::of(disk.clone()).unwrap();
    let walked = inspection.walk(|finding| {
        if let Finding::Batch { header, .. } = finding {
            found.push(header.place);
        }
    });
    walked.unwrap();
    found
}

/// What a survey shows, in short: each entry with whether it is certain, each gap with its last term.
fn shown(disk: &SimDisk) -> Vec<String> {
    let mut shown = Vec::new();
    Inspection::of(disk.clone()).unwrap().survey().parts(|part| {
        shown.push(match part {
            Part::Entry { entry, is_certain } => {
                assert_eq!(entry, self::entry(entry.term.0, entry.index.0, 30));
                format!("{}{}", entry.position(), if is_certain { "" } else { "?" })
            }
            Part::Missing { first, last: Some(last), last_term, .. } => {
                format!("-{first}..{last}/t{}", last_term.unwrap_or_default())
            }
            Part::Missing { first, last: None, .. } => format!("-{first}.."),
        });
    });
    shown
}

/// Entries 1 to 3 of term 1, 4 to 6 of term 2 in place of two others, 7 and 8 of term 3.
fn written(size: u64) -> SimDisk {
    let disk = SimDisk::new();
    let mut opened = open(&disk, size);
    put(&mut opened.log, append(1, 1, 6));
    put(&mut opened.log, cut(4, append(2, 4, 7)));
    put(&mut opened.log, append(3, 7, 9));
    close(opened);
    disk
}

/// Flips a byte of the payload of the entry, wherever it was written last.
fn flip_entry(disk: &SimDisk, term: u64, index: u64) {
    let entry = entry(term, index, 30).payload.body();
    for name in disk.list().unwrap() {
        let content = disk.content(&name).unwrap();
        if let Some(at) = content.windows(30).rposition(|window| window == &*entry) {
            return flip(disk, &name, at);
        }
    }
    panic!("{term}/{index} is nowhere");
}

#[test]
fn a_sound_log_is_shown_as_it_is() {
    for size in [TINY, ROOMY] {
        let all = ["1/t1", "2/t1", "3/t1", "4/t2", "5/t2", "6/t2", "7/t3", "8/t3"];
        assert_eq!(shown(&written(size)), all);
    }
    assert_eq!(shown(&SimDisk::new()), [""; 0]);
}

/// The batch of entries 4 to 6 also says that those of term 1 are dropped, and is damaged.
#[test]
fn what_is_well_within_a_damaged_batch_is_shown() {
    let disk = written(ROOMY);
    flip_entry(&disk, 2, 5);
    let before = ["1/t1?", "2/t1?", "3/t1?", "4/t1?", "5/t1?"];
    let all = [&before[..], &["6/t2", "7/t3", "8/t3"]].concat();
    assert_eq!(shown(&disk), all);
    let inspection = Inspection::of(disk).unwrap();
    let examined = inspection.examine().unwrap();
    assert_eq!(inspection.survey().holes(), examined.holes);
    assert_eq!(examined.holes[0].last, Position::new(2, 6));
}

#[test]
fn what_is_lost_is_missing_and_said_so() {
    let disk = written(ROOMY);
    flip_entry(&disk, 2, 6);
    let before = ["1/t1?", "2/t1?", "3/t1?", "4/t1?", "5/t1?"];
    let all = [&before[..], &["-6..6/t2", "7/t3", "8/t3"]].concat();
    assert_eq!(shown(&disk), all);
}

/// The last batch before the close: nothing but IDENTITY or the mark of the end says that it was synced.
#[test]
fn a_damaged_end_is_shown_with_what_is_well_in_it() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, ROOMY);
    put(&mut opened.log, append(1, 1, 4));
    put(&mut opened.log, append(1, 4, 8));
    close(opened);
    let last = *batches(&disk).last().unwrap();
    // The mark is gone, and IDENTITY knows of the batch before it.
    opened = open(&disk, ROOMY);
    drop(opened);
    disk.kill();
    flip_entry(&disk, 1, 6);
    for place in batches(&disk).into_iter().filter(|place| place.offset >= last.offset) {
        disk.open(&segment(1)).unwrap().write_at(&[0; 512], place.offset).unwrap();
    }
    let inspection = Inspection::of(disk.clone()).unwrap();
    assert!(inspection.examine().is_err());
    let all = ["1/t1?", "2/t1?", "3/t1?", "4/t1?", "5/t1?", "-6..6/t1", "7/t1?", "-8.."];
    assert_eq!(shown(&disk), all);
}

#[test]
fn without_identity_all_is_shown_and_nothing_is_certain() {
    let disk = written(TINY);
    disk.remove("IDENTITY").unwrap();
    let shown = shown(&disk);
    assert_eq!(shown.len(), 9, "{shown:?}");
    assert!(shown[..8].iter().all(|one| one.ends_with('?')), "{shown:?}");
    assert_eq!(shown[8], "-9..");
}

#[test]
fn segments_that_are_missing_hide_no_other() {
    let disk = written(TINY);
    let mut places = batches(&disk);
    places.dedup_by_key(|place| place.segment);
    let shown = places.iter().map(|place| {
        let disk = disk.fork();
        disk.remove(&segment(place.segment)).unwrap();
        shown(&disk).join(" ")
    });
    let expected = [
        // Nothing but the mark of the first opening stood there.
        "1/t1 2/t1 3/t1 4/t2 5/t2 6/t2 7/t3 8/t3",
        "-1..4/t2 5/t2 6/t2 7/t3 8/t3",
        "1/t1? 2/t1? 3/t1? 4/t1? 5/t1? -6..",
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

/// A piece that others gave back is read, and counted as long as it is in use.
#[test]
fn what_was_mended_is_shown_as_any_other() {
    let disk = written(ROOMY);
    flip_entry(&disk, 2, 6);
    let mut opened = try_open_holed(&disk, ROOMY).unwrap();
    let of_others = [entry(2, 4, 30), entry(2, 5, 30), entry(2, 6, 30)];
    opened.log.mend(Position::new(1, 3), &of_others).unwrap();
    opened.log.mend(Position::new(1, 2), &[entry(1, 3, 30)]).unwrap();
    drop(opened);
    let all = ["1/t1", "2/t1", "3/t1", "4/t2", "5/t2", "6/t2", "7/t3", "8/t3"];
    assert_eq!(shown(&disk), all);
    let examined = Inspection::of(disk).unwrap().check().unwrap();
    assert_eq!((examined.mended, examined.left_over), (1, 1));
}

#[test]
fn a_torn_write_is_told_with_what_it_was_to_bring() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, ROOMY);
    put(&mut opened.log, append(1, 1, 4));
    put(&mut opened.log, append(1, 4, 8));
    drop(opened);
    disk.kill();
    flip_entry(&disk, 1, 6);
    let inspection = Inspection::of(disk.clone()).unwrap();
    assert_eq!(inspection.examine().unwrap().last, Position::new(1, 3));
    let survey = inspection.survey();
    let torn = survey.torn().unwrap();
    assert_eq!((torn.records, torn.after), (4, Position::new(1, 3)));
    // Nobody was ever told of it, so it is no part of the log.
    assert_eq!(shown(&disk), ["1/t1", "2/t1", "3/t1"]);
}

/// All entries that ever were in the log, by position, with what they held.
fn ever() -> BTreeMap<(u64, u64), Entry> {
    let of = |term: u64, from: u64, to: u64| (from..to).map(move |index| entry(term, index, 30));
    let all = of(1, 1, 6).chain(of(2, 4, 7)).chain(of(3, 7, 9));
    all.map(|entry| ((entry.index.0, entry.term.0), entry)).collect()
}

/// Those that are in it at last.
fn at_last(entry: &Entry) -> bool {
    let term = match entry.index.0 {
        1..=3 => 1,
        4..=6 => 2,
        _ => 3,
    };
    entry.term.0 == term
}

/// A byte that flips anywhere: what is said to be certain is in the log, and what is in it is shown or
/// said to be missing.
#[test]
fn what_is_certain_is_in_the_log_whatever_byte_flips() {
    for size in [TINY, ROOMY] {
        let disk = written(size);
        for name in disk.list().unwrap() {
            let length = disk.content(&name).unwrap().len().min(5_000);
            for at in (0..length).step_by(7) {
                let disk = disk.fork();
                flip(&disk, &name, at);
                let mut accounted = 0;
                Inspection::of(disk).unwrap().survey().parts(|part| match part {
                    Part::Entry { entry, is_certain } => {
                        assert!(!is_certain || at_last(&entry), "{name} {at}: {entry:?}");
                        accounted = entry.index.0;
                    }
                    Part::Missing { last, .. } => accounted = last.map_or(u64::MAX, |last| last.0),
                });
                assert!(accounted >= 8, "{name} {at}: nothing is said of what follows {accounted}");
            }
        }
    }
}

fn cases() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 600, ..config },
    }
}

proptest! {
    #![proptest_config(cases())]

    /// Whatever is done to the files, nothing is made up: each entry that is shown was written, and each
    /// index comes once and in its order.
    #[test]
    fn nothing_is_made_up(
        mutations in vec((any::<Pick>(), any::<Pick>(), any::<u8>(), 0..6_u8), 1..5),
        is_roomy in any::<bool>(),
    ) {
        let disk = written(if is_roomy { ROOMY } else { TINY });
        let ever = ever();
        for (file, at, byte, kind) in mutations {
            let names = disk.list().unwrap();
            if names.is_empty() {
                break;
            }
            let name = file.get(&names);
            let mut content = disk.content(name).unwrap();
            let at = at.index(content.len().min(4_000) + 1).min(content.len());
            match kind {
                0 => content.truncate(at),
                1 => content.splice(at..at, [byte; 7]).for_each(drop),
                2 => content[at..].iter_mut().take(4).for_each(|one| *one ^= byte),
                3 => content.iter_mut().skip(at).take(512).for_each(|one| *one = 0),
                4 => {
                    disk.remove(name).unwrap();
                    continue;
                }
                _ => content = disk.content(at_pick(&names, at)).unwrap(),
            }
            disk.put(name, content);
        }
        let inspection = Inspection::of(disk).unwrap();
        let survey = inspection.survey();
        let mut next = survey.base().index.next();
        survey.parts(|part| match part {
            Part::Entry { entry, .. } => {
                assert_eq!(entry.index, next);
                assert_eq!(ever.get(&(entry.index.0, entry.term.0)), Some(&entry));
                next = next.next();
            }
            Part::Missing { first, last, .. } => {
                assert_eq!(first, next);
                next = last.map_or(Index(u64::MAX), Index::next);
            }
        });
        match inspection.examine() {
            Ok(found) => {
                assert_eq!(survey.holes(), found.holes);
                assert_eq!((survey.base(), survey.last()), (found.base, found.last));
            }
            Err(_) => assert!(survey.torn().is_none()),
        }
    }
}

fn at_pick(names: &[String], at: usize) -> &str {
    &names[at % names.len()]
}
