//! What a snapshot is that was asked for, as whoever asked is told.

use bytes::{Buf, BufMut, Bytes};
use skiff_core::{Index, Position, Term};

use crate::machine::Malformed;

/// A snapshot that is durable on the node that was asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// The last entry it covers.
    pub index: Index,
    /// That entry's term.
    pub term: Term,
    /// How many bytes the machine's state has in it, the sessions of clients included.
    pub size: u64,
    /// Whether it was there before: then nothing had been applied since.
    pub was_there: bool,
}

impl Taken {
    pub(crate) const fn new(position: Position, size: u64, was_there: bool) -> Self {
        Self { index: position.index, term: position.term, size, was_there }
    }

    /// Its bytes: index (8), term (8), size (8), little-endian, and 1 if it was there before.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(25);
        out.put_u64_le(self.index.0);
        out.put_u64_le(self.term.0);
        out.put_u64_le(self.size);
        out.put_u8(u8::from(self.was_there));
        out.into()
    }

    /// What these bytes tell. A later version may have appended more.
    ///
    /// # Errors
    ///
    /// If they are too few.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = bytes;
        let short = |_| Malformed::new("what was told of a snapshot is too short");
        Ok(Self {
            index: Index(from.try_get_u64_le().map_err(short)?),
            term: Term(from.try_get_u64_le().map_err(short)?),
            size: from.try_get_u64_le().map_err(short)?,
            was_there: from.try_get_u8().map_err(short)? != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_from_its_bytes_and_from_no_fewer() {
        let taken = Taken::new(Position::new(3, 290), 1 << 40, true);
        let bytes = taken.encode();
        assert_eq!(Taken::decode(&bytes), Ok(taken));
        for length in 0..bytes.len() {
            assert!(Taken::decode(&bytes[..length]).is_err(), "{length}");
        }
    }
}
