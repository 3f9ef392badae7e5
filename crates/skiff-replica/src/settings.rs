//! What a replica is told at its start.

use bytes::Bytes;
use skiff_core::{Config, Index};
use skiff_storage::{Identity, Recovered, SnapshotInfo, SnapshotMeta, SnapshotStore, StoreError};

use crate::{
    applier::catch,
    machine::{Encoded, Opened, Snapshots},
};

/// Judges whether bytes are a command of the node's machine, before they enter the log.
pub type CommandCheck = fn(&Bytes) -> Result<(), String>;

/// The settings of one replica.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The settings of the core. Its `id` is replaced by that of the store.
    pub core: Config,
    /// Where others can dial this node; empty if they cannot.
    pub address: String,
    /// Whether there is neither a transport nor a directory: such a node founds a cluster of one by
    /// itself if it is told of no peers.
    pub lone: bool,
    /// Whether this node wants to be a learner, and never a voter, where it is admitted.
    pub learner: bool,
    /// Whether its user gave it its name.
    pub named: bool,
    /// Whether commands given to a follower go to the leader.
    pub forward: bool,
    /// Whether a machine that is not empty may begin a new cluster with what it holds.
    pub adopt_state: bool,
    /// A random number: tells this run of the node from another of the same data.
    pub nonce: u64,
    /// A random number: the instance of the cluster if this node founds one.
    pub instance_seed: u128,
    /// How the machine's data is written.
    pub machine: MachineFormat,
    /// Judges commands from elsewhere.
    pub check: CommandCheck,
    /// The largest state that a cluster begins with and that travels in one envelope, in bytes. A larger one
    /// travels piece by piece.
    pub genesis_bytes: usize,
    /// How many bytes of commands may wait here for a leader or for its answer.
    pub waiting_bytes: usize,
    /// How many bytes of requests from other nodes and clients may be under way here.
    pub remote_bytes: usize,
    /// How much room the log keeps for itself, in bytes, besides two segments: with less, commands are
    /// refused. It is never more than a twentieth of all there is.
    pub reserve_bytes: u64,
    /// How often a request may be passed on.
    pub hops_max: u32,
    /// How many sessions there may be. What the leader has here counts for all nodes.
    pub sessions_max: u64,
    /// How many bytes of responses are kept for sessions. What the leader has here counts for all nodes.
    pub sessions_bytes: u64,
    /// When snapshots are taken, and how they are sent.
    pub snapshots: SnapshotSettings,
    /// When a machine that is durable by itself makes its data durable.
    pub marks: MarkSettings,
}

/// When a machine that is durable by itself makes its data durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkSettings {
    /// Whether it is durable by itself ([`Snapshots::KEEPS_MARKS`]).
    pub kept: bool,
    /// After so many entries.
    pub entries: u64,
    /// After so many bytes of entries.
    pub bytes: u64,
    /// When nothing has come for so long, in nanoseconds.
    pub idle: u64,
}

impl MarkSettings {
    /// The defaults for machine `M`.
    #[must_use]
    pub const fn of<M: Snapshots>() -> Self {
        Self { kept: M::KEEPS_MARKS, entries: 65_536, bytes: 16 << 20, idle: 1_000_000_000 }
    }
}

/// When snapshots are taken, and how they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// One is taken after so many entries; `None`: their number does not matter.
    pub entries: Option<u64>,
    /// One is taken after so many bytes of entries, or as many as the newest snapshot has if that has more;
    /// `None`: their size does not matter.
    pub bytes: Option<u64>,
    /// So many bytes are sent at once.
    pub piece_bytes: usize,
    /// So many bytes may be on their way to one member that it has not kept yet.
    pub window_bytes: u64,
    /// At most so many bytes a second are sent to one member; `None`: as many as it takes.
    pub rate: Option<u64>,
}

impl Default for SnapshotSettings {
    fn default() -> Self {
        Self {
            entries: Some(1_000_000),
            bytes: Some(64 << 20),
            piece_bytes: 256 << 10,
            window_bytes: 4 << 20,
            rate: None,
        }
    }
}

impl SnapshotSettings {
    /// Whether it is time for one, after so many entries of so many bytes in all since the newest, which has
    /// this size. A large one is taken less often, so that all that is written for snapshots is never more than
    /// what is written to the log (dissertation, 5.1.2).
    pub(crate) fn is_time(&self, entries: u64, bytes: u64, newest: u64) -> bool {
        self.entries.is_some_and(|most| entries >= most)
            || self.bytes.is_some_and(|most| bytes >= most.max(newest) && entries > 0)
    }
}

impl Settings {
    /// The defaults for a node with machine `M`. `nonce` and `instance_seed` should be drawn anew
    /// for each start.
    #[must_use]
    pub fn new<M: Snapshots>(core: Config, nonce: u64, instance_seed: u128) -> Self {
        Self {
            core,
            address: String::new(),
            lone: false,
            learner: false,
            named: false,
            forward: false,
            adopt_state: false,
            nonce,
            instance_seed,
            machine: MachineFormat::of::<M>(),
            check: check::<M::Command>,
            genesis_bytes: GENESIS_BYTES,
            waiting_bytes: 64 << 20,
            remote_bytes: 64 << 20,
            reserve_bytes: 64 << 20,
            hops_max: 3,
            sessions_max: 65_536,
            sessions_bytes: 64 << 20,
            snapshots: SnapshotSettings::default(),
            marks: MarkSettings::of::<M>(),
        }
    }
}

/// Whether these bytes are a command. Anybody may have sent them, so also code that panics at them
/// only refuses them.
fn check<C: Encoded>(bytes: &Bytes) -> Result<(), String> {
    catch(|| Ok(C::check(bytes)?)).map_err(|error| error.reason)
}

/// How a machine's data is written in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFormat {
    /// The version of the data.
    pub version: u32,
    /// The encoding.
    pub codec: String,
}

impl MachineFormat {
    /// How `M` writes its data.
    #[must_use]
    pub fn of<M: Snapshots>() -> Self {
        Self { version: M::VERSION, codec: M::CODEC.to_owned() }
    }
}

/// [`Settings::genesis_bytes`] if nobody says otherwise.
const GENESIS_BYTES: usize = 4 << 20;

/// What a replica starts from: what its store and its machine held when they were opened.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Whose data it is.
    pub identity: Identity,
    /// What the log held.
    pub log: Recovered,
    /// The newest snapshot that is whole.
    pub snapshot: Option<SnapshotInfo>,
    /// The snapshot with which the cluster began, with its content, if it is there.
    pub genesis: Option<(SnapshotMeta, Bytes)>,
    /// What was found of snapshots that are not whole.
    pub remarks: Vec<String>,
    /// What the machine held.
    pub machine: Opened,
}

impl Start {
    /// A start from what a store holds: the newest snapshot that is whole, and the one with which the
    /// cluster began. May block.
    ///
    /// # Errors
    ///
    /// As the store has it. A damaged snapshot is no error here, and never changed or removed.
    pub fn of(
        identity: Identity,
        log: Recovered,
        snapshots: &dyn SnapshotStore,
        machine: Opened,
    ) -> Result<Self, StoreError> {
        let mut start = Self { identity, log, machine, ..Self::default() };
        let positions = snapshots.positions()?;
        for position in positions.iter().rev() {
            let examined = snapshots.open(*position).and_then(|source| {
                source.verify()?;
                Ok(source.info().clone())
            });
            let instance = start.identity.instance;
            match examined {
                // One that this node was given before it came to another cluster.
                Ok(info) if instance.is_some_and(|ours| ours != info.meta.instance) => {}
                Ok(info) => {
                    start.snapshot = Some(info);
                    break;
                }
                Err(error @ StoreError::Corrupt { .. }) => start.remarks.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        if let Some(first) = positions.first().filter(|position| position.index == Index(1)) {
            // Without it, those who have yet to come get a snapshot piece by piece.
            let source = snapshots.open(*first);
            let read = source.and_then(|one| {
                let is_small = one.info().size <= GENESIS_BYTES as u64;
                let content = if is_small { Some(one.read_whole()?) } else { None };
                Ok(content.map(|content| (one.info().meta.clone(), content)))
            });
            match read {
                Ok(genesis) => start.genesis = genesis,
                Err(error @ StoreError::Corrupt { .. }) => start.remarks.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_snapshot_is_taken_less_often() {
        let policy =
            SnapshotSettings { entries: Some(100), bytes: Some(1_000), ..Default::default() };
        assert!(!policy.is_time(99, 999, 0));
        assert!(policy.is_time(100, 0, 1 << 40), "the time that a start takes is bounded");
        assert!(policy.is_time(1, 1_000, 1_000));
        assert!(!policy.is_time(1, 1_999, 2_000));
        assert!(policy.is_time(1, 2_000, 2_000));
        assert!(!policy.is_time(0, 1_000, 0), "nothing was applied since");
        let never = SnapshotSettings { entries: None, bytes: None, ..policy };
        assert!(!never.is_time(u64::MAX, u64::MAX, 0));
    }
}
