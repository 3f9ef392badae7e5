//! Everything that went into and came out of the cores of a cluster, in order: what a script prints
//! and what a replay compares.

use skiff_core::{Config, Input, Instant, NodeId, Output, Recovered};

#[derive(Clone, Debug)]
pub struct Trace {
    pub now: Instant,
    pub node: NodeId,
    pub what: Happened,
}

#[derive(Clone, Debug)]
pub enum Happened {
    Started(Box<(Config, Recovered)>),
    /// The test did it.
    Given(Input),
    /// Disk, machine or store answered at once.
    Followed(Input),
    /// What a poll gave.
    Polled(Option<Output>),
}
