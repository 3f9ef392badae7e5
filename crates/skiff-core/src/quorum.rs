//! The arithmetic of majorities, free of messages and roles.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::{
    mutants::{Mutant, planted},
    types::NodeId,
};

/// How many of `voters` make a majority.
#[must_use]
pub const fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// Whether those of `voters` for whom `agrees` holds are a majority. Nobody is none.
pub fn is_majority(voters: &BTreeSet<NodeId>, agrees: impl Fn(NodeId) -> bool) -> bool {
    let half = planted(Mutant::HalfIsMajority) && voters.len().is_multiple_of(2);
    voters.iter().filter(|id| agrees(**id)).count() + usize::from(half) >= majority(voters.len())
}

/// The largest value that a majority of `voters` has reached. `None` if there are no voters.
pub fn reached<T: Ord + Copy>(voters: &BTreeSet<NodeId>, value: impl Fn(NodeId) -> T) -> Option<T> {
    let mut values: Vec<T> = voters.iter().map(|id| value(*id)).collect();
    values.sort_unstable();
    let behind = values.len().checked_sub(majority(values.len()))?;
    values.get(behind).copied()
}
