//! What stays wrong when all other faults have ended.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::{MS, Who};

/// What a cluster must bear for ever: it must find a leader in spite of it, and keep that one. Each is a
/// liveness rule of its own, which a calm without any fault would not put to the test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ailment {
    /// Nothing is wrong any more.
    #[default]
    None,
    /// A node hears nobody, but is heard. A leader must leave its office, and one who wants it must
    /// not disturb the others.
    Deaf(Who),
    /// A node is cut off, and comes back when the others have a leader: the term grows by one at most.
    Away(Who),
    /// A node's disk stands still without an error. A leader must leave its office.
    Stuck(Who),
    /// Each operation of each disk takes so many nanoseconds longer.
    SlowDisks(u64),
}

impl Ailment {
    /// None in three of eight cases; slow disks in two, as they come in three kinds.
    pub(super) fn sample(random: &mut Rng, nodes: usize) -> Self {
        let who = match random.bool() {
            true => Who::Leader,
            false => Who::Node(random.usize(0..nodes)),
        };
        match random.u32(0..8) {
            0 => Self::Deaf(who),
            1 => Self::Away(who),
            2 => Self::Stuck(who),
            3 | 4 => Self::SlowDisks([60, 200, 400][random.usize(0..3)] * MS),
            _ => Self::None,
        }
    }
}
