//! Whatever arrives is no envelope, or one that can be written and read again without a difference.

use bytes::{Bytes, BytesMut};
use skiff_transport::{Envelope, wire};

use crate::{said, source::Source};

/// Decodes bytes as they are, or encodes an envelope first, whole or damaged.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    match source.pick(3) {
        0 => drop(read(Bytes::copy_from_slice(source.rest()))),
        1 => {
            let envelope = said::envelope(&mut source);
            let read = read(encode(&envelope));
            // What no node says may be refused, as entries that do not follow each other.
            assert!(read.is_none_or(|read| read == envelope), "it came back as another one");
        }
        _ => {
            let damage = source.list(4, |source| (source.short(), source.byte()));
            let mut bytes = BytesMut::from(&encode(&said::envelope(&mut source))[..]);
            for (at, with) in damage {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= with;
            }
            read(bytes.freeze());
        }
    }
}

fn encode(envelope: &Envelope) -> Bytes {
    let mut out = BytesMut::new();
    wire::encode(envelope, &mut out);
    out.freeze()
}

fn read(bytes: Bytes) -> Option<Envelope> {
    let envelope = match wire::decode(bytes) {
        Ok(envelope) => envelope,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let bytes = encode(&envelope);
    match wire::decode(bytes.clone()) {
        Ok(again) => {
            assert_eq!(again, envelope);
            assert_eq!(encode(&again), bytes);
        }
        Err(error) => panic!("what was read cannot be read again: {error}: {envelope:?}"),
    }
    Some(envelope)
}
