//! What can be set, with the original's names and defaults, and what is wrong with it.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use skiff_replica::storage::OnLostData;
use thiserror::Error;

/// A command must fit into one frame of the network, with all that goes around it.
const COMMAND_BYTES_MAX: usize = 30 << 20;

/// Makes names for nodes that were given none (the original's `uuid`).
#[doc(alias = "uuid")]
#[derive(Clone)]
pub struct IdGenerator(Arc<dyn Fn() -> String + Send + Sync>);

impl IdGenerator {
    /// Calls `make` for each name.
    pub fn new(make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(crate) fn make(&self) -> String {
        (self.0)()
    }
}

impl Default for IdGenerator {
    /// Names that do not collide (cuid2, the successor of the original's cuid).
    fn default() -> Self {
        Self::new(cuid2::create_id)
    }
}

impl fmt::Debug for IdGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdGenerator")
    }
}

/// The settings of a node, as [`Node::options`](crate::Node::options) shows them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The node's name, if one was given.
    pub id: Option<String>,
    /// The cluster's name. Default: `skiff`.
    pub cluster: String,
    /// Makes a name if none was given.
    pub id_generator: IdGenerator,
    /// How often a leader gives a sign of life. Default: 50 ms.
    #[doc(alias = "heartbeatInterval")]
    pub heartbeat_interval: Duration,
    /// The shortest time without a leader after which a node campaigns. Default: 150 ms.
    #[doc(alias = "minElectionTimeout")]
    pub min_election_timeout: Duration,
    /// The longest such time. Default: 300 ms.
    #[doc(alias = "maxElectionTimeout")]
    pub max_election_timeout: Duration,
    /// How long a command or a read may take before its caller gets an answer. Default: 3 s.
    pub command_timeout: Duration,
    /// How long a session lives without being used, in the log's time. Default: an hour.
    pub session_timeout: Duration,
    /// How many sessions there may be at the same time, as the leader has it. Default: 65,536.
    pub max_sessions: u64,
    /// How many bytes of responses are kept for sessions, as the leader has it. Default: 64 MiB.
    pub max_session_bytes: u64,
    /// How long a change of the members may take before its caller gets an answer. Default: 30 s.
    pub change_timeout: Duration,
    /// Whether the node is to be a learner, and never a voter, in a cluster that exists.
    pub learner: bool,
    /// Whether a node that was removed begins anew.
    pub rejoin: bool,
    /// Whether a follower passes commands on to the leader. Default: no, it answers `ENOTLEADER`.
    pub forward_commands: bool,
    /// Where to listen.
    pub listen: Option<String>,
    /// Where others reach this node, if not where it listens.
    pub advertise: Option<String>,
    /// Whether listening off loopback without TLS is allowed. Default: no.
    pub insecure: bool,
    /// Where the data is kept; in memory if nowhere.
    pub data_dir: Option<PathBuf>,
    /// Whom to form a cluster with. `Some`: these and nobody else. `None`: those that are joined.
    pub peers: Option<Vec<String>>,
    /// Whether to found a cluster of one.
    pub bootstrap: bool,
    /// Whether a machine that is not empty may begin a cluster.
    pub adopt_state: bool,
    /// What the node does if damage has taken entries from its log.
    pub on_lost_data: OnLostData,
    /// The largest command, in bytes. Default: 8 MiB.
    pub max_command_bytes: usize,
    /// How many bytes of commands may wait before callers are told `Busy`. Default: 64 MiB.
    pub max_queue_bytes: usize,
    /// How much room the log keeps for itself, besides two of its files, before commands are refused.
    /// Default: 64 MiB. It is never more than a twentieth of the disk.
    pub disk_reserve_bytes: u64,
    /// A snapshot is taken after so many entries. Default: 1,000,000; `None`: their number does not
    /// matter.
    pub snapshot_after_entries: Option<u64>,
    /// A snapshot is taken after so many bytes of entries. Default: 64 MiB; `None`: their size does not
    /// matter.
    pub snapshot_after_bytes: Option<u64>,
    /// At most so many bytes of a snapshot are sent to one member in a second. Default: no limit.
    pub snapshot_rate: Option<u64>,
    /// At most so many entries of the log are kept behind the newest snapshot. Default: 100,000.
    pub log_keep_entries: u64,
    /// At most so many bytes of the log are kept behind the newest snapshot. Default: 16 MiB.
    pub log_keep_bytes: usize,
    /// A machine that is durable by itself makes its data durable after so many entries. Default: 65,536.
    pub checkpoint_after_entries: u64,
    /// It also does so after so many bytes of entries. Default: 16 MiB.
    pub checkpoint_after_bytes: u64,
    /// It also does so when nothing has come for so long. Default: a second.
    pub checkpoint_when_idle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            id: None,
            cluster: "skiff".to_owned(),
            id_generator: IdGenerator::default(),
            heartbeat_interval: Duration::from_millis(50),
            min_election_timeout: Duration::from_millis(150),
            max_election_timeout: Duration::from_millis(300),
            command_timeout: Duration::from_secs(3),
            session_timeout: Duration::from_secs(3600),
            max_sessions: 65_536,
            max_session_bytes: 64 << 20,
            change_timeout: Duration::from_secs(30),
            learner: false,
            rejoin: false,
            forward_commands: false,
            listen: None,
            advertise: None,
            insecure: false,
            data_dir: None,
            peers: None,
            bootstrap: false,
            adopt_state: false,
            on_lost_data: OnLostData::default(),
            max_command_bytes: 8 << 20,
            max_queue_bytes: 64 << 20,
            disk_reserve_bytes: 64 << 20,
            snapshot_after_entries: Some(1_000_000),
            snapshot_after_bytes: Some(64 << 20),
            snapshot_rate: None,
            log_keep_entries: 100_000,
            log_keep_bytes: 16 << 20,
            checkpoint_after_entries: 65_536,
            checkpoint_after_bytes: 16 << 20,
            checkpoint_when_idle: Duration::from_secs(1),
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The node's name is empty.
    #[error("the id must not be empty; leave it out to have one made")]
    EmptyId,
    /// The cluster's name is empty.
    #[error("the cluster's name must not be empty")]
    EmptyCluster,
    /// A peer is named twice.
    #[error("the peer {0} is named twice")]
    DuplicatePeer(String),
    /// A peer's address is empty.
    #[error("a peer's address must not be empty")]
    EmptyPeer,
    /// The range of the election timeout is empty.
    #[error("max election timeout ({max:?}) must not be below min election timeout ({min:?})")]
    TimeoutRange {
        /// The shortest timeout.
        min: Duration,
        /// The longest timeout.
        max: Duration,
    },
    /// Followers would give up on a leader that does all it should.
    #[error("min election timeout ({min:?}) must be above the heartbeat interval ({heartbeat:?})")]
    HeartbeatTooSlow {
        /// The shortest timeout.
        min: Duration,
        /// The heartbeat interval.
        heartbeat: Duration,
    },
    /// A span or a size is zero.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// Larger commands do not fit into one frame of the network.
    #[error("the largest command may not be above {limit} bytes, {wanted} are asked for")]
    CommandTooLarge {
        /// What was asked for.
        wanted: usize,
        /// The most there can be.
        limit: usize,
    },
    /// Two settings name the same thing.
    #[error("{0} and {1} cannot both be given")]
    Both(&'static str, &'static str),
}

impl Options {
    /// Checks the settings, each by itself and against each other.
    ///
    /// # Errors
    ///
    /// Names the first that cannot be, with the values in it.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if self.id.as_deref() == Some("") {
            return Err(OptionsError::EmptyId);
        }
        if self.cluster.is_empty() {
            return Err(OptionsError::EmptyCluster);
        }
        self.validate_peers()?;
        let zero = [
            ("the heartbeat interval", self.heartbeat_interval.is_zero()),
            ("the command timeout", self.command_timeout.is_zero()),
            ("the session timeout", self.session_timeout.is_zero()),
            ("the number of sessions", self.max_sessions == 0),
            ("what is kept for sessions", self.max_session_bytes == 0),
            ("the change timeout", self.change_timeout.is_zero()),
            ("the largest command", self.max_command_bytes == 0),
            ("the queue", self.max_queue_bytes == 0),
            ("the number of entries before a snapshot", self.snapshot_after_entries == Some(0)),
            ("the bytes of entries before a snapshot", self.snapshot_after_bytes == Some(0)),
            ("the rate at which snapshots are sent", self.snapshot_rate == Some(0)),
            ("the number of entries before a checkpoint", self.checkpoint_after_entries == 0),
            ("the bytes of entries before a checkpoint", self.checkpoint_after_bytes == 0),
            ("the pause before a checkpoint", self.checkpoint_when_idle.is_zero()),
        ];
        if let Some((what, _)) = zero.iter().find(|(_, zero)| *zero) {
            return Err(OptionsError::Zero(what));
        }
        let (wanted, limit) = (self.max_command_bytes, COMMAND_BYTES_MAX);
        if wanted > limit {
            return Err(OptionsError::CommandTooLarge { wanted, limit });
        }
        let (min, max) = (self.min_election_timeout, self.max_election_timeout);
        if max < min {
            return Err(OptionsError::TimeoutRange { min, max });
        }
        if min <= self.heartbeat_interval {
            let heartbeat = self.heartbeat_interval;
            return Err(OptionsError::HeartbeatTooSlow { min, heartbeat });
        }
        Ok(())
    }

    fn validate_peers(&self) -> Result<(), OptionsError> {
        let peers = self.peers.as_deref().unwrap_or_default();
        for (at, peer) in peers.iter().enumerate() {
            if peer.is_empty() {
                return Err(OptionsError::EmptyPeer);
            }
            if peers[..at].contains(peer) {
                return Err(OptionsError::DuplicatePeer(peer.clone()));
            }
        }
        Ok(())
    }
}
