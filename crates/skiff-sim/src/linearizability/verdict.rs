//! What is found.

use std::fmt::{self, Debug, Display};

/// What is found about a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict<K> {
    /// Its operations fit in an order.
    Linearizable,
    /// They do not.
    Violation(Violation<K>),
    /// Not known: there are too many possibilities. This is not a pass.
    TooHard {
        /// The first key of which it is not known.
        key: K,
        /// How many states were examined.
        states: u64,
    },
}

/// Why there is no order. Printed, it tells the story.
///
/// Operations are numbers of places in the history that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation<K> {
    /// The key.
    pub key: K,
    /// The first operation whose answer cannot be explained by anything asked for until then.
    pub culprit: usize,
    /// An order that explains the answers before, as many as could be ordered.
    pub order: Vec<usize>,
    /// What was asked for before that answer and is not in the order, the culprit first.
    pub unplaced: Vec<usize>,
    pub(super) story: String,
}

impl<K> Verdict<K> {
    /// Whether an order was found.
    pub const fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable)
    }

    /// Whether it is known that there is none.
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::Violation(_))
    }
}

impl<K: Debug> Display for Verdict<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linearizable => f.write_str("linearizable"),
            Self::Violation(violation) => Display::fmt(violation, f),
            Self::TooHard { key, states } => {
                write!(f, "key {key:?} is too hard to judge: {states} states were not enough")
            }
        }
    }
}

impl<K> Display for Violation<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.story)
    }
}
