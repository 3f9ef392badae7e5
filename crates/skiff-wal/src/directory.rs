//! An open folder: the lock on it, whose it is, and whether it can still be trusted.

use std::{
    fmt,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use skiff_storage::{Identity, StoreError};

use crate::{
    disk::{Disk, LockError},
    identity::{self, Kept},
};

pub(crate) struct Directory<D: Disk> {
    disk: D,
    kept: Mutex<Kept>,
    /// The number of the last batch that was synced.
    synced: AtomicU64,
    failure: OnceLock<String>,
    _lock: D::Lock,
}

impl<D: Disk> Directory<D> {
    pub(crate) fn new(disk: D, lock: D::Lock, kept: Kept) -> Self {
        let synced = AtomicU64::new(kept.synced);
        Self { disk, kept: Mutex::new(kept), synced, failure: OnceLock::new(), _lock: lock }
    }

    pub(crate) const fn disk(&self) -> &D {
        &self.disk
    }

    /// Fails if anything that should have become durable has not: from then on nobody knows what is
    /// on the medium, and a later sync would say that all is well.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            Some(reason) => Err(StoreError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Takes note of an error, which is final unless it left everything as it was.
    pub(crate) fn failed(&self, error: StoreError) -> StoreError {
        if !error.is_recoverable() {
            self.poison(&error.to_string());
        }
        error
    }

    pub(crate) fn poison(&self, reason: &str) {
        self.failure.get_or_init(|| {
            tracing::error!(dir = %self.disk.path("").display(), reason, "the store has failed");
            reason.to_owned()
        });
    }

    pub(crate) fn has_synced(&self, batch: u64) {
        self.synced.store(batch, Ordering::Release);
    }

    /// What IDENTITY says, and the batches synced since.
    pub(crate) fn kept(&self) -> Kept {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Kept { synced: self.synced.load(Ordering::Acquire), ..kept }
    }

    /// Notes in the identity which batches were synced.
    pub(crate) fn mark_synced(&self) -> Result<(), StoreError> {
        let identity = self.kept.lock().unwrap_or_else(PoisonError::into_inner).identity.clone();
        self.identify(&identity)
    }

    /// Replaces the identity, durably. The boot counter never goes back.
    pub(crate) fn identify(&self, identity: &Identity) -> Result<(), StoreError> {
        self.check()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let boot = identity.boot.max(kept.identity.boot);
        let identity = Identity { boot, ..identity.clone() };
        let new = Kept { identity, log: kept.log, synced: self.synced.load(Ordering::Acquire) };
        identity::write(&self.disk, &new).map_err(|error| self.failed(error))?;
        *kept = new;
        Ok(())
    }
}

impl<D: Disk> fmt::Debug for Directory<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Directory");
        out.field("path", &self.disk.path("")).field("failure", &self.failure);
        out.finish_non_exhaustive()
    }
}

/// Takes the lock, or says who has it.
pub(crate) fn lock<D: Disk>(disk: &D) -> Result<D::Lock, StoreError> {
    disk.lock().map_err(|error| match error {
        LockError::Held(holder) => StoreError::Locked { path: disk.path(""), holder },
        LockError::Io(error) => StoreError::io("open", disk.path(""), error),
    })
}
