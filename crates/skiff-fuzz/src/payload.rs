//! The contents of entries, and what machines keep beside their state, from any bytes.

use bytes::Bytes;
use skiff_core::{Membership, Payload, Position};
use skiff_replica::Mark;
use skiff_storage::InstanceId;

use crate::{said, source::Source};

/// Decodes a payload, a membership or a mark, and writes it again. Made-up bytes are hardly ever
/// the last two, so these are sound ones as well, with a few bytes changed.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    match source.pick(6) {
        0 => {
            let kind = u32::from_le_bytes(source.array());
            payload(kind, Bytes::copy_from_slice(source.rest()));
        }
        1 => membership(source.rest()),
        2 => mark(source.rest()),
        3 => {
            let one = said::membership(&mut source).encode();
            membership(&source.change(one.to_vec()));
        }
        4 => {
            let (instance, node) = (InstanceId(source.long().into()), said::node(&mut source));
            let position = Position::new(source.number(), source.number());
            let one = Mark::new(instance, node, position, said::membership(&mut source));
            mark(&source.change(one.encode().to_vec()));
        }
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
