//! The first bytes on a socket, from either side: refused, or what was said and nothing else.

use skiff_tcp::fuzzing::{PREAMBLE, WELCOME, preamble, welcome};

use crate::source::Source;

/// How either greeting begins.
const MAGIC: &[u8] = b"\x89SKIFF\r\n";

/// Takes bytes for either greeting, as they are or with the beginning and the checksum they must have.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    let (sealed, dials) = (source.flag(), source.flag());
    match dials {
        true => judge(seal(source.array::<PREAMBLE>(), sealed), preamble),
        false => judge(seal(source.array::<WELCOME>(), sealed), welcome),
    }
}

fn seal<const LENGTH: usize>(mut bytes: [u8; LENGTH], sealed: bool) -> [u8; LENGTH] {
    if sealed {
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        let checksum = crc32c::crc32c(&bytes[..LENGTH - 4]).to_le_bytes();
        bytes[LENGTH - 4..].copy_from_slice(&checksum);
    }
    bytes
}

fn judge<const LENGTH: usize>(
    said: [u8; LENGTH],
    read: impl Fn(&[u8; LENGTH]) -> Result<[u8; LENGTH], String>,
) {
    let Ok(again) = read(&said) else { return };
    // What is reserved is not kept; everything else is, and it is as good the second time.
    assert_eq!(read(&again).as_ref(), Ok(&again));
    assert_eq!(said[..13], again[..13], "another greeting came out");
    if LENGTH == PREAMBLE {
        assert_eq!(said[16..32], again[16..32], "another connection came out");
    }
}
