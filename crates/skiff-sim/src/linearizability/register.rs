//! A model of registers: one number, or none, by key.

use super::model::{Leads, Leaves, Model, Needs};

/// Registers that are empty in the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

/// What can be done to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Is told the value, if there is one.
    Read,
    /// Sets the value.
    Write(u64),
    /// Sets the value if it is the expected one.
    Cas {
        /// The value that is expected; `None` expects an empty register.
        expected: Option<u64>,
        /// The value that is set.
        new: u64,
    },
    /// Adds to the value, round the end of the numbers; an empty register counts as zero.
    Add(u64),
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// By a read: the value.
    Value(Option<u64>),
    /// By a write: that it is done.
    Written,
    /// By a compare-and-set: whether the value was the expected one, and is now the new one.
    Swapped(bool),
    /// By an addition: the value after it.
    Sum(u64),
}

impl Model for Register {
    type Key = u64;
    type State = Option<u64>;
    type Op = (u64, Act);
    type Ret = Told;

    fn key(&self, op: &(u64, Act)) -> u64 {
        op.0
    }

    fn init(&self, _: &u64) -> Option<u64> {
        None
    }

    fn step(
        &self,
        state: &Option<u64>,
        op: &(u64, Act),
        told: Option<&Told>,
    ) -> Option<Option<u64>> {
        let (after, answer) = match op.1 {
            Act::Read => (*state, Told::Value(*state)),
            Act::Write(value) => (Some(value), Told::Written),
            Act::Cas { expected, new } if *state == expected => (Some(new), Told::Swapped(true)),
            Act::Cas { .. } => (*state, Told::Swapped(false)),
            Act::Add(number) => {
                let sum = state.unwrap_or_default().wrapping_add(number);
                (Some(sum), Told::Sum(sum))
            }
        };
        told.is_none_or(|told| *told == answer).then_some(after)
    }

    fn needs(&self, op: &(u64, Act), told: Option<&Told>) -> Needs<Option<u64>> {
        match (op.1, told) {
            (Act::Write(_), _) => Needs::Nothing,
            (Act::Read, Some(Told::Value(value))) => Needs::Exactly(*value),
            (Act::Cas { expected, .. }, None | Some(Told::Swapped(true))) => {
                Needs::Exactly(expected)
            }
            // The sum of nothing and of zero is the same.
            (Act::Add(number), Some(Told::Sum(sum))) if *sum != number => {
                Needs::Exactly(Some(sum.wrapping_sub(number)))
            }
            _ => Needs::Something,
        }
    }

    fn leaves(&self, op: &(u64, Act), told: Option<&Told>) -> Leaves<Option<u64>> {
        match (op.1, told) {
            (Act::Read, _) | (Act::Cas { .. }, Some(Told::Swapped(false))) => Leaves::AsItWas,
            (Act::Write(value) | Act::Cas { new: value, .. }, _) => Leaves::Exactly(Some(value)),
            (Act::Add(_), Some(Told::Sum(sum))) => Leaves::Exactly(Some(*sum)),
            (Act::Add(_), _) => Leaves::Something,
        }
    }

    fn leads<'a>(&'a self, through: &[&'a (u64, Act)]) -> Leads<'a, Option<u64>> {
        let number = |op: &&(u64, Act)| if let Act::Add(number) = op.1 { number } else { u64::MAX };
        let sum = through.iter().map(number).try_fold(0_u64, u64::checked_add);
        // As long as nothing can go round the end of the numbers, what is between is at most the sum.
        Box::new(move |from, to| {
            let Some(to) = *to else { return false };
            sum.is_none_or(|sum| to.wrapping_sub(from.unwrap_or_default()) <= sum)
        })
    }
}
