//! The state of a machine after an entry is the same on every node, be it applied or installed (dissertation
//! chapter 5).

use std::collections::BTreeMap;

use skiff_replica::{Index, Position};

use crate::failure::{Verdict, must};

#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// The hash of the first state that was seen after each entry.
    states: BTreeMap<Index, (Position, u64)>,
}

impl Snapshots {
    /// Whether no state after this entry was seen yet.
    pub(crate) fn is_first(&self, index: Index) -> bool {
        !self.states.contains_key(&index)
    }

    /// A machine stands after this entry, with this state.
    pub(crate) fn state(&mut self, at: Position, state: u64) -> Verdict {
        let (first, known) = *self.states.entry(at.index).or_insert((at, state));
        must(first == at && known == state, || {
            format!(
                "the machine's state after {at} differs from that of another node after {first}"
            )
        })
    }
}
