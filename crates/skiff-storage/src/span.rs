//! Which entries a log holds, and whether a write follows them.

use skiff_core::{Index, Write};

use crate::error::StoreError;

/// From where to where a log reaches, by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The log begins after this index.
    pub base: Index,
    /// The last entry; `base` if there is none.
    pub last: Index,
}

impl Span {
    /// The span after `write`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Misuse`] if the write does not follow what is there.
    pub fn after(self, write: &Write) -> Result<Self, StoreError> {
        let mut span = match write.begin_after {
            Some(base) => Self { base: base.index, last: base.index },
            None => self,
        };
        if let Some(base) = write.compact_to {
            if base.index < span.base || base.index > span.last {
                let text = format!(
                    "compaction to {} in a log from {} to {}",
                    base.index, span.base, span.last
                );
                return Err(StoreError::Misuse(text));
            }
            span.base = base.index;
        }
        if let Some(from) = write.truncate_from {
            if from <= span.base {
                let text =
                    format!("truncation from {from} in a log that begins after {}", span.base);
                return Err(StoreError::Misuse(text));
            }
            span.last = span.last.min(from.prev());
        }
        for entry in &write.entries {
            if entry.index != span.last.next() {
                let text = format!("entry {} in a log that ends at {}", entry.index, span.last);
                return Err(StoreError::Misuse(text));
            }
            span.last = entry.index;
        }
        Ok(span)
    }

    /// Whether the entry at `index` can be read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`] or [`StoreError::Missing`] if not.
    pub fn check(self, index: Index) -> Result<(), StoreError> {
        if index <= self.base {
            Err(StoreError::Compacted { index })
        } else if index > self.last {
            Err(StoreError::Missing { index })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use skiff_core::{Entry, LogTime, Payload, Position, Term};

    use super::*;

    fn entry(index: u64) -> Entry {
        let (term, time) = (Term(1), LogTime::ZERO);
        Entry { term, index: Index(index), time, payload: Payload::Noop }
    }

    fn span(base: u64, last: u64) -> Span {
        Span { base: Index(base), last: Index(last) }
    }

    #[test]
    fn a_write_is_followed_step_by_step() {
        let write = Write {
            begin_after: Some(Position::new(1, 10)),
            truncate_from: Some(Index(11)),
            entries: vec![entry(11), entry(12)],
            ..Write::default()
        };
        assert_eq!(span(0, 3).after(&write).unwrap(), span(10, 12));
    }

    #[test]
    fn compaction_moves_the_beginning_within_the_log() {
        let to = |index| Write { compact_to: Some(Position::new(1, index)), ..Write::default() };
        assert_eq!(span(2, 5).after(&to(4)).unwrap(), span(4, 5));
        assert_eq!(span(2, 5).after(&to(5)).unwrap(), span(5, 5));
        for index in [1, 6] {
            let refused = span(2, 5).after(&to(index));
            assert!(matches!(refused, Err(StoreError::Misuse(_))), "{index}");
        }
    }

    #[test]
    fn truncation_beyond_the_end_cuts_nothing() {
        let write = Write { truncate_from: Some(Index(9)), ..Write::default() };
        assert_eq!(span(0, 3).after(&write).unwrap(), span(0, 3));
    }

    #[test]
    fn what_does_not_follow_is_misuse() {
        let gap = Write { entries: vec![entry(5)], ..Write::default() };
        let again = Write { entries: vec![entry(3)], ..Write::default() };
        let torn = Write { entries: vec![entry(4), entry(6)], ..Write::default() };
        let below = Write { truncate_from: Some(Index(2)), ..Write::default() };
        for write in [gap, again, torn, below] {
            assert!(matches!(span(2, 3).after(&write), Err(StoreError::Misuse(_))), "{write:?}");
        }
    }
}
