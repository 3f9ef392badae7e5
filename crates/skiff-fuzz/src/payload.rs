//! The contents of entries, and what machines keep beside their state, from any bytes.

use bytes::Bytes;
use skiff_core::{Membership, Payload};
use skiff_replica::Mark;

use crate::{said, source::Source};

/// Decodes a payload, a membership or a mark, and writes it again.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    match source.pick(4) {
        0 => {
            let kind = u32::from_le_bytes(source.array());
            payload(kind, Bytes::copy_from_slice(source.rest()));
        }
        1 => membership(source.rest()),
        2 => mark(source.rest()),
        _ => {
            let one = said::payload(&mut source);
            assert_eq!(Payload::from_parts(one.kind(), one.body()), Ok(one));
        }
    }
}

fn payload(kind: u32, body: Bytes) {
    let Ok(one) = Payload::from_parts(kind, body.clone()) else { return };
    assert_eq!(one.kind(), kind);
    match &one {
        // It is written in one order only.
        Payload::Membership(_) => {
            assert_eq!(Payload::from_parts(kind, one.body()).as_ref(), Ok(&one));
        }
        _ => assert_eq!(one.body(), body),
    }
}

fn membership(bytes: &[u8]) {
    let Ok(one) = Membership::decode(bytes) else { return };
    assert!(one.members().all(|id| one.nodes.contains_key(&id)), "a member without a name");
    assert_eq!(Membership::decode(&one.encode()).as_ref(), Ok(&one));
}

fn mark(bytes: &[u8]) {
    let Ok(one) = Mark::decode(bytes) else { return };
    assert_eq!(Mark::decode(&one.encode()).as_ref(), Ok(&one));
}
