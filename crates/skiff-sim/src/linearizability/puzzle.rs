//! The operations of one key, and what they have to do with each other.

use std::{collections::BTreeMap, fmt};

use super::{
    bits::Bits,
    memo::hash_of,
    model::{Leads, Leaves, Model, Needs, Observed},
};

/// An operation in a puzzle.
#[derive(Debug)]
pub(super) struct Item<'h, M: Model> {
    /// Its place in the history.
    pub(super) number: usize,
    pub(super) op: &'h M::Op,
    pub(super) invoked: u64,
    pub(super) returned: Option<(u64, &'h M::Ret)>,
}

impl<M: Model> Clone for Item<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Model> Copy for Item<'_, M> {}

impl<'h, M: Model> Item<'h, M> {
    pub(super) fn new(number: usize, observed: &'h Observed<M::Op, M::Ret>) -> Self {
        let returned = observed.returned.as_ref().map(|(at, ret)| (*at, ret));
        assert!(
            returned.is_none_or(|(at, _)| at >= observed.invoked),
            "operation {number} was answered before it was asked for"
        );
        Self { number, op: &observed.op, invoked: observed.invoked, returned }
    }

    pub(super) fn ret(&self) -> Option<&'h M::Ret> {
        self.returned.map(|(_, ret)| ret)
    }
}

/// The operations of one key, numbered as they were asked for.
pub(super) struct Puzzle<'h, M: Model> {
    pub(super) model: &'h M,
    pub(super) init: M::State,
    pub(super) items: Vec<Item<'h, M>>,
    /// By operation, what it needs, as a place in `states`.
    pub(super) needs: Vec<Needs<usize>>,
    /// By operation, what it leaves, as a place in `states`.
    pub(super) leaves: Vec<Leaves<usize>>,
    /// The states that are needed or left exactly.
    pub(super) states: Vec<M::State>,
    /// The operations of unknown outcome that could be of use.
    pub(super) unknown: Vec<usize>,
    /// How many of these leave no known state.
    pub(super) wild: usize,
    /// Whether those that leave no known state could lead from one state to another.
    pub(super) leads: Leads<'h, M::State>,
    /// Those of `states` from which they could lead to another that is needed.
    pub(super) fertile: Bits,
    /// Those of `states` to which they could lead from another, or from the first state.
    pub(super) in_reach: Bits,
    /// By operation of unknown outcome, the equal one that goes first.
    pub(super) twins: Vec<Option<usize>>,
    /// By answered operation, when the first was answered of those that were asked for later.
    pub(super) closes: Vec<u64>,
}

impl<M: Model> fmt::Debug for Puzzle<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puzzle").field("init", &self.init).finish_non_exhaustive()
    }
}

impl<'h, M: Model> Puzzle<'h, M> {
    pub(super) fn new(model: &'h M, key: &M::Key, mut items: Vec<Item<'h, M>>) -> Self {
        items.sort_by_key(|item| (item.invoked, item.number));
        let mut states = States { states: Vec::new(), places: BTreeMap::new() };
        let leaves: Vec<_> = items.iter().map(|item| states.leaves(model, item)).collect();
        let needs = items.iter().zip(&leaves).map(|(item, leaves)| match leaves {
            // What changes nothing and is not answered tells nothing.
            Leaves::AsItWas if item.returned.is_none() => Needs::Nothing,
            _ => states.needs(model, item),
        });
        let needs: Vec<_> = needs.collect();
        let mut puzzle = Self {
            model,
            init: model.init(key),
            unknown: Vec::new(),
            wild: 0,
            leads: Box::new(|_, _| false),
            fertile: Bits::new(states.states.len()),
            in_reach: Bits::new(states.states.len()),
            states: states.states,
            twins: vec![None; items.len()],
            closes: closes(&items),
            needs,
            leaves,
            items,
        };
        puzzle.lead();
        puzzle.find_useful();
        puzzle.pair_twins();
        puzzle
    }

    pub(super) fn step(&self, state: &M::State, op: usize) -> Option<M::State> {
        let item = &self.items[op];
        self.model.step(state, item.op, item.ret())
    }

    pub(super) fn is_unknown(&self, op: usize) -> bool {
        self.items[op].returned.is_none()
    }

    /// Whether it is not known what state an operation leaves.
    pub(super) fn is_wild(&self, op: usize) -> bool {
        matches!(self.leaves[op], Leaves::Something)
    }

    /// Finds where the operations could lead that leave no known state.
    fn lead(&mut self) {
        let (unknown, answered): (Vec<_>, Vec<_>) = (0..self.items.len())
            .filter(|op| self.is_wild(*op))
            .partition(|op| self.is_unknown(*op));
        self.wild = unknown.len();
        if !answered.is_empty() {
            // There are states on the way that are not known.
            self.leads = Box::new(|_, _| true);
            for state in 0..self.states.len() {
                self.fertile.insert(state);
                self.in_reach.insert(state);
            }
        } else if !unknown.is_empty() {
            let through: Vec<_> = unknown.into_iter().map(|op| self.items[op].op).collect();
            self.leads = self.model.leads(&through);
            self.find_reach();
        }
    }

    fn find_reach(&mut self) {
        let mut needed = Bits::new(self.states.len());
        for needs in &self.needs {
            if let Needs::Exactly(state) = needs {
                needed.insert(*state);
            }
        }
        for to in needed.iter() {
            let target = &self.states[to];
            if self.init != *target && (self.leads)(&self.init, target) {
                self.in_reach.insert(to);
            }
            for (from, state) in self.states.iter().enumerate() {
                if from != to && (self.leads)(state, target) {
                    self.fertile.insert(from);
                    self.in_reach.insert(to);
                }
            }
        }
    }

    /// Finds the operations of unknown outcome that could matter to anything (rule 2).
    fn find_useful(&mut self) {
        let mut seekers = vec![0_usize; self.states.len()];
        let mut vague = 0_usize;
        for needs in &self.needs {
            match needs {
                Needs::Exactly(state) => seekers[*state] += 1,
                Needs::Something => vague += 1,
                Needs::Nothing => {}
            }
        }
        let is_useful = |op: usize| {
            let own = |needs| usize::from(self.needs[op] == needs);
            match self.leaves[op] {
                Leaves::AsItWas => false,
                Leaves::Exactly(state) => {
                    seekers[state] > own(Needs::Exactly(state)) || vague > own(Needs::Something)
                }
                Leaves::Something => true,
            }
        };
        let unknown = (0..self.items.len()).filter(|op| self.is_unknown(*op) && is_useful(*op));
        self.unknown = unknown.collect();
    }

    fn pair_twins(&mut self) {
        for (place, op) in self.unknown.iter().enumerate() {
            let mut earlier = self.unknown[..place].iter().rev();
            let equal = |twin: &&usize| self.items[**twin].op == self.items[*op].op;
            self.twins[*op] = earlier.find(equal).copied();
        }
    }
}

/// By answered operation, when the first was answered of those that were asked for after its answer.
/// Nothing that was asked for later still can directly follow it.
fn closes<M: Model>(items: &[Item<'_, M>]) -> Vec<u64> {
    let mut first_answers: Vec<u64> =
        items.iter().map(|item| item.returned.map_or(u64::MAX, |(at, _)| at)).collect();
    for place in (1..items.len()).rev() {
        first_answers[place - 1] = first_answers[place - 1].min(first_answers[place]);
    }
    let close = |item: &Item<'_, M>| {
        let (end, _) = item.returned?;
        let later = items.partition_point(|item| item.invoked <= end);
        first_answers.get(later).copied()
    };
    items.iter().map(|item| close(item).unwrap_or(u64::MAX)).collect()
}

/// Gives numbers to states.
struct States<S> {
    states: Vec<S>,
    /// By hash.
    places: BTreeMap<u64, Vec<usize>>,
}

impl<S: Clone + Eq + std::hash::Hash> States<S> {
    fn place(&mut self, state: S) -> usize {
        let places = self.places.entry(hash_of(0, &state)).or_default();
        let known = places.iter().find(|place| self.states[**place] == state);
        known.copied().unwrap_or_else(|| {
            let place = self.states.len();
            places.push(place);
            self.states.push(state);
            place
        })
    }

    fn needs<M: Model<State = S>>(&mut self, model: &M, item: &Item<'_, M>) -> Needs<usize> {
        match model.needs(item.op, item.ret()) {
            Needs::Nothing => Needs::Nothing,
            Needs::Exactly(state) => Needs::Exactly(self.place(state)),
            Needs::Something => Needs::Something,
        }
    }

    fn leaves<M: Model<State = S>>(&mut self, model: &M, item: &Item<'_, M>) -> Leaves<usize> {
        match model.leaves(item.op, item.ret()) {
            Leaves::AsItWas => Leaves::AsItWas,
            Leaves::Exactly(state) => Leaves::Exactly(self.place(state)),
            Leaves::Something => Leaves::Something,
        }
    }
}
