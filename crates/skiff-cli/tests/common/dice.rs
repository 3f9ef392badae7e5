//! Random numbers that can be drawn again (splitmix64).

use std::{
    collections::hash_map::RandomState,
    env,
    hash::{BuildHasher as _, Hasher as _},
};

use super::say;

/// Draws from this number instead of a new one: the same is done to the same nodes, after as many
/// calls. What they are at in that moment is never the same.
const SEED: &str = "SKIFF_TEST_SEED";

pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        let given = env::var(SEED).ok().map(|seed| seed.parse().expect("a number"));
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        say(&format!("to draw the same again: {SEED}={seed}"));
        Self(seed)
    }

    /// Others, from the same seed.
    pub const fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
