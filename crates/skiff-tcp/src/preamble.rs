//! The first bytes on each socket, before any frame. They are the same in all versions.

use std::{fmt, ops::RangeInclusive};

use skiff_transport::Envelope;
use thiserror::Error;

/// What both sides begin with: no text, so that what is not ours is noticed at the first byte, and
/// an end of line, so that what translates line ends is noticed too.
pub(crate) const MAGIC: [u8; 8] = *b"\x89SKIFF\r\n";

/// The versions of the protocol that this build speaks.
pub(crate) const VERSIONS: RangeInclusive<u16> = 1..=1;

/// What a socket of a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Everything but bulk.
    Control,
    /// Entries of the log.
    Bulk,
    /// Snapshots.
    Snapshots,
}

impl Lane {
    /// All there are: each has a socket of its own in every connection.
    pub(crate) const ALL: [Self; 3] = [Self::Control, Self::Bulk, Self::Snapshots];

    /// By which lane an envelope goes.
    pub(crate) fn of(envelope: &Envelope) -> Self {
        if envelope.is_snapshot() {
            Self::Snapshots
        } else if envelope.is_bulk() {
            Self::Bulk
        } else {
            Self::Control
        }
    }

    /// Its place among all.
    pub(crate) const fn place(self) -> usize {
        self.number() as usize
    }

    const fn number(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Bulk => 1,
            Self::Snapshots => 2,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Bulk => "bulk",
            Self::Snapshots => "snapshots",
        })
    }
}

/// What the dialling side says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    pub(crate) versions: RangeInclusive<u16>,
    pub(crate) lane: Lane,
    /// Random: joins the sockets of one connection.
    pub(crate) connection: u128,
}

/// What the accepting side answers, once all sockets of the connection are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) versions: RangeInclusive<u16>,
    /// The version that is spoken from here on; `None`: there is none that both speak.
    pub(crate) version: Option<u16>,
}

/// Why the first bytes are not what they must be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum PreambleError {
    #[error("what is there does not speak Skiff's protocol")]
    Magic,
    #[error("damaged first bytes")]
    Checksum,
    #[error("it went on before it was welcome")]
    Early,
    #[error("an unknown lane: number {0}")]
    Lane(u8),
    #[error("no common protocol version: it speaks {}, this build {}", Versions(theirs), Versions(&VERSIONS))]
    Version { theirs: RangeInclusive<u16> },
}

/// Writes a range as people do.
struct Versions<'a>(&'a RangeInclusive<u16>);

impl fmt::Display for Versions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (self.0.start(), self.0.end());
        if low == high { write!(f, "version {low}") } else { write!(f, "versions {low} to {high}") }
    }
}

/// The highest version that both speak.
pub(crate) fn common_version(theirs: &RangeInclusive<u16>) -> Result<u16, PreambleError> {
    let low = *VERSIONS.start().max(theirs.start());
    let high = *VERSIONS.end().min(theirs.end());
    if low <= high { Ok(high) } else { Err(PreambleError::Version { theirs: theirs.clone() }) }
}

impl Preamble {
    pub(crate) const LENGTH: usize = 36;

    pub(crate) fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.versions.start().to_le_bytes());
        bytes[10..12].copy_from_slice(&self.versions.end().to_le_bytes());
        bytes[12] = self.lane.number();
        bytes[16..32].copy_from_slice(&self.connection.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// The version is told before the lane: a later version may know more lanes.
    pub(crate) fn decode(bytes: &[u8; Self::LENGTH]) -> Result<Self, PreambleError> {
        check(bytes)?;
        let versions = number(bytes, 8)..=number(bytes, 10);
        common_version(&versions)?;
        let lane = match bytes[12] {
            0 => Lane::Control,
            1 => Lane::Bulk,
            2 => Lane::Snapshots,
            other => return Err(PreambleError::Lane(other)),
        };
        let mut connection = [0; 16];
        connection.copy_from_slice(&bytes[16..32]);
        Ok(Self { versions, lane, connection: u128::from_le_bytes(connection) })
    }
}

impl Welcome {
    pub(crate) const LENGTH: usize = 20;

    pub(crate) fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.versions.start().to_le_bytes());
        bytes[10..12].copy_from_slice(&self.versions.end().to_le_bytes());
        bytes[12..14].copy_from_slice(&self.version.unwrap_or(0).to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; Self::LENGTH]) -> Result<Self, PreambleError> {
        check(bytes)?;
        let versions = number(bytes, 8)..=number(bytes, 10);
        let version = number(bytes, 12);
        match version {
            version if VERSIONS.contains(&version) => Ok(Self { versions, version: Some(version) }),
            _ => Err(PreambleError::Version { theirs: versions }),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Puts the checksum of all before it into the last four bytes.
fn seal(bytes: &mut [u8]) {
    let (said, checksum) = bytes.split_at_mut(bytes.len() - 4);
    checksum.copy_from_slice(&crc32c::crc32c(said).to_le_bytes());
}

fn check(bytes: &[u8]) -> Result<(), PreambleError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(PreambleError::Magic);
    }
    let (said, checksum) = bytes.split_at(bytes.len() - 4);
    let sound = crc32c::crc32c(said).to_le_bytes() == checksum;
    if sound { Ok(()) } else { Err(PreambleError::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preamble(versions: RangeInclusive<u16>) -> Preamble {
        Preamble { versions, lane: Lane::Bulk, connection: 0x0102_0304 }
    }

    /// The bytes, one by one: a change here is another protocol.
    #[test]
    fn bytes_are_as_documented() {
        let mut expected =
            *b"\x89SKIFF\r\n\x01\0\x01\0\x01\0\0\0\x04\x03\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0....";
        let checksum = crc32c::crc32c(&expected[..32]).to_le_bytes();
        expected[32..].copy_from_slice(&checksum);
        assert_eq!(preamble(1..=1).encode(), expected);
        let mut expected = *b"\x89SKIFF\r\n\x01\0\x01\0\x01\0\0\0....";
        let checksum = crc32c::crc32c(&expected[..16]).to_le_bytes();
        expected[16..].copy_from_slice(&checksum);
        assert_eq!(Welcome { versions: 1..=1, version: Some(1) }.encode(), expected);
    }

    #[test]
    fn both_come_back() {
        assert_eq!(Preamble::decode(&preamble(1..=9).encode()), Ok(preamble(1..=9)));
        let welcome = Welcome { versions: 1..=4, version: Some(1) };
        assert_eq!(Welcome::decode(&welcome.encode()), Ok(welcome));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let sound = preamble(1..=1).encode();
        for bit in 0..sound.len() * 8 {
            let mut damaged = sound;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Preamble::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn unknown_version_names_both() {
        let error = Preamble::decode(&preamble(7..=9).encode()).unwrap_err();
        let text = "no common protocol version: it speaks versions 7 to 9, this build version 1";
        assert_eq!(error.to_string(), text);
        let refused = Welcome { versions: 2..=2, version: None }.encode();
        let text = "no common protocol version: it speaks version 2, this build version 1";
        assert_eq!(Welcome::decode(&refused).unwrap_err().to_string(), text);
    }

    #[test]
    fn unknown_lane_is_refused() {
        let mut bytes = preamble(1..=1).encode();
        bytes[12] = 9;
        seal(&mut bytes);
        assert_eq!(Preamble::decode(&bytes), Err(PreambleError::Lane(9)));
    }
}
