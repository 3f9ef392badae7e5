//! The bytes: there and back, as the schema says, as they were, and whatever else may arrive.

mod golden;
mod hostile;
mod samples;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use prost::Message as _;

use self::samples::any_envelope;
use super::{decode, encode, generated as pb};
use crate::Envelope;

fn encoded(envelope: &Envelope) -> Bytes {
    let mut out = BytesMut::new();
    encode(envelope, &mut out);
    out.freeze()
}

proptest! {
    #[test]
    fn every_envelope_comes_back(envelope in any_envelope()) {
        prop_assert_eq!(decode(encoded(&envelope)).unwrap(), envelope);
    }

    /// What is written by hand is what generated code writes.
    #[test]
    fn bytes_are_those_of_the_schema(envelope in any_envelope()) {
        let bytes = encoded(&envelope);
        let generated = pb::Envelope::decode(bytes.clone()).unwrap();
        prop_assert!(generated.body.is_some());
        prop_assert_eq!(generated.encode_to_vec(), bytes);
    }

    #[test]
    fn writing_appends(envelope in any_envelope()) {
        let mut out = BytesMut::from(&b"before"[..]);
        encode(&envelope, &mut out);
        prop_assert_eq!(&out[..6], b"before");
        prop_assert_eq!(&out[6..], encoded(&envelope));
    }
}
