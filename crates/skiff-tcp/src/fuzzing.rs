//! What the fuzz targets need of this crate's inside. Nobody else may rely on it.

use bytes::{Bytes, BytesMut};
use skiff_transport::Envelope;

use crate::{
    frame::{self, FrameError, Frames},
    preamble::{Preamble, PreambleError, Welcome},
};

/// Bytes before the payload of a frame.
pub const HEADER: usize = frame::HEADER;
/// Bytes of what the dialling side says first.
pub const PREAMBLE: usize = Preamble::LENGTH;
/// Bytes of what the accepting side answers.
pub const WELCOME: usize = Welcome::LENGTH;

/// Takes apart what arrives at a socket.
#[derive(Debug)]
pub struct Arriving(Frames);

impl Arriving {
    /// Refuses frames longer than `limit`.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Frames::new(limit))
    }

    /// These bytes have arrived at once. Returns for how many there is room now.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        self.0.room().extend_from_slice(bytes);
        self.0.took(bytes.len());
        self.0.room().capacity()
    }

    /// The next payload that is there as a whole.
    ///
    /// # Errors
    ///
    /// In words, if what arrived are no frames.
    pub fn next_payload(&mut self) -> Result<Option<Bytes>, String> {
        self.0.next().map_err(|error: FrameError| error.to_string())
    }
}

/// The frame of an envelope; `None` if it would be longer than `limit`.
#[must_use]
pub fn frame(envelope: &Envelope, limit: usize) -> Option<BytesMut> {
    let mut out = BytesMut::new();
    frame::put_envelope(envelope, limit, &mut out).then_some(out)
}

/// The header of a frame with this payload.
#[must_use]
pub fn header(payload: &[u8]) -> [u8; HEADER] {
    frame::header(u32::try_from(payload.len()).unwrap_or(u32::MAX), crc32c::crc32c(payload))
}

/// What the dialling side said, written again.
///
/// # Errors
///
/// In words, if it is not what it must be.
pub fn preamble(bytes: &[u8; PREAMBLE]) -> Result<[u8; PREAMBLE], String> {
    let preamble = Preamble::decode(bytes);
    preamble.map(|it| it.encode()).map_err(|error: PreambleError| error.to_string())
}

/// What the accepting side said, written again.
///
/// # Errors
///
/// In words, if it is not what it must be.
pub fn welcome(bytes: &[u8; WELCOME]) -> Result<[u8; WELCOME], String> {
    let welcome = Welcome::decode(bytes);
    welcome.map(|it| it.encode()).map_err(|error: PreambleError| error.to_string())
}
