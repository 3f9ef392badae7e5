//! What an object does, and what was seen of it.

use std::{fmt::Debug, hash::Hash};

/// An object that does one thing at a time.
///
/// Only [`step`](Self::step) decides; [`matters`](Self::matters) and
/// [`always_fits`](Self::always_fits) make judging quicker.
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

    /// Whether it could matter to `next` that `first` comes directly before it.
    ///
    /// `false` is a promise: from whatever state, if `next` fits after `first`, then it also fits
    /// without it, and leaves the same state. Nothing needs to be promised for a `next` without
    /// answer when it changes nothing. `true`, which is the default, promises nothing.
    fn matters(
        &self,
        first: (&Self::Op, Option<&Self::Ret>),
        next: (&Self::Op, Option<&Self::Ret>),
    ) -> bool {
        let _ = (first, next);
        true
    }

    /// Whether the operation, answered so, fits every state. `false`, which is the default, promises
    /// nothing.
    fn always_fits(&self, op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = (op, ret);
        false
    }
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
