//! What can happen next.

use std::fmt;

use skiff_replica::Index;

use super::{letter::Letter, print::mix};

/// One of the three nodes.
pub(super) type Node = u8;

/// What a node is given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    /// A message arrives.
    Letter(&'a Letter),
    /// Its election timer fires.
    ElectionTimeout,
    /// It leads, and its followers wait for a sign of life. So much time has passed that what is not
    /// answered by then counts as lost.
    Heartbeat,
    /// It leads, and hears nobody for long.
    Silence,
    /// It follows, and has not heard its leader for the shortest election timeout.
    Doubt,
    /// A caller wants something replicated.
    Propose,
    /// A caller wants to read what was committed when it asked: so much.
    Read { floor: Index },
    /// Its disk has done what it was asked for.
    Persisted,
    /// It loses everything but its disk, and begins anew. What it was writing is kept or not.
    Crash { kept: bool },
    /// Its connection to another node is closed.
    Disconnect(Node),
}

impl Event<'_> {
    /// Tells this event from all others that one node can be given.
    pub(super) fn key(&self, pace: Pace) -> u64 {
        let event = match self {
            Self::Letter(letter) => letter.print.rotate_left(u32::from(letter.from)),
            Self::ElectionTimeout => 1,
            Self::Heartbeat => 2,
            Self::Silence => 3,
            Self::Doubt => 4,
            Self::Propose => 5,
            Self::Persisted => 6,
            Self::Crash { kept: false } => 7,
            Self::Crash { kept: true } => 8,
            Self::Disconnect(node) => 16 + u64::from(*node),
            Self::Read { floor } => 32 + floor.0,
        };
        mix(event) ^ u64::from(pace == Pace::Slow)
    }
}

/// What one step from one state to another begins with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// The message at this place is delivered; it may stay on its way nevertheless.
    Letter { place: usize, stays: bool },
    /// Something else happens at a node.
    At(Node, Event<'static>),
}

/// How long the disk takes for a write that a node begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It is done before anything else happens.
    Prompt,
    /// It is done when the search says so.
    Slow,
}

/// One step from one state to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) cause: Cause,
    pub(super) pace: Pace,
}

/// The name of a node in a trace.
pub(super) fn name(node: Node) -> String {
    format!("n{}", u32::from(node) + 1)
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letter(letter) => write!(f, "receives {letter}"),
            Self::ElectionTimeout => f.write_str("waits no longer: its election timer fires"),
            Self::Heartbeat => f.write_str("gives a sign of life"),
            Self::Silence => f.write_str("hears nobody for long"),
            Self::Doubt => f.write_str("has not heard its leader for a while"),
            Self::Propose => f.write_str("is given a command"),
            Self::Read { floor } => write!(f, "is asked to read, when {floor} is committed"),
            Self::Persisted => f.write_str("has its write on disk"),
            Self::Crash { kept: false } => f.write_str("crashes; what was not on disk is lost"),
            Self::Crash { kept: true } => f.write_str("crashes; its write is on disk"),
            Self::Disconnect(node) => write!(f, "loses its connection to {}", name(*node)),
        }
    }
}
