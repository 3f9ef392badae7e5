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

/// The memory of a longer frame is not used again.
const KEPT: usize = 1 << 20;

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

pub(crate) fn header(length: u32, checksum: u32) -> [u8; HEADER] {
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
        if length > KEPT {
            // What follows is little. The memory of a large frame goes with its payload.
            self.arrived = BytesMut::from(&self.arrived[..]);
        }
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

#[cfg(test)]
mod tests {
    use skiff_transport::{Answer, Body};

    use super::*;

    const LIMIT: usize = 32 << 20;

    fn envelope(length: usize) -> Envelope {
        let answer = Answer { id: 7, result: Ok(vec![3; length].into()) };
        let body = Body::Answer(Box::new(answer));
        Envelope { group: 0, from: Default::default(), to: Default::default(), boot: 1, body }
    }

    fn arrive(frames: &mut Frames, bytes: &[u8]) {
        frames.room().extend_from_slice(bytes);
        frames.took(bytes.len());
    }

    fn payloads(frames: &mut Frames) -> Result<Vec<Bytes>, FrameError> {
        std::iter::from_fn(|| frames.next().transpose()).collect()
    }

    #[test]
    fn frames_come_back_however_they_are_cut() {
        let all = [envelope(0), envelope(5000), envelope(17), envelope(2 << 20)];
        let mut sent = BytesMut::new();
        for envelope in &all {
            assert!(put_envelope(envelope, LIMIT, &mut sent));
            put_ping(&mut sent);
        }
        for cut in [1000, 4096, 65_537, sent.len()] {
            let mut frames = Frames::new(LIMIT);
            let mut arrived = Vec::new();
            for part in sent.chunks(cut) {
                arrive(&mut frames, part);
                arrived.extend(payloads(&mut frames).unwrap());
            }
            let (pings, arrived): (Vec<_>, Vec<_>) = arrived.into_iter().partition(Bytes::is_empty);
            assert_eq!(pings.len(), all.len());
            let arrived: Vec<_> = arrived.into_iter().map(|it| wire::decode(it).unwrap()).collect();
            assert_eq!(arrived, all);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut sent = BytesMut::new();
        assert!(put_envelope(&envelope(20), LIMIT, &mut sent));
        for bit in 0..sent.len() * 8 {
            let mut damaged = sent.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut frames = Frames::new(LIMIT);
            arrive(&mut frames, &damaged);
            let error = frames.next().unwrap_err();
            let header = bit / 8 < HEADER;
            assert_eq!(error, if header { FrameError::Header } else { FrameError::Checksum });
        }
    }

    #[test]
    fn too_long_is_refused_before_it_arrives() {
        let mut frames = Frames::new(1000);
        arrive(&mut frames, &header(u32::MAX, 0));
        let length = u32::MAX as usize;
        assert_eq!(frames.next(), Err(FrameError::TooLong { length, limit: 1000 }));
    }

    #[test]
    fn memory_grows_with_what_arrives() {
        let mut frames = Frames::new(LIMIT);
        arrive(&mut frames, &header(32 << 20, 0));
        assert_eq!(frames.next(), Ok(None));
        arrive(&mut frames, &[0; 100]);
        assert_eq!(frames.next(), Ok(None));
        assert!(frames.room().capacity() < 100_000, "a claim of 32 MiB was believed");
    }

    #[test]
    fn too_long_an_envelope_leaves_nothing_behind() {
        let mut out = BytesMut::new();
        assert!(!put_envelope(&envelope(1000), 1000, &mut out));
        assert!(out.is_empty());
        assert!(put_envelope(&envelope(900), 1000, &mut out));
    }
}
