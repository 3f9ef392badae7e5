//! What one store does that does one thing at a time, for the judge of histories.

use skiff_sim::linearizability::{Leaves, Model, Needs};

/// Keys that hold a number or nothing.
pub(crate) struct Store;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Op {
    pub(crate) key: String,
    pub(crate) act: Act,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    Get,
    /// Answered by what the key held before: so one that was done twice is seen.
    Put(u64),
    CompareAndSet {
        expected: Option<u64>,
        new: u64,
    },
}

impl Act {
    pub(crate) fn changes(self) -> bool {
        self != Self::Get
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Told {
    /// By a get: what the key holds. By what changed it: what it held before.
    Held(Option<u64>),
    /// It held something else, and still does.
    Differs(Option<u64>),
}

impl Model for Store {
    type Key = String;
    type State = Option<u64>;
    type Op = Op;
    type Ret = Told;

    fn key(&self, op: &Op) -> String {
        op.key.clone()
    }

    fn init(&self, _: &String) -> Option<u64> {
        None
    }

    fn step(&self, held: &Option<u64>, op: &Op, told: Option<&Told>) -> Option<Option<u64>> {
        let (after, answer) = match op.act {
            Act::Get => (*held, Told::Held(*held)),
            Act::Put(value) => (Some(value), Told::Held(*held)),
            Act::CompareAndSet { expected, new } if expected == *held => {
                (Some(new), Told::Held(*held))
            }
            Act::CompareAndSet { .. } => (*held, Told::Differs(*held)),
        };
        told.is_none_or(|told| *told == answer).then_some(after)
    }

    fn needs(&self, op: &Op, told: Option<&Told>) -> Needs<Option<u64>> {
        match (op.act, told) {
            (_, Some(Told::Held(held) | Told::Differs(held))) => Needs::Exactly(*held),
            (Act::Put(_), None) => Needs::Nothing,
            (Act::CompareAndSet { expected, .. }, None) => Needs::Exactly(expected),
            (Act::Get, None) => Needs::Something,
        }
    }

    fn leaves(&self, op: &Op, told: Option<&Told>) -> Leaves<Option<u64>> {
        match (op.act, told) {
            (Act::Get, _) | (_, Some(Told::Differs(_))) => Leaves::AsItWas,
            (Act::Put(new) | Act::CompareAndSet { new, .. }, _) => Leaves::Exactly(Some(new)),
        }
    }
}
