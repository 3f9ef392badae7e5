//! Those that are measured. Each keeps a log of its own in a folder that was empty.

#[cfg(feature = "fjall")]
mod fjall;
mod floor;
#[cfg(feature = "raft-engine")]
mod raft_engine;
#[cfg(feature = "redb")]
mod redb;
mod skiff;

pub(crate) use skiff::reopen;

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;

use crate::load::Load;

/// A log that is appended to.
pub(crate) trait Contestant {
    /// Appends one entry for each payload, the first of them under `index`. All of them are durable
    /// on return.
    fn append(&mut self, index: u64, payloads: &[Bytes]) -> Result<()>;
}

/// How a contestant is called and how it is opened.
#[derive(Clone, Copy)]
pub(crate) struct Entrant {
    pub(crate) name: &'static str,
    pub(crate) open: fn(&Path, &Load) -> Result<Box<dyn Contestant>>,
}

/// What everybody is measured against.
pub(crate) const FLOOR: Entrant = Entrant { name: "floor", open: floor::open };
/// Skiff as a node uses it.
pub(crate) const SKIFF: Entrant = Entrant { name: "skiff LogStore", open: skiff::open_store };

/// All of them.
pub(crate) fn all() -> Vec<Entrant> {
    vec![
        FLOOR,
        Entrant { name: "floor, own thread", open: floor::open_apart },
        SKIFF,
        Entrant { name: "skiff Log::append", open: skiff::open_log },
        #[cfg(feature = "raft-engine")]
        Entrant { name: "raft-engine", open: raft_engine::open },
        #[cfg(feature = "raft-engine")]
        Entrant { name: "raft-engine prefilled", open: raft_engine::open_prefilled },
        #[cfg(feature = "redb")]
        Entrant { name: "redb", open: redb::open },
        #[cfg(feature = "fjall")]
        Entrant { name: "fjall", open: fjall::open },
    ]
}

/// Whether this is neither Skiff's nor a floor.
pub(crate) fn is_other(name: &str) -> bool {
    !name.starts_with("floor") && !name.starts_with("skiff")
}
