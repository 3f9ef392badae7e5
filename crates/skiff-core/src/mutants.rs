//! Planted bugs, for tests of the tests: each stands in one line of the core, the log or the replica,
//! and does nothing unless the feature `mutants` is on and it is planted.

/// A bug that can be planted. What each breaks, and who should see it, is told by the simulator's
/// table of mutants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// A voter grants a second vote in one term.
    VotesTwice = 1,
}

#[cfg(feature = "mutants")]
mod planting {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::Mutant;

    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Plants this bug in every node of the process, in place of any other.
    pub fn plant(mutant: Option<Mutant>) {
        PLANTED.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::Relaxed);
    }

    /// Whether this bug is planted.
    #[must_use]
    #[inline]
    pub fn planted(mutant: Mutant) -> bool {
        PLANTED.load(Ordering::Relaxed) == mutant as u8
    }
}

#[cfg(feature = "mutants")]
pub use planting::{plant, planted};

/// Whether this bug is planted: it never is without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline]
pub const fn planted(_: Mutant) -> bool {
    false
}
