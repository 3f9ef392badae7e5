//! The traits a provider of storage implements.

use std::{fmt, path::PathBuf, sync::Arc};

use skiff_core::{Entry, Index, Position, Write};

use crate::{
    error::StoreError,
    identity::{Identity, Opening},
    recovered::Recovered,
    snapshot::SnapshotStore,
};

/// A place where nodes keep their data (the original's persistence provider).
pub trait Persistence: Send + Sync {
    /// Opens the store of one node for as long as the returned [`Store`] lives. A second opening
    /// meanwhile is refused.
    ///
    /// What was there before is checked against `opening`; a place that never held anything becomes
    /// a new store with [`Opening::fresh`]. The boot counter is raised, durably, before this
    /// returns. May block.
    ///
    /// # Errors
    ///
    /// If the store is in use, damaged, incomplete, of a newer format or somebody else's.
    fn open(&self, opening: &Opening) -> Result<Store, StoreError>;
}

impl<P: Persistence + ?Sized> Persistence for Arc<P> {
    fn open(&self, opening: &Opening) -> Result<Store, StoreError> {
        (**self).open(opening)
    }
}

/// An open store: all that one node keeps.
pub struct Store {
    /// Whose it is, with the boot counter of this opening.
    pub identity: Identity,
    /// The log, with term and vote.
    pub log: Box<dyn LogStore>,
    /// The snapshots.
    pub snapshots: Arc<dyn SnapshotStore>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The durable log of one node (the original's `saveMeta` and `loadMeta`): term, vote, entries.
pub trait LogStore: Send {
    /// What the log holds. Called before any other method, and again after [`mend`](Self::mend).
    /// May block.
    ///
    /// # Errors
    ///
    /// If something acknowledged is damaged or missing, and not as [`holes`](Recovered::holes) that
    /// can be mended: it is never silently left out.
    #[doc(alias = "loadMeta")]
    fn load(&mut self) -> Result<Recovered, StoreError>;

    /// Makes `write` durable. In order: if `begin_after` is given, everything is dropped and the
    /// log begins after it; the entries up to `compact_to` are forgotten; the entries from `truncate_from` on are dropped; the entries are
    /// appended; term and vote are replaced. After a crash either all of a write is there or a
    /// prefix of it in that order, and what an earlier `Done` has confirmed is always there.
    ///
    /// Never blocks on a disk: a store that needs one answers [`Written::Later`] and calls `done`
    /// from a thread of its own. Several writes may be outstanding; they become durable in order.
    /// A failure that is not [recoverable](StoreError::is_recoverable) is final for the store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Misuse`] if the entries do not follow what is there; otherwise as the medium
    /// has it. On an error `done` is not called.
    #[doc(alias = "saveMeta")]
    fn write(&mut self, write: Write, done: Done) -> Result<Written, StoreError>;

    /// A handle to read entries back, which works at the same time as writes.
    fn reader(&self) -> Arc<dyn LogReader>;

    /// Fills the end of a hole: `entries` follow `prev`, and the last of them is what the hole ends
    /// with. Durable on return; may block. Only before the first write; what the log holds then,
    /// [`load`](Self::load) tells.
    ///
    /// A store whose [`holes`](Recovered::holes) are always empty need not have this.
    ///
    /// # Errors
    ///
    /// [`StoreError::Misuse`] if there was a write already or `entries` have gaps; otherwise as the
    /// medium has it.
    fn mend(&mut self, prev: Position, entries: &[Entry]) -> Result<(), StoreError> {
        let _ = (prev, entries);
        Err(StoreError::Misuse("this store has no holes to mend".to_owned()))
    }

    /// Ends the log with this entry: what stood at its index and behind it is dropped. For a hole
    /// that ends with an entry which never was committed, where this one is. Durable on return; may
    /// block. Only before the first write.
    ///
    /// # Errors
    ///
    /// As [`mend`](Self::mend).
    fn end_with(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let _ = entry;
        Err(StoreError::Misuse("this store has no holes to mend".to_owned()))
    }

    /// Replaces the identity, atomically. Durable on return; may block.
    ///
    /// # Errors
    ///
    /// As the medium has it.
    fn identify(&mut self, identity: &Identity) -> Result<(), StoreError>;
}

/// Reads entries that are durable.
pub trait LogReader: Send + Sync {
    /// The entries from `from` up to but not including `to`, in order, without a gap; fewer once
    /// they come to more than `bytes_max` bytes as counted by [`Entry::size`], but at least one.
    /// May block.
    ///
    /// # Errors
    ///
    /// [`Compacted`](StoreError::Compacted) if the log begins after `from`,
    /// [`Missing`](StoreError::Missing) if it ends before it; otherwise as the medium has it. An
    /// error is never answered by leaving entries out.
    fn read(&self, from: Index, to: Index, bytes_max: usize) -> Result<Vec<Entry>, StoreError>;

    /// How much room the log has to grow; `None` if that is not known, or if there is no limit. May
    /// block. It is asked now and then, at the same time as all the rest.
    fn room(&self) -> Option<Room> {
        None
    }
}

/// How much room a log has to grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Where, for people.
    pub path: PathBuf,
    /// So many bytes can still be written, in what was set aside for the log before as well.
    pub free: u64,
    /// So many bytes there are, used and free.
    pub total: u64,
    /// So many bytes are set aside at once when the log grows.
    pub step: u64,
    /// So many bytes the log takes, with what is set aside for it.
    pub log: u64,
}

/// Whether a write is durable already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is: `done` was dropped and will not be called.
    Done,
    /// It will be: `done` is called from another thread.
    Later,
}

/// What to call once a write is durable or has failed.
pub struct Done(Box<dyn FnOnce(Result<(), StoreError>) + Send>);

impl Done {
    /// Calls `then` with the result of the write.
    pub fn new(then: impl FnOnce(Result<(), StoreError>) + Send + 'static) -> Self {
        Self(Box::new(then))
    }

    /// Tells the result.
    pub fn call(self, result: Result<(), StoreError>) {
        (self.0)(result);
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}
