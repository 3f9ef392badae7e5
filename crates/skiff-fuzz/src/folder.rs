//! A log's folder on a simulated disk, and what must hold of it whatever stands in its files.

use std::sync::OnceLock;

use bytes::Bytes;
use crc32c::crc32c;
use skiff_core::{Entry, HardState, Index, LogTime, NodeId, Payload, Position, Term, Write};
use skiff_storage::{LogReader, OnLostData, Opening, SnapshotMeta, SnapshotStore, StoreError};
use skiff_wal::{
    Log, LogId, Opened, Options,
    disk::sim::{SECTOR, SimDisk},
    inspect::{Finding, Inspection},
};

/// Small segments, so that there are many.
pub(crate) const SEGMENT: u64 = 2_048;

pub(crate) const IDENTITY: &str = "IDENTITY";
/// Where the checksum of a file's or batch's head stands, and from where on it is computed.
const CHECKSUM: (usize, usize) = (8, 12);
/// The heads of which all checksums are in that place, by how they begin, and how long they are.
const HEADS: [(&[u8], usize); 2] = [(b"SKIFFSEG", 64), (b"SKIFFBAT", 160)];
/// The fixed part of a snapshot's head.
const SNAPSHOT_HEAD: usize = 32;

pub(crate) fn try_open(disk: &SimDisk) -> Result<Opened<SimDisk>, StoreError> {
    try_open_with(disk, OnLostData::Refuse)
}

fn try_open_with(disk: &SimDisk, on_lost_data: OnLostData) -> Result<Opened<SimDisk>, StoreError> {
    let opening = Opening {
        cluster: "fuzz".to_owned(),
        name: Some("a".to_owned()),
        fresh_name: String::new(),
        fresh_node: NodeId(7),
        on_lost_data,
        rejoin: false,
    };
    let options = Options { segment_size: SEGMENT, fresh_log: LogId(0xabc) };
    Log::open(disk.clone(), &opening, options)
}

pub(crate) fn open(disk: &SimDisk) -> Opened<SimDisk> {
    try_open(disk).unwrap_or_else(|error| panic!("a sound log cannot be opened: {error}"))
}

/// Closes the log, and lets go of the folder.
pub(crate) fn close(opened: Opened<SimDisk>) {
    opened.log.close();
}

pub(crate) fn put(opened: &mut Opened<SimDisk>, write: Write) {
    if let Some(error) = opened.log.append(&[write]).error {
        panic!("a sound write failed: {error}");
    }
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("log-{number:020}")
}

pub(crate) fn snapshot_name(index: u64, term: u64) -> String {
    format!("snapshot-{index:020}-{term:020}")
}

/// An entry whose payload follows from its place.
pub(crate) fn entry(term: u64, index: u64, size: usize) -> Entry {
    let seed = index.wrapping_mul(31).wrapping_add(term.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let payload: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(size).collect();
    let payload = Payload::Command(Bytes::from(payload));
    Entry { term: Term(term), index: Index(index), time: LogTime(index), payload }
}

pub(crate) fn save_snapshot(opened: &mut Opened<SimDisk>, position: Position) {
    let meta = SnapshotMeta { position, codec: "codec".to_owned(), ..SnapshotMeta::default() };
    let saved = opened.snapshots.save(&meta, b"the state of a machine");
    saved.unwrap_or_else(|error| panic!("a sound snapshot cannot be saved: {error}"));
}

/// A folder in which there is one of everything: several segments, a log that began anew, a
/// truncation, a vote, a snapshot.
pub(crate) fn example() -> SimDisk {
    static MADE: OnceLock<SimDisk> = OnceLock::new();
    MADE.get_or_init(make_example).fork()
}

fn make_example() -> SimDisk {
    let disk = SimDisk::new();
    let mut opened = open(&disk);
    let base = Position::new(1, 1);
    save_snapshot(&mut opened, base);
    let entries = |term, from, to| (from..to).map(|index| entry(term, index, 30)).collect();
    let hard_state = |term| HardState { term: Term(term), vote: None };
    put(
        &mut opened,
        Write {
            hard_state: hard_state(1),
            begin_after: Some(base),
            entries: entries(1, 2, 9),
            ..Write::default()
        },
    );
    put(
        &mut opened,
        Write {
            hard_state: hard_state(2),
            truncate_from: Some(Index(5)),
            entries: entries(2, 5, 12),
            ..Write::default()
        },
    );
    let hard_state = HardState { term: Term(3), vote: Some(NodeId(1)) };
    put(&mut opened, Write { hard_state, ..Write::default() });
    close(opened);
    disk
}

/// Makes the checksums in a file's content those that it must have, as far as there are the places
/// for them.
pub(crate) fn seal(content: &mut [u8]) {
    if content.starts_with(b"SKIFFIDE") {
        seal_head(content);
    } else if content.starts_with(b"SKIFFSNA") {
        seal_snapshot(content);
    } else {
        for sector in (0..content.len()).step_by(SECTOR) {
            let rest = &mut content[sector..];
            let head = HEADS
                .iter()
                .find(|(magic, length)| rest.starts_with(magic) && rest.len() >= *length);
            if let Some((_, length)) = head {
                seal_head(&mut rest[..*length]);
            }
        }
    }
}

fn seal_head(head: &mut [u8]) {
    let (at, from) = CHECKSUM;
    if head.len() >= from {
        let checksum = crc32c(&head[from..]).to_le_bytes();
        head[at..from].copy_from_slice(&checksum);
    }
}

/// A snapshot has a checksum and a length of its content besides.
fn seal_snapshot(bytes: &mut [u8]) {
    if bytes.len() < SNAPSHOT_HEAD {
        return;
    }
    let rest = u32::from_le_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]);
    let end = SNAPSHOT_HEAD.saturating_add(usize::try_from(rest).unwrap_or(usize::MAX));
    let Some(content) = bytes.get(end..) else { return };
    let (checksum, length) = (crc32c(content), content.len() as u64);
    bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
    bytes[20..28].copy_from_slice(&length.to_le_bytes());
    seal_head(&mut bytes[..end]);
}

/// What an open log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) hard_state: HardState,
    pub(crate) base: Position,
    pub(crate) entries: Vec<Entry>,
}

impl State {
    /// Reads it, and checks that what was told at the opening is what is there.
    pub(crate) fn of(opened: &Opened<SimDisk>) -> Self {
        let recovered = &opened.recovered;
        let (base, last) = (recovered.base, recovered.last);
        let entries = if base.index == last.index {
            Vec::new()
        } else {
            let read = opened.log.reader().read(base.index.next(), last.index.next(), usize::MAX);
            read.unwrap_or_else(|error| panic!("what was recovered cannot be read: {error}"))
        };
        let state = Self { hard_state: recovered.hard_state, base, entries };
        assert_eq!(state.last(), last, "where the log ends");
        assert_eq!(state.terms(), recovered.terms, "the terms in it");
        assert!(state.hard_state.term >= last.term, "an entry of a term that was not reached");
        state
    }

    pub(crate) fn last(&self) -> Position {
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

    /// All that may be there if everything ends during `write`, the last being all of it.
    pub(crate) fn during(&self, write: &Write) -> Vec<Self> {
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

    /// That an entry is there says that its term was reached.
    fn settled(&self) -> Self {
        let mut settled = self.clone();
        let term = self.last().term;
        if settled.hard_state.term < term {
            settled.hard_state = HardState { term, vote: None };
        }
        settled
    }
}

/// Looks at a folder, and opens it: both end, and agree on whether it can be opened. What was
/// opened takes a write and still holds everything at the next opening.
pub(crate) fn judge(disk: &SimDisk) -> Option<State> {
    let verified = look(disk);
    let mut opened = match (try_open(disk), &verified) {
        (Ok(opened), true) => opened,
        (Err(_), false) => return None,
        (Ok(_), false) => panic!("opened, but not verified"),
        // Whose it may be is for the opening to say.
        (Err(StoreError::Foreign { .. }), true) => return None,
        (Err(error), true) => panic!("verified, but not opened: {error}"),
    };
    let found = State::of(&opened);
    let index = found.last().index;
    // Nobody gets so far.
    if index.0 >= u64::MAX >> 1 || found.hard_state.term.0 >= u64::MAX >> 1 {
        return Some(found);
    }
    let term = found.hard_state.term.next();
    let next = Write {
        hard_state: HardState { term, vote: None },
        entries: vec![entry(term.0, index.0 + 1, 40)],
        ..Write::default()
    };
    let after = found.during(&next).pop();
    put(&mut opened, next);
    drop(opened);
    assert_eq!(Some(State::of(&open(disk))), after, "what was written on top is not there");
    Some(found)
}

/// Opens a folder that is refused if nothing may be lost. What it has lost it knows: everything else
/// can be read. Tells term and vote, and with what the log ends.
pub(crate) fn judge_lost(disk: &SimDisk) -> Option<(HardState, Position)> {
    let Opened { recovered, log, .. } = try_open_with(disk, OnLostData::Mend).ok()?;
    let reader = log.reader();
    let (first, last) = (recovered.base.index.next(), recovered.last.index);
    // Nobody has so many in a folder of this size.
    for index in (first.0..=last.0).take(10_000).map(Index) {
        let read = reader.read(index, index.next(), 0);
        let is_lost = recovered.holes.iter().any(|h| (h.first..=h.last.index).contains(&index));
        assert!(read.is_ok() || is_lost, "{index} cannot be read: {read:?}");
    }
    Some((recovered.hard_state, recovered.last))
}

/// Whether the folder can be opened, from looking at it; and at everything else there is to see.
fn look(disk: &SimDisk) -> bool {
    let inspection = match Inspection::of(disk.clone()) {
        Ok(inspection) => inspection,
        Err(error) => panic!("the files of a sound disk cannot be listed: {error}"),
    };
    drop((inspection.segments(), inspection.snapshots(), inspection.strangers().len()));
    let bytes: u64 = inspection.segments().iter().map(|segment| segment.size).sum();
    let mut batches = 0;
    let walked = inspection.walk(|finding| {
        batches += u64::from(matches!(finding, Finding::Batch { .. }));
    });
    // Each takes a sector. Around damage one may be shown again.
    assert!(walked.is_err() || batches <= 2 * (1 + bytes / SECTOR as u64), "{batches} in {bytes}");
    drop(inspection.identity());
    inspection.verify().is_ok()
}
