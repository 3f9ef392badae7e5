//! Snapshot files: each under a name that tells its place in the log, and put in its place as a whole.

pub(crate) mod content;
pub(crate) mod head;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use skiff_core::{
    Index, Position, Term,
    mutants::{Mutant, planted},
};
use skiff_storage::{
    SnapshotInfo, SnapshotMeta, SnapshotSink, SnapshotSource, SnapshotStore, StoreError, measure,
};

use self::{
    content::Content,
    head::{BadHead, Head},
};
use crate::{
    directory::Directory,
    disk::{self, Disk, DiskFile, is_full},
    files::Files,
    identity::UNFINISHED,
};

const PREFIX: &str = "snapshot-";
/// The newest, and the one before it: it is not given up before the newest has proved good.
const KEPT: usize = 2;
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
        Ok(Box::new(self.begin(meta)?))
    }

    fn open(&self, position: Position) -> Result<Box<dyn SnapshotSource>, StoreError> {
        Ok(Box::new(Source::open(self.directory.disk(), Name::of(position))?))
    }

    fn positions(&self) -> Result<Vec<Position>, StoreError> {
        Ok(names(self.directory.disk())?.into_iter().map(Name::position).collect())
    }
}

impl<D: Disk> Snapshots<D> {
    /// Begins to write a snapshot.
    pub(crate) fn begin(&self, meta: &SnapshotMeta) -> Result<Sink<D>, StoreError> {
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
            content: None,
            is_placed: false,
        };
        let created = sink.disk().create(&sink.unfinished());
        let file = created.map_err(|error| sink.failed("write", error))?;
        let head = head::encode(meta, None, 0, 0).len() as u64;
        sink.content = Some(Content::new(file, head));
        Ok(sink)
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
pub(crate) struct Sink<D: Disk> {
    directory: Arc<Directory<D>>,
    writing: Arc<Mutex<BTreeSet<Name>>>,
    name: Name,
    meta: SnapshotMeta,
    /// There once its file is.
    content: Option<Content<D::File>>,
    is_placed: bool,
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

    /// How long the content is, and its checksum.
    fn found(&self) -> (u64, u32) {
        self.content.as_ref().map_or((0, 0), Content::found)
    }

    /// Makes all of it durable, under another name than its own.
    pub(crate) fn complete(&self, expected: Option<(u64, u32)>) -> Result<(), StoreError> {
        self.directory.check()?;
        let found = self.found();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(StoreError::not_as_expected(self.meta.position, found, expected));
        }
        let head = head::encode(&self.meta, None, found.0, found.1);
        let done = self.content.as_ref().map_or(Ok(()), |content| content.complete(&head));
        done.map_err(|(action, error)| self.failed(action, error))
    }

    /// Gives it its name, durably.
    pub(crate) fn place(&mut self) -> Result<(), StoreError> {
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
        self.is_placed = true;
        Ok(())
    }
}

impl<D: Disk> SnapshotSink for Sink<D> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.directory.check()?;
        let done = self.content.as_mut().map_or(Ok(()), |content| content.append(bytes));
        done.map_err(|(action, error)| self.failed(action, error))
    }

    fn finish(
        mut self: Box<Self>,
        expected: Option<(u64, u32)>,
    ) -> Result<SnapshotInfo, StoreError> {
        self.complete(expected)?;
        if !planted(Mutant::SnapshotToldEarly) {
            self.place()?;
        }
        remove_old(self.disk());
        let (size, checksum) = self.found();
        Ok(SnapshotInfo { meta: self.meta.clone(), size, checksum })
    }
}

impl<D: Disk> Drop for Sink<D> {
    fn drop(&mut self) {
        if self.content.is_some() && !self.is_placed {
            let _ = self.disk().remove(&self.unfinished());
        }
        lock(&self.writing).remove(&self.name);
    }
}

/// Whether a snapshot is there that covers `index`.
pub(crate) fn covers(files: &Files, index: Index) -> bool {
    files.snapshots.iter().any(|name| name.index >= index)
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
        let head = Head::read(&file, end, &path).map_err(|bad| match bad {
            BadHead::Damaged(offset, reason) => corrupt(disk, name, offset, reason),
            BadHead::Failed(error) => error,
        })?;
        let Head { info, length, .. } = head;
        if Name::of(info.meta.position) != name {
            return Err(corrupt(disk, name, head::FIXED as u64, "its head does not describe it"));
        }
        Ok(Self { disk: disk.clone(), name, file, info, head: length, end })
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
