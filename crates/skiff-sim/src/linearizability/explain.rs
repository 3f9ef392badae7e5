//! Why there is no order: the first answer that cannot be explained, and an order until then.

use std::fmt::Write;

use super::{
    bits::Bits,
    model::Model,
    puzzle::{Item, Puzzle},
    search::{self, Outcome},
    verdict::Violation,
};

/// So many operations of an order are printed, and so many that are not in it.
const LINES_MAX: usize = 12;

/// Explains why these operations of a key have no order.
pub(super) fn violation<M: Model>(
    model: &M,
    key: M::Key,
    items: Vec<Item<'_, M>>,
    states_max: u64,
) -> Violation<M::Key> {
    let cuts = Cuts::new(items);
    // The cut at `good` has an order, or is too hard; that at `bad` has none.
    let (mut good, mut bad) = (0, cuts.answers.len());
    let (mut ordered, mut order) = (0, Vec::new());
    while good + 1 < bad {
        let middle = good.midpoint(bad);
        let puzzle = Puzzle::new(model, &key, cuts.cut(middle));
        match search::run(&puzzle, states_max) {
            Outcome::Fits(found) => {
                (good, ordered) = (middle, middle);
                order = found.into_iter().map(|op| puzzle.items[op].number).collect();
            }
            Outcome::Never => bad = middle,
            Outcome::TooHard => good = middle,
        }
    }
    let begun = cuts.cut(bad);
    let culprit = cuts.answers[bad - 1].1;
    let ordered = Ordered { model, begun, cut: cuts.cut(ordered), order, culprit };
    ordered.violation(key)
}

/// A history that can be cut at its answers.
struct Cuts<'h, M: Model> {
    items: Vec<Item<'h, M>>,
    /// When something was answered, and which operation of the history that was.
    answers: Vec<(u64, usize)>,
}

impl<'h, M: Model> Cuts<'h, M> {
    fn new(items: Vec<Item<'h, M>>) -> Self {
        let answer = |item: &Item<'h, M>| item.returned.map(|(at, _)| (at, item.number));
        let mut answers: Vec<_> = items.iter().filter_map(answer).collect();
        answers.sort_unstable();
        Self { items, answers }
    }

    /// The history as it was known right after so many answers.
    fn cut(&self, count: usize) -> Vec<Item<'h, M>> {
        let Some(end) = count.checked_sub(1).map(|last| self.answers[last]) else {
            return Vec::new();
        };
        let begun = self.items.iter().copied().filter(|item| item.invoked <= end.0);
        let known = begun.map(|mut item| {
            item.returned = item.returned.filter(|(at, _)| (*at, item.number) <= end);
            item
        });
        known.collect()
    }
}

/// What is known right before the answer that cannot be explained, and right after it.
struct Ordered<'m, 'h, M: Model> {
    model: &'m M,
    /// What was asked for, with what was answered until and with the culprit.
    begun: Vec<Item<'h, M>>,
    /// The same as it was known when it had the order.
    cut: Vec<Item<'h, M>>,
    /// Operations of the history.
    order: Vec<usize>,
    culprit: usize,
}

impl<M: Model> Ordered<'_, '_, M> {
    fn violation(self, key: M::Key) -> Violation<M::Key> {
        let unplaced = self.unplaced();
        let story = self.story(&key, &unplaced);
        Violation { key, culprit: self.culprit, order: self.order, unplaced, story }
    }

    fn unplaced(&self) -> Vec<usize> {
        let bound = self.begun.iter().map(|item| item.number + 1).max().unwrap_or_default();
        let mut placed = Bits::new(bound);
        for number in &self.order {
            placed.insert(*number);
        }
        placed.insert(self.culprit);
        let rest = self.begun.iter().map(|item| item.number).filter(|number| !placed.has(*number));
        std::iter::once(self.culprit).chain(rest).collect()
    }

    fn story(&self, key: &M::Key, unplaced: &[usize]) -> String {
        let mut story = format!("key {key:?}: nothing explains this answer:\n");
        self.tell(&mut story, &self.begun, self.culprit);
        let skipped = self.order.len().saturating_sub(LINES_MAX);
        let _ = match self.order.len() {
            0 => writeln!(story, "Before it, nothing need have happened."),
            1 => writeln!(story, "Before it, one operation fits:"),
            count => {
                writeln!(story, "Before it, {count} operations fit, in this order for instance:")
            }
        };
        if skipped > 0 {
            let _ = writeln!(story, "  ({skipped} more)");
        }
        let mut state = self.model.init(key);
        for (place, number) in self.order.iter().enumerate() {
            let item = self.cut.iter().find(|item| item.number == *number);
            let after = item.and_then(|item| self.model.step(&state, item.op, item.ret()));
            state = after.unwrap_or(state);
            if place >= skipped {
                self.tell(&mut story, &self.cut, *number);
            }
        }
        let _ = writeln!(story, "Then the state is {state:?}.");
        let others = &unplaced[1..];
        if !others.is_empty() {
            story.push_str("Also asked for by then, and not in this order:\n");
            for number in others.iter().take(LINES_MAX) {
                self.tell(&mut story, &self.begun, *number);
            }
            if others.len() > LINES_MAX {
                let _ = writeln!(story, "  ({} more)", others.len() - LINES_MAX);
            }
        }
        story
    }

    fn tell(&self, story: &mut String, items: &[Item<'_, M>], number: usize) {
        let Some(item) = items.iter().find(|item| item.number == number) else { return };
        let _ = match item.returned {
            Some((at, ret)) => {
                writeln!(story, "  #{number} {:?} -> {ret:?} ({}..{at})", item.op, item.invoked)
            }
            None => {
                writeln!(story, "  #{number} {:?} ({}.., no answer yet)", item.op, item.invoked)
            }
        };
    }
}
