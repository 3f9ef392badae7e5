//! For users: puts *their* state machine through everything, in one call.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use skiff_replica::{At, StateMachine};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Counter { value: i64 }
//! impl StateMachine for Counter {
//!     type Command = i64;
//!     type Response = i64;
//!     fn apply(&mut self, by: i64, _: At) -> i64 { self.value += by; self.value }
//! }
//!
//! let passed = skiff_sim::Check::new(Counter::default, |dice| dice.below(100) as i64)
//!     .seeds(5)
//!     .run()?;
//! assert_eq!(passed.seeds, 5);
//! # Ok::<(), skiff_sim::Finding>(())
//! ```

mod dice;
mod finding;
mod laboratory;

use bytes::Bytes;
use skiff_replica::{Encoded, Snapshots, StateMachine};

pub use self::{
    dice::Dice,
    finding::{Cause, Finding},
};
use crate::{
    campaign::{Campaign, Totals},
    plan::{Mode, SECOND},
    random::stream,
    workload::Workload,
};

/// Puts a state machine through what a cluster may do to it. It finds, each by its name
/// ([`Finding`]):
///
/// - a machine that does not answer the same commands alike, because it iterates a hash map, or looks
///   at a clock or anything else that is not in its commands;
/// - a machine whose snapshot forgets something;
/// - a machine that panics, or fails;
/// - whatever goes wrong only in a cluster, among crashes, restarts and partitions.
///
/// Each machine starts as `machine()` gives it; commands are made by `command`, from what its dice
/// show.
#[derive(Clone, Debug)]
pub struct Check<M, C> {
    machine: M,
    command: C,
    seeds: u64,
    nanos: u64,
    threads: usize,
}

impl<S, M, C> Check<M, C>
where
    S: Snapshots,
    M: Fn() -> S + Sync,
    C: Fn(&mut Dice) -> S::Command + Sync,
{
    /// A check of this machine, with these commands.
    pub fn new(machine: M, command: C) -> Self {
        Self { machine, command, seeds: 200, nanos: 5 * SECOND, threads: 1 }
    }

    /// How many clusters to simulate. Default: 200.
    #[must_use]
    pub const fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// For how much simulated time each has faults, in nanoseconds. Default: five seconds.
    #[must_use]
    pub const fn nanos(mut self, nanos: u64) -> Self {
        self.nanos = nanos;
        self
    }

    /// On how many threads to run. Default: one.
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Runs it: the machine by itself first, then in clusters. Returns what the clusters went
    /// through. Blocks; takes some ten milliseconds a seed.
    ///
    /// # Errors
    ///
    /// The first thing found.
    pub fn run(&self) -> Result<Totals, Finding> {
        laboratory::examine(self)?;
        let campaign = Campaign {
            first: 0,
            count: Some(self.seeds),
            mode: Some(Mode::Crash),
            nodes: None,
            nanos: self.nanos,
            canary: false,
        };
        let totals = campaign.run(self, self.threads, |totals| totals.failed.is_empty());
        match totals.failed.first() {
            None => Ok(totals),
            Some(failed) => {
                Err(Finding::InCluster { seed: failed.seed, failure: failed.failure.clone() })
            }
        }
    }

    /// Tells the story of one cluster, line by line: of the seed that a [`Finding`] names.
    pub fn trace(&self, seed: u64, mut tell: impl FnMut(&str)) {
        let limits = crate::plan::Limits { mode: Mode::Crash, nodes: None, nanos: self.nanos };
        let plan = crate::plan::Plan::of_seed(seed, limits);
        crate::run::run_with_trace(&plan, self, &mut tell);
    }
}

impl<S, M, C> Workload for Check<M, C>
where
    S: Snapshots,
    M: Fn() -> S,
    C: Fn(&mut Dice) -> S::Command,
{
    type Machine = S;

    fn machine(&self) -> S {
        (self.machine)()
    }

    fn command(&self, seed: u64) -> Bytes {
        let mut dice = Dice(stream(seed, 30));
        let command: <S as StateMachine>::Command = (self.command)(&mut dice);
        // What cannot be encoded cannot be asked for either: an empty command says so soon enough.
        command.encode().unwrap_or_default()
    }

    fn read(&self, _: u64, _: &S) -> Bytes {
        Bytes::new()
    }
}
