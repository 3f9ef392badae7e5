//! How the log grew: by how many bytes, and when. So it can be told how far behind another node is, in
//! bytes and in time, without looking at the entries.

use std::collections::VecDeque;

use skiff_core::{Entry, Index, Instant, Write};

/// So many steps are kept; beyond that, two at a time become one.
const STEPS: usize = 4096;

/// What the log has grown by since the node started.
#[derive(Debug)]
pub(crate) struct Trail {
    /// Nothing is known of the entries up to here.
    begun: Index,
    steps: VecDeque<Step>,
}

/// Entries that were handed to the store at once, or several such.
#[derive(Clone, Copy, Debug)]
struct Step {
    last: Index,
    /// All bytes up to and with `last`.
    bytes: u64,
    /// When the first of them came.
    at: Instant,
}

/// How far behind one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) bytes: u64,
    /// When the first entry came that it lacks.
    pub(crate) since: Option<Instant>,
}

impl Trail {
    /// Of a log that ends with `last`.
    pub(crate) const fn new(last: Index) -> Self {
        Self { begun: last, steps: VecDeque::new() }
    }

    /// The log is about to change like this.
    pub(crate) fn note(&mut self, write: &Write, now: Instant) {
        if let Some(after) = write.begin_after {
            *self = Self::new(after.index);
        }
        if let Some(from) = write.truncate_from {
            self.cut(from);
        }
        let Some(last) = write.entries.last() else { return };
        let bytes: usize = write.entries.iter().map(Entry::size).sum();
        let before = self.steps.back().map_or(0, |step| step.bytes);
        self.steps.push_back(Step { last: last.index, bytes: before + bytes as u64, at: now });
        if self.steps.len() > STEPS {
            self.thin();
        }
    }

    /// Whoever has everything up to `matched`, and nothing more. `None` if what it lacks came before
    /// this node started.
    pub(crate) fn behind(&self, matched: Index) -> Option<Behind> {
        if matched < self.begun {
            return None;
        }
        let next = self.steps.partition_point(|step| step.last <= matched);
        let all = self.steps.back().map_or(0, |step| step.bytes);
        let has = next.checked_sub(1).and_then(|at| self.steps.get(at)).map_or(0, |s| s.bytes);
        let since = self.steps.get(next).map(|step| step.at);
        Some(Behind { bytes: all - has, since })
    }

    fn cut(&mut self, from: Index) {
        self.begun = self.begun.min(from.prev());
        while let Some(step) = self.steps.back().copied().filter(|step| step.last >= from) {
            self.steps.pop_back();
            let before = self.steps.back().map_or(self.begun, |step| step.last);
            if before < from.prev() {
                // Part of it stays; how many of its bytes is not known.
                self.steps.push_back(Step { last: from.prev(), ..step });
                return;
            }
        }
    }

    /// Makes one of each two neighbours.
    fn thin(&mut self) {
        let pairs = self.steps.make_contiguous().chunks(2);
        let one = |pair: &[Step]| Some(Step { at: pair.first()?.at, ..*pair.last()? });
        self.steps = pairs.filter_map(one).collect();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use skiff_core::{LogTime, Payload, Position, Term};

    use super::*;

    fn write(indices: std::ops::RangeInclusive<u64>) -> Write {
        let entries = indices.map(|index| Entry {
            index: Index(index),
            term: Term(1),
            time: LogTime(0),
            payload: Payload::Command(Bytes::from_static(b"command")),
        });
        Write { entries: entries.collect(), ..Write::default() }
    }

    fn size() -> u64 {
        write(1..=1).entries[0].size() as u64
    }

    fn behind(bytes: u64, since: impl Into<Option<u64>>) -> Option<Behind> {
        Some(Behind { bytes: bytes * size(), since: since.into().map(Instant) })
    }

    #[test]
    fn it_tells_bytes_and_time_of_what_is_lacking() {
        let mut trail = Trail::new(Index(10));
        assert_eq!(trail.behind(Index(10)), behind(0, None));
        trail.note(&write(11..=12), Instant(5));
        trail.note(&write(13..=13), Instant(7));
        trail.note(&Write::default(), Instant(8));
        assert_eq!(trail.behind(Index(9)), None, "what came before is not known");
        assert_eq!(trail.behind(Index(10)), behind(3, 5));
        assert_eq!(trail.behind(Index(11)), behind(3, 5), "a step is one");
        assert_eq!(trail.behind(Index(12)), behind(1, 7));
        assert_eq!(trail.behind(Index(13)), behind(0, None));
    }

    #[test]
    fn what_is_cut_counts_no_more() {
        let mut trail = Trail::new(Index(0));
        trail.note(&write(1..=2), Instant(1));
        trail.note(&write(3..=4), Instant(2));
        let again = Write { truncate_from: Some(Index(3)), ..write(3..=3) };
        trail.note(&again, Instant(9));
        assert_eq!(trail.behind(Index(2)), behind(1, 9));
        assert_eq!(trail.behind(Index(3)), behind(0, None));
        trail.note(&Write { truncate_from: Some(Index(2)), ..Write::default() }, Instant(10));
        assert_eq!(trail.behind(Index(1)), behind(0, None));
        let older = Write { truncate_from: Some(Index(1)), ..write(1..=1) };
        trail.note(&older, Instant(11));
        assert_eq!(trail.behind(Index(0)), behind(1, 11));
        let anew = Position { term: Term(1), index: Index(100) };
        trail.note(&Write { begin_after: Some(anew), ..write(101..=101) }, Instant(12));
        assert_eq!((trail.behind(Index(99)), trail.behind(Index(100))), (None, behind(1, 12)));
    }

    #[test]
    fn it_stays_small_and_forgets_nothing_but_the_steps_between() {
        let mut trail = Trail::new(Index(0));
        let all = 3 * STEPS as u64;
        for index in 1..=all {
            trail.note(&write(index..=index), Instant(index));
            assert!(trail.steps.len() <= STEPS);
        }
        assert_eq!(trail.behind(Index(0)), behind(all, 1));
        assert_eq!(trail.behind(Index(all - 1)), behind(1, all));
        assert_eq!(trail.behind(Index(all)), behind(0, None));
        let half = trail.behind(Index(all / 2)).unwrap().bytes / size();
        assert!(half >= all / 2 && half <= all / 2 + 8, "{half}");
    }
}
