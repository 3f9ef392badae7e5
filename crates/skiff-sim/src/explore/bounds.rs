//! How far a search goes.

use skiff_replica::core::Options;

/// How often something may happen, all nodes together.
pub type Budget = u8;

/// As often as it likes.
pub const UNLIMITED: Budget = Budget::MAX;

/// What a search may do. Whatever is not limited here is tried in every order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What these bounds are called.
    pub name: &'static str,
    /// The rules in force.
    pub options: Options,
    /// Nobody campaigns beyond this term.
    pub max_term: u64,
    /// How many commands are proposed. The empty entries that leaders begin with are not counted.
    pub max_commands: Budget,
    /// How many reads the leaders are asked for.
    pub max_reads: Budget,
    /// How often an election timer fires, or a leader loses its followers from sight.
    pub max_timeouts: Budget,
    /// How often a leader gives a sign of life.
    pub max_heartbeats: Budget,
    /// How often a node crashes. It is back at once: a node that stays away is one that no message
    /// reaches.
    pub max_crashes: Budget,
    /// How often a connection is seen to break, by one of its ends.
    pub max_disconnects: Budget,
    /// How often a message is delivered and yet stays on its way.
    pub max_duplicates: Budget,
    /// How often a write takes longer than the turn of its node, so that other things happen
    /// meanwhile, a crash among them.
    pub max_slow_writes: Budget,
    /// How many messages may be on their way from one node to another; when there is one more, the
    /// oldest is lost. Beside that there is no limit to losses: a message that is never delivered is
    /// lost.
    pub max_messages: usize,
    /// Whether Appends and writes carry one entry each, and not all there are.
    pub one_by_one: bool,
    /// A test of the alarm: a crash empties the disk, which no such cluster survives.
    pub disks_forget: bool,
    /// After so many distinct states the search ends.
    pub max_states: usize,
}

impl Bounds {
    /// One term, and nothing that goes wrong but messages that are late or lost.
    #[must_use]
    pub fn calm() -> Self {
        let options = Options {
            pre_vote: false,
            check_quorum: false,
            refuse_while_led: false,
            ..Options::default()
        };
        Self {
            name: "calm",
            options,
            max_term: 1,
            max_commands: 0,
            max_reads: 0,
            max_timeouts: UNLIMITED,
            max_heartbeats: 0,
            max_crashes: 0,
            max_disconnects: 0,
            max_duplicates: 0,
            max_slow_writes: 0,
            max_messages: 1,
            one_by_one: false,
            disks_forget: false,
            max_states: usize::MAX,
        }
    }
}
