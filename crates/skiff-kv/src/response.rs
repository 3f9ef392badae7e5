//! What a command answers.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::limits::Refusal;

/// What a [`Command`](crate::Command) answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Response {
    /// It took effect.
    Done {
        /// What the key held before; `None` if it was not there.
        previous: Option<Bytes>,
    },
    /// The key did not hold what was expected. Nothing changed.
    Differs {
        /// What it holds.
        found: Option<Bytes>,
    },
    /// The command is not acceptable. Nothing changed.
    Refused(Refusal),
}

impl Response {
    /// Whether the command took effect.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
