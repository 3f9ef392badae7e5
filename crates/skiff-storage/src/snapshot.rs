//! What is asked of a store of snapshots: they are written and read as streams, so that none need ever
//! be in memory as a whole.

use std::{
    fmt,
    io::{self, Read, Write},
};

use bytes::{Bytes, BytesMut};
use crc32c::crc32c_append;
use skiff_core::{Index, LogTime, Membership, Position, Term};

use crate::{error::StoreError, identity::InstanceId};

/// How much of a snapshot is read at once.
const PIECE: usize = 256 << 10;

/// What is known of a snapshot without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The instance of the cluster.
    pub instance: InstanceId,
    /// The last entry it covers.
    pub position: Position,
    /// The log's time at that entry.
    pub time: LogTime,
    /// The members at that entry.
    pub membership: Membership,
    /// The terms of the log up to that entry, each with the index of its first entry, ascending, as
    /// far as they are remembered.
    pub terms: Vec<(Index, Term)>,
    /// The version of the state machine's data.
    pub machine_version: u32,
    /// How the state machine's data is encoded.
    pub codec: String,
}

/// What a whole snapshot is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// What it stands for.
    pub meta: SnapshotMeta,
    /// How many bytes the state machine's data has.
    pub size: u64,
    /// The CRC-32C of that data.
    pub checksum: u32,
}

/// The snapshots of one node. All of its methods can be used at the same time.
///
/// The newest two are kept, and the one at index 1, with which the cluster began.
pub trait SnapshotStore: Send + Sync {
    /// Begins to write a snapshot. Nothing of it is there for others before it is
    /// [finished](SnapshotSink::finish). May block.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if one of the same position is being written; otherwise as the medium has
    /// it.
    fn create(&self, meta: &SnapshotMeta) -> Result<Box<dyn SnapshotSink>, StoreError>;

    /// The snapshot of this position. Its head is verified, its content is not. May block.
    ///
    /// # Errors
    ///
    /// If there is none, or [`Corrupt`](StoreError::Corrupt).
    fn open(&self, position: Position) -> Result<Box<dyn SnapshotSource>, StoreError>;

    /// The positions of all that are there, whole or damaged, in ascending order. May block.
    ///
    /// # Errors
    ///
    /// As the medium has it.
    fn positions(&self) -> Result<Vec<Position>, StoreError>;

    /// Keeps a snapshot whose content is at hand, atomically. Durable on return; one of the same
    /// position is replaced. May block.
    ///
    /// # Errors
    ///
    /// As the medium has it.
    fn save(&self, meta: &SnapshotMeta, content: &[u8]) -> Result<(), StoreError> {
        let mut sink = self.create(meta)?;
        sink.write(content)?;
        sink.finish(None).map(drop)
    }

    /// The newest snapshot there is, verified, with its content. `None` if there is none. May block.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](StoreError::Corrupt) if the newest is damaged.
    fn newest(&self) -> Result<Option<(SnapshotMeta, Bytes)>, StoreError> {
        let Some(position) = self.positions()?.last().copied() else { return Ok(None) };
        let source = self.open(position)?;
        let content = source.read_whole()?;
        Ok(Some((source.info().meta.clone(), content)))
    }
}

/// A snapshot that is being written. Dropped before it is finished, it leaves nothing behind.
pub trait SnapshotSink: Send {
    /// Appends to the content. May block.
    ///
    /// # Errors
    ///
    /// As the medium has it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Makes the snapshot durable and puts it in its place, all at once; then it is one of those that
    /// are there, and older ones are removed. If `expected` is given, size and checksum must be those.
    /// May block.
    ///
    /// # Errors
    ///
    /// [`StoreError::Other`] if they are not, and nothing is left of it; otherwise as the medium has it.
    fn finish(self: Box<Self>, expected: Option<(u64, u32)>) -> Result<SnapshotInfo, StoreError>;
}

/// A snapshot that is there.
pub trait SnapshotSource: Send + Sync {
    /// What it is.
    fn info(&self) -> &SnapshotInfo;

    /// Some of its content from `offset` on, at most `bytes_max` bytes; nothing only at its end. Not
    /// verified. May block.
    ///
    /// # Errors
    ///
    /// As the medium has it.
    fn read_at(&self, offset: u64, bytes_max: usize) -> Result<Bytes, StoreError>;

    /// Compares its content with its checksum. May block.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if they differ; otherwise as the medium has it.
    fn verify(&self) -> Result<(), StoreError>;

    /// Its content as a whole, verified: for small ones.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    fn read_whole(&self) -> Result<Bytes, StoreError> {
        self.verify()?;
        let mut all = BytesMut::new();
        loop {
            let piece = self.read_at(all.len() as u64, PIECE)?;
            if piece.is_empty() {
                return Ok(all.freeze());
            }
            all.extend_from_slice(&piece);
        }
    }
}

/// Size and checksum of what is read piece by piece, until nothing more comes.
///
/// # Errors
///
/// Those of `read`.
pub fn measure<E>(mut read: impl FnMut(u64) -> Result<Bytes, E>) -> Result<(u64, u32), E> {
    let (mut size, mut checksum) = (0, 0);
    loop {
        let piece = read(size)?;
        if piece.is_empty() {
            return Ok((size, checksum));
        }
        size += piece.len() as u64;
        checksum = crc32c_append(checksum, &piece);
    }
}

/// Reads a snapshot from its beginning to its end.
pub struct SnapshotStream<'a> {
    source: &'a dyn SnapshotSource,
    offset: u64,
    piece: Bytes,
}

impl fmt::Debug for SnapshotStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotStream").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl<'a> SnapshotStream<'a> {
    /// A stream of all its content.
    #[must_use]
    pub const fn new(source: &'a dyn SnapshotSource) -> Self {
        Self { source, offset: 0, piece: Bytes::new() }
    }
}

impl Read for SnapshotStream<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.piece = self.source.read_at(self.offset, PIECE).map_err(io::Error::other)?;
            self.offset += self.piece.len() as u64;
        }
        let count = self.piece.len().min(to.len());
        let given = self.piece.split_to(count);
        to.get_mut(..count).unwrap_or_default().copy_from_slice(&given);
        Ok(count)
    }
}

/// Writes into a snapshot, in large pieces.
pub struct SnapshotContent<'a> {
    sink: &'a mut dyn SnapshotSink,
    waiting: Vec<u8>,
    failed: Option<StoreError>,
    is_wanted: &'a dyn Fn() -> bool,
}

impl fmt::Debug for SnapshotContent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotContent").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl<'a> SnapshotContent<'a> {
    /// Writes into this one, for as long as it is wanted.
    pub fn new(sink: &'a mut dyn SnapshotSink, is_wanted: &'a dyn Fn() -> bool) -> Self {
        Self { sink, waiting: Vec::with_capacity(PIECE), failed: None, is_wanted }
    }

    /// Ends: all that was written is with the sink.
    ///
    /// # Errors
    ///
    /// What the sink said when it failed, now or before.
    pub fn end(mut self) -> Result<(), StoreError> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.sink.write(&self.waiting),
        }
    }

    /// What the sink said when it failed.
    #[must_use]
    pub const fn failed(&self) -> Option<&StoreError> {
        self.failed.as_ref()
    }
}

impl Write for SnapshotContent<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            if !(self.is_wanted)() {
                return Err(io::Error::other("the snapshot is not wanted any more"));
            }
            let written = self.sink.write(&self.waiting);
            self.waiting.clear();
            if let Err(error) = written {
                self.failed = Some(error.clone());
                return Err(io::Error::other(error));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
