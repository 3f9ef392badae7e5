//! An Append and its entries: what is written and read most, so by hand and in place. Bytes and
//! meaning are those of the schema's `Append` and `Entry`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{
    DecodeContext, WireType, check_wire_type, decode_key, decode_varint, encode_key, encode_varint,
    encoded_len_varint, fixed64, message, skip_field, uint64,
};
use skiff_core::{Append, Entry, Index, LogTime, Payload, Position, Round, Term};

use super::{
    MAX_ENTRIES, WireError,
    decode::take_part,
    numbers::{core_position, position},
};

/// How many entries room is made for at once, at most.
const ROOM: usize = 1024;

pub(super) fn encode(tag: u32, append: &Append, out: &mut BytesMut) {
    let prev = position(append.prev);
    let entries: usize = append.entries.iter().map(|entry| delimited(entry_len(entry))).sum();
    let length = number_len(append.seq)
        + number_len(append.round.0)
        + message::encoded_len(3, &prev)
        + number_len(append.commit.0)
        + entries;
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
    out.reserve(length);
    put_number(1, append.seq, out);
    put_number(2, append.round.0, out);
    message::encode(3, &prev, out);
    put_number(4, append.commit.0, out);
    append.entries.iter().for_each(|entry| put_entry(entry, out));
}

fn put_entry(entry: &Entry, out: &mut BytesMut) {
    encode_key(5, WireType::LengthDelimited, out);
    encode_varint(entry_len(entry) as u64, out);
    put_number(1, entry.term.0, out);
    put_number(2, entry.index.0, out);
    if entry.time != LogTime::ZERO {
        fixed64::encode(3, &entry.time.0, out);
    }
    put_number(4, entry.payload.kind().into(), out);
    match &entry.payload {
        Payload::Noop => {}
        Payload::Command(body) | Payload::Session(body) | Payload::Unknown { body, .. } => {
            put_body(body, out);
        }
        Payload::Membership(membership) => put_body(&membership.encode(), out),
    }
}

fn put_body(body: &[u8], out: &mut BytesMut) {
    if !body.is_empty() {
        encode_key(5, WireType::LengthDelimited, out);
        encode_varint(body.len() as u64, out);
        out.put_slice(body);
    }
}

fn put_number(tag: u32, number: u64, out: &mut BytesMut) {
    if number != 0 {
        uint64::encode(tag, &number, out);
    }
}

fn entry_len(entry: &Entry) -> usize {
    let body = match &entry.payload {
        Payload::Noop => 0,
        Payload::Command(body) | Payload::Session(body) | Payload::Unknown { body, .. } => {
            body.len()
        }
        Payload::Membership(membership) => membership.encode().len(),
    };
    let body = if body == 0 { 0 } else { delimited(body) };
    let time = if entry.time == LogTime::ZERO { 0 } else { 9 };
    let kind = number_len(entry.payload.kind().into());
    number_len(entry.term.0) + number_len(entry.index.0) + time + kind + body
}

/// The length of a number behind a key of one byte; zero is left out.
const fn number_len(number: u64) -> usize {
    if number == 0 { 0 } else { 1 + encoded_len_varint(number) }
}

/// The length of so many bytes behind a key of one byte and their length.
const fn delimited(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

pub(super) fn decode(mut part: Bytes) -> Result<Append, WireError> {
    let (mut seq, mut round, mut prev, mut commit) = (0, 0, None, 0);
    let mut entries = Vec::new();
    while part.has_remaining() {
        let context = DecodeContext::default();
        let (tag, kind) = decode_key(&mut part)?;
        match tag {
            1 => uint64::merge(kind, &mut seq, &mut part, context)?,
            2 => uint64::merge(kind, &mut round, &mut part, context)?,
            3 => message::merge(kind, prev.get_or_insert_default(), &mut part, context)?,
            4 => uint64::merge(kind, &mut commit, &mut part, context)?,
            5 => {
                check_wire_type(WireType::LengthDelimited, kind)?;
                take_entry(&mut part, &mut entries)?;
            }
            _ => skip_field(kind, tag, &mut part, context)?,
        }
    }
    let prev = core_position(prev);
    check_follows(prev, &entries)?;
    Ok(Append { seq, round: Round(round), prev, entries, commit: Index(commit) })
}

/// Reads one entry to the end of `entries`. Each is checked against the one before it at once, so
/// that bytes which are no entries make no long list.
fn take_entry(part: &mut Bytes, entries: &mut Vec<Entry>) -> Result<(), WireError> {
    if entries.len() >= MAX_ENTRIES {
        return Err(WireError::TooLarge { what: "append: entries", limit: MAX_ENTRIES });
    }
    let before = part.len();
    let entry = read_entry(part)?;
    match entries.last() {
        Some(last) if last.index.0.checked_add(1) == Some(entry.index.0) => {}
        Some(_) => return Err(WireError::Malformed("append: a gap between entries")),
        None if entry.index > Index::ZERO => {
            let alike = part.len() / (before - part.len());
            entries.reserve(1 + alike.min(ROOM));
        }
        None => return Err(WireError::Malformed("append: an entry of index 0")),
    }
    if entry.term == Term::ZERO {
        return Err(WireError::Malformed("append: an entry of term 0"));
    }
    entries.push(entry);
    Ok(())
}

fn read_entry(part: &mut Bytes) -> Result<Entry, WireError> {
    let length = usize::try_from(decode_varint(part)?).ok();
    let end = length.and_then(|length| part.len().checked_sub(length));
    let end = end.ok_or(WireError::Malformed("append: it ends early"))?;
    let (mut term, mut index, mut time, mut kind_of) = (0, 0, 0, 0);
    let mut body = Bytes::new();
    while part.len() > end {
        let context = DecodeContext::default();
        let (tag, kind) = decode_key(part)?;
        match tag {
            1 => uint64::merge(kind, &mut term, part, context)?,
            2 => uint64::merge(kind, &mut index, part, context)?,
            3 => fixed64::merge(kind, &mut time, part, context)?,
            4 => uint64::merge(kind, &mut kind_of, part, context)?,
            5 => {
                check_wire_type(WireType::LengthDelimited, kind)?;
                body = take_part(part)?;
            }
            _ => skip_field(kind, tag, part, context)?,
        }
    }
    if part.len() != end {
        return Err(WireError::Malformed("append: an entry longer than it says"));
    }
    // Cut off, a large number would pass for another kind.
    let kind_of =
        u32::try_from(kind_of).map_err(|_| WireError::Malformed("append: the kind of an entry"))?;
    let payload = Payload::from_parts(kind_of, body)
        .map_err(|_| WireError::Malformed("append: the payload of an entry"))?;
    Ok(Entry { term: Term(term), index: Index(index), time: LogTime(time), payload })
}

fn check_follows(prev: Position, entries: &[Entry]) -> Result<(), WireError> {
    match entries.first() {
        Some(first) if prev.index.0.checked_add(1) != Some(first.index.0) => {
            Err(WireError::Malformed("append: entries that do not follow"))
        }
        _ => Ok(()),
    }
}
