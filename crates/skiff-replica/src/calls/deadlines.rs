//! When the waiting calls end at the latest, without a sorted structure on the hot path.
//!
//! Callers mostly wait equally long, so deadlines mostly come in ascending order: a few queues hold
//! nearly all of them. What fits into none goes into a set.

use std::collections::{BTreeSet, VecDeque};

use skiff_core::{Instant, Token};

/// How many ascending queues are kept: one for each span that callers commonly wait.
const QUEUES: usize = 4;
/// So many that nobody waits for may stay.
const IDLE: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    queues: [VecDeque<(Instant, Token)>; QUEUES],
    others: BTreeSet<(Instant, Token)>,
}

impl Deadlines {
    pub(crate) fn add(&mut self, deadline: Instant, token: Token) {
        let fits = |queue: &&mut VecDeque<(Instant, Token)>| {
            queue.back().is_none_or(|(last, _)| *last <= deadline)
        };
        match self.queues.iter_mut().find(fits) {
            Some(queue) => queue.push_back((deadline, token)),
            None => {
                self.others.insert((deadline, token));
            }
        }
    }

    /// Drops those that nobody waits for any more: at the front always, elsewhere when they are
    /// most of all. `waiting` is how many are waited for.
    pub(crate) fn trim(&mut self, waiting: usize, waits: impl Fn(Token) -> bool) {
        for queue in &mut self.queues {
            while queue.front().is_some_and(|(_, token)| !waits(*token)) {
                queue.pop_front();
            }
            if queue.len() > IDLE + 4 * waiting {
                queue.retain(|(_, token)| waits(*token));
            }
        }
        while self.others.first().is_some_and(|(_, token)| !waits(*token)) {
            self.others.pop_first();
        }
        if self.others.len() > IDLE + 4 * waiting {
            self.others.retain(|(_, token)| waits(*token));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let fronts = self.queues.iter().filter_map(VecDeque::front);
        fronts.chain(self.others.first()).map(|(deadline, _)| *deadline).min()
    }

    /// Takes out one whose time has come.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Token> {
        let is_due = |entry: &(Instant, Token)| entry.0 <= now;
        for queue in &mut self.queues {
            if queue.front().is_some_and(is_due) {
                return queue.pop_front().map(|(_, token)| token);
            }
        }
        self.others.first().copied().filter(is_due)?;
        self.others.pop_first().map(|(_, token)| token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_due_in_whatever_order_they_were_added() {
        let mut deadlines = Deadlines::default();
        let times = [50, 40, 30, 20, 10, 5, 60, 45, 1, 7];
        for (token, time) in times.into_iter().enumerate() {
            deadlines.add(Instant(time), Token(token as u64));
        }
        assert_eq!(deadlines.next(), Some(Instant(1)));
        let mut due = Vec::new();
        while let Some(token) = deadlines.take_due(Instant(30)) {
            due.push(token.0);
        }
        due.sort_unstable();
        assert_eq!(due, [2, 3, 4, 5, 8, 9]);
        assert_eq!(deadlines.next(), Some(Instant(40)));
    }

    #[test]
    fn calls_that_ended_early_do_not_pile_up_behind_one_that_waits() {
        let mut deadlines = Deadlines::default();
        let waits = |token: Token| token.0 == 0 || token.0 == 100_000;
        for number in 0..100_000 {
            deadlines.add(Instant(1000 + number), Token(number));
            deadlines.add(Instant(1_000_000 - number), Token(100_000 + number));
            deadlines.trim(2, waits);
        }
        let kept = deadlines.queues.iter().map(VecDeque::len).sum::<usize>();
        assert!(kept + deadlines.others.len() < 4 * (IDLE + 10), "{kept} are kept");
        assert_eq!(deadlines.next(), Some(Instant(1000)));
        assert_eq!(deadlines.take_due(Instant(1000)), Some(Token(0)));
        deadlines.trim(1, waits);
        assert_eq!(deadlines.next(), Some(Instant(1_000_000)));
    }
}
