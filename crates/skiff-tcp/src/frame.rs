//! Frames: what cuts the bytes of a socket into envelopes, and notices that one was damaged.
//!
//! The header has a checksum of its own, so that a damaged length is noticed at once and not only
//! after as many bytes as it claims.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use skiff_transport::{Envelope, wire};
use thiserror::Error;

/// Bytes before each payload: its length, its checksum, and the checksum of these two.
pub(crate) const HEADER: usize = 12;

/// How much is read at once: at first, and at most.
const ROOM: (usize, usize) = (8 << 10, 256 << 10);

/// Why what arrives are no frames. The connection cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    #[error("a damaged frame header")]
    Header,
    #[error("a frame of {length} bytes, above the limit of {limit}")]
    TooLong { length: usize, limit: usize },
    #[error("a damaged frame")]
    Checksum,
}

/// Appends `envelope` as one frame. False, and nothing appended, if it is longer than `limit`.
pub(crate) fn put_envelope(envelope: &Envelope, limit: usize, out: &mut BytesMut) -> bool {
    let start = out.len();
    out.put_bytes(0, HEADER);
    wire::encode(envelope, out);
    let payload = start + HEADER;
    let length = match u32::try_from(out.len() - payload) {
        Ok(length) if out.len() - payload <= limit => length,
        _ => {
            out.truncate(start);
            return false;
        }
    };
    let checksum = crc32c::crc32c(&out[payload..]);
    out[start..payload].copy_from_slice(&header(length, checksum));
    true
}

/// Appends a frame without payload: a sign of life.
pub(crate) fn put_ping(out: &mut BytesMut) {
    out.put_slice(&header(0, crc32c::crc32c(&[])));
}

fn header(length: u32, checksum: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..8].copy_from_slice(&checksum.to_le_bytes());
    let own = crc32c::crc32c(&header[..8]);
    header[8..].copy_from_slice(&own.to_le_bytes());
    header
}

/// Takes what arrives apart. Its memory grows with what has arrived, not with what a frame claims.
#[derive(Debug)]
pub(crate) struct Frames {
    arrived: BytesMut,
    /// Length and checksum of the frame whose header has been taken.
    expected: Option<(usize, u32)>,
    limit: usize,
    room: usize,
}

impl Frames {
    pub(crate) fn new(limit: usize) -> Self {
        Self { arrived: BytesMut::new(), expected: None, limit, room: ROOM.0 }
    }

    /// Where the next bytes go.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        if self.arrived.capacity() - self.arrived.len() < self.room / 4 {
            self.arrived.reserve(self.room);
        }
        &mut self.arrived
    }

    /// So many bytes have arrived at once.
    pub(crate) fn took(&mut self, bytes: usize) {
        if bytes >= self.room / 2 {
            self.room = (self.room * 2).min(ROOM.1);
        }
    }

    /// The next payload that is there as a whole. Empty: a sign of life.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        let (length, checksum) = match self.expected {
            Some(expected) => expected,
            None if self.arrived.len() < HEADER => return Ok(None),
            None => self.take_header()?,
        };
        if self.arrived.len() < length {
            self.expected = Some((length, checksum));
            return Ok(None);
        }
        self.expected = None;
        let payload = self.arrived.split_to(length).freeze();
        if crc32c::crc32c(&payload) == checksum {
            Ok(Some(payload))
        } else {
            Err(FrameError::Checksum)
        }
    }

    fn take_header(&mut self) -> Result<(usize, u32), FrameError> {
        let own = crc32c::crc32c(&self.arrived[..8]);
        let length = self.arrived.get_u32_le();
        let checksum = self.arrived.get_u32_le();
        if self.arrived.get_u32_le() != own {
            return Err(FrameError::Header);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        Ok((length, checksum))
    }
}
