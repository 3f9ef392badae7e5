//! How far a search goes.

use skiff_replica::core::Options;

/// How often something may happen, all nodes together.
pub type Budget = u8;

/// As often as it likes: then it is not counted either.
pub const UNLIMITED: Budget = Budget::MAX;

/// What a search may do. Everything that is not said here is tried in every order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The rules in force.
    pub options: Options,
    /// Nobody campaigns beyond this term.
    pub max_term: u64,
    /// How many commands are proposed.
    pub max_entries: Budget,
    /// How often an election timer fires, or a leader loses its followers from sight.
    pub max_timeouts: Budget,
    /// How often a leader gives a sign of life.
    pub max_heartbeats: Budget,
    /// How often a node crashes. It is back at once: a node that is away is one that no message
    /// reaches.
    pub max_crashes: Budget,
    /// How often a connection is seen to break, by one of its ends.
    pub max_disconnects: Budget,
    /// How often a message is taken away. A message that is never delivered is lost as well, so this
    /// only makes room where `max_messages` is tight.
    pub max_losses: Budget,
    /// How often a message is delivered and yet stays. If that is unlimited no message ever goes away,
    /// and all that was sent may come late, twice or never: then losses and `max_messages` have no
    /// meaning.
    pub max_duplicates: Budget,
    /// How many messages may be on their way. A step that makes them more is judged but not followed.
    pub max_messages: usize,
    /// How many entries go into one Append, as bytes of them.
    pub append_bytes: usize,
    /// After so many distinct states the search ends.
    pub max_states: usize,
}
