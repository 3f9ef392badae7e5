//! What the tests of the log have in common: a log on a simulated disk, and a model of what it must
//! hold.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fmt;

use bytes::Bytes;
use skiff_core::{Entry, HardState, Index, LogTime, NodeId, Payload, Position, Term, Write};
use skiff_storage::{LogReader, OnLostData, Opening, StoreError};
use skiff_wal::{Log, LogId, Opened, Options, disk::sim::SimDisk};

pub const TINY: u64 = 2_048;

pub fn opening() -> Opening {
    Opening {
        cluster: "test".to_owned(),
        name: Some("a".to_owned()),
        fresh_name: String::new(),
        fresh_node: NodeId(7),
        on_lost_data: OnLostData::Refuse,
        rejoin: false,
    }
}

pub fn options(segment_size: u64) -> Options {
    Options { segment_size, fresh_log: LogId(0xabc) }
}

pub fn try_open(disk: &SimDisk, segment_size: u64) -> Result<Opened<SimDisk>, StoreError> {
    Log::open(disk.clone(), &opening(), options(segment_size))
}

/// Opens the log also if entries are lost.
pub fn try_open_holed(disk: &SimDisk, segment_size: u64) -> Result<Opened<SimDisk>, StoreError> {
    let opening = Opening { on_lost_data: OnLostData::Mend, ..opening() };
    Log::open(disk.clone(), &opening, options(segment_size))
}

#[track_caller]
pub fn open(disk: &SimDisk, segment_size: u64) -> Opened<SimDisk> {
    match try_open(disk, segment_size) {
        Ok(opened) => opened,
        Err(error) => panic!("cannot open: {error}"),
    }
}

pub fn entry(term: u64, index: u64, size: usize) -> Entry {
    // No two sectors of any two entries are alike.
    let mut state = (term << 32) + index;
    let payload: Vec<u8> = (0..size).map(|_| (random(&mut state) >> 56).to_le_bytes()[0]).collect();
    let payload = Payload::Command(Bytes::from(payload));
    Entry { term: Term(term), index: Index(index), time: LogTime(index), payload }
}

/// Entries from `from` up to but not including `to`.
pub fn append(term: u64, from: u64, to: u64) -> Write {
    Write {
        hard_state: HardState { term: Term(term), vote: None },
        entries: (from..to).map(|index| entry(term, index, 30)).collect(),
        ..Write::default()
    }
}

pub fn cut(from: u64, write: Write) -> Write {
    Write { truncate_from: Some(Index(from)), ..write }
}

pub fn begin_after(term: u64, index: u64, write: Write) -> Write {
    Write { begin_after: Some(Position::new(term, index)), ..write }
}

pub fn vote(term: u64, whom: u128) -> Write {
    let hard_state = HardState { term: Term(term), vote: Some(NodeId(whom)) };
    Write { hard_state, ..Write::default() }
}

/// A number that looks random; the next one for each call.
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Closes a log and gives the folder back.
pub fn close(opened: Opened<SimDisk>) {
    opened.log.close();
}

#[track_caller]
pub fn put(log: &mut Log<SimDisk>, write: Write) {
    if let Err(error) = try_put(log, write) {
        panic!("a write failed: {error}");
    }
}

pub fn try_put(log: &mut Log<SimDisk>, write: Write) -> Result<(), StoreError> {
    let appended = log.append(&[write]);
    match appended.error {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// What a log must hold.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Model {
    pub hard_state: HardState,
    pub base: Position,
    pub entries: Vec<Entry>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<Position> = self.entries.iter().map(Entry::position).collect();
        write!(f, "({:?} after {:?}: {entries:?})", self.hard_state, self.base)
    }
}

impl Model {
    /// What an open log holds.
    #[track_caller]
    pub fn of(opened: &Opened<SimDisk>) -> Self {
        let recovered = &opened.recovered;
        let (base, last) = (recovered.base, recovered.last);
        let entries = if base == last {
            Vec::new()
        } else {
            let read = opened.log.reader().read(base.index.next(), last.index.next(), usize::MAX);
            read.unwrap_or_else(|error| panic!("what was recovered cannot be read: {error}"))
        };
        let model = Self { hard_state: recovered.hard_state, base, entries };
        assert_eq!(model.last(), last, "where the log ends");
        assert_eq!(model.terms(), recovered.terms, "the terms in it");
        let time = model.entries.last().map_or(LogTime::ZERO, |entry| entry.time);
        assert_eq!(recovered.last_time, time, "the time of the last entry");
        model
    }

    pub fn last(&self) -> Position {
        self.entries.last().map_or(self.base, Entry::position)
    }

    fn terms(&self) -> Vec<(Index, Term)> {
        let mut terms: Vec<(Index, Term)> = Vec::new();
        for entry in &self.entries {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
        }
        terms
    }

    /// All that may be there if the power goes during `write`, the last being all of it.
    pub fn during(&self, write: &Write) -> Vec<Self> {
        let mut states = vec![self.clone()];
        let mut now = self.clone();
        if let Some(base) = write.begin_after {
            (now.base, now.entries) = (base, Vec::new());
            states.push(now.settled());
        }
        if let Some(from) = write.truncate_from {
            now.entries.retain(|entry| entry.index < from);
            states.push(now.settled());
        }
        for entry in &write.entries {
            now.entries.push(entry.clone());
            states.push(now.settled());
        }
        now.hard_state = write.hard_state;
        states.push(now.settled());
        states
    }

    pub fn after(&self, write: &Write) -> Self {
        self.during(write).pop().unwrap_or_default()
    }

    /// Recovery knows that a term in the log was reached.
    fn settled(&self) -> Self {
        let mut settled = self.clone();
        let term = self.last().term;
        if settled.hard_state.term < term {
            settled.hard_state = HardState { term, vote: None };
        }
        settled
    }
}

/// The file of a segment.
pub fn segment(number: u64) -> String {
    format!("log-{number:020}")
}

/// Flips a bit of a file, durably.
#[track_caller]
pub fn flip(disk: &SimDisk, name: &str, offset: usize) {
    let mut content = disk.content(name).unwrap();
    content[offset] ^= 0x10;
    disk.put(name, content);
}
