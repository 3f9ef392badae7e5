//! One node of the virtual cluster: its core, and the disk and the machine below it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use skiff_core::{
    Config, Entry, Event, Fatal, Index, LoadId, NodeId, Payload, Raft, Reject, Token, Write,
};

use super::store::Store;

/// An entry range that the core asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub load: LoadId,
    pub from: Index,
    pub to: Index,
    pub bytes_max: usize,
}

/// One node: its core, what is durable, what is on its way to the disk, what was applied.
#[derive(Debug, Default)]
pub struct Member {
    pub config: Option<Config>,
    pub raft: Option<Raft>,
    pub store: Store,
    /// Whether writes wait for [`Cluster::persist`](super::Cluster::persist).
    pub slow_disk: bool,
    pub pending: Option<Write>,
    /// Whether batches wait for [`Cluster::finish_apply`](super::Cluster::finish_apply).
    pub slow_machine: bool,
    /// The last index of each batch that the machine has not finished.
    pub applying: VecDeque<Index>,
    /// Whether loads wait in `wanted` for the test to answer them.
    pub slow_loads: bool,
    pub wanted: VecDeque<Wanted>,
    /// Whether the machine's state survives a crash.
    pub durable_machine: bool,
    pub applied: Vec<Entry>,
    pub answered: BTreeMap<Token, Result<Index, Reject>>,
    pub reads: BTreeMap<Token, Index>,
    /// Requests to the node itself that it has done.
    pub done: BTreeSet<Token>,
    pub events: Vec<Event>,
    pub stopped: Option<Fatal>,
}

impl Member {
    pub fn new(config: Config) -> Self {
        Self { config: Some(config), ..Self::default() }
    }

    pub fn config(&self) -> &Config {
        self.config.as_ref().unwrap()
    }

    pub fn id(&self) -> NodeId {
        self.config().id
    }

    /// How far the machine is when the node starts again.
    pub fn recovered_applied(&self) -> Index {
        self.applied.last().map_or(self.store.base.index, |entry| entry.index)
    }

    /// The commands applied, in order.
    pub fn commands(&self) -> Vec<bytes::Bytes> {
        let command = |entry: &Entry| match &entry.payload {
            Payload::Command(bytes) => Some(bytes.clone()),
            _ => None,
        };
        self.applied.iter().filter_map(command).collect()
    }
}
