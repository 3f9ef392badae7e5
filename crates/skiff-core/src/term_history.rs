//! Of which terms the entries of a log were, also of those that the log no longer holds: enough to say
//! what became of an entry long ago.

use alloc::collections::VecDeque;

use crate::types::{Index, Term};

/// The terms of the entries of a log, as runs of entries of one term: the newest of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermHistory {
    /// The first index and the term of each run, ascending in both.
    runs: VecDeque<(Index, Term)>,
}

impl TermHistory {
    /// At most so many runs are kept.
    pub const RUNS_MAX: usize = 65_536;

    /// A history of these runs, each the first index of a term, ascending; `None` if they are not.
    #[must_use]
    pub fn of(runs: impl IntoIterator<Item = (Index, Term)>) -> Option<Self> {
        let mut history = Self::default();
        for (first, term) in runs {
            let fits = history.runs.back().is_none_or(|last| last.0 < first && last.1 < term);
            if !fits {
                return None;
            }
            history.note(first, term);
        }
        Some(history)
    }

    /// An entry of this term stands at this index, behind all that were noted before. What does not
    /// begin a run changes nothing.
    pub fn note(&mut self, index: Index, term: Term) {
        if self.runs.back().is_some_and(|last| last.0 >= index || last.1 >= term) {
            return;
        }
        if self.runs.len() == Self::RUNS_MAX {
            self.runs.pop_front();
        }
        self.runs.push_back((index, term));
    }

    /// The term of the entry at this index, if it is not behind what was noted; `None` if it is
    /// forgotten.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        let after = self.runs.partition_point(|(first, _)| *first <= index);
        self.runs.get(after.checked_sub(1)?).map(|run| run.1)
    }

    /// The first index and the term of each run, ascending.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (Index, Term)> {
        self.runs.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(pairs: &[(u64, u64)]) -> impl Iterator<Item = (Index, Term)> {
        pairs.iter().map(|(index, term)| (Index(*index), Term(*term)))
    }

    #[test]
    fn a_term_goes_on_until_the_next_begins() {
        let history = TermHistory::of(runs(&[(3, 2), (5, 4)])).unwrap();
        let terms: [_; 5] = [2, 3, 4, 5, 900].map(|index| history.term_at(Index(index)));
        let expected = [None, Some(2), Some(2), Some(4), Some(4)].map(|term| term.map(Term));
        assert_eq!(terms, expected);
        assert_eq!(TermHistory::default().term_at(Index(1)), None);
    }

    #[test]
    fn what_is_out_of_order_is_no_history() {
        assert!(TermHistory::of(runs(&[(3, 2), (3, 4)])).is_none());
        assert!(TermHistory::of(runs(&[(3, 2), (5, 2)])).is_none());
        assert!(TermHistory::of(runs(&[(3, 2), (5, 1)])).is_none());
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let most = TermHistory::RUNS_MAX as u64;
        let mut history = TermHistory::default();
        for number in 1..=most + 1 {
            history.note(Index(10 * number), Term(number));
            history.note(Index(10 * number + 1), Term(number));
        }
        assert_eq!(history.runs().len(), TermHistory::RUNS_MAX);
        assert_eq!(history.term_at(Index(19)), None);
        assert_eq!(history.term_at(Index(20)), Some(Term(2)));
        assert_eq!(history.term_at(Index(u64::MAX)), Some(Term(most + 1)));
    }
}
