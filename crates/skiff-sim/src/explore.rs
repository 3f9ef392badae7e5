//! Every order of events in a small cluster, not only those that chance would pick.
//!
//! Three nodes with the real core take turns: a message arrives, a timer fires, a write is done, a node
//! crashes. [`explore`] tries everything that can happen next, in every state, until nothing new is
//! found within the [`Bounds`], and judges each state. Because it goes level by level, the first path it
//! finds to a broken rule is a shortest one.
//!
//! Time is nobody's but the search's: any timer may fire whenever it is armed, whatever the clock of
//! another node says, so all relative speeds are covered. Each node's own clock only moves when one of
//! its timers does.

mod bounds;
mod crew;
mod disk;
mod ledger;
mod letter;
mod member;
mod memo;
mod presets;
mod print;
mod search;
mod spent;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod trace;
mod turn;

use std::fmt;

use serde::Serialize;

pub use self::bounds::{Bounds, Budget, UNLIMITED};
use self::{member::Setup, search::Search};

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// States that differ by more than the names of nodes and what does not matter.
    pub distinct: u64,
    /// Steps that led from one to another, or to itself.
    pub transitions: u64,
    /// How many states are so many steps away from the first, and no fewer.
    pub by_depth: Vec<u64>,
    /// Why it ended, or that it is under way.
    pub end: End,
    /// What broke, if anything did.
    pub violation: Option<Violation>,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It has not.
    UnderWay,
    /// There is nothing more within the bounds.
    Exhausted,
    /// A rule was broken.
    Violation,
    /// It found as many states as it may.
    TooMany,
    /// It was told to.
    Told,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnderWay => "under way",
            Self::Exhausted => "exhausted",
            Self::Violation => "a rule is broken",
            Self::TooMany => "too many",
            Self::Told => "stopped",
        })
    }
}

/// A broken rule, and a shortest way to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What should hold.
    pub rule: String,
    /// Which of the possible steps was taken, one after the other, for [`replay`].
    pub path: Vec<u16>,
    /// The same in words.
    pub trace: Vec<String>,
}

/// Searches with so many threads, until nothing is left or `go_on` says no to how it stands, which it is
/// asked every few thousand states. What is found does not depend on the number of threads.
pub fn explore(bounds: &Bounds, threads: usize, go_on: &mut dyn FnMut(&Report) -> bool) -> Report {
    Search::new(bounds).run(threads, go_on)
}

/// Goes a path again: what happens on it, in words, and which rule is broken at its end, if any is.
#[must_use]
pub fn replay(bounds: &Bounds, path: &[u16]) -> (Vec<String>, Option<String>) {
    trace::retell(&Setup::new(*bounds), path)
}
