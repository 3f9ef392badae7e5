//! What is placed, and what that means for what is left.

use super::{
    bits::Bits,
    memo::share,
    model::{Leaves, Model, Needs},
    puzzle::Puzzle,
    window::Window,
};

/// The operations that are placed and those that are left.
#[derive(Debug)]
pub(super) struct Board<'p, 'h, M: Model> {
    puzzle: &'p Puzzle<'h, M>,
    pub(super) window: Window,
    pub(super) placed: Bits,
    /// A hash of the answered operations that are placed.
    pub(super) hash: u64,
    /// How many answered operations are left.
    pub(super) left: usize,
    /// How many operations of unknown outcome are left that leave no known state.
    pub(super) wild: usize,
    /// By state, how many operations are left that need it.
    seekers: Vec<usize>,
    /// By state, how many of them were answered.
    answered_seekers: Vec<usize>,
    /// By state, how many operations are left that leave it.
    givers: Vec<usize>,
    /// The operations left that need it is not known what.
    vague: Bits,
    /// The states that are needed and can never come again once they are gone.
    last_chance: Bits,
}

impl<'p, 'h, M: Model> Board<'p, 'h, M> {
    pub(super) fn new(puzzle: &'p Puzzle<'h, M>) -> Self {
        let (count, states) = (puzzle.items.len(), puzzle.states.len());
        let answered = (0..count).filter_map(|op| {
            let item = &puzzle.items[op];
            item.returned.map(|(returned, _)| (op, item.invoked, returned))
        });
        let answered: Vec<_> = answered.collect();
        let mut board = Self {
            puzzle,
            window: Window::new(count, answered.iter().copied()),
            placed: Bits::new(count),
            hash: 0,
            left: 0,
            wild: 0,
            seekers: vec![0; states],
            answered_seekers: vec![0; states],
            givers: vec![0; states],
            vague: Bits::new(count),
            last_chance: Bits::new(states),
        };
        let unknown = puzzle.unknown.iter().copied();
        for op in unknown.chain(answered.iter().map(|(op, _, _)| *op)) {
            board.add(op);
        }
        board
    }

    /// Adds an operation to those that are left.
    fn add(&mut self, op: usize) {
        let is_unknown = self.puzzle.is_unknown(op);
        let is_wild = is_unknown && self.puzzle.is_wild(op);
        self.left += usize::from(!is_unknown);
        self.wild += usize::from(is_wild);
        match self.puzzle.needs[op] {
            Needs::Nothing => {}
            Needs::Exactly(state) => {
                self.seekers[state] += 1;
                self.answered_seekers[state] += usize::from(!is_unknown);
                self.look_at(state);
            }
            Needs::Something => self.vague.set(op, !is_wild),
        }
        if let Leaves::Exactly(state) = self.puzzle.leaves[op] {
            self.givers[state] += 1;
            self.look_at(state);
        }
    }

    /// Takes an operation from those that are left.
    fn remove(&mut self, op: usize) {
        let is_unknown = self.puzzle.is_unknown(op);
        self.left -= usize::from(!is_unknown);
        self.wild -= usize::from(is_unknown && self.puzzle.is_wild(op));
        match self.puzzle.needs[op] {
            Needs::Nothing => {}
            Needs::Exactly(state) => {
                self.seekers[state] -= 1;
                self.answered_seekers[state] -= usize::from(!is_unknown);
                self.look_at(state);
            }
            Needs::Something => self.vague.remove(op),
        }
        if let Leaves::Exactly(state) = self.puzzle.leaves[op] {
            self.givers[state] -= 1;
            self.look_at(state);
        }
    }

    fn look_at(&mut self, state: usize) {
        let is_last = self.answered_seekers[state] > 0
            && self.givers[state] == 0
            && !self.puzzle.in_reach.has(state);
        self.last_chance.set(state, is_last);
    }

    pub(super) fn place(&mut self, op: usize) {
        self.remove(op);
        self.placed.insert(op);
        if !self.puzzle.is_unknown(op) {
            self.window.take(op);
            self.hash ^= share(op);
        }
    }

    /// Undoes the last [`place`](Self::place).
    pub(super) fn take_back(&mut self, op: usize) {
        if !self.puzzle.is_unknown(op) {
            self.hash ^= share(op);
            self.window.put_back(op);
        }
        self.placed.remove(op);
        self.add(op);
    }

    /// Rule 5: whether an answer needs a state that is not this one and can never come again.
    pub(super) fn is_hopeless(&self, state: &M::State) -> bool {
        self.last_chance.iter().any(|needed| self.puzzle.states[needed] != *state)
    }

    /// Rule 1: whether nothing that is left could notice an operation.
    pub(super) fn is_unnoticed(&self, op: usize) -> bool {
        let state = match self.puzzle.leaves[op] {
            Leaves::AsItWas => return true,
            Leaves::Exactly(state) => state,
            Leaves::Something => return false,
        };
        let closes = self.puzzle.closes[op];
        let may_follow = |other: usize| self.puzzle.items[other].invoked <= closes;
        let own = usize::from(self.puzzle.needs[op] == Needs::Exactly(state));
        self.seekers[state] == own
            && (self.wild == 0 || !self.puzzle.fertile.has(state))
            && !self.vague.iter().find(|other| *other != op).is_some_and(may_follow)
    }

    /// Rule 2, at first glance: whether anything that is left could see an operation.
    pub(super) fn could_be_seen(&self, op: usize) -> bool {
        match self.puzzle.leaves[op] {
            Leaves::AsItWas => false,
            Leaves::Exactly(state) => {
                self.seekers[state] > 0
                    || self.vague.iter().next().is_some()
                    || self.wild > 0 && self.puzzle.fertile.has(state)
            }
            Leaves::Something => true,
        }
    }
}
