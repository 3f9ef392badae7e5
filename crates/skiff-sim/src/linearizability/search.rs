//! The search for an order. The rules that it follows are those of the module's documentation.

use super::{
    bits::Bits,
    board::Board,
    memo::Memo,
    model::{Model, Needs},
    puzzle::Puzzle,
};

/// How many operations of unknown outcome may follow each other, in one search after another: most
/// orders need few, and those are found sooner if no others are tried.
const CHAINS: [usize; 4] = [1, 2, 4, usize::MAX];

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
pub(super) fn run<M: Model>(puzzle: &Puzzle<'_, M>, states_max: u64) -> Outcome {
    let mut states_left = states_max;
    for chain_max in CHAINS {
        let states_max = if chain_max == usize::MAX { states_left } else { states_max / 8 };
        let mut search = Search::new(puzzle, chain_max);
        match search.run(states_max) {
            Outcome::Never if search.is_cut => {}
            Outcome::TooHard if chain_max < usize::MAX => {}
            outcome => return outcome,
        }
        states_left -= search.states;
    }
    Outcome::TooHard
}

/// An operation that was placed.
#[derive(Debug)]
struct Frame<S> {
    op: usize,
    /// The state before it.
    before: S,
    /// Where the choices begin that are left after it.
    choices: usize,
    /// How many operations of unknown outcome come last.
    chain: usize,
}

/// Of what use an operation of unknown outcome is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    No,
    /// If more of them follow.
    Later,
    /// To what directly follows.
    Now,
}

#[derive(Debug)]
struct Search<'p, 'h, M: Model> {
    puzzle: &'p Puzzle<'h, M>,
    board: Board<'p, 'h, M>,
    memo: Memo<M::State>,
    frames: Vec<Frame<M::State>>,
    /// What is left to try: after each frame, from where it says, the best last.
    choices: Vec<usize>,
    /// Room for what can be next, with the state after it.
    next: Vec<(usize, M::State)>,
    chain_max: usize,
    /// Whether something was not tried for the length of a chain.
    is_cut: bool,
    /// How many states were examined.
    states: u64,
}

impl<'p, 'h, M: Model> Search<'p, 'h, M> {
    fn new(puzzle: &'p Puzzle<'h, M>, chain_max: usize) -> Self {
        let count = puzzle.items.len();
        let mut answered = Bits::new(count);
        for op in (0..count).filter(|op| !puzzle.is_unknown(*op)) {
            answered.insert(op);
        }
        Self {
            puzzle,
            board: Board::new(puzzle),
            memo: Memo::new(answered),
            frames: Vec::new(),
            choices: Vec::new(),
            next: Vec::new(),
            chain_max,
            is_cut: false,
            states: 0,
        }
    }

    fn run(&mut self, states_max: u64) -> Outcome {
        let mut state = self.puzzle.init.clone();
        if self.board.is_hopeless(&state) {
            return Outcome::Never;
        }
        self.choose(&state);
        while self.board.left > 0 {
            let begin = self.frames.last().map_or(0, |frame| frame.choices);
            if self.choices.len() == begin {
                let Some(frame) = self.frames.pop() else { return Outcome::Never };
                self.board.take_back(frame.op);
                state = frame.before;
                continue;
            }
            let Some(op) = self.choices.pop() else { return Outcome::Never };
            let Some(after) = self.puzzle.step(&state, op) else { continue };
            self.board.place(op);
            let (placed, hash) = (&self.board.placed, self.board.hash);
            if self.board.is_hopeless(&after) || !self.memo.is_new(placed, hash, &after) {
                self.board.take_back(op);
                continue;
            }
            self.states += 1;
            if self.states > states_max {
                return Outcome::TooHard;
            }
            self.push(op, std::mem::replace(&mut state, after));
            self.choose(&state);
        }
        Outcome::Fits(self.frames.iter().map(|frame| frame.op).collect())
    }

    fn push(&mut self, op: usize, before: M::State) {
        let chain = if self.puzzle.is_unknown(op) { self.chain() + 1 } else { 0 };
        self.frames.push(Frame { op, before, choices: self.choices.len(), chain });
    }

    fn chain(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.chain)
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

    /// The last operation, with the state before it, if its outcome is unknown.
    fn last_unknown(&self) -> Option<&Frame<M::State>> {
        self.frames.last().filter(|frame| frame.chain > 0)
    }

    /// Rule 2: whether the last operation was of use if this one follows.
    fn is_worth(&self, op: usize, after: &M::State) -> bool {
        let Some(last) = self.last_unknown() else { return true };
        self.puzzle.step(&last.before, op).as_ref() != Some(after)
    }

    /// What was answered and can be next; or the only thing that need be tried, since nobody will
    /// notice it and it changes nothing (rule 1).
    fn find_answered(&self, state: &M::State, next: &mut Vec<(usize, M::State)>) -> Option<usize> {
        for op in self.board.window.next() {
            let Some(after) = self.puzzle.step(state, op) else { continue };
            if !self.is_worth(op, &after) {
                continue;
            }
            if after == *state && self.board.is_unnoticed(op) {
                return Some(op);
            }
            next.push((op, after));
        }
        None
    }

    /// Rule 1: something answered that nobody will notice, and that disturbs nothing.
    fn find_unnoticed(&self, next: &[(usize, M::State)]) -> Option<usize> {
        let mut unnoticed = next
            .iter()
            .filter(|(op, _)| !self.puzzle.is_unknown(*op) && self.board.is_unnoticed(*op));
        let found = unnoticed.find(|(op, after)| {
            let mut others = next.iter().filter(|(other, _)| other != op);
            others.all(|(other, then)| self.puzzle.step(after, *other).as_ref() == Some(then))
        });
        found.map(|(op, _)| *op)
    }

    /// What is of unknown outcome and can be next with use (rules 2, 3 and 4).
    fn find_unknown(&mut self, state: &M::State, next: &mut Vec<(usize, M::State)>) {
        let limit = self.board.window.limit();
        let puzzle = self.puzzle;
        for op in puzzle.unknown.iter().copied() {
            if puzzle.items[op].invoked > limit {
                break;
            }
            let twin_waits = puzzle.twins[op].is_some_and(|twin| !self.board.placed.has(twin));
            if self.board.placed.has(op) || twin_waits || !self.board.could_be_seen(op) {
                continue;
            }
            let Some(after) = puzzle.step(state, op).filter(|after| after != state) else {
                continue;
            };
            let found = self.use_of(op, state, &after, limit);
            if found == Use::No || !self.is_worth(op, &after) || self.is_out_of_order(op, &after) {
                continue;
            }
            let chain = self.chain() + 1;
            if chain > self.chain_max || chain == self.chain_max && found == Use::Later {
                self.is_cut = true;
                continue;
            }
            next.push((op, after));
        }
    }

    /// Rule 4: whether the last operation, of unknown outcome too, could as well follow this one.
    fn is_out_of_order(&self, op: usize, after: &M::State) -> bool {
        let Some(last) = self.last_unknown().filter(|last| op < last.op) else { return false };
        let swapped = self.puzzle.step(&last.before, op);
        swapped.and_then(|between| self.puzzle.step(&between, last.op)).as_ref() == Some(after)
    }

    /// Rule 2: of what use an operation of unknown outcome is between these states.
    fn use_of(&self, unknown: usize, state: &M::State, after: &M::State, limit: u64) -> Use {
        let others = self.puzzle.unknown.iter().copied();
        let others = others.take_while(|op| self.puzzle.items[*op].invoked <= limit);
        let others = others.filter(|op| {
            *op != unknown && !self.board.placed.has(*op) && !self.puzzle.is_wild(*op)
        });
        let has_wild = self.board.wild > usize::from(self.puzzle.is_wild(unknown));
        let mut best = Use::No;
        for op in self.board.window.next().chain(others) {
            best = best.max(self.use_for(op, state, after, has_wild));
            if best == Use::Now {
                break;
            }
        }
        best
    }

    /// Rule 2: of what use it is to an operation that the state before it, or some time before it, is
    /// `after` and not `state`.
    fn use_for(&self, op: usize, state: &M::State, after: &M::State, has_wild: bool) -> Use {
        let later = |can_be| if has_wild && can_be { Use::Later } else { Use::No };
        match self.puzzle.needs[op] {
            Needs::Nothing => Use::No,
            Needs::Exactly(needed) => {
                let needed = &self.puzzle.states[needed];
                if needed == after { Use::Now } else { later((self.puzzle.leads)(after, needed)) }
            }
            Needs::Something => {
                let then = self.puzzle.step(after, op);
                let is_seen = then.is_some() && then != self.puzzle.step(state, op);
                if is_seen { Use::Now } else { later(true) }
            }
        }
    }
}
