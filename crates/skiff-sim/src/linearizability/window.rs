//! What can be next: of the answered operations that are not placed yet, those that were asked for
//! before any of them was answered.

/// The questions and answers that are left, in order of time, as a list in which taking out and
/// putting back take no search.
#[derive(Debug)]
pub(super) struct Window {
    after: Vec<usize>,
    before: Vec<usize>,
    /// The end of the list, which is also its beginning.
    end: usize,
    times: Vec<u64>,
}

/// The places of an operation's question and answer.
const fn places(op: usize) -> (usize, usize) {
    (2 * op, 2 * op + 1)
}

const fn is_answer(place: usize) -> bool {
    place % 2 == 1
}

impl Window {
    /// A list of operations below this number, each with its times.
    pub(super) fn new(bound: usize, ops: impl Iterator<Item = (usize, u64, u64)>) -> Self {
        let end = 2 * bound;
        let mut times = vec![u64::MAX; end + 1];
        let mut order = Vec::new();
        for (op, invoked, returned) in ops {
            let (question, answer) = places(op);
            (times[question], times[answer]) = (invoked, returned);
            order.extend([question, answer]);
        }
        // At the same time questions come first: then neither comes before the other.
        order.sort_unstable_by_key(|place| (times[*place], is_answer(*place), *place));
        let mut window = Self { after: vec![end; end + 1], before: vec![end; end + 1], end, times };
        let mut last = end;
        for place in order {
            (window.after[last], window.before[place]) = (place, last);
            last = place;
        }
        (window.after[last], window.before[end]) = (end, last);
        window
    }

    /// The operations that can be next, the first asked for first.
    pub(super) fn next(&self) -> impl Iterator<Item = usize> {
        let mut place = self.end;
        std::iter::from_fn(move || {
            place = self.after[place];
            (place != self.end && !is_answer(place)).then_some(place / 2)
        })
    }

    /// What was asked for later than this cannot be next: something was answered before.
    pub(super) fn limit(&self) -> u64 {
        let mut place = self.after[self.end];
        while place != self.end && !is_answer(place) {
            place = self.after[place];
        }
        self.times[place]
    }

    /// Takes an operation out.
    pub(super) fn take(&mut self, op: usize) {
        let (question, answer) = places(op);
        for place in [question, answer] {
            let (before, after) = (self.before[place], self.after[place]);
            (self.after[before], self.before[after]) = (after, before);
        }
    }

    /// Puts back the operation that was taken out last.
    pub(super) fn put_back(&mut self, op: usize) {
        let (question, answer) = places(op);
        for place in [answer, question] {
            let (before, after) = (self.before[place], self.after[place]);
            (self.after[before], self.before[after]) = (place, place);
        }
    }
}
