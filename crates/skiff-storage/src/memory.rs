//! A store that keeps everything in memory.

mod entries;
mod snapshots;

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use skiff_core::{Entry, HardState, Index, Position, Write};

use self::{
    entries::Entries,
    snapshots::{MemorySnapshots, Snapshots},
};
use crate::{
    error::StoreError,
    identity::{Identity, Opening, Standing},
    recovered::Recovered,
    span::Span,
    store::{Done, LogReader, LogStore, Persistence, Store, Written},
};

/// Keeps the data of one node for as long as this object lives.
///
/// A node that is opened again on the same object, after the store before was dropped, has
/// restarted: its data is there and its boot counter is raised. On a new object it is a new node.
/// Nothing survives the process.
#[derive(Default)]
pub struct MemoryPersistence {
    node: Arc<Node>,
}

impl MemoryPersistence {
    /// A place that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryPersistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = lock(&self.node.identity).clone();
        f.debug_struct("MemoryPersistence").field("identity", &identity).finish_non_exhaustive()
    }
}

impl Persistence for MemoryPersistence {
    fn open(&self, opening: &Opening) -> Result<Store, StoreError> {
        let held = Arc::new(Held::of(&self.node)?);
        let identity = {
            let mut kept = lock(&self.node.identity);
            let identity = match kept.as_ref() {
                Some(removed) if opening.rejoin && removed.standing == Standing::Removed => {
                    let fresh_name = opening.reopen(removed)?.name;
                    *self.node.log.write().unwrap_or_else(PoisonError::into_inner) = Log::default();
                    *lock(&self.node.snapshots) = Snapshots::default();
                    Opening { fresh_name, ..opening.clone() }.fresh()
                }
                Some(identity) => opening.reopen(identity)?,
                None => opening.fresh(),
            };
            kept.insert(identity).clone()
        };
        let log = Box::new(MemoryLog(Arc::clone(&held)));
        Ok(Store { identity, log, snapshots: Arc::new(MemorySnapshots(held)) })
    }
}

/// What is kept of a node, whether it is open or not.
#[derive(Default)]
struct Node {
    is_open: AtomicBool,
    identity: Mutex<Option<Identity>>,
    log: RwLock<Log>,
    snapshots: Mutex<Snapshots>,
}

#[derive(Default)]
struct Log {
    hard_state: HardState,
    base: Position,
    entries: Entries,
}

impl Log {
    fn span(&self) -> Span {
        Span { base: self.base.index, last: Index(self.base.index.0 + self.entries.len()) }
    }

    fn write(&mut self, write: Write) -> Result<(), StoreError> {
        self.span().after(&write)?;
        if let Some(base) = write.begin_after {
            self.base = base;
            self.entries = Entries::default();
        }
        if let Some(base) = write.compact_to {
            self.entries.forget(base.index.0 - self.base.index.0);
            self.base = base;
        }
        if let Some(from) = write.truncate_from {
            self.entries.truncate(from.0 - self.base.index.0 - 1);
        }
        self.entries.extend(write.entries);
        self.hard_state = write.hard_state;
        Ok(())
    }

    fn read(&self, from: Index, to: Index, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        self.span().check(from)?;
        let (mut read, mut bytes) = (Vec::new(), 0_usize);
        let wanted = to.0.saturating_sub(from.0).max(1);
        for entry in self.entries.iter_from(from.0 - self.base.index.0 - 1).take(clamp(wanted)) {
            bytes = bytes.saturating_add(entry.size());
            if bytes > bytes_max && !read.is_empty() {
                break;
            }
            read.push(entry.clone());
        }
        Ok(read)
    }
}

/// The right to use a node's data. It ends with the last part of the store.
struct Held(Arc<Node>);

impl Held {
    fn of(node: &Arc<Node>) -> Result<Self, StoreError> {
        if node.is_open.swap(true, Ordering::AcqRel) {
            let holder = "another node of this process".to_owned();
            return Err(StoreError::Locked { path: PathBuf::from("this memory"), holder });
        }
        Ok(Self(Arc::clone(node)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.is_open.store(false, Ordering::Release);
    }
}

struct MemoryLog(Arc<Held>);

impl LogStore for MemoryLog {
    fn load(&mut self) -> Result<Recovered, StoreError> {
        let log = self.0.0.log.read().unwrap_or_else(PoisonError::into_inner);
        let mut recovered = Recovered { hard_state: log.hard_state, ..Recovered::default() };
        recovered.begin_after(log.base);
        log.entries.iter_from(0).for_each(|entry| recovered.append(entry));
        Ok(recovered)
    }

    fn write(&mut self, write: Write, _done: Done) -> Result<Written, StoreError> {
        self.0.0.log.write().unwrap_or_else(PoisonError::into_inner).write(write)?;
        Ok(Written::Done)
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(MemoryReader(Arc::clone(&self.0.0)))
    }

    fn identify(&mut self, identity: &Identity) -> Result<(), StoreError> {
        *lock(&self.0.0.identity) = Some(identity.clone());
        Ok(())
    }
}

struct MemoryReader(Arc<Node>);

impl LogReader for MemoryReader {
    fn read(&self, from: Index, to: Index, bytes_max: usize) -> Result<Vec<Entry>, StoreError> {
        let log = self.0.log.read().unwrap_or_else(PoisonError::into_inner);
        log.read(from, to, bytes_max)
    }
}

/// A panic elsewhere cannot leave the data half changed: each change is one assignment, or entries
/// that were checked before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn clamp(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
