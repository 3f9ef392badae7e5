//! What a crash may take back.

use std::ops::Range;

/// The unit in which a write can be torn.
pub const SECTOR: usize = 512;

/// An operation that no sync has covered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Bytes were written into a file.
    Write {
        /// The file, as it was called when opened.
        name: String,
        /// Where.
        at: u64,
        /// How many bytes.
        len: usize,
    },
    /// A name was given to a new, empty file.
    Create {
        /// The name.
        name: String,
    },
    /// A file was renamed.
    Rename {
        /// Its old name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// A name was removed.
    Remove {
        /// The name.
        name: String,
    },
}

impl Unsynced {
    /// In how many pieces this can be torn.
    #[must_use]
    pub fn sectors(&self) -> usize {
        match self {
            Self::Write { at, len, .. } => sectors_of(*at, *len).count(),
            Self::Create { .. } | Self::Rename { .. } | Self::Remove { .. } => 1,
        }
    }
}

/// What becomes of an unsynced operation in a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It reached the medium.
    Keep,
    /// It did not.
    Drop,
    /// Of a write, these of its sectors did, counted from its first; anything else is kept if the
    /// first is there.
    Tear(Vec<bool>),
}

impl Fate {
    pub(super) fn keeps(&self, sector: usize) -> bool {
        match self {
            Self::Keep => true,
            Self::Drop => false,
            Self::Tear(kept) => kept.get(sector).copied().unwrap_or(false),
        }
    }
}

/// The pieces of `len` bytes at `at` that lie in one sector each, as ranges of those bytes.
pub(super) fn sectors_of(at: u64, len: usize) -> impl Iterator<Item = Range<usize>> {
    let skew = usize::try_from(at % SECTOR as u64).unwrap_or(0);
    let count = if len == 0 { 0 } else { (skew + len).div_ceil(SECTOR) };
    (0..count).map(move |sector| {
        let start = (sector * SECTOR).saturating_sub(skew);
        start..((sector + 1) * SECTOR - skew).min(len)
    })
}
