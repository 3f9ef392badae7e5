#![doc = include_str!("../README.md")]

mod error;
mod identity;
mod store;

pub use error::StoreError;
pub use identity::{Identity, InstanceId, Opening, Standing};
pub use store::{
    Done, LogReader, LogStore, Persistence, Recovered, SnapshotMeta, SnapshotStore, Store, Written,
};
