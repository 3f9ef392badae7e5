//! What an object does, and what was seen of it.

use std::{fmt::Debug, hash::Hash};

/// An object that does one thing at a time.
///
/// Only [`step`](Self::step) decides. The rest, which has defaults that promise nothing, makes judging
/// quicker.
pub trait Model {
    /// What an operation is about. Operations on different keys have nothing to do with each other.
    type Key: Clone + Ord + Debug;
    /// The state of one key.
    type State: Clone + Eq + Hash + Debug;
    /// What can be asked for. Equal ones do the same.
    type Op: PartialEq + Debug;
    /// What can be answered.
    type Ret: Debug;

    /// Which key an operation is about.
    fn key(&self, op: &Self::Op) -> Self::Key;

    /// The state of a key in the beginning.
    fn init(&self, key: &Self::Key) -> Self::State;

    /// The state after an operation that was answered so; `None` if this could not be the answer.
    /// Without an answer, that is, if the outcome is unknown, the state after it if it takes effect.
    fn step(
        &self,
        state: &Self::State,
        op: &Self::Op,
        ret: Option<&Self::Ret>,
    ) -> Option<Self::State>;

    /// What an operation, answered so or not at all, needs of the state.
    fn needs(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> Needs<Self::State> {
        let _ = (op, ret);
        Needs::Something
    }

    /// What an operation, answered so or not at all, makes of the state.
    fn leaves(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> Leaves<Self::State> {
        let _ = (op, ret);
        Leaves::Something
    }

    /// Tells whether some of these operations of unknown outcome, each once, in some order, could lead
    /// from one state to another. They are those that leave [`Something`](Leaves::Something).
    fn leads<'a>(&'a self, through: &[&'a Self::Op]) -> Leads<'a, Self::State> {
        let _ = through;
        Box::new(|_, _| true)
    }
}

/// Whether one state could become another; `false` is a promise.
pub type Leads<'a, State> = Box<dyn Fn(&State, &State) -> bool + 'a>;

/// What an operation needs of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs<State> {
    /// It fits every state, and what it leaves does not depend on it: a write, say.
    Nothing,
    /// It fits no state but this. Without an answer: it changes no state but this.
    Exactly(State),
    /// No promise.
    Something,
}

/// What an operation makes of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves<State> {
    /// It changes nothing.
    AsItWas,
    /// If it fits, it leaves this state. Without an answer: if it changes anything, it leaves this.
    Exactly(State),
    /// No promise.
    Something,
}

/// An operation as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed<Op, Ret> {
    /// What was asked for.
    pub op: Op,
    /// When.
    pub invoked: u64,
    /// When it was answered, and what; `None` if the outcome is unknown: it may have taken effect at
    /// any time since, or never.
    pub returned: Option<(u64, Ret)>,
}

impl<Op, Ret> Observed<Op, Ret> {
    /// An operation that was answered.
    pub const fn answered(op: Op, invoked: u64, returned: u64, ret: Ret) -> Self {
        Self { op, invoked, returned: Some((returned, ret)) }
    }

    /// An operation of unknown outcome.
    pub const fn unknown(op: Op, invoked: u64) -> Self {
        Self { op, invoked, returned: None }
    }
}
