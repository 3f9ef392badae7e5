//! What commands are made from.

use fastrand::Rng;

/// Dice that fall the same way each time for a seed.
#[derive(Clone, Debug)]
pub struct Dice(pub(super) Rng);

impl Dice {
    /// A number from zero up to but not including `end`; zero if that is zero.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.u64(0..end) }
    }

    /// Yes or no.
    pub fn flip(&mut self) -> bool {
        self.0.bool()
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        assert!(!from.is_empty(), "there is nothing to pick from");
        &from[self.0.usize(0..from.len())]
    }
}
