//! Where something stands on disk.

use std::fmt;

/// Everything of any size begins on a boundary of so many bytes.
pub(crate) const SECTOR: u64 = 512;

/// A byte in the log's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The number of the segment.
    pub segment: u64,
    /// The byte in its file.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// `length` rounded up to whole sectors.
pub(crate) const fn whole_sectors(length: u64) -> u64 {
    length.div_ceil(SECTOR).saturating_mul(SECTOR)
}

/// Names one log: 128 random bits drawn with it. Its bytes are not taken for another's.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LogId(pub u128);

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
