//! The records a batch is made of.
//!
//! A record is a length, a type, a link of the batch's chain of checksums, and a body. The chain
//! covers every byte but an entry's payload; that has a checksum of its own, which the chain covers.
//! So each byte is read once, and an entry can be trusted without what stands around it.

use bytes::{Buf, BufMut, Bytes};
use crc32c::{crc32c, crc32c_append};
use skiff_core::{
    Entry, Index, LogTime, Malformed, Payload, Position, Term,
    mutants::{Mutant, planted},
};

use crate::place::LogId;

/// Length, type, reserved bytes, link.
pub(crate) const HEAD: usize = 12;
/// Index, term, time, kind and checksum of an entry, before its payload.
const ENTRY: usize = 32;
const ENTRY_CHECKED: usize = 28;

mod kind {
    pub(super) const ENTRY: u8 = 1;
    pub(super) const TRUNCATE: u8 = 2;
    pub(super) const BEGIN_AFTER: u8 = 3;
    pub(super) const NEXT_SEGMENT: u8 = 4;
    pub(super) const OPENED: u8 = 5;
    pub(super) const CLOSED: u8 = 6;
    pub(super) const COMPACT_TO: u8 = 7;
}

/// One record, as it stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// An entry of the log.
    Entry(RawEntry<'a>),
    /// The entries from this index on are dropped.
    TruncateFrom(Index),
    /// All entries are dropped; the log begins after this position.
    BeginAfter(Position),
    /// The entries up to this position are given up: a snapshot covers them.
    CompactTo(Position),
    /// The log goes on in this segment. Always the last record of its segment.
    NextSegment(u64),
    /// The log was opened. No batch before this one is numbered above `highest`; what is numbered
    /// between the batch before and this one was never acknowledged and is dropped.
    Opened {
        /// The highest batch number that was found.
        highest: u64,
    },
    /// The log was closed; everything before was synced.
    Closed,
}

/// An entry whose payload is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEntry<'a> {
    /// Index and term.
    pub position: Position,
    /// The log's time.
    pub time: LogTime,
    /// The kind of the payload.
    pub kind: u32,
    /// The payload's bytes.
    pub payload: &'a [u8],
}

impl RawEntry<'_> {
    /// The entry itself, with a copy of the payload.
    ///
    /// # Errors
    ///
    /// If the payload is not of the form that its kind asks for.
    pub fn to_entry(&self) -> Result<Entry, Malformed> {
        let payload = Payload::from_parts(self.kind, Bytes::copy_from_slice(self.payload))?;
        let Position { term, index } = self.position;
        Ok(Entry { term, index, time: self.time, payload })
    }
}

/// How many bytes an entry of this payload takes as a record.
pub(crate) const fn entry_len(payload: usize) -> usize {
    HEAD + ENTRY + payload
}

/// Appends a record whose checksums are not filled in yet.
pub(crate) fn put(out: &mut Vec<u8>, record: &Record<'_>) {
    match record {
        Record::Entry(entry) => {
            put_head(out, kind::ENTRY, ENTRY + entry.payload.len());
            out.put_u64_le(entry.position.index.0);
            out.put_u64_le(entry.position.term.0);
            out.put_u64_le(entry.time.0);
            out.put_u32_le(entry.kind);
            out.put_u32_le(0);
            out.put_slice(entry.payload);
        }
        Record::TruncateFrom(index) => {
            put_head(out, kind::TRUNCATE, 8);
            out.put_u64_le(index.0);
        }
        Record::BeginAfter(position) => {
            put_head(out, kind::BEGIN_AFTER, 16);
            out.put_u64_le(position.index.0);
            out.put_u64_le(position.term.0);
        }
        Record::CompactTo(position) => {
            put_head(out, kind::COMPACT_TO, 16);
            out.put_u64_le(position.index.0);
            out.put_u64_le(position.term.0);
        }
        Record::NextSegment(number) => {
            put_head(out, kind::NEXT_SEGMENT, 8);
            out.put_u64_le(*number);
        }
        Record::Opened { highest } => {
            put_head(out, kind::OPENED, 8);
            out.put_u64_le(*highest);
        }
        Record::Closed => put_head(out, kind::CLOSED, 0),
    }
}

fn put_head(out: &mut Vec<u8>, kind: u8, body: usize) {
    // Longer entries are refused before they come here.
    out.put_u32_le(u32::try_from(body).unwrap_or(u32::MAX));
    out.put_u8(kind);
    out.put_bytes(0, 3);
    out.put_u32_le(0);
}

/// Fills in the checksums of the records in `payload`, a batch's, and gives the chain's last link.
pub(crate) fn seal(payload: &mut [u8], seed: u32, mut chain: u32) -> u32 {
    let mut rest = payload;
    while rest.len() >= HEAD {
        let body = body_len(rest);
        let (record, after) = rest.split_at_mut(HEAD + body);
        let (head, body) = record.split_at_mut(HEAD);
        let checked = if head[4] == kind::ENTRY {
            let own = entry_checksum(seed, body);
            body[ENTRY_CHECKED..ENTRY].copy_from_slice(&own.to_le_bytes());
            &body[..ENTRY]
        } else {
            &body[..]
        };
        chain = link(chain, head, checked);
        head[8..HEAD].copy_from_slice(&chain.to_le_bytes());
        rest = after;
    }
    chain
}

fn body_len(head: &[u8]) -> usize {
    head.get(..4).map_or(0, |mut bytes| bytes.get_u32_le() as usize)
}

fn link(chain: u32, head: &[u8], checked: &[u8]) -> u32 {
    crc32c_append(crc32c_append(chain, &head[..8]), checked)
}

fn entry_checksum(seed: u32, body: &[u8]) -> u32 {
    crc32c_append(crc32c_append(seed, &body[..ENTRY_CHECKED]), &body[ENTRY..])
}

/// What an entry's own checksum begins with: it is good in its own log and segment only.
pub(crate) fn entry_seed(log: LogId, segment: u64) -> u32 {
    crc32c_append(crc32c(&log.0.to_le_bytes()), &segment.to_le_bytes())
}

/// Takes the first record off `rest` and moves `chain` along.
pub(crate) fn take<'a>(
    rest: &mut &'a [u8],
    seed: u32,
    chain: &mut u32,
) -> Result<Record<'a>, &'static str> {
    let (head, after) = rest.split_at_checked(HEAD).ok_or("a record is cut short")?;
    let (body, after) = after.split_at_checked(body_len(head)).ok_or("a record is too long")?;
    let is_entry = head[4] == kind::ENTRY;
    let checked = if is_entry { body.get(..ENTRY) } else { Some(body) };
    *chain = link(*chain, head, checked.ok_or("an entry is too short")?);
    if *chain != (&head[8..]).get_u32_le() {
        return Err("a record's checksum is wrong");
    }
    let is_checked = is_entry && !planted(Mutant::EntryNotChecked);
    if is_checked && entry_checksum(seed, body) != (&body[ENTRY_CHECKED..]).get_u32_le() {
        return Err("an entry's checksum is wrong");
    }
    *rest = after;
    parse(head[4], body).ok_or("a record is of an unknown form")
}

fn parse(kind: u8, mut body: &[u8]) -> Option<Record<'_>> {
    let record = match kind {
        kind::ENTRY => {
            let index = Index(body.try_get_u64_le().ok()?);
            let term = Term(body.try_get_u64_le().ok()?);
            let time = LogTime(body.try_get_u64_le().ok()?);
            let kind = body.try_get_u32_le().ok()?;
            let payload = body.get(4..)?;
            body = &[];
            Record::Entry(RawEntry { position: Position { term, index }, time, kind, payload })
        }
        kind::TRUNCATE => Record::TruncateFrom(Index(body.try_get_u64_le().ok()?)),
        kind::BEGIN_AFTER => {
            let index = Index(body.try_get_u64_le().ok()?);
            let term = Term(body.try_get_u64_le().ok()?);
            Record::BeginAfter(Position { term, index })
        }
        kind::COMPACT_TO => {
            let index = Index(body.try_get_u64_le().ok()?);
            let term = Term(body.try_get_u64_le().ok()?);
            Record::CompactTo(Position { term, index })
        }
        kind::NEXT_SEGMENT => Record::NextSegment(body.try_get_u64_le().ok()?),
        kind::OPENED => Record::Opened { highest: body.try_get_u64_le().ok()? },
        kind::CLOSED => Record::Closed,
        _ => return None,
    };
    body.is_empty().then_some(record)
}
