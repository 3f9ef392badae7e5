//! What drivers do with snapshots: write one from a machine's view, keep the pieces of one that comes,
//! read a piece of one that goes. All of it may block, and none of it decides anything.

use std::sync::Arc;

use bytes::Bytes;
use skiff_core::{NodeId, Position};
use skiff_storage::{
    SnapshotContent, SnapshotInfo, SnapshotMeta, SnapshotSink, SnapshotStore, SnapshotStream,
    StoreError,
};

use crate::{
    applier::{Applier, catch},
    input::NotKept,
    machine::{MachineError, Mark, SnapshotWriter, Snapshots},
};

/// A piece of a snapshot that comes from another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What the snapshot is.
    pub info: Arc<SnapshotInfo>,
    /// Where in its content the piece begins. One at zero begins the snapshot, whatever there was.
    pub offset: u64,
    /// The piece.
    pub bytes: Bytes,
}

impl Piece {
    /// Whether it is the last one.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.offset + self.bytes.len() as u64 >= self.info.size
    }
}

/// The snapshot that is being kept piece by piece.
#[derive(Default)]
pub struct Incoming {
    sink: Option<(Position, Box<dyn SnapshotSink>)>,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("of", &self.sink.as_ref().map(|sink| sink.0)).finish()
    }
}

impl Incoming {
    /// Keeps a piece. With the last one the snapshot is durable on return, and verified.
    ///
    /// # Errors
    ///
    /// If the store could not, or if what came is not what was meant. Nothing of the snapshot is left
    /// then.
    pub fn keep(&mut self, store: &dyn SnapshotStore, piece: &Piece) -> Result<(), NotKept> {
        let kept = self.try_keep(store, piece);
        if kept.is_err() {
            self.sink = None;
        }
        kept.map_err(NotKept::from)
    }

    fn try_keep(&mut self, store: &dyn SnapshotStore, piece: &Piece) -> Result<(), StoreError> {
        let SnapshotInfo { meta, size, checksum } = &*piece.info;
        if piece.offset == 0 {
            self.sink = None;
            self.sink = Some((meta.position, store.create(meta)?));
        }
        let begun = self.sink.take().filter(|(position, _)| *position == meta.position);
        let Some((position, mut sink)) = begun else {
            return Err(StoreError::Busy(format!(
                "another snapshot than that of {}",
                meta.position
            )));
        };
        sink.write(&piece.bytes)?;
        if piece.is_last() {
            return sink.finish(Some((*size, *checksum))).map(drop);
        }
        self.sink = Some((position, sink));
        Ok(())
    }

    /// Gives up what was kept.
    pub fn forget(&mut self) {
        self.sink = None;
    }
}

/// Writes a machine's view into the store, as the snapshot that `meta` tells of, for as long as it is
/// wanted.
///
/// # Errors
///
/// If the machine failed or panicked, or the store could not.
pub fn write_snapshot(
    store: &dyn SnapshotStore,
    meta: &SnapshotMeta,
    view: SnapshotWriter,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Box<SnapshotInfo>, NotKept> {
    let mut sink = store.create(meta)?;
    let mut content = SnapshotContent::new(&mut *sink, is_wanted);
    let written = catch(|| Ok(view(&mut content)?));
    if let (Err(error), None) = (written, content.failed()) {
        return Err(NotKept { recoverable: true, reason: error.reason });
    }
    content.end()?;
    Ok(Box::new(sink.finish(None)?))
}

/// Some of a snapshot's content.
///
/// # Errors
///
/// If it is not there any more, or cannot be read.
pub fn read_piece(
    store: &dyn SnapshotStore,
    position: Position,
    offset: u64,
    bytes_max: usize,
) -> Result<Bytes, StoreError> {
    store.open(position)?.read_at(offset, bytes_max)
}

/// Makes the content of a snapshot the state of a machine. It is verified before anything is touched.
///
/// # Errors
///
/// If it is damaged, or the machine cannot take it.
pub fn restore_snapshot<M: Snapshots>(
    applier: &mut Applier<M>,
    store: &dyn SnapshotStore,
    position: Position,
    node: NodeId,
) -> Result<(), MachineError> {
    let source = store.open(position).map_err(MachineError::new)?;
    source.verify().map_err(MachineError::new)?;
    let SnapshotMeta { instance, membership, .. } = source.info().meta.clone();
    let mark = Mark::new(instance, node, position, membership);
    applier.restore_from(&mut SnapshotStream::new(&*source), mark)
}
