//! The log store of a node: what is durable.

use skiff_core::{
    Entry, HardState, Index, LogTime, Membership, Payload, Position, Recovered, Write,
};
use skiff_storage::Span;

/// What is durable. Everything written is checked to fit.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) hard: HardState,
    pub(crate) base: Position,
    pub(crate) entries: Vec<Entry>,
}

impl Store {
    pub(crate) fn last(&self) -> Position {
        self.entries.last().map_or(self.base, Entry::position)
    }

    pub(crate) fn get(&self, index: Index) -> Option<&Entry> {
        let at = index.0.checked_sub(self.base.index.0)?.checked_sub(1)?;
        self.entries.get(usize::try_from(at).ok()?)
    }

    /// Whether this write may follow. The machine has been handed everything up to `handed`.
    pub(crate) fn check(&self, write: &Write, handed: Index) {
        let span = Span { base: self.base.index, last: self.last().index };
        let after = span.after(write).unwrap_or_else(|error| panic!("{error}: {write:?}"));
        assert_eq!(write.begin_after, None, "a core does not begin its log anew");
        assert!(write.truncate_from.is_none_or(|from| from > handed), "cuts what is applied");
        assert!(after.last >= handed, "loses what is applied");
        assert!(write.hard_state.term >= self.hard.term, "a term goes back");
        let same_term = write.hard_state.term == self.hard.term;
        let keeps_vote = self.hard.vote.is_none() || write.hard_state.vote == self.hard.vote;
        assert!(!same_term || keeps_vote, "a second vote in one term");
        let last = self.last().index;
        let kept = write.truncate_from.map_or(last, |from| from.prev().min(last));
        let mut term = self.get(kept).map_or(self.base.term, |entry| entry.term);
        for entry in &write.entries {
            assert!(entry.term >= term, "a term goes back in the log");
            term = entry.term;
        }
        assert!(term <= write.hard_state.term, "an entry above the current term");
    }

    pub(crate) fn write(&mut self, write: Write) {
        self.hard = write.hard_state;
        if let Some(from) = write.truncate_from {
            self.entries.retain(|entry| entry.index < from);
        }
        self.entries.extend(write.entries);
    }

    /// Entries from `from` up to but not including `to`; at least one, if it is there.
    pub(crate) fn read(&self, from: Index, to: Index, bytes_max: usize) -> Vec<Entry> {
        let mut bytes = 0;
        let wanted = self.entries.iter().filter(|entry| entry.index >= from && entry.index < to);
        let fits = wanted.take_while(|entry| {
            let is_first = bytes == 0;
            bytes += entry.size();
            is_first || bytes <= bytes_max
        });
        fits.cloned().collect()
    }

    /// What a node begins with. `membership` is that at `base`.
    pub(crate) fn recovered(&self, membership: Membership, applied: Index) -> Recovered {
        let mut recovered = Recovered {
            hard_state: self.hard,
            base: self.base,
            last: self.last(),
            membership,
            last_time: self.entries.last().map_or(LogTime::ZERO, |entry| entry.time),
            applied,
            ..Recovered::default()
        };
        for entry in &self.entries {
            if recovered.terms.last().is_none_or(|(_, term)| *term != entry.term) {
                recovered.terms.push((entry.index, entry.term));
            }
            if let Payload::Membership(one) = &entry.payload {
                recovered.memberships.push((entry.index, Membership::clone(one)));
            }
        }
        recovered
    }
}
