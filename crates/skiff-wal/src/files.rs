//! The files of a log as they are found in its folder.

use std::{collections::BTreeMap, io};

use skiff_storage::StoreError;

use crate::{
    aside::ASIDE,
    disk::{self, Disk, DiskFile},
    identity,
    segment::{self, BadHeader, FORMAT, SegmentHeader},
    snapshot,
};

/// A segment that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// How long the file is.
    pub(crate) size: u64,
    pub(crate) header: Result<SegmentHeader, BadHeader>,
}

impl Found {
    /// Up to where batches can stand: the file may be longer or shorter than it was made.
    pub(crate) fn end(&self) -> u64 {
        self.header.map_or(self.size, |header| header.size.min(self.size))
    }
}

/// What is in the folder.
#[derive(Debug)]
pub(crate) struct Files {
    /// The segments by their number.
    pub(crate) segments: BTreeMap<u64, Found>,
    /// Pieces that were mended, by their number.
    pub(crate) mends: BTreeMap<u64, Found>,
    /// Files that were not complete when something ended.
    pub(crate) unfinished: Vec<String>,
    pub(crate) snapshots: Vec<snapshot::Name>,
    /// What is not Skiff's.
    pub(crate) strangers: Vec<String>,
}

impl Files {
    pub(crate) fn find<D: Disk>(disk: &D) -> Result<Self, StoreError> {
        let mut names =
            disk.list().map_err(|error| StoreError::io("list", disk.path(""), error))?;
        names.sort_unstable();
        let mut found = Self {
            segments: BTreeMap::new(),
            mends: BTreeMap::new(),
            unfinished: Vec::new(),
            snapshots: Vec::new(),
            strangers: Vec::new(),
        };
        for name in names {
            if let Some(number) = segment::number(&name) {
                found.segments.extend(look_at(disk, name)?.map(|segment| (number, segment)));
            } else if let Some(number) = segment::mend_number(&name) {
                found.mends.extend(look_at(disk, name)?.map(|mend| (number, mend)));
            } else if let Some(name) = snapshot::Name::parse(&name) {
                found.snapshots.push(name);
            } else if is_unfinished(&name) {
                found.unfinished.push(name);
            } else if name != identity::NAME && name != LOCK && !is_anothers(&name) {
                found.strangers.push(name);
            }
        }
        Ok(found)
    }

    /// Fails if a newer version has written here.
    pub(crate) fn check_format<D: Disk>(&self, disk: &D) -> Result<(), StoreError> {
        for segment in self.segments.values().chain(self.mends.values()) {
            if let Err(BadHeader::Newer(found)) = segment.header {
                let path = disk.path(&segment.name);
                return Err(StoreError::NewerFormat { path, found, known: FORMAT });
            }
        }
        Ok(())
    }
}

const LOCK: &str = "LOCK";
/// What the names of a state machine's own files begin with.
const MACHINE: &str = "machine-";

/// Whether the file is not the log's, and known to be here.
fn is_anothers(name: &str) -> bool {
    name.starts_with(ASIDE) || name.starts_with(MACHINE)
}

fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(identity::UNFINISHED).is_some_and(|name| {
        name == identity::NAME
            || snapshot::Name::parse(name).is_some()
            || segment::mend_number(name).is_some()
    })
}

/// `None` if the file is gone by now: a folder that is in use can be looked at too.
fn look_at<D: Disk>(disk: &D, name: String) -> Result<Option<Found>, StoreError> {
    let failed = |error| StoreError::io("read", disk.path(&name), error);
    let file = match disk.open(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let size = file.size().map_err(failed)?;
    let mut start = [0; 64];
    let header = match disk::read_at(&file, &mut start, 0) {
        Ok(read) => SegmentHeader::decode(&start[..read]),
        Err(_) => Err(BadHeader::Damaged("its beginning cannot be read")),
    };
    Ok(Some(Found { name, size, header }))
}
