//! A batch: what is written and synced at once.
//!
//! It begins on a sector with a header that has a checksum of its own, so that it can be found and
//! trusted when what stands before it is damaged. What is in it counts as a whole or not at all.

use bytes::{Buf, BufMut};
use crc32c::{crc32c, crc32c_append};
use skiff_core::{
    HardState, Index, NodeId, Position, Term,
    mutants::{Mutant, planted},
};

use crate::{
    place::{LogId, Place, whole_sectors},
    record::{self, Record},
};

pub(crate) const MAGIC: &[u8; 8] = b"SKIFFBAT";
/// Bytes of a header.
pub(crate) const HEADER: usize = 160;
/// The header's checksum covers what comes after it.
const CHECKED_FROM: usize = 12;
const HAS_VOTE: u32 = 1;

/// The header of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchHeader {
    /// The log it belongs to.
    pub log: LogId,
    /// Where it stands.
    pub place: Place,
    /// Its number: above that of every batch before it, though not always by one.
    pub number: u64,
    /// The number of the batch before it, which was synced before this one was written.
    pub previous: u64,
    /// Which opening of the log wrote it.
    pub boot: u64,
    /// The oldest segment that the log still needs.
    pub first_segment: u64,
    /// Term and vote with this batch.
    pub hard_state: HardState,
    /// The log begins after this, before this batch.
    pub base: Position,
    /// The log ends here, before this batch. All of it is synced.
    pub synced: Position,
    /// How many records it holds.
    pub records: u32,
    /// How many bytes they take.
    pub length: u32,
    /// The chain of checksums, after the batch before.
    pub chain_in: u32,
    /// The chain of checksums, after this batch.
    pub chain_out: u32,
}

impl BatchHeader {
    /// Bytes from the start of this batch to where the next may begin.
    #[must_use]
    pub fn span(&self) -> u64 {
        whole_sectors(HEADER as u64 + u64::from(self.length))
    }

    pub(crate) fn end(&self) -> Place {
        Place { offset: self.place.offset + self.span(), ..self.place }
    }

    /// Where the chain of this batch begins: it is tied to the batch before and to the one writing
    /// that this is.
    fn seed(&self) -> u32 {
        let tied = crc32c_append(self.chain_in, &self.number.to_le_bytes());
        crc32c_append(tied, &self.boot.to_le_bytes())
    }

    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut out = &mut bytes[..];
        out.put_slice(MAGIC);
        out.put_u32_le(0);
        out.put_u32_le(self.length);
        out.put_u32_le(self.records);
        out.put_u32_le(self.chain_in);
        out.put_u32_le(self.chain_out);
        out.put_u32_le(if self.hard_state.vote.is_some() { HAS_VOTE } else { 0 });
        out.put_u128_le(self.log.0);
        for number in [
            self.place.segment,
            self.place.offset,
            self.number,
            self.previous,
            self.boot,
            self.first_segment,
            self.base.index.0,
            self.base.term.0,
            self.synced.index.0,
            self.synced.term.0,
            self.hard_state.term.0,
        ] {
            out.put_u64_le(number);
        }
        out.put_u128_le(self.hard_state.vote.map_or(0, |vote| vote.0));
        out.put_u64_le(0);
        let checksum = crc32c(&bytes[CHECKED_FROM..]);
        bytes[8..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header that stands at `place` of this log, if there is one.
    pub(crate) fn decode(bytes: &[u8], log: LogId, place: Place) -> Result<Self, &'static str> {
        let bytes = bytes.get(..HEADER).ok_or("a batch is cut short")?;
        let (magic, mut rest) = bytes.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err("there is no batch");
        }
        if rest.get_u32_le() != crc32c(&bytes[CHECKED_FROM..]) {
            return Err("a batch header's checksum is wrong");
        }
        let header = Self::fields(rest);
        let is_in_place = header.place == place || planted(Mutant::PlaceNotChecked);
        if header.log != log || !is_in_place {
            return Err("a batch is not where it was written");
        }
        if header.first_segment > place.segment {
            return Err("a batch says that its own segment is not needed");
        }
        Ok(header)
    }

    fn fields(mut from: &[u8]) -> Self {
        let (length, records) = (from.get_u32_le(), from.get_u32_le());
        let (chain_in, chain_out) = (from.get_u32_le(), from.get_u32_le());
        let flags = from.get_u32_le();
        let log = LogId(from.get_u128_le());
        let mut number = || from.get_u64_le();
        let place = Place { segment: number(), offset: number() };
        let (this, previous, boot, first_segment) = (number(), number(), number(), number());
        let mut position = || Position { index: Index(number()), term: Term(number()) };
        let (base, synced) = (position(), position());
        let term = Term(number());
        let vote = NodeId(from.get_u128_le());
        let hard_state = HardState { term, vote: (flags & HAS_VOTE != 0).then_some(vote) };
        Self {
            log,
            place,
            number: this,
            previous,
            boot,
            first_segment,
            hard_state,
            base,
            synced,
            records,
            length,
            chain_in,
            chain_out,
        }
    }

    /// The records in `payload`, each with the byte of it at which it begins, if all is well.
    pub(crate) fn records<'a>(&self, payload: &'a [u8]) -> Result<Vec<(u32, Record<'a>)>, Flaw> {
        let (mut rest, mut chain) = (payload, self.seed());
        let seed = record::entry_seed(self.log, self.place.segment);
        let mut records = Vec::new();
        while !rest.is_empty() {
            // A batch's length is 32 bits wide.
            let at = u32::try_from(payload.len() - rest.len()).unwrap_or(u32::MAX);
            let flaw = |reason| Flaw { at, reason };
            records.push((at, record::take(&mut rest, seed, &mut chain).map_err(flaw)?));
        }
        if chain != self.chain_out || records.len() != self.records as usize {
            return Err(Flaw { at: self.length, reason: "a batch has lost records" });
        }
        Ok(records)
    }
}

/// What is wrong in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// The byte of the payload.
    pub(crate) at: u32,
    pub(crate) reason: &'static str,
}

/// A batch being put together.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Room for the header, then the records.
    bytes: Vec<u8>,
    records: u32,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEADER], records: 0 }
    }

    pub(crate) fn clear(&mut self) {
        // A buffer that one large batch has blown up is not kept.
        if self.bytes.capacity() > 4 << 20 {
            *self = Self::new();
        }
        self.bytes.truncate(HEADER);
        self.records = 0;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes of the records.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - HEADER
    }

    /// Bytes that the batch will take.
    pub(crate) fn span(&self) -> u64 {
        whole_sectors(self.bytes.len() as u64)
    }

    /// Appends a record and gives the byte of the payload at which it begins.
    pub(crate) fn push(&mut self, record: &Record<'_>) -> u32 {
        let at = u32::try_from(self.len()).unwrap_or(u32::MAX);
        record::put(&mut self.bytes, record);
        self.records += 1;
        at
    }

    /// Fills in the checksums and gives the bytes to write and the header that they begin with, of
    /// which everything but the measures of the payload is the caller's.
    pub(crate) fn seal(&mut self, header: BatchHeader) -> (&[u8], BatchHeader) {
        let length = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let mut header = BatchHeader { records: self.records, length, ..header };
        let seed = record::entry_seed(header.log, header.place.segment);
        header.chain_out = record::seal(&mut self.bytes[HEADER..], seed, header.seed());
        self.bytes[..HEADER].copy_from_slice(&header.encode());
        let span = usize::try_from(self.span()).unwrap_or(usize::MAX);
        self.bytes.resize(span, 0);
        (&self.bytes, header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(header: BatchHeader) -> (Vec<u8>, BatchHeader) {
        let mut draft = Draft::new();
        draft.push(&Record::TruncateFrom(Index(5)));
        draft.push(&Record::NextSegment(6));
        let (bytes, header) = draft.seal(header);
        (bytes.to_vec(), header)
    }

    fn header() -> BatchHeader {
        let vote = Some(NodeId(u128::MAX - 3));
        BatchHeader {
            log: LogId(1),
            place: Place { segment: 2, offset: 1_024 },
            number: 9,
            previous: 7,
            boot: 3,
            first_segment: 1,
            hard_state: HardState { term: Term(4), vote },
            base: Position::new(1, 2),
            synced: Position::new(3, 4),
            chain_in: 77,
            ..BatchHeader::default()
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        let (bytes, written) = sealed(header());
        let read = BatchHeader::decode(&bytes, LogId(1), written.place).unwrap();
        assert_eq!(read, written);
        let records = read.records(&bytes[HEADER..HEADER + read.length as usize]).unwrap();
        assert_eq!(records[0], (0, Record::TruncateFrom(Index(5))));
        assert_eq!(records[1].1, Record::NextSegment(6));
    }

    #[test]
    fn a_header_is_good_in_its_place_only() {
        let (bytes, written) = sealed(header());
        let place = written.place;
        let elsewhere = Place { offset: 512, ..place };
        let in_another = Place { segment: 3, ..place };
        assert!(BatchHeader::decode(&bytes, LogId(1), elsewhere).is_err());
        assert!(BatchHeader::decode(&bytes, LogId(1), in_another).is_err());
        assert!(BatchHeader::decode(&bytes, LogId(2), place).is_err());
    }

    /// Pieces of a batch that was dropped never make another one whole, even if it holds the same
    /// records at the same place: the chain differs by the batch's number, by the opening that
    /// wrote it, and by what was before.
    #[test]
    fn records_of_one_batch_do_not_fit_into_another() {
        let (bytes, written) = sealed(header());
        let payload = &bytes[HEADER..HEADER + written.length as usize];
        assert!(written.records(payload).is_ok());
        let other_number = BatchHeader { number: 10, ..header() };
        let other_boot = BatchHeader { boot: 4, ..header() };
        let other_past = BatchHeader { chain_in: 78, ..header() };
        for other in [other_number, other_boot, other_past] {
            let (_, other) = sealed(other);
            assert!(other.records(payload).is_err(), "{other:?}");
        }
    }
}
