//! What can go wrong with a store.

use std::{io, path::PathBuf, sync::Arc};

use skiff_core::{Index, Position};
use thiserror::Error;

/// Why a store could not do what it was asked. After any error but [`Full`](Self::Full) the store
/// must be taken as failed: it makes nothing durable any more.
///
/// `Clone`, since one failed sync answers many.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// There is no room for this write; nothing of it was kept. The store can go on.
    #[error(
        "no space left for the log in {}: make room, the node then goes on by itself",
        path.display()
    )]
    Full {
        /// Where.
        path: PathBuf,
    },
    /// An earlier sync failed, so nothing that is in memory can be trusted to be on disk.
    #[error("the store failed earlier and takes no more writes: {reason}")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// Another process holds the directory.
    #[error("{} is in use by {holder}; each node needs a directory of its own", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who holds it: "process 123", or "another process".
        holder: String,
    },
    /// Something that had been written is damaged.
    #[error(
        "{} is damaged at byte {offset}{}: {reason}; nothing was cut off, keep the directory",
        path.display(),
        at_index(*index)
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// The log index that is hit, as far as known.
        index: Option<Index>,
        /// What is wrong.
        reason: String,
    },
    /// Something that must be there is not: the data was lost, which is not the same as being new.
    #[error("{} has lost data: {reason}; put all of it back, it is no new directory", path.display())]
    Lost {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A newer version of Skiff wrote this.
    #[error(
        "{} has format {found}, this version of skiff knows up to {known}: upgrade skiff",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// The store belongs to another node or cluster.
    #[error("this store belongs to {what} `{found}`, not to `{wanted}`; use another directory")]
    Foreign {
        /// "node" or "cluster".
        what: &'static str,
        /// Whose it is.
        found: String,
        /// Who asked.
        wanted: String,
    },
    /// The entries asked for are not in the log: it begins after them.
    #[error("entry {index} is compacted: the log begins after it")]
    Compacted {
        /// The first entry asked for.
        index: Index,
    },
    /// The entries asked for are not in the log: it ends before them.
    #[error("entry {index} is not in the log")]
    Missing {
        /// The first entry asked for.
        index: Index,
    },
    /// Somebody else is at it already. Try again later.
    #[error("{0} is being written already")]
    Busy(String),
    /// The caller broke the contract of the store.
    #[error("misuse of the store: {0}")]
    Misuse(String),
    /// A provider's own failure.
    #[error("{0}")]
    Other(String),
}

fn at_index(index: Option<Index>) -> String {
    index.map(|index| format!(" (log index {index})")).unwrap_or_default()
}

impl StoreError {
    /// An [`Io`](Self::Io) error: `action` is a verb, as in "cannot *write* …".
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source: Arc::new(source) }
    }

    /// Whether data is damaged or lost: to try again, or to start again, does not help.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Lost { .. })
    }

    /// A snapshot that was written is not the one that was meant: size and checksum of both.
    #[must_use]
    pub fn not_as_expected(position: Position, found: (u64, u32), expected: (u64, u32)) -> Self {
        Self::Other(format!(
            "the snapshot of {position} came as {} bytes with checksum {:08x}, {} bytes with {:08x} were meant",
            found.0, found.1, expected.0, expected.1
        ))
    }

    /// Whether the store is as before and can go on.
    #[must_use]
    pub const fn is_recoverable(&self) -> bool {
        matches!(
            self,
            Self::Full { .. } | Self::Compacted { .. } | Self::Missing { .. } | Self::Busy(_)
        )
    }
}
