//! The operations of one key, and what they have to do with each other.

use super::{
    bits::Bits,
    model::{Model, Observed},
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

    /// Whether this can be somewhere before the other.
    fn can_precede(&self, other: &Self) -> bool {
        other.returned.is_none_or(|(at, _)| at >= self.invoked)
    }
}

/// The operations of one key, numbered as they were asked for.
#[derive(Debug)]
pub(super) struct Puzzle<'m, 'h, M: Model> {
    pub(super) model: &'m M,
    pub(super) init: M::State,
    pub(super) items: Vec<Item<'h, M>>,
    /// By operation, those that it could matter to.
    pub(super) observers: Vec<Vec<usize>>,
    /// By operation, those that could matter to it.
    pub(super) sources: Vec<Vec<usize>>,
    /// The operations of unknown outcome that could matter to anything.
    pub(super) unknown: Vec<usize>,
    /// By operation of unknown outcome, the equal one that goes first.
    pub(super) twins: Vec<Option<usize>>,
    /// The operations that are only possible in some states.
    pub(super) picky: Bits,
}

impl<'m, 'h, M: Model> Puzzle<'m, 'h, M> {
    pub(super) fn new(model: &'m M, key: &M::Key, mut items: Vec<Item<'h, M>>) -> Self {
        items.sort_by_key(|item| (item.invoked, item.number));
        let count = items.len();
        let mut picky = Bits::new(count);
        for (number, item) in items.iter().enumerate() {
            if item.ret().is_some_and(|ret| !model.always_fits(item.op, ret)) {
                picky.insert(number);
            }
        }
        let unknown = (0..count).filter(|number| items[*number].returned.is_none()).collect();
        let mut puzzle = Self {
            model,
            init: model.init(key),
            items,
            observers: vec![Vec::new(); count],
            sources: vec![Vec::new(); count],
            unknown,
            twins: vec![None; count],
            picky,
        };
        puzzle.relate();
        puzzle.drop_unseen();
        puzzle.pair_twins();
        puzzle
    }

    pub(super) fn step(&self, state: &M::State, op: usize) -> Option<M::State> {
        let item = &self.items[op];
        self.model.step(state, item.op, item.ret())
    }

    fn relate(&mut self) {
        for (first, before) in self.items.iter().enumerate() {
            for (next, after) in self.items.iter().enumerate() {
                if first != next
                    && before.can_precede(after)
                    && self.model.matters((before.op, before.ret()), (after.op, after.ret()))
                {
                    self.observers[first].push(next);
                    self.sources[next].push(first);
                }
            }
        }
    }

    /// Puts away the operations of unknown outcome that matter to nothing that is left.
    fn drop_unseen(&mut self) {
        let mut left: Vec<usize> = self.observers.iter().map(Vec::len).collect();
        let is_unseen =
            |op: &usize, left: &[usize]| left[*op] == 0 && self.items[*op].returned.is_none();
        let mut dropped = Bits::new(self.items.len());
        let mut unseen: Vec<usize> =
            (0..self.items.len()).filter(|op| is_unseen(op, &left)).collect();
        while let Some(op) = unseen.pop() {
            dropped.insert(op);
            for source in &self.sources[op] {
                left[*source] -= 1;
                if is_unseen(source, &left) {
                    unseen.push(*source);
                }
            }
        }
        self.unknown.retain(|op| !dropped.has(*op));
        for list in self.observers.iter_mut().chain(&mut self.sources) {
            list.retain(|op| !dropped.has(*op));
        }
    }

    fn pair_twins(&mut self) {
        for (place, op) in self.unknown.iter().enumerate() {
            let mut earlier = self.unknown[..place].iter().rev();
            let equal = |twin: &&usize| self.items[**twin].op == self.items[*op].op;
            self.twins[*op] = earlier.find(equal).copied();
        }
    }
}
