//! The settings of one run: sampled, so that small limits and odd combinations are met.

use serde::{Deserialize, Serialize};
use skiff_replica::{
    MarkSettings, SnapshotSettings,
    core::{Config, NodeId, Options},
};

/// How the nodes come to be a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forming {
    /// Each is told of all at its start, and that this is all.
    Closed,
    /// Each is told of the others one by one; the list closes by standing still.
    Joins,
    /// Likewise, but each is told of one neighbour at once, and of all others some time later.
    Pairs,
}

/// A node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockKnobs {
    /// What it shows at the beginning, in nanoseconds.
    pub offset: u64,
    /// How much too fast it is, in millionths.
    pub drift: i64,
}

/// When snapshots are taken, and how they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotKnobs {
    /// One is taken after so many entries.
    pub entries: u64,
    /// Or after so many bytes of them.
    pub bytes: u64,
    /// [`Config::keep_entries`].
    pub keep_entries: u64,
    /// [`Config::keep_bytes`].
    pub keep_bytes: usize,
    /// So many bytes are sent at once.
    pub piece_bytes: usize,
    /// So many may be on their way.
    pub window_bytes: u64,
    /// At most so many bytes a second are sent.
    pub rate: Option<u64>,
}

/// When machines that are durable by themselves make their data durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkKnobs {
    /// After so many entries.
    pub entries: u64,
    /// After so many bytes of entries.
    pub bytes: u64,
    /// When nothing has come for so long.
    pub idle: u64,
}

/// The settings of one run. Times are in nanoseconds, chances in millionths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knobs {
    /// [`Options::pre_vote`].
    pub pre_vote: bool,
    /// [`Options::check_quorum`].
    pub check_quorum: bool,
    /// [`Options::refuse_while_led`].
    pub refuse_while_led: bool,
    /// [`Options::noop`].
    pub noop: bool,
    /// Whether followers pass commands on.
    pub forward: bool,
    /// How the cluster forms.
    pub forming: Forming,
    /// [`Config::window_messages`].
    pub window_messages: usize,
    /// [`Config::window_bytes`].
    pub window_bytes: usize,
    /// [`Config::append_bytes`].
    pub append_bytes: usize,
    /// [`Config::write_bytes`].
    pub write_bytes: usize,
    /// [`Config::apply_bytes`].
    pub apply_bytes: usize,
    /// [`Config::cache_bytes`].
    pub cache_bytes: usize,
    /// [`Config::uncommitted_bytes`].
    pub uncommitted_bytes: usize,
    /// The size of the log's files.
    pub segment_bytes: u64,
    /// [`Settings::reserve_bytes`](skiff_replica::Settings::reserve_bytes); `None` if disks do not tell
    /// their room.
    #[serde(default)]
    pub reserve_bytes: Option<u64>,
    /// [`Settings::sessions_max`](skiff_replica::Settings::sessions_max).
    #[serde(default = "many")]
    pub sessions_max: u64,
    /// [`Settings::sessions_bytes`](skiff_replica::Settings::sessions_bytes).
    #[serde(default = "many")]
    pub sessions_bytes: u64,
    /// When snapshots are taken, and how they travel; `None` if none are.
    #[serde(default)]
    pub snapshots: Option<SnapshotKnobs>,
    /// When machines make their data durable; `None` if they live in memory.
    #[serde(default)]
    pub marks: Option<MarkKnobs>,
    /// [`Settings::genesis_bytes`](skiff_replica::Settings::genesis_bytes); `None` for the usual. With
    /// zero whatever a node begins with travels piece by piece.
    #[serde(default)]
    pub genesis_bytes: Option<usize>,
    /// The node that wants to be a learner where it is admitted, if one does.
    #[serde(default)]
    pub learner: Option<usize>,
    /// The shortest time a message travels.
    pub latency_min: u64,
    /// The longest.
    pub latency_max: u64,
    /// The chance that a message takes up to `late_max`.
    pub late: u32,
    /// How long such a message travels at most.
    pub late_max: u64,
    /// The chance that a message is lost.
    pub loss: u32,
    /// The chance that a message of the core arrives twice.
    pub duplicate: u32,
    /// Whether messages of the core overtake each other.
    pub reorder: bool,
    /// The shortest time an operation of the disk takes.
    pub disk_min: u64,
    /// The longest.
    pub disk_max: u64,
    /// The longest time the state machine takes for a batch.
    pub machine_max: u64,
    /// Each node's clock.
    pub clocks: Vec<ClockKnobs>,
}

/// As many as no run comes to.
const fn many() -> u64 {
    1 << 20
}

impl Knobs {
    /// Plain settings for so many nodes: a quick network and quick disks, no faults.
    #[must_use]
    pub fn plain(nodes: usize) -> Self {
        let config = Config::new(NodeId(0));
        Self {
            pre_vote: true,
            check_quorum: true,
            refuse_while_led: true,
            noop: true,
            forward: false,
            forming: Forming::Closed,
            window_messages: config.window_messages,
            window_bytes: config.window_bytes,
            append_bytes: config.append_bytes,
            write_bytes: config.write_bytes,
            apply_bytes: config.apply_bytes,
            cache_bytes: config.cache_bytes,
            uncommitted_bytes: config.uncommitted_bytes,
            segment_bytes: 64 << 10,
            reserve_bytes: None,
            sessions_max: many(),
            sessions_bytes: many(),
            snapshots: None,
            marks: None,
            genesis_bytes: None,
            learner: None,
            latency_min: 200_000,
            latency_max: 1_000_000,
            late: 0,
            late_max: 0,
            loss: 0,
            duplicate: 0,
            reorder: false,
            disk_min: 100_000,
            disk_max: 500_000,
            machine_max: 100_000,
            clocks: vec![ClockKnobs { offset: 1_000_000_000, drift: 0 }; nodes],
        }
    }

    /// The settings of a node's snapshots.
    pub(crate) fn snapshots(&self) -> SnapshotSettings {
        let Some(knobs) = &self.snapshots else {
            return SnapshotSettings { entries: None, bytes: None, ..SnapshotSettings::default() };
        };
        SnapshotSettings {
            entries: Some(knobs.entries),
            bytes: Some(knobs.bytes),
            piece_bytes: knobs.piece_bytes,
            window_bytes: knobs.window_bytes,
            rate: knobs.rate,
        }
    }

    /// When a node's machine makes its data durable.
    pub(crate) fn marks(&self) -> MarkSettings {
        let Some(MarkKnobs { entries, bytes, idle }) = self.marks else {
            return MarkSettings {
                kept: false,
                entries: u64::MAX,
                bytes: u64::MAX,
                idle: u64::MAX,
            };
        };
        MarkSettings { kept: true, entries, bytes, idle }
    }

    /// The settings of a node's core.
    pub(crate) fn config(&self, seed: u64) -> Config {
        let mut config = Config::new(NodeId(0));
        config.window_messages = self.window_messages;
        config.window_bytes = self.window_bytes;
        config.append_bytes = self.append_bytes;
        config.write_bytes = self.write_bytes;
        config.apply_bytes = self.apply_bytes;
        config.cache_bytes = self.cache_bytes;
        config.uncommitted_bytes = self.uncommitted_bytes;
        if let Some(snapshots) = &self.snapshots {
            config.keep_entries = snapshots.keep_entries;
            config.keep_bytes = snapshots.keep_bytes;
        }
        config.seed = seed;
        config.check_invariants = true;
        config.options = Options {
            pre_vote: self.pre_vote,
            check_quorum: self.check_quorum,
            refuse_while_led: self.refuse_while_led,
            noop: self.noop,
            fixed_membership: false,
        };
        config
    }
}
