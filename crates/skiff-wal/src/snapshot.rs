//! Snapshot files: each under a name that tells its place in the log, and put in its place as a whole.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf, BufMut, Bytes};
use crc32c::{crc32c, crc32c_append};
use skiff_core::{
    Index, LogTime, Membership, Position, Term,
    mutants::{Mutant, planted},
};
use skiff_storage::{
    InstanceId, SnapshotInfo, SnapshotMeta, SnapshotSink, SnapshotSource, SnapshotStore,
    StoreError, measure,
};

use crate::{
    directory::Directory,
    disk::{self, Disk, DiskFile, is_full},
    files::Files,
    identity::UNFINISHED,
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
/// How many bytes are written before they are synced, so that the last sync has little to do and the log's
/// own syncs never wait behind much of it.
const SYNC_EVERY: u64 = 8 << 20;
/// How much is read at once to be verified.
const PIECE: usize = 256 << 10;

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

    pub(crate) const fn position(self) -> Position {
        Position { term: self.term, index: self.index }
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
    /// Those that are being written.
    writing: Arc<Mutex<BTreeSet<Name>>>,
}

impl<D: Disk> Clone for Snapshots<D> {
    fn clone(&self) -> Self {
        Self { directory: Arc::clone(&self.directory), writing: Arc::clone(&self.writing) }
    }
}

impl<D: Disk> Snapshots<D> {
    pub(crate) fn new(directory: Arc<Directory<D>>) -> Self {
        Self { directory, writing: Arc::default() }
    }
}

impl<D: Disk> SnapshotStore for Snapshots<D> {
    fn create(&self, meta: &SnapshotMeta) -> Result<Box<dyn SnapshotSink>, StoreError> {
        self.directory.check()?;
        let name = Name::of(meta.position);
        if !lock(&self.writing).insert(name) {
            return Err(StoreError::Busy(name.file()));
        }
        let mut sink = Sink {
            directory: Arc::clone(&self.directory),
            writing: Arc::clone(&self.writing),
            name,
            meta: meta.clone(),
            head: head(meta, 0, 0).len() as u64,
            file: None,
            size: 0,
            checksum: 0,
            unsynced: 0,
        };
        let created = sink.disk().create(&sink.unfinished());
        sink.file = Some(created.map_err(|error| sink.failed("write", error))?);
        Ok(Box::new(sink))
    }

    fn open(&self, position: Position) -> Result<Box<dyn SnapshotSource>, StoreError> {
        Ok(Box::new(Source::open(self.directory.disk(), Name::of(position))?))
    }

    fn positions(&self) -> Result<Vec<Position>, StoreError> {
        Ok(names(self.directory.disk())?.into_iter().map(Name::position).collect())
    }
}

fn names<D: Disk>(disk: &D) -> Result<Vec<Name>, StoreError> {
    let listed = disk.list().map_err(|error| StoreError::io("list", disk.path(""), error))?;
    let mut names: Vec<Name> = listed.iter().filter_map(|name| Name::parse(name)).collect();
    names.sort_unstable();
    Ok(names)
}

/// Removes all but the newest, and the one with which the cluster began. That it worked is not needed
/// for anything.
fn remove_old<D: Disk>(disk: &D) {
    let names = names(disk).unwrap_or_default();
    for name in names.iter().filter(|name| name.index > Index(1)).rev().skip(KEPT) {
        let _ = disk.remove(&name.file());
    }
}

fn lock(writing: &Mutex<BTreeSet<Name>>) -> MutexGuard<'_, BTreeSet<Name>> {
    writing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A snapshot that is being written, into a file of another name.
struct Sink<D: Disk> {
    directory: Arc<Directory<D>>,
    writing: Arc<Mutex<BTreeSet<Name>>>,
    name: Name,
    meta: SnapshotMeta,
    /// Where the content begins.
    head: u64,
    /// There until it is finished.
    file: Option<D::File>,
    size: u64,
    checksum: u32,
    unsynced: u64,
}

impl<D: Disk> Sink<D> {
    fn disk(&self) -> &D {
        self.directory.disk()
    }

    fn unfinished(&self) -> String {
        format!("{}{UNFINISHED}", self.name.file())
    }

    /// A failure on the way. Without room nothing is lost; after any other nobody knows what is on the
    /// medium.
    fn failed(&self, action: &'static str, error: std::io::Error) -> StoreError {
        let file = self.unfinished();
        if is_full(&error) {
            return StoreError::Full { path: self.disk().path(&file) };
        }
        self.directory.failed(StoreError::io(action, self.disk().path(&file), error))
    }

    fn put(&self, bytes: &[u8], at: u64) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.write_at(bytes, at).map_err(|error| self.failed("write", error))
    }

    fn sync(&self) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.sync().map_err(|error| self.failed("sync", error))
    }

    /// Gives it its name, durably.
    fn place(&mut self) -> Result<(), StoreError> {
        let (file, unfinished) = (self.name.file(), self.unfinished());
        let was_there = names(self.disk())?.contains(&self.name);
        let disk = self.directory.disk();
        let moved = disk.rename(&unfinished, &file).and_then(|()| disk.sync_dir());
        moved.map_err(|error| {
            // Its name is perhaps seen and never gets to the medium: who comes next must not rely on
            // it.
            if !was_there {
                let _ = disk.remove(&file);
            }
            self.directory.failed(StoreError::io("replace", disk.path(&file), error))
        })?;
        self.file = None;
        Ok(())
    }
}

impl<D: Disk> SnapshotSink for Sink<D> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.directory.check()?;
        self.put(bytes, self.head + self.size)?;
        self.checksum = crc32c_append(self.checksum, bytes);
        self.size += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.sync()?;
        }
        Ok(())
    }

    fn finish(
        mut self: Box<Self>,
        expected: Option<(u64, u32)>,
    ) -> Result<SnapshotInfo, StoreError> {
        self.directory.check()?;
        let found = (self.size, self.checksum);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(StoreError::not_as_expected(self.meta.position, found, expected));
        }
        self.put(&head(&self.meta, self.size, self.checksum), 0)?;
        self.sync()?;
        if !planted(Mutant::SnapshotToldEarly) {
            self.place()?;
        }
        remove_old(self.disk());
        Ok(SnapshotInfo { meta: self.meta.clone(), size: self.size, checksum: self.checksum })
    }
}

impl<D: Disk> Drop for Sink<D> {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = self.disk().remove(&self.unfinished());
        }
        lock(&self.writing).remove(&self.name);
    }
}

/// Whether a snapshot is there that covers `index`.
pub(crate) fn covers(files: &Files, index: Index) -> bool {
    files.snapshots.iter().any(|name| name.index >= index)
}

fn head(meta: &SnapshotMeta, size: u64, checksum: u32) -> Vec<u8> {
    let mut out = vec![0; FIXED];
    out.put_u128_le(meta.instance.0);
    out.put_u64_le(meta.position.index.0);
    out.put_u64_le(meta.position.term.0);
    out.put_u32_le(meta.machine_version);
    for part in [meta.codec.as_bytes(), &meta.membership.encode()] {
        put_part(&mut out, part);
    }
    if meta.time > LogTime::ZERO || !meta.terms.is_empty() {
        put_history(&mut out, meta);
    }
    let rest = u32::try_from(out.len() - FIXED).unwrap_or(u32::MAX);
    let mut fixed = &mut out[..FIXED];
    fixed.put_slice(MAGIC);
    fixed.put_u32_le(0);
    fixed.put_u32_le(FORMAT);
    fixed.put_u32_le(checksum);
    fixed.put_u64_le(size);
    fixed.put_u32_le(rest);
    let checksum = crc32c(&out[CHECKED_FROM..]);
    out[8..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// The time of the last entry, and the terms of those before. A head without them is whole too.
fn put_history(out: &mut Vec<u8>, meta: &SnapshotMeta) {
    out.put_u64_le(meta.time.0);
    let mut terms = Vec::with_capacity(16 * meta.terms.len());
    for (index, term) in &meta.terms {
        terms.put_u64_le(index.0);
        terms.put_u64_le(term.0);
    }
    put_part(out, &terms);
}

fn put_part(out: &mut Vec<u8>, part: &[u8]) {
    out.put_u32_le(u32::try_from(part.len()).unwrap_or(u32::MAX));
    out.put_slice(part);
}

/// A snapshot as a file that is there.
pub(crate) struct Source<D: Disk> {
    disk: D,
    name: Name,
    file: D::File,
    info: SnapshotInfo,
    /// Where the content begins.
    head: u64,
    /// Where the file ends.
    end: u64,
}

impl<D: Disk> Source<D> {
    /// Opens it and verifies its head.
    pub(crate) fn open(disk: &D, name: Name) -> Result<Self, StoreError> {
        let path = disk.path(&name.file());
        let failed = |error| StoreError::io("read", &path, error);
        let file = disk.open(&name.file()).map_err(failed)?;
        let end = file.size().map_err(failed)?;
        let read = |at: usize, length: usize| {
            let mut bytes = vec![0; length.min(usize::try_from(end).unwrap_or(usize::MAX))];
            let read = disk::read_at(&file, &mut bytes, at as u64).map_err(failed)?;
            bytes.truncate(read);
            Ok::<_, StoreError>(bytes)
        };
        let corrupt = |offset: usize, reason: &str| corrupt(disk, name, offset as u64, reason);
        let fixed = read(0, FIXED)?;
        let Some(mut parts) = fixed.get(MAGIC.len()..FIXED) else {
            return Err(corrupt(fixed.len(), "it is cut short"));
        };
        if !fixed.starts_with(MAGIC) {
            return Err(corrupt(0, "it does not begin like a snapshot"));
        }
        let (checksum, format) = (parts.get_u32_le(), parts.get_u32_le());
        let (content_checksum, size) = (parts.get_u32_le(), parts.get_u64_le());
        if format > FORMAT {
            return Err(StoreError::NewerFormat { path, found: format, known: FORMAT });
        }
        let rest = parts.get_u32_le() as usize;
        let head = [fixed, read(FIXED, rest)?].concat();
        if head.len() < FIXED + rest {
            return Err(corrupt(head.len(), "it is cut short"));
        }
        if crc32c(&head[CHECKED_FROM..]) != checksum {
            return Err(corrupt(0, "the checksum of its head is wrong"));
        }
        let is_it = |meta: &SnapshotMeta| Name::of(meta.position) == name;
        let Some(meta) = meta(&head[FIXED..]).filter(is_it) else {
            return Err(corrupt(FIXED, "its head does not describe it"));
        };
        let info = SnapshotInfo { meta, size, checksum: content_checksum };
        Ok(Self { disk: disk.clone(), name, file, info, head: head.len() as u64, end })
    }
}

fn corrupt<D: Disk>(disk: &D, name: Name, offset: u64, reason: &str) -> StoreError {
    StoreError::Corrupt {
        path: disk.path(&name.file()),
        offset,
        index: Some(name.index),
        reason: reason.to_owned(),
    }
}

impl<D: Disk> SnapshotSource for Source<D> {
    fn info(&self) -> &SnapshotInfo {
        &self.info
    }

    fn read_at(&self, offset: u64, bytes_max: usize) -> Result<Bytes, StoreError> {
        let content = self.end.saturating_sub(self.head).min(self.info.size);
        let left = usize::try_from(content.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(bytes_max)];
        let read = disk::read_at(&self.file, &mut bytes, self.head.saturating_add(offset));
        let path = || self.disk.path(&self.name.file());
        let read = read.map_err(|error| StoreError::io("read", path(), error))?;
        bytes.truncate(read);
        Ok(bytes.into())
    }

    fn verify(&self) -> Result<(), StoreError> {
        let length = self.end.saturating_sub(self.head);
        let found = measure(|offset| self.read_at(offset, PIECE))?;
        if length == self.info.size && found == (self.info.size, self.info.checksum) {
            return Ok(());
        }
        Err(corrupt(&self.disk, self.name, self.head, "the checksum of its content is wrong"))
    }
}

/// What a snapshot is, once all of it is verified.
pub(crate) fn examine<D: Disk>(disk: &D, name: Name) -> Result<SnapshotInfo, StoreError> {
    let source = Source::open(disk, name)?;
    source.verify()?;
    Ok(source.info)
}

fn meta(mut from: &[u8]) -> Option<SnapshotMeta> {
    let instance = InstanceId(from.try_get_u128_le().ok()?);
    let index = Index(from.try_get_u64_le().ok()?);
    let term = Term(from.try_get_u64_le().ok()?);
    let machine_version = from.try_get_u32_le().ok()?;
    let codec = String::from_utf8(take(&mut from)?.to_vec()).ok()?;
    let membership = Membership::decode(take(&mut from)?).ok()?;
    let position = Position { term, index };
    let (time, terms) = if from.is_empty() { Default::default() } else { history(&mut from)? };
    let meta = SnapshotMeta { instance, position, time, membership, terms, machine_version, codec };
    from.is_empty().then_some(meta)
}

fn history(from: &mut &[u8]) -> Option<(LogTime, Vec<(Index, Term)>)> {
    let time = LogTime(from.try_get_u64_le().ok()?);
    let mut runs = take(from)?;
    let mut terms = Vec::with_capacity(runs.len() / 16);
    while !runs.is_empty() {
        terms.push((Index(runs.try_get_u64_le().ok()?), Term(runs.try_get_u64_le().ok()?)));
    }
    Some((time, terms))
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    let (part, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(part)
}
