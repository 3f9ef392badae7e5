//! What no node of this version sends.

use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, prelude::*};
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};
use skiff_core::{Entry, Index, LogTime, Message, Payload, Term};

use super::{encoded, samples::any_envelope};
use crate::{
    Body, Envelope,
    wire::{MAX_ENTRIES, MAX_HELLO, WireError, decode, generated as pb},
};

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode(bytes.into());
    }

    /// Near misses get further into the decoder than noise.
    #[test]
    fn damaged_bytes_are_refused_or_read(
        envelope in any_envelope(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encoded(&envelope).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(1 + cut.index(bytes.len()));
        let _ = decode(bytes.into());
    }

    #[test]
    fn unknown_fields_are_ignored(envelope in any_envelope(), extra in vec(any::<u8>(), 0..20)) {
        let mut bytes = BytesMut::from(&encoded(&envelope)[..]);
        prost::encoding::bytes::encode(15, &extra, &mut bytes);
        prop_assert_eq!(decode(bytes.freeze()).unwrap(), envelope);
    }
}

fn envelope(body: Body) -> Envelope {
    Envelope { group: 0, from: Default::default(), to: Default::default(), boot: 0, body }
}

/// The bytes of an envelope whose body is `part`, of number `tag`.
fn with_body(tag: u32, part: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    prost::encoding::bytes::encode(tag, &part.to_vec(), &mut out);
    out.freeze()
}

#[test]
fn unknown_body_is_refused_by_its_number() {
    let error = decode(with_body(77, b"whatever")).unwrap_err();
    assert_eq!(error, WireError::Unknown { what: "body", number: 77 });
    assert!(error.is_unknown());
    assert_eq!(error.to_string(), "unknown kind of body: number 77");
}

#[test]
fn unknown_request_is_refused_by_its_number() {
    let mut part = BytesMut::from(&pb::Request { id: 7, ..Default::default() }.encode_to_vec()[..]);
    prost::encoding::uint64::encode(40, &1, &mut part);
    let error = decode(with_body(18, &part)).unwrap_err();
    assert_eq!(error, WireError::Unknown { what: "request", number: 40 });
}

#[test]
fn body_is_there_once() {
    assert_eq!(decode(Bytes::new()), Err(WireError::Malformed("envelope: no body")));
    let one = encoded(&envelope(Body::Raft { term: Term(1), message: Message::TimeoutNow }));
    let two = [&one[..], &one[..]].concat();
    assert_eq!(decode(two.into()), Err(WireError::Malformed("envelope: two bodies")));
}

fn entry(index: u64) -> pb::Entry {
    pb::Entry { term: 1, index, ..Default::default() }
}

fn append(prev: u64, entries: Vec<pb::Entry>) -> Result<Envelope, WireError> {
    let prev = Some(pb::Position { term: 1, index: prev });
    let append = pb::Append { prev, entries, ..Default::default() };
    decode(with_body(36, &append.encode_to_vec()))
}

#[test]
fn entries_must_follow() {
    assert!(append(4, vec![entry(5), entry(6)]).is_ok());
    for (prev, indices) in [(4, vec![6]), (4, vec![5, 7]), (4, vec![5, 5]), (u64::MAX, vec![0])] {
        let entries = indices.iter().map(|index| entry(*index)).collect();
        let error = append(prev, entries).unwrap_err();
        assert!(matches!(error, WireError::Malformed(_)), "{prev} then {indices:?}: {error}");
    }
    assert!(append(u64::MAX, vec![entry(1)]).is_err(), "there is nothing after the last index");
    let last = append(u64::MAX - 2, vec![entry(u64::MAX - 1), entry(u64::MAX), entry(0)]);
    assert!(last.is_err(), "an index that went round");
}

#[test]
fn entry_of_unknown_kind_is_kept_as_it_came() {
    let body = Bytes::from_static(b"from the future");
    let future = pb::Entry { kind: 900, body: body.clone(), ..entry(1) };
    let Body::Raft { message: Message::Append(append), .. } = append(0, vec![future]).unwrap().body
    else {
        panic!("not an append");
    };
    let payload = Payload::Unknown { kind: 900, body };
    let kept = Entry { term: Term(1), index: Index(1), time: LogTime(0), payload };
    assert_eq!(append.entries, [kept]);
}

#[test]
fn kind_beyond_32_bits_does_not_pass_for_another() {
    let mut part = BytesMut::new();
    for (tag, number) in [(1, 1), (2, 1), (4, (1 << 32) + 1)] {
        prost::encoding::uint64::encode(tag, &number, &mut part);
    }
    let mut append = BytesMut::new();
    prost::encoding::bytes::encode(5, &part.to_vec(), &mut append);
    let error = decode(with_body(36, &append)).unwrap_err();
    assert_eq!(error, WireError::Malformed("append: the kind of an entry"));
}

#[test]
fn undecodable_payload_is_malformed() {
    let membership = pb::Entry { kind: 2, body: Bytes::from_static(&[0xff; 20]), ..entry(1) };
    let noop = pb::Entry { kind: 0, body: Bytes::from_static(b"x"), ..entry(1) };
    for broken in [membership, noop] {
        let error = append(0, vec![broken]).unwrap_err();
        assert_eq!(error, WireError::Malformed("append: the payload of an entry"));
    }
}

#[test]
fn half_a_position_is_malformed() {
    let refusal = pb::Refusal { instance: Some(pb::Id::default()), ..Default::default() };
    let answer =
        pb::Answer { id: 1, result: Some(pb::answer::Result::Refusal(refusal)) }.encode_to_vec();
    let error = decode(with_body(19, &answer)).unwrap_err();
    assert_eq!(error, WireError::Malformed("refusal: half a position"));
}

/// Counts and lengths from the wire are believed only as far as there are bytes.
#[test]
fn count_from_wire_allocates() {
    for tag in [16, 17, 18, 19, 32, 36, 37] {
        for inner in 1..=20 {
            for length in [u64::from(u32::MAX), u64::MAX, 1 << 40, 200] {
                let mut part = BytesMut::new();
                encode_key(inner, WireType::LengthDelimited, &mut part);
                encode_varint(length, &mut part);
                part.extend_from_slice(b"short");
                assert!(decode(with_body(tag, &part)).is_err(), "body {tag}, field {inner}");
                assert!(decode(part.freeze()).is_err(), "field {inner}");
            }
        }
    }
}

#[test]
fn membership_that_claims_billions_is_refused() {
    let body = Bytes::from_static(&[0xff; 4]);
    assert!(append(0, vec![pb::Entry { kind: 2, body: body.clone(), ..entry(1) }]).is_err());
    let genesis =
        pb::Genesis { instance: Some(pb::Id::default()), membership: body, ..Default::default() };
    let error = decode(with_body(17, &genesis.encode_to_vec())).unwrap_err();
    assert_eq!(error, WireError::Malformed("genesis: its membership"));
}

#[test]
fn empty_entries_are_refused_at_the_first() {
    let part = [0x2a, 0].repeat(1 << 20);
    let error = decode(with_body(36, &part)).unwrap_err();
    assert_eq!(error, WireError::Malformed("append: an entry of index 0"));
}

#[test]
fn entries_and_hellos_are_limited() {
    let entries = (1..=MAX_ENTRIES as u64 + 1).map(entry).collect();
    let error = append(0, entries).unwrap_err();
    assert_eq!(error, WireError::TooLarge { what: "append: entries", limit: MAX_ENTRIES });
    let entries = (1..=MAX_ENTRIES as u64).map(entry).collect();
    assert!(append(0, entries).is_ok());

    let list = vec![pb::Listed::default(); MAX_HELLO / 2 + 1];
    let hello = pb::Hello { list, ..Default::default() };
    let error = decode(with_body(16, &hello.encode_to_vec())).unwrap_err();
    assert_eq!(error, WireError::TooLarge { what: "hello", limit: MAX_HELLO });
}

#[test]
fn commands_are_not_copied() {
    let command = Bytes::from(vec![7; 1000]);
    let entry = pb::Entry { kind: 1, body: command, ..entry(1) };
    let append = pb::Append { entries: vec![entry], ..Default::default() };
    let bytes = with_body(36, &append.encode_to_vec());
    let within = bytes.as_ptr_range();
    let Body::Raft { message: Message::Append(append), .. } = decode(bytes).unwrap().body else {
        panic!("not an append");
    };
    let Payload::Command(command) = &append.entries[0].payload else { panic!("not a command") };
    assert!(within.contains(&command.as_ptr()), "the command lies somewhere else");
    assert_eq!(command.len(), 1000);
}
