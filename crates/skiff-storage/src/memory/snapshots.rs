//! Snapshots that are kept in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use crc32c::crc32c_append;
use skiff_core::{Index, Position, Term};

use super::{Held, lock};
use crate::{
    error::StoreError,
    snapshot::{SnapshotInfo, SnapshotMeta, SnapshotSink, SnapshotSource, SnapshotStore, measure},
};

/// The newest, and the one before it.
const KEPT: usize = 2;

type Place = (Index, Term);

/// What is kept, and what is being written.
#[derive(Default)]
pub(super) struct Snapshots {
    kept: BTreeMap<Place, Arc<Kept>>,
    writing: BTreeSet<Place>,
}

struct Kept {
    info: SnapshotInfo,
    content: Bytes,
}

impl Snapshots {
    fn keep(&mut self, place: Place, snapshot: Kept) {
        self.kept.insert(place, Arc::new(snapshot));
        // The beginning of the cluster stays, for nodes that are yet to come.
        let later = self.kept.keys().filter(|(index, _)| *index > Index(1)).copied();
        let later: Vec<Place> = later.collect();
        for old in later.iter().rev().skip(KEPT) {
            self.kept.remove(old);
        }
    }
}

pub(super) struct MemorySnapshots(pub(super) Arc<Held>);

impl SnapshotStore for MemorySnapshots {
    fn create(&self, meta: &SnapshotMeta) -> Result<Box<dyn SnapshotSink>, StoreError> {
        let place = (meta.position.index, meta.position.term);
        if !lock(&self.0.0.snapshots).writing.insert(place) {
            return Err(StoreError::Busy(format!("the snapshot of {}", meta.position)));
        }
        let (meta, held) = (meta.clone(), Arc::clone(&self.0));
        Ok(Box::new(Sink { held, place, meta, content: Vec::new(), checksum: 0 }))
    }

    fn open(&self, position: Position) -> Result<Box<dyn SnapshotSource>, StoreError> {
        let place = (position.index, position.term);
        let kept = lock(&self.0.0.snapshots).kept.get(&place).cloned();
        match kept {
            Some(kept) => Ok(Box::new(Source(kept))),
            None => Err(StoreError::Other(format!("there is no snapshot of {position}"))),
        }
    }

    fn positions(&self) -> Result<Vec<Position>, StoreError> {
        let kept = &lock(&self.0.0.snapshots).kept;
        Ok(kept.keys().map(|(index, term)| Position { term: *term, index: *index }).collect())
    }
}

struct Sink {
    held: Arc<Held>,
    place: Place,
    meta: SnapshotMeta,
    content: Vec<u8>,
    checksum: u32,
}

impl SnapshotSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.checksum = crc32c_append(self.checksum, bytes);
        self.content.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(
        mut self: Box<Self>,
        expected: Option<(u64, u32)>,
    ) -> Result<SnapshotInfo, StoreError> {
        let found = (self.content.len() as u64, self.checksum);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(StoreError::not_as_expected(self.meta.position, found, expected));
        }
        let content = Bytes::from(std::mem::take(&mut self.content));
        let meta = self.meta.clone();
        let info = SnapshotInfo { meta, size: found.0, checksum: found.1 };
        let kept = Kept { info: info.clone(), content };
        lock(&self.held.0.snapshots).keep(self.place, kept);
        Ok(info)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        lock(&self.held.0.snapshots).writing.remove(&self.place);
    }
}

struct Source(Arc<Kept>);

impl SnapshotSource for Source {
    fn info(&self) -> &SnapshotInfo {
        &self.0.info
    }

    fn read_at(&self, offset: u64, bytes_max: usize) -> Result<Bytes, StoreError> {
        let length = self.0.content.len();
        let from = usize::try_from(offset).unwrap_or(length).min(length);
        Ok(self.0.content.slice(from..length.min(from.saturating_add(bytes_max))))
    }

    fn verify(&self) -> Result<(), StoreError> {
        let SnapshotInfo { meta, size, checksum } = &self.0.info;
        let found = measure(|offset| self.read_at(offset, usize::MAX))?;
        if found == (*size, *checksum) {
            return Ok(());
        }
        let reason = "the checksum of its content is wrong".to_owned();
        let (path, index) = (PathBuf::from("this memory"), Some(meta.position.index));
        Err(StoreError::Corrupt { path, offset: 0, index, reason })
    }
}
