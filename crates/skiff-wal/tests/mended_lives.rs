//! Long lives with damage, torn ends and mending in turn; and pieces that are read wrongly.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

mod common;

use common::*;
use skiff_core::{Entry, Index, Position, Write};
use skiff_wal::{
    Place, Record,
    disk::sim::{Fate, SimDisk},
    inspect::{Finding, Inspection},
};

const SIZE: u64 = 64 << 10;

fn batches(disk: &SimDisk) -> Vec<(Place, u64)> {
    let mut found = Vec::new();
    let inspection = Inspection::of(disk.clone()).unwrap();
    let walked = inspection.walk(|finding| {
        if let Finding::Batch { header, .. } = finding {
            found.push((header.place, header.place.offset + header.span()));
        }
    });
    walked.unwrap();
    found
}

/// A log that was mended with one piece, which is all there is of its entries 5 to 8.
fn mended() -> (SimDisk, Model, skiff_wal::disk::sim::Image, String) {
    let disk = SimDisk::new();
    let mut opened = open(&disk, SIZE);
    let mut model = Model::default();
    for write in [append(1, 1, 5), append(1, 5, 9), append(1, 9, 11), append(1, 11, 13)] {
        model = model.after(&write);
        put(&mut opened.log, write);
    }
    close(opened);
    let victim = batches(&disk)[2].0;
    flip(&disk, &segment(victim.segment), usize::try_from(victim.offset).unwrap() + 40);
    let mut opened = try_open_holed(&disk, SIZE).unwrap();
    let image = disk.image();
    opened.log.mend(Position::new(1, 4), &model.entries[4..8]).unwrap();
    opened.recovered = opened.log.reload().unwrap();
    assert!(opened.recovered.holes.is_empty());
    close(opened);
    disk.kill();
    let name = format!("mend-{:020}", 0);
    assert!(disk.content(&name).is_some());
    (disk, model, image, name)
}

/// As `a_stale_read_while_opening_destroys_nothing`: one read that is wrong once is no reason to remove
/// the only copy of what this node has acknowledged.
#[test]
fn a_stale_read_of_a_piece_while_opening_destroys_nothing() {
    let (disk, model, _, name) = mended();
    // An image in which the file was there, and zeros.
    let zeros = disk.fork();
    let length = disk.content(&name).unwrap().len();
    zeros.put(&name, vec![0; length]);
    let mut bad = Vec::new();
    let mut stale = 0;
    for nth in 0.. {
        let disk = disk.fork();
        assert!(disk.stale_reads(&name, 0..length as u64, &zeros.image(), nth..nth + 1));
        let reads = disk.counts().reads;
        drop(try_open_holed(&disk, SIZE));
        if disk.counts().reads - reads <= nth {
            break;
        }
        stale += 1;
        disk.crash(|_| Fate::Keep);
        if disk.content(&name).is_none() {
            bad.push(nth);
            continue;
        }
        let opened = try_open_holed(&disk, SIZE).unwrap();
        assert!(opened.recovered.holes.is_empty(), "read {nth}");
        assert_eq!(Model::of(&opened), model, "read {nth}");
    }
    assert!(
        bad.is_empty(),
        "of {stale} reads these removed the piece when they were wrong: {bad:?}"
    );
}

/// A piece of which one sector cannot be read, or is damaged, is removed.
#[test]
fn a_damaged_piece_is_not_removed() {
    let (disk, _, _, name) = mended();
    assert!(disk.break_sector(&name, 512));
    drop(try_open_holed(&disk, SIZE).unwrap());
    assert!(disk.content(&name).is_some(), "nothing of it is left for anybody to look at");
}

// ---------------------------------------------------------------- long lives

fn ends_torn(disk: &SimDisk) -> bool {
    let mut torn_ = false;
    drop(Inspection::of(disk.clone()).unwrap().walk(|finding| {
        if let Finding::End { torn, .. } = finding {
            torn_ = torn.is_some();
        }
    }));
    torn_
}

/// The log ends with a cut of which nothing is told any more.
fn ends_with_cut(disk: &SimDisk) -> bool {
    let mut cut = false;
    drop(Inspection::of(disk.clone()).unwrap().walk(|finding| {
        if let Finding::Batch { records, .. } = finding {
            cut = records.last().is_some_and(|(_, r)| format!("{r:?}").starts_with("TruncateFrom"));
        }
    }));
    cut
}

fn show(disk: &SimDisk) {
    let inspection = Inspection::of(disk.clone()).unwrap();
    for s in inspection.segments() {
        eprintln!("  seg {:?} {} {:?}", s.path, s.size, s.header.is_ok());
    }
    drop(inspection.walk(|finding| match finding {
        Finding::Batch { header, records, .. } => {
            eprint!(
                "  {}@{} n{} prev{} first{} base{:?} synced{:?} hs{:?}:",
                header.place.segment,
                header.place.offset,
                header.number,
                header.previous,
                header.first_segment,
                header.base,
                header.synced,
                header.hard_state
            );
            for (_, r) in records {
                eprint!(" {}", format!("{r:?}").chars().take(90).collect::<String>());
            }
            eprintln!();
        }
        other => eprintln!("  {other:?}"),
    }));
}

struct Dice(u64);
impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        random(&mut self.0) % n
    }
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn write(model: &Model, dice: &mut Dice) -> Write {
    let last = model.last();
    let size = match dice.below(6) {
        0 => dice.below(3_000),
        1 => dice.below(700),
        _ => dice.below(60),
    } as usize;
    let entries = |term: u64, from: u64, count: u64| -> Vec<Entry> {
        (from..from + count).map(|index| entry(term, index, size)).collect()
    };
    let (term, next) = (last.term.0.max(1), last.index.0 + 1);
    let term_now = model.hard_state.term.0.max(term);
    match dice.below(8) {
        0 => vote(term_now + 1, u128::from(dice.below(5)) + 1),
        1 | 2 if !model.entries.is_empty() => {
            let from = next - 1 - dice.below(model.entries.len() as u64);
            let count = u64::from(std::env::var_os("BARE_CUT").is_none()) + dice.below(4);
            cut(
                from,
                Write { entries: entries(term_now + 1, from, count), ..append(term_now + 1, 1, 1) },
            )
        }
        3 if dice.one_in(12) => begin_after(term_now, next + dice.below(4), append(term_now, 1, 1)),
        _ => Write {
            entries: entries(term_now, next, 1 + dice.below(6)),
            hard_state: model.hard_state,
            ..append(term_now, 1, 1)
        },
    }
}

fn at(model: &Model, index: Index) -> Position {
    let found = model.entries.iter().find(|entry| entry.index == index);
    found.map_or(model.base, Entry::position)
}

fn damage(disk: &SimDisk, name: &str, from: u64, to: u64, dice: &mut Dice) {
    let Some(mut content) = disk.content(name) else { return };
    let (from, to) = (from as usize, (to as usize).min(content.len()));
    if from >= to {
        return;
    }
    match dice.below(5) {
        0 => content[from + dice.below(160) as usize] ^= 1 << dice.below(8),
        1 => content[from..from + 512].fill(0),
        2 => content[from..to].fill(0),
        3 => {
            let sectors = (to - from) as u64 / 512;
            let sector = from + 512 * dice.below(sectors) as usize;
            content[sector..sector + 512].fill(0xff);
        }
        _ => {
            let sectors = (to - from) as u64 / 512;
            let sector = from as u64 + 512 * dice.below(sectors);
            assert!(disk.break_sector(name, sector));
            return;
        }
    }
    disk.put(name, content);
}

#[derive(Debug, Default)]
struct Seen {
    lives: u64,
    holes: u64,
    torn: u64,
    torn_holes: u64,
    refused: std::collections::BTreeMap<String, u64>,
}

fn life(seed: u64, seen: &mut Seen) -> Result<(), String> {
    let mut dice = Dice(seed.wrapping_mul(0x1234_5678_9abc_def1));
    let size = [TINY, 8 << 10, 64 << 10][dice.below(3) as usize];
    let disk = SimDisk::new();
    let log_size = size;
    let mut opened = open(&disk, size);
    let mut model = Model::default();
    for round in 0..4 {
        seen.lives += 1;
        let count = 1 + dice.below(10);
        for _ in 0..count {
            let write = write(&model, &mut dice);
            if dice.one_in(3) {
                // A group of two.
                let after = model.after(&write);
                let second = self::write(&after, &mut dice);
                model = after.after(&second);
                let appended = opened.log.append(&[write, second]);
                assert!(appended.error.is_none(), "{:?}", appended.error);
            } else {
                model = model.after(&write);
                put(&mut opened.log, write);
            }
        }
        let acked = batches(&disk);
        // How it ends.
        let mut may_be = vec![model.clone()];
        let mut torn = false;
        match dice.below(3) {
            0 => close(opened),
            1 => {
                drop(opened);
                disk.kill();
            }
            _ => {
                let write = write(&model, &mut dice);
                may_be = model.during(&write);
                disk.halt_after(dice.below(5));
                drop(try_put(&mut opened.log, write));
                drop(opened);
                torn = true;
                let unit = if dice.one_in(2) { 512 } else { 4096 };
                let style = dice.below(3);
                disk.crash(|unsynced| match style {
                    0 => unsynced.tear(unit, |one| one < 1),
                    1 => unsynced.tear(unit, |_| random(&mut dice.0).is_multiple_of(2)),
                    _ => Fate::Drop,
                });
                disk.forget_faults();
            }
        }
        // Damage to all but the last acknowledged batch, unless something stands behind it.
        let is_gone = |(place, _): &&(Place, u64)| disk.content(&segment(place.segment)).is_none();
        let all: Vec<_> = batches(&disk);
        // Inspect again after the end: what was acknowledged and has a successor.
        let victims: Vec<(Place, u64)> = acked.iter().filter(|b| !is_gone(b)).copied().collect();
        let has_more = all.last() != acked.last();
        let has_torn_header = ends_torn(&disk);
        let spare = usize::from(!has_more && !has_torn_header);
        let mut hit_last = false;
        for _ in 0..dice.below(3) {
            if victims.len() <= spare {
                break;
            }
            let pick = dice.below((victims.len() - spare) as u64) as usize;
            hit_last |= pick + 1 == victims.len() && !has_more && !has_torn_header;
            let (place, end) = victims[pick];
            if std::env::var_os("SHOW").is_some() {
                eprintln!("damage {}@{}", place.segment, place.offset);
            }
            damage(&disk, &segment(place.segment), place.offset, end, &mut dice);
        }
        if std::env::var_os("SHOW").is_some() {
            eprintln!(
                "== round {round} size {size} torn {torn} hit_last {hit_last} victims {:?}",
                victims.iter().map(|v| (v.0.segment, v.0.offset)).collect::<Vec<_>>()
            );
            eprintln!("model {model:?}");
            show(&disk);
        }
        let mut opened_ = match try_open_holed(&disk, size) {
            Ok(opened) => opened,
            Err(error) => {
                let text = format!("{error}");
                let text: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
                let text =
                    format!("hit_last={hit_last} torn={torn} cut={}: {text}", ends_with_cut(&disk));
                *seen.refused.entry(text.clone()).or_default() += 1;
                // Two that have tests of their own below: a last cut, and sectors broken in what was recycled.
                let is_known = ends_with_cut(&disk) || text.contains("cannot be read");
                if !hit_last && !is_known {
                    return Err(format!("round {round}: refused: {error}"));
                }
                return Ok(());
            }
        };
        seen.torn += u64::from(torn);
        let holes = opened_.recovered.holes.len() as u64;
        seen.holes += holes;
        seen.torn_holes += if torn { holes } else { 0 };
        if hit_last && opened_.recovered.holes.is_empty() {
            // It may be the last acknowledged batch that looks torn: documented.
            let got = Model::of(&opened_);
            if !may_be.contains(&got) {
                *seen.refused.entry("window: last batch looks torn".to_owned()).or_default() += 1;
                return Ok(());
            }
        }
        // Some restarts in between, and mending in pieces.
        let mut steps = 0;
        while let Some(hole) = opened_.recovered.holes.last().cloned() {
            steps += 1;
            if steps > 500 {
                return Err(format!("round {round}: never ends: {:?}", opened_.recovered.holes));
            }
            if dice.one_in(4) {
                let before = opened_.recovered.clone();
                if dice.one_in(2) {
                    close(opened_);
                } else {
                    drop(opened_);
                    disk.kill();
                }
                opened_ = try_open_holed(&disk, size)
                    .map_err(|e| format!("round {round}: reopen: {e}"))?;
                let after = &opened_.recovered;
                let same = (before.last, before.hard_state, &before.terms)
                    == (after.last, after.hard_state, &after.terms);
                let hole_positions = |r: &skiff_storage::Recovered| {
                    r.holes.iter().map(|h| (h.first, h.last)).collect::<Vec<_>>()
                };
                if !same || hole_positions(&before) != hole_positions(after) {
                    return Err(format!(
                        "round {round}: reopened otherwise: {before:#?} {after:#?}"
                    ));
                }
                continue;
            }
            let truth =
                may_be.iter().rev().find(|m| m.entries.iter().any(|e| e.position() == hole.last));
            let Some(truth) = truth else {
                return Err(format!("round {round}: nobody had {hole:?}: {may_be:?}"));
            };
            if dice.one_in(6) {
                // Others have committed something else.
                let base = truth.base.index.0;
                let i = base + 1 + dice.below(hole.last.index.0 - base);
                let j = base + 1 + dice.below(i - base);
                let top = truth.entries.iter().map(|e| e.term.0).max().unwrap_or(0);
                let term = top.max(opened_.recovered.hard_state.term.0) + dice.below(2);
                let term = term.max(top + 1);
                let mut other = truth.clone();
                other.entries.retain(|e| e.index.0 < j);
                let size = [20, 700, 3_000, 20_000][dice.below(4) as usize];
                other.entries.extend((j..=i).map(|index| entry(term, index, size)));
                other.hard_state = opened_.recovered.hard_state;
                if term > other.hard_state.term.0 {
                    other.hard_state =
                        skiff_core::HardState { term: skiff_core::Term(term), vote: None };
                }
                let last = other.entries.last().unwrap().clone();
                if dice.one_in(2) {
                    disk.halt_after(dice.below(8));
                    let done = opened_.log.end_with(&last).is_ok();
                    drop(opened_);
                    disk.crash(|unsynced| {
                        unsynced.tear(512, |_| random(&mut dice.0).is_multiple_of(2))
                    });
                    disk.forget_faults();
                    opened_ = try_open_holed(&disk, log_size)
                        .map_err(|e| format!("round {round}: after end_with: {e}"))?;
                    if opened_.recovered.last == last.position() {
                        may_be = vec![other];
                    } else if done {
                        return Err(format!("round {round}: end_with forgotten"));
                    }
                } else {
                    opened_
                        .log
                        .end_with(&last)
                        .map_err(|e| format!("round {round}: end_with: {e}"))?;
                    opened_.recovered =
                        opened_.log.reload().map_err(|e| format!("round {round}: reload: {e}"))?;
                    may_be = vec![other];
                }
                continue;
            }
            let piece = 1 + dice.below(6);
            let lowest = truth.base.index.0 + 1;
            let from =
                (hole.last.index.0 + 1).saturating_sub(piece).max(lowest).min(hole.last.index.0);
            let range = from..=hole.last.index.0;
            let given: Vec<Entry> =
                truth.entries.iter().filter(|e| range.contains(&e.index.0)).cloned().collect();
            let prev = at(truth, Index(from - 1));
            opened_.log.mend(prev, &given).map_err(|e| format!("round {round}: mend: {e}"))?;
            opened_.recovered =
                opened_.log.reload().map_err(|e| format!("round {round}: reload: {e}"))?;
        }
        let got = Model::of(&opened_);
        if !may_be.contains(&got) {
            if hit_last {
                *seen
                    .refused
                    .entry("window: last batch looks torn, with hole".to_owned())
                    .or_default() += 1;
                return Ok(());
            }
            return Err(format!("round {round}: got {got:?}, may be {may_be:?}"));
        }
        model = got;
        opened = opened_;
    }
    Ok(())
}

#[test]
fn long_lives() {
    let lives: u64 = std::env::var("LIVES").ok().and_then(|v| v.parse().ok()).unwrap_or(150);
    let from: u64 = std::env::var("FROM").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    let mut seen = Seen::default();
    let mut failed = Vec::new();
    for seed in from..from + lives {
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| life(seed, &mut seen)));
        match result {
            Ok(Ok(())) => {}
            Ok(Err(why)) => failed.push((seed, why)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                failed.push((seed, format!("panic: {text}")));
            }
        }
    }
    eprintln!("{seen:#?}");
    for (seed, why) in failed.iter().take(5) {
        eprintln!("seed {seed}: {why}");
    }
    assert!(failed.is_empty(), "{} failed", failed.len());
}

// ---------------------------------------------------------------- single schedules

/// A follower replaces its end by an entry that is larger than a batch: the cut and that entry are in
/// one all the same. Behind damage nobody could tell with what a log ends that was only cut.
#[test]
fn a_cut_and_what_comes_in_its_place_are_one_batch() {
    for small in 0..4 {
        let disk = SimDisk::new();
        let mut opened = open(&disk, SIZE);
        put(&mut opened.log, append(1, 1, 12));
        let large = Write { entries: vec![entry(2, 8, 30_000)], ..append(2, 1, 1) };
        let before = (0..small)
            .map(|index| Write { entries: vec![entry(1, 12 + index, 5_000)], ..append(1, 1, 1) });
        let writes: Vec<Write> = before.chain([cut(8, large)]).collect();
        assert!(opened.log.append(&writes).error.is_none());
        drop(opened);
        assert!(!ends_with_cut(&disk));
        let mut whole = 0;
        let inspection = Inspection::of(disk.clone()).unwrap();
        let walked = inspection.walk(|finding| {
            let Finding::Batch { records, .. } = finding else { return };
            let at =
                records.iter().position(|(_, record)| matches!(record, Record::TruncateFrom(_)));
            let next = at.and_then(|at| records.get(at + 1));
            whole += u32::from(matches!(next, Some((_, Record::Entry(_)))));
        });
        walked.unwrap();
        assert_eq!(whole, 1);
    }
}

/// A segment that was used before holds old bytes behind the end: no sector there may break.
#[test]
fn a_broken_sector_behind_the_end_of_a_recycled_segment_is_nothing() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, TINY);
    let mut base = 1;
    for round in 0..12 {
        put(&mut opened.log, begin_after(1, base, append(1, 1, 1)));
        let content = entry(1, base + 1, 700);
        put(&mut opened.log, Write { entries: vec![content], ..append(1, 1, 1) });
        base += 10 + round;
    }
    put(&mut opened.log, begin_after(1, base, append(1, 1, 1)));
    drop(opened);
    disk.kill();
    let inspection = Inspection::of(disk.clone()).unwrap();
    let newest = batches(&disk).last().unwrap().0.segment;
    let recycled = inspection
        .segments()
        .iter()
        .any(|s| s.header.as_ref().is_ok_and(|h| h.number == newest && h.recycled));
    assert!(recycled, "the test needs a recycled segment");
    let end = batches(&disk).last().unwrap().1;
    assert!(disk.break_sector(&segment(newest), end + 512));
    if let Err(error) = try_open_holed(&disk, TINY) {
        panic!("{error}");
    }
}

/// IDENTITY knows of batch n, which is damaged; the header of batch n + 1, which is torn, tells what n
/// ended with and who was voted for. Nothing is unknown, and it is refused.
#[test]
fn what_identity_knows_and_a_torn_header_tells_is_a_hole() {
    let disk = SimDisk::new();
    let mut opened = open(&disk, SIZE);
    put(&mut opened.log, append(1, 1, 5));
    put(&mut opened.log, append(1, 5, 9));
    let victim = batches(&disk).last().unwrap().0;
    opened.log.identify(&opened.identity).unwrap();
    disk.halt_after(1);
    let torn = Write { entries: vec![entry(1, 9, 3_000)], ..append(1, 1, 1) };
    drop(try_put(&mut opened.log, torn));
    drop(opened);
    disk.crash(|unsynced| unsynced.tear(512, |one| one < 1));
    flip(&disk, &segment(victim.segment), usize::try_from(victim.offset).unwrap() + 40);
    if let Err(error) = try_open_holed(&disk, SIZE) {
        panic!("{error}");
    }
}
