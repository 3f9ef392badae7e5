//! What can be set, and what a node starts from.

use alloc::vec::Vec;

use crate::{
    error::ConfigError,
    membership::Membership,
    types::{HardState, Index, LogTime, NodeId, Position, Term},
};

const MILLISECOND: u64 = 1_000_000;

/// The settings of one node. All spans are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who this node is.
    pub id: NodeId,
    /// How often a leader gives a sign of life. The original's default: 50 ms.
    pub heartbeat_interval: u64,
    /// The shortest time without a leader after which a node campaigns. Default: 150 ms.
    pub min_election_timeout: u64,
    /// The longest such time. Default: 300 ms.
    pub max_election_timeout: u64,
    /// How many Appends with entries may be on their way to one peer.
    pub window_messages: usize,
    /// How many bytes of entries may be on their way to one peer.
    pub window_bytes: usize,
    /// How many bytes of entries one Append carries, or one entry if that is larger.
    pub append_bytes: usize,
    /// How many bytes of entries one write carries, or one entry if that is larger.
    pub write_bytes: usize,
    /// How many bytes of entries may be handed to the state machine before it is done with them.
    pub apply_bytes: usize,
    /// How many bytes of recent entries are kept in memory. Others are loaded when needed.
    pub cache_bytes: usize,
    /// How many bytes may wait to be committed before proposals are refused as busy.
    pub uncommitted_bytes: usize,
    /// At most so many entries are kept behind the newest snapshot, for members that are a little
    /// behind.
    pub keep_entries: u64,
    /// At most so many bytes of entries are kept behind it.
    pub keep_bytes: usize,
    /// The largest command accepted, in bytes.
    pub command_bytes: usize,
    /// What jitter is drawn from. The same seed and inputs give the same outputs.
    pub seed: u64,
    /// Which rules are in force.
    pub options: Options,
    /// Whether every invariant is checked at every step; a broken one stops the node. Default: in
    /// debug builds. Simulations switch it on.
    pub check_invariants: bool,
}

/// Rules that can be switched off, each for peers that do not know them (the protocol of the
/// original library). All are on by default, `fixed_membership` is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Ask whether an election makes sense before raising the term (dissertation 9.6).
    pub pre_vote: bool,
    /// A leader that does not hear a quorum for an election timeout steps down (6.2).
    pub check_quorum: bool,
    /// Votes are refused while a leader is heard (4.2.3).
    pub refuse_while_led: bool,
    /// A leader begins its term with an empty entry (6.4).
    pub noop: bool,
    /// The members are set from outside by [`SetMembership`](crate::Input::SetMembership), at any
    /// time and without agreement.
    pub fixed_membership: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pre_vote: true,
            check_quorum: true,
            refuse_while_led: true,
            noop: true,
            fixed_membership: false,
        }
    }
}

impl Options {
    /// The rules that the original library's peers understand.
    #[must_use]
    pub const fn foreign() -> Self {
        Self {
            pre_vote: false,
            check_quorum: false,
            refuse_while_led: false,
            noop: false,
            fixed_membership: true,
        }
    }
}

impl Config {
    /// The defaults for this node.
    #[must_use]
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            heartbeat_interval: 50 * MILLISECOND,
            min_election_timeout: 150 * MILLISECOND,
            max_election_timeout: 300 * MILLISECOND,
            window_messages: 64,
            window_bytes: 4 << 20,
            append_bytes: 1 << 20,
            write_bytes: 1 << 20,
            apply_bytes: 4 << 20,
            cache_bytes: 32 << 20,
            uncommitted_bytes: 64 << 20,
            keep_entries: 100_000,
            keep_bytes: 16 << 20,
            command_bytes: 8 << 20,
            seed: 0,
            options: Options::default(),
            check_invariants: cfg!(debug_assertions),
        }
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// Names the first contradiction, with the values in it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let ms = |nanos: u64| nanos / MILLISECOND;
        if self.max_election_timeout < self.min_election_timeout {
            return Err(ConfigError::TimeoutRange {
                min_ms: ms(self.min_election_timeout),
                max_ms: ms(self.max_election_timeout),
            });
        }
        if self.min_election_timeout <= self.heartbeat_interval {
            return Err(ConfigError::HeartbeatTooSlow {
                min_ms: ms(self.min_election_timeout),
                heartbeat_ms: ms(self.heartbeat_interval),
            });
        }
        let numbers = [
            ("the heartbeat interval", self.heartbeat_interval == 0),
            ("the window in messages", self.window_messages == 0),
            ("the window in bytes", self.window_bytes == 0),
            ("the bytes of an append", self.append_bytes == 0),
            ("the bytes of a write", self.write_bytes == 0),
            ("the bytes of an apply", self.apply_bytes == 0),
            ("the bytes waiting for commit", self.uncommitted_bytes == 0),
            ("the bytes of a command", self.command_bytes == 0),
        ];
        match numbers.iter().find(|(_, zero)| *zero) {
            Some((name, _)) => Err(ConfigError::Zero(name)),
            None => Ok(()),
        }
    }
}

/// What a node finds when it starts: what its log store held, and how far its machine is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Term and vote.
    pub hard_state: HardState,
    /// The log begins after this position: that of the snapshot the state machine was restored
    /// from, or zero.
    pub base: Position,
    /// Where the log ends; `base` if it is empty.
    pub last: Position,
    /// Each term that occurs after `base`, with the index of its first entry there, ascending.
    pub terms: Vec<(Index, Term)>,
    /// The members at `base`.
    pub membership: Membership,
    /// The membership entries after `base`, with their indices, ascending.
    pub memberships: Vec<(Index, Membership)>,
    /// The time of the last entry, or that of the snapshot at `base`.
    pub last_time: LogTime,
    /// What the state machine has applied. Never below `base`.
    pub applied: Index,
    /// What the state machine has after a crash, if it is durable by itself: the log is kept from there.
    pub marked: Option<Index>,
    /// The newest snapshot that is durable; `base` if that is later.
    pub snapshot: Position,
    /// The store's log is not the one that follows `base`, and must begin anew after it.
    pub begin_anew: bool,
    /// The terms up to `base` with the index of their first entry, ascending, as far as they are
    /// remembered.
    pub past: Vec<(Index, Term)>,
}
