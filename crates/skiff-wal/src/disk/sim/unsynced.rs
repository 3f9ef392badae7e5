//! What a crash may take back.

use std::{ops::Range, sync::Arc};

/// The unit in which a write can be torn.
pub const SECTOR: usize = 512;
/// The unit in which kernels and many disks write.
pub const PAGE: usize = 4_096;

/// An operation that no sync has covered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Bytes were written into a file.
    Write {
        /// The file, as it was called when opened.
        name: Arc<str>,
        /// Where.
        at: u64,
        /// How many bytes.
        len: usize,
    },
    /// A name was given to a new, empty file.
    Create {
        /// The name.
        name: Arc<str>,
    },
    /// A file was renamed.
    Rename {
        /// Its old name.
        from: Arc<str>,
        /// Its new name.
        to: Arc<str>,
    },
    /// A name was removed.
    Remove {
        /// The name.
        name: Arc<str>,
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

    /// Tears this at multiples of `unit` bytes of its file, [`SECTOR`] or [`PAGE`]: `keeps` says of
    /// each piece, counted from the first, whether it reached the medium. What is no write is one
    /// piece.
    #[must_use]
    pub fn tear(&self, unit: usize, mut keeps: impl FnMut(usize) -> bool) -> Fate {
        let per_piece = (unit / SECTOR).max(1);
        let skew = match self {
            Self::Write { at, .. } => (at / SECTOR as u64) % per_piece as u64,
            Self::Create { .. } | Self::Rename { .. } | Self::Remove { .. } => 0,
        };
        let skew = usize::try_from(skew).unwrap_or(0);
        let pieces = (skew + self.sectors()).div_ceil(per_piece);
        let kept = (0..pieces).flat_map(|piece| vec![keeps(piece); per_piece]);
        Fate::Tear(kept.skip(skew).take(self.sectors()).collect())
    }
}

/// How many operations no sync has covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnsyncedCount {
    /// Writes into files.
    pub writes: usize,
    /// Creations, renames and removals.
    pub names: usize,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn write(at: u64, len: usize) -> Unsynced {
        Unsynced::Write { name: "a".into(), at, len }
    }

    #[test]
    fn pages_are_those_of_the_file() {
        // Sectors 6 to 17: two in the first page, eight in the second, two in the third.
        let write = write(6 * 512 + 100, 11 * 512);
        assert_eq!(write.sectors(), 12);
        let mut asked = Vec::new();
        let fate = write.tear(PAGE, |piece| {
            asked.push(piece);
            piece != 1
        });
        assert_eq!(asked, [0, 1, 2]);
        let kept: Vec<bool> = (6..18).map(|sector| !(8..16).contains(&sector)).collect();
        assert_eq!(fate, Fate::Tear(kept));
    }

    #[test]
    fn sectors_are_torn_one_by_one() {
        let fate = write(1_000, 1_000).tear(SECTOR, |piece| piece == 2);
        assert_eq!(fate, Fate::Tear(vec![false, false, true]));
        assert_eq!(write(0, 0).tear(SECTOR, |_| true), Fate::Tear(Vec::new()));
    }

    #[test]
    fn what_is_no_write_is_one_piece() {
        let create = Unsynced::Create { name: "a".into() };
        for unit in [SECTOR, PAGE] {
            assert_eq!(create.tear(unit, |piece| piece == 0), Fate::Tear(vec![true]));
        }
    }
}
