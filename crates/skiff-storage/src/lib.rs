#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

pub mod conformance;
mod error;
mod identity;
mod memory;
mod recovered;
mod snapshot;
mod span;
mod store;

pub use error::StoreError;
pub use identity::{Identity, InstanceId, OnLostData, Opening, Standing};
pub use memory::MemoryPersistence;
pub use recovered::{Hole, Recovered};
pub use skiff_core::{Entry, Write};
pub use snapshot::{
    SnapshotContent, SnapshotInfo, SnapshotMeta, SnapshotSink, SnapshotSource, SnapshotStore,
    SnapshotStream, measure,
};
pub use span::Span;
pub use store::{Done, LogReader, LogStore, Persistence, Room, Store, Written};
