//! What was examined already.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
};

use super::bits::Bits;
use crate::{hash::Running, random::mix};

/// Pairs of operations placed and state. It is only asked for, never listed.
#[derive(Debug)]
pub(super) struct Memo<S> {
    /// By hash, the pair that was added last.
    last: BTreeMap<u64, usize>,
    /// By pair, the one before it with the same hash.
    before: Vec<Option<usize>>,
    states: Vec<S>,
    /// The placed operations of each pair, so many words for each.
    placed: Vec<u64>,
    /// The operations that were answered.
    answered: Bits,
}

/// The hash of a state.
#[derive(Default)]
struct StateHasher(Running);

impl Hasher for StateHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.bytes(bytes);
    }

    fn write_u8(&mut self, number: u8) {
        self.0.number(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.0.number(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0.number(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.0.number(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0.value()
    }
}

/// The hash of a state and something else.
pub(super) fn hash_of<S: Hash>(other: u64, state: &S) -> u64 {
    let mut hasher = StateHasher(Running::default());
    hasher.write_u64(other);
    state.hash(&mut hasher);
    hasher.finish()
}

/// What an answered operation adds to the hash of those placed: the hash is the exclusive or of
/// them, so that it follows placing and taking back.
pub(super) const fn share(op: usize) -> u64 {
    mix(op as u64)
}

impl<S: Clone + Eq + Hash> Memo<S> {
    pub(super) const fn new(answered: Bits) -> Self {
        Self {
            last: BTreeMap::new(),
            before: Vec::new(),
            states: Vec::new(),
            placed: Vec::new(),
            answered,
        }
    }

    /// Whether this is new: no pair was added before with the same state, the same answered
    /// operations placed, and none of the unknown ones placed that are not placed here. Then it is
    /// added. `hash` is that of the answered operations.
    pub(super) fn is_new(&mut self, placed: &Bits, hash: u64, state: &S) -> bool {
        let hash = hash_of(hash, state);
        let newest = self.last.get(&hash).copied();
        let mut known = newest;
        while let Some(pair) = known {
            if self.states[pair] == *state && self.covers(pair, placed) {
                return false;
            }
            known = self.before[pair];
        }
        self.last.insert(hash, self.before.len());
        self.before.push(newest);
        self.states.push(state.clone());
        self.placed.extend_from_slice(placed.words());
        true
    }

    fn covers(&self, pair: usize, placed: &Bits) -> bool {
        let width = placed.words().len();
        let old = &self.placed[pair * width..][..width];
        let words = old.iter().zip(placed.words()).zip(self.answered.words());
        words.into_iter().all(|((old, new), answered)| {
            (old ^ new) & answered == 0 && old & !new & !answered == 0
        })
    }
}
