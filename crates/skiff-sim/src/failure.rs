//! What a judge says when something is wrong.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{judge}: {text} (at {at} ns)")]
pub struct Failure {
    /// Which judge saw it.
    pub judge: String,
    /// What it saw.
    pub text: String,
    /// When, in nanoseconds of simulated time.
    pub at: u64,
}

/// What a judge finds: nothing, or what is wrong.
pub(crate) type Verdict = Result<(), String>;

/// `Err` with these words unless it holds.
pub(crate) fn must(holds: bool, words: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(words()) }
}
