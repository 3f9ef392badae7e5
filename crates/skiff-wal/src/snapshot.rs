//! Snapshot files: each written as a whole, under a name that tells its place in the log.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use crc32c::crc32c;
use skiff_core::{Index, Membership, Position, Term};
use skiff_storage::{InstanceId, SnapshotMeta, SnapshotStore, StoreError};

use crate::{
    directory::Directory,
    disk::{self, Disk, DiskFile},
    files::Files,
    identity::replace,
    segment::FORMAT,
};

const PREFIX: &str = "snapshot-";
const MAGIC: &[u8; 8] = b"SKIFFSNA";
/// Magic, checksum of the head, format, checksum of the content, its length, length of the rest of
/// the head.
const FIXED: usize = 32;
const CHECKED_FROM: usize = 12;
/// The newest, and the one before it: it is not given up before the newest has proved good.
const KEPT: usize = 2;

/// What a snapshot's file is called. Sorted by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) index: Index,
    term: Term,
}

impl Name {
    const fn of(position: Position) -> Self {
        Self { index: position.index, term: position.term }
    }

    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let (index, term) = file_name.strip_prefix(PREFIX)?.split_once('-')?;
        let name = Self { index: Index(index.parse().ok()?), term: Term(term.parse().ok()?) };
        (name.file() == file_name).then_some(name)
    }

    pub(crate) fn file(self) -> String {
        format!("{PREFIX}{:020}-{:020}", self.index.0, self.term.0)
    }
}

/// The snapshots in a folder.
#[derive(Debug)]
pub struct Snapshots<D: Disk> {
    directory: Arc<Directory<D>>,
}

impl<D: Disk> Snapshots<D> {
    pub(crate) const fn new(directory: Arc<Directory<D>>) -> Self {
        Self { directory }
    }

    fn names(&self) -> Result<Vec<Name>, StoreError> {
        let disk = self.directory.disk();
        let listed = disk.list().map_err(|error| StoreError::io("list", disk.path(""), error))?;
        let mut names: Vec<Name> = listed.iter().filter_map(|name| Name::parse(name)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Removes all but the newest. That it worked is not needed for anything.
    fn remove_old(&self) {
        let names = self.names().unwrap_or_default();
        for name in names.iter().rev().skip(KEPT) {
            let _ = self.directory.disk().remove(&name.file());
        }
    }
}

impl<D: Disk> SnapshotStore for Snapshots<D> {
    fn save(&mut self, meta: &SnapshotMeta, content: &[u8]) -> Result<(), StoreError> {
        self.directory.check()?;
        let name = Name::of(meta.position);
        let was_there = self.names()?.contains(&name);
        let (disk, file) = (self.directory.disk(), name.file());
        replace(disk, &file, &[&head(meta, content), content]).map_err(|error| {
            // Its name is perhaps seen and never gets to the medium: who comes next must not rely on
            // it.
            if !was_there && !error.is_recoverable() {
                let _ = disk.remove(&file);
            }
            self.directory.failed(error)
        })?;
        self.remove_old();
        Ok(())
    }

    fn newest(&self) -> Result<Option<(SnapshotMeta, Bytes)>, StoreError> {
        match self.names()?.last() {
            Some(name) => read(self.directory.disk(), *name).map(Some),
            None => Ok(None),
        }
    }
}

/// Whether a snapshot is there that covers `index`.
pub(crate) fn covers(files: &Files, index: Index) -> bool {
    files.snapshots.iter().any(|name| name.index >= index)
}

fn head(meta: &SnapshotMeta, content: &[u8]) -> Vec<u8> {
    let mut out = vec![0; FIXED];
    out.put_u128_le(meta.instance.0);
    out.put_u64_le(meta.position.index.0);
    out.put_u64_le(meta.position.term.0);
    out.put_u32_le(meta.machine_version);
    for part in [meta.codec.as_bytes(), &meta.membership.encode()] {
        out.put_u32_le(u32::try_from(part.len()).unwrap_or(u32::MAX));
        out.put_slice(part);
    }
    let rest = u32::try_from(out.len() - FIXED).unwrap_or(u32::MAX);
    let mut fixed = &mut out[..FIXED];
    fixed.put_slice(MAGIC);
    fixed.put_u32_le(0);
    fixed.put_u32_le(FORMAT);
    fixed.put_u32_le(crc32c(content));
    fixed.put_u64_le(content.len() as u64);
    fixed.put_u32_le(rest);
    let checksum = crc32c(&out[CHECKED_FROM..]);
    out[8..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    out
}

pub(crate) fn read<D: Disk>(disk: &D, name: Name) -> Result<(SnapshotMeta, Bytes), StoreError> {
    let path = disk.path(&name.file());
    let whole = || {
        let file = disk.open(&name.file())?;
        let mut bytes = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX)];
        let read = disk::read_at(&file, &mut bytes, 0)?;
        bytes.truncate(read);
        Ok(Bytes::from(bytes))
    };
    let bytes = whole().map_err(|error| StoreError::io("read", &path, error))?;
    let corrupt = |offset: usize, reason: &str| StoreError::Corrupt {
        path: path.clone(),
        offset: offset as u64,
        index: Some(name.index),
        reason: reason.to_owned(),
    };
    let Some(mut fixed) = bytes.get(MAGIC.len()..FIXED) else {
        return Err(corrupt(bytes.len(), "it is cut short"));
    };
    if !bytes.starts_with(MAGIC) {
        return Err(corrupt(0, "it does not begin like a snapshot"));
    }
    let (checksum, format) = (fixed.get_u32_le(), fixed.get_u32_le());
    let (content_checksum, length) = (fixed.get_u32_le(), fixed.get_u64_le());
    if format > FORMAT {
        return Err(StoreError::NewerFormat { path, found: format, known: FORMAT });
    }
    let end = FIXED.saturating_add(fixed.get_u32_le() as usize);
    let Some(head) = bytes.get(CHECKED_FROM..end) else {
        return Err(corrupt(bytes.len(), "it is cut short"));
    };
    if crc32c(head) != checksum {
        return Err(corrupt(0, "the checksum of its head is wrong"));
    }
    let Some(meta) = meta(&bytes[FIXED..end]).filter(|meta| Name::of(meta.position) == name) else {
        return Err(corrupt(FIXED, "its head does not describe it"));
    };
    let content = bytes.slice(end..);
    if content.len() as u64 != length || crc32c(&content) != content_checksum {
        return Err(corrupt(end, "the checksum of its content is wrong"));
    }
    Ok((meta, content))
}

fn meta(mut from: &[u8]) -> Option<SnapshotMeta> {
    let instance = InstanceId(from.try_get_u128_le().ok()?);
    let index = Index(from.try_get_u64_le().ok()?);
    let term = Term(from.try_get_u64_le().ok()?);
    let machine_version = from.try_get_u32_le().ok()?;
    let codec = String::from_utf8(take(&mut from)?.to_vec()).ok()?;
    let membership = Membership::decode(take(&mut from)?).ok()?;
    let position = Position { term, index };
    let meta = SnapshotMeta { instance, position, membership, machine_version, codec };
    from.is_empty().then_some(meta)
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    let (part, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(part)
}
