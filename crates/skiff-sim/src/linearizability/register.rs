//! A model of registers: one number, or none, by key.

use super::model::Model;

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

/// What is known of the value after an operation.
enum Leaves {
    /// It is what it was.
    AsItWas,
    /// If it is not what it was, it is this.
    Value(u64),
    Anything,
}

const fn leaves(act: &Act, told: Option<&Told>) -> Leaves {
    match (act, told) {
        (Act::Read, _) | (Act::Cas { .. }, Some(Told::Swapped(false))) => Leaves::AsItWas,
        (Act::Write(value) | Act::Cas { new: value, .. }, _) => Leaves::Value(*value),
        (Act::Add(_), Some(Told::Sum(value))) => Leaves::Value(*value),
        (Act::Add(_), _) => Leaves::Anything,
    }
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

    fn matters(
        &self,
        first: (&(u64, Act), Option<&Told>),
        next: (&(u64, Act), Option<&Told>),
    ) -> bool {
        let (act, told) = (&next.0.1, next.1);
        match leaves(&first.0.1, first.1) {
            Leaves::AsItWas => false,
            Leaves::Anything => !matches!(act, Act::Write(_)),
            Leaves::Value(value) => match (act, told) {
                // What changes nothing and is not answered tells nothing.
                (Act::Write(_), _) | (Act::Read, None) => false,
                (Act::Cas { expected, .. }, None) => *expected == Some(value),
                (Act::Add(_), None) => true,
                (_, Some(_)) => self.step(&Some(value), next.0, told).is_some(),
            },
        }
    }

    fn always_fits(&self, op: &(u64, Act), told: &Told) -> bool {
        matches!((op.1, told), (Act::Write(_), Told::Written))
    }
}
