//! What nodes did when they were given something: most of what happens in one state happens in many
//! others too.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::{
    member::{Member, Outcome, Setup},
    print::mix,
    step::{Event, Node, Pace},
};

/// When so many outcomes are known, those that were not asked for since the last time are forgotten.
const KEPT: usize = 100_000;

/// A hasher of numbers that are well spread already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

pub(super) type SpreadBuilder = BuildHasherDefault<Spread>;

/// Outcomes by the numbers of the node and of what it was given.
#[derive(Debug, Default)]
pub(super) struct Memo {
    recent: HashMap<u64, Outcome, SpreadBuilder>,
    older: HashMap<u64, Outcome, SpreadBuilder>,
}

impl Memo {
    pub(super) fn take(
        &mut self,
        setup: &Setup,
        me: Node,
        member: &Member,
        event: &Event<'_>,
        pace: Pace,
    ) -> Outcome {
        let key = mix(member.prints[0].rotate_left(u32::from(me)) ^ event.key(pace));
        if let Some(known) = self.recent.get(&key) {
            return known.clone();
        }
        let outcome =
            self.older.remove(&key).unwrap_or_else(|| member.take(setup, me, event, pace));
        if self.recent.len() >= KEPT {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(key, outcome.clone());
        outcome
    }
}
