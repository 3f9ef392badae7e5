//! The search for an order. The rules that it follows are those of the module's documentation.

use super::{
    bits::Bits,
    memo::{Memo, share},
    model::Model,
    puzzle::Puzzle,
    window::Window,
};

/// What a search ends with.
#[derive(Debug)]
pub(super) enum Outcome {
    /// An order of the puzzle's operations.
    Fits(Vec<usize>),
    /// There is none.
    Never,
    /// So many states were examined that it was given up.
    TooHard,
}

/// Searches an order, and examines at most so many states.
pub(super) fn run<M: Model>(puzzle: &Puzzle<'_, '_, M>, states_max: u64) -> Outcome {
    Search::new(puzzle).run(states_max)
}

/// An operation that was placed.
#[derive(Debug)]
struct Frame<S> {
    op: usize,
    /// The state before it.
    before: S,
    /// Where the choices begin that are left after it.
    choices: usize,
}

#[derive(Debug)]
struct Search<'p, 'm, 'h, M: Model> {
    puzzle: &'p Puzzle<'m, 'h, M>,
    window: Window,
    memo: Memo<M::State>,
    placed: Bits,
    /// The hash of the answered operations that are placed.
    hash: u64,
    /// How many answered operations are not placed.
    left: usize,
    /// By operation, how many are not placed that it could matter to.
    observers: Vec<usize>,
    /// By operation, how many are not placed that could matter to it.
    sources: Vec<usize>,
    /// The operations left that fit now or never.
    now_or_never: Bits,
    frames: Vec<Frame<M::State>>,
    /// What is left to try: after each frame, from where it says, the best last.
    choices: Vec<usize>,
    /// Room for what can be next, with the state after it.
    next: Vec<(usize, M::State)>,
}

impl<'p, 'm, 'h, M: Model> Search<'p, 'm, 'h, M> {
    fn new(puzzle: &'p Puzzle<'m, 'h, M>) -> Self {
        let count = puzzle.items.len();
        let mut answered = Bits::new(count);
        let mut ops = Vec::with_capacity(count);
        for (op, item) in puzzle.items.iter().enumerate() {
            if let Some((returned, _)) = item.returned {
                answered.insert(op);
                ops.push((op, item.invoked, returned));
            }
        }
        let sources: Vec<usize> = puzzle.sources.iter().map(Vec::len).collect();
        let mut now_or_never = Bits::new(count);
        for op in puzzle.picky.iter().filter(|op| sources[*op] == 0) {
            now_or_never.insert(op);
        }
        Self {
            puzzle,
            left: ops.len(),
            window: Window::new(count, ops.into_iter()),
            memo: Memo::new(answered),
            placed: Bits::new(count),
            hash: 0,
            observers: puzzle.observers.iter().map(Vec::len).collect(),
            sources,
            now_or_never,
            frames: Vec::new(),
            choices: Vec::new(),
            next: Vec::new(),
        }
    }

    fn run(mut self, states_max: u64) -> Outcome {
        let mut states = 0;
        let mut state = self.puzzle.init.clone();
        if self.is_hopeless(&state) {
            return Outcome::Never;
        }
        self.choose(&state);
        while self.left > 0 {
            let begin = self.frames.last().map_or(0, |frame| frame.choices);
            if self.choices.len() == begin {
                let Some(frame) = self.frames.pop() else { return Outcome::Never };
                self.take_back(frame.op);
                state = frame.before;
                continue;
            }
            let Some(op) = self.choices.pop() else { return Outcome::Never };
            let Some(after) = self.puzzle.step(&state, op) else { continue };
            self.place(op);
            if self.is_hopeless(&after) || !self.memo.is_new(&self.placed, self.hash, &after) {
                self.take_back(op);
                continue;
            }
            states += 1;
            if states > states_max {
                return Outcome::TooHard;
            }
            let before = std::mem::replace(&mut state, after);
            self.frames.push(Frame { op, before, choices: self.choices.len() });
            self.choose(&state);
        }
        Outcome::Fits(self.frames.iter().map(|frame| frame.op).collect())
    }

    /// Rule 5: whether something left does not fit now, and nothing left could change that.
    fn is_hopeless(&self, state: &M::State) -> bool {
        self.now_or_never.iter().any(|op| self.puzzle.step(state, op).is_none())
    }

    /// Finds what can be next from this state.
    fn choose(&mut self, state: &M::State) {
        let mut next = std::mem::take(&mut self.next);
        next.clear();
        if let Some(only) = self.find_answered(state, &mut next) {
            self.choices.push(only);
        } else {
            self.find_unknown(state, &mut next);
            match self.find_unnoticed(&next) {
                Some(only) => self.choices.push(only),
                None => self.choices.extend(next.iter().rev().map(|(op, _)| *op)),
            }
        }
        self.next = next;
    }

    /// The state before the last operation, if its outcome is unknown.
    fn before_unknown(&self) -> Option<&M::State> {
        let frame = self.frames.last()?;
        self.puzzle.items[frame.op].returned.is_none().then_some(&frame.before)
    }

    /// Rule 2: whether the last operation was of use if this one follows.
    fn is_worth(&self, op: usize, after: &M::State) -> bool {
        let Some(before) = self.before_unknown() else { return true };
        self.puzzle.step(before, op).as_ref() != Some(after)
    }

    /// What was answered and can be next; or the only thing that need be tried, since nobody will
    /// notice it and it changes nothing (rule 1).
    fn find_answered(&self, state: &M::State, next: &mut Vec<(usize, M::State)>) -> Option<usize> {
        for op in self.window.next() {
            let Some(after) = self.puzzle.step(state, op) else { continue };
            if !self.is_worth(op, &after) {
                continue;
            }
            if after == *state && self.observers[op] == 0 {
                return Some(op);
            }
            next.push((op, after));
        }
        None
    }

    /// What is of unknown outcome and can be next with use (rules 2 and 3).
    fn find_unknown(&self, state: &M::State, next: &mut Vec<(usize, M::State)>) {
        let limit = self.window.limit();
        for op in self.puzzle.unknown.iter().copied() {
            if self.puzzle.items[op].invoked > limit {
                break;
            }
            let twin_waits = self.puzzle.twins[op].is_some_and(|twin| !self.placed.has(twin));
            if self.placed.has(op) || self.observers[op] == 0 || twin_waits {
                continue;
            }
            let Some(after) = self.puzzle.step(state, op) else { continue };
            if after != *state
                && self.is_worth(op, &after)
                && self.is_of_use(op, state, &after, limit)
            {
                next.push((op, after));
            }
        }
    }

    /// Whether something that can be next does not do the same without this.
    fn is_of_use(&self, unknown: usize, state: &M::State, after: &M::State, limit: u64) -> bool {
        self.puzzle.observers[unknown].iter().any(|op| {
            let item = &self.puzzle.items[*op];
            if self.placed.has(*op) || item.invoked > limit {
                return false;
            }
            let Some(then) = self.puzzle.step(after, *op) else { return false };
            let is_idle = item.returned.is_none() && then == *after;
            !is_idle && self.puzzle.step(state, *op) != Some(then)
        })
    }

    /// Rule 1: something answered that nobody will notice, and that disturbs nothing.
    fn find_unnoticed(&self, next: &[(usize, M::State)]) -> Option<usize> {
        let mut unnoticed = next.iter().filter(|(op, _)| {
            self.observers[*op] == 0 && self.puzzle.items[*op].returned.is_some()
        });
        let found = unnoticed.find(|(op, after)| {
            let mut others = next.iter().filter(|(other, _)| other != op);
            others.all(|(other, then)| self.puzzle.step(after, *other).as_ref() == Some(then))
        });
        found.map(|(op, _)| *op)
    }

    fn place(&mut self, op: usize) {
        self.placed.insert(op);
        self.now_or_never.remove(op);
        if self.puzzle.items[op].returned.is_some() {
            self.window.take(op);
            self.hash ^= share(op);
            self.left -= 1;
        }
        for source in &self.puzzle.sources[op] {
            self.observers[*source] -= 1;
        }
        for observer in self.puzzle.observers[op].iter().copied() {
            self.sources[observer] -= 1;
            if self.sources[observer] == 0
                && self.puzzle.picky.has(observer)
                && !self.placed.has(observer)
            {
                self.now_or_never.insert(observer);
            }
        }
    }

    /// Undoes the last [`place`](Self::place).
    fn take_back(&mut self, op: usize) {
        for observer in self.puzzle.observers[op].iter().copied() {
            self.now_or_never.remove(observer);
            self.sources[observer] += 1;
        }
        for source in &self.puzzle.sources[op] {
            self.observers[*source] += 1;
        }
        if self.puzzle.items[op].returned.is_some() {
            self.left += 1;
            self.hash ^= share(op);
            self.window.put_back(op);
        }
        if self.sources[op] == 0 && self.puzzle.picky.has(op) {
            self.now_or_never.insert(op);
        }
        self.placed.remove(op);
    }
}
