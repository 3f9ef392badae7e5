//! One stream of random numbers for each concern, so that a draw more for one disturbs no other.

use fastrand::Rng;

/// The streams of one run.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    /// Delays, losses, duplicates.
    pub(crate) network: Rng,
    /// Latencies of disks, and what a power cut leaves of unsynced operations.
    pub(crate) disk: Rng,
    /// Starts and restarts, machines, identities.
    pub(crate) process: Rng,
    /// Whom clients ask.
    pub(crate) client: Rng,
}

impl Streams {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            network: stream(seed, 1),
            disk: stream(seed, 2),
            process: stream(seed, 3),
            client: stream(seed, 4),
        }
    }
}

/// The stream of this number among those of a seed.
pub(crate) fn stream(seed: u64, number: u64) -> Rng {
    Rng::with_seed(mix(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// Spreads a number over all bits (the finalizer of SplitMix64).
pub(crate) const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Whether something of this chance, in millionths, happens now.
pub(crate) fn chance(random: &mut Rng, millionths: u32) -> bool {
    millionths > 0 && random.u32(0..1_000_000) < millionths
}
