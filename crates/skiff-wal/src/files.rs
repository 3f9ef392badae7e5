//! The files of a log as they are found in its folder.

use std::{collections::BTreeMap, sync::Arc};

use skiff_storage::StoreError;

use crate::{
    disk::{Disk, DiskFile},
    identity,
    segment::{self, BadHeader, FORMAT, SegmentHeader},
    snapshot,
};

/// A segment that was found.
#[derive(Debug)]
pub(crate) struct Found<F> {
    pub(crate) name: String,
    pub(crate) file: Arc<F>,
    /// How long the file is.
    pub(crate) size: u64,
    pub(crate) header: Result<SegmentHeader, BadHeader>,
}

impl<F> Found<F> {
    /// Up to where batches can stand: the file may be longer or shorter than it was made.
    pub(crate) fn end(&self) -> u64 {
        self.header.map_or(self.size, |header| header.size.min(self.size))
    }
}

/// What is in the folder.
#[derive(Debug)]
pub(crate) struct Files<F> {
    /// The segments by their number.
    pub(crate) segments: BTreeMap<u64, Found<F>>,
    /// Files that were not complete when something ended.
    pub(crate) unfinished: Vec<String>,
    pub(crate) snapshots: Vec<snapshot::Name>,
    /// What is not Skiff's.
    pub(crate) strangers: Vec<String>,
}

impl<F: DiskFile> Files<F> {
    pub(crate) fn find<D: Disk<File = F>>(disk: &D) -> Result<Self, StoreError> {
        let mut names =
            disk.list().map_err(|error| StoreError::io("list", disk.path(""), error))?;
        names.sort_unstable();
        let mut found = Self {
            segments: BTreeMap::new(),
            unfinished: Vec::new(),
            snapshots: Vec::new(),
            strangers: Vec::new(),
        };
        for name in names {
            if let Some(number) = segment::number(&name) {
                found.segments.insert(number, look_at(disk, name)?);
            } else if let Some(name) = snapshot::Name::parse(&name) {
                found.snapshots.push(name);
            } else if is_unfinished(&name) {
                found.unfinished.push(name);
            } else if name != identity::NAME && name != LOCK {
                found.strangers.push(name);
            }
        }
        Ok(found)
    }

    /// Fails if a newer version has written here.
    pub(crate) fn check_format<D: Disk>(&self, disk: &D) -> Result<(), StoreError> {
        for segment in self.segments.values() {
            if let Err(BadHeader::Newer(found)) = segment.header {
                let path = disk.path(&segment.name);
                return Err(StoreError::NewerFormat { path, found, known: FORMAT });
            }
        }
        Ok(())
    }
}

const LOCK: &str = "LOCK";

fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(identity::UNFINISHED)
        .is_some_and(|name| name == identity::NAME || snapshot::Name::parse(name).is_some())
}

fn look_at<D: Disk>(disk: &D, name: String) -> Result<Found<D::File>, StoreError> {
    let failed = |error| StoreError::io("read", disk.path(&name), error);
    let file = disk.open(&name).map_err(failed)?;
    let size = file.size().map_err(failed)?;
    let mut start = [0; 64];
    let read = file.read_at(&mut start, 0).or_else(|_| file.read_at(&mut start, 0));
    let header = SegmentHeader::decode(&start[..read.map_err(failed)?]);
    Ok(Found { name, file: Arc::new(file), size, header })
}
