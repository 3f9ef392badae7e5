//! A machine with a store of its own, as an embedded database is one: what it committed since its last
//! checkpoint may be lost in a crash, from some batch on.

use std::{
    io::Read,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use skiff_replica::{
    At, Batch, MachineError, Mark, Opened, Position, SnapshotWriter, Snapshots, StateMachine,
};

/// What outlives a machine's process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// The state as of the last checkpoint, which no crash takes away, and its mark.
    marked: Option<(Bytes, Mark)>,
    /// The state after each batch since, and what is kept of the batch.
    batches: Vec<(Bytes, Bytes)>,
}

/// A machine, with a store of its own or without.
pub(crate) struct Kept<M> {
    machine: M,
    store: Option<Store>,
}

impl Store {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest state, and the mark of the last checkpoint.
    fn newest(&self) -> Option<(Bytes, Mark)> {
        let held = self.held();
        let (marked, mark) = held.marked.clone()?;
        Some((held.batches.last().map_or(marked, |(state, _)| state.clone()), mark))
    }

    /// Where the last checkpoint was made.
    pub(crate) fn mark(&self) -> Option<Position> {
        self.held().marked.as_ref().map(|(_, mark)| mark.position)
    }

    /// How many batches were committed since the last checkpoint.
    pub(crate) fn batches(&self) -> usize {
        self.held().batches.len()
    }

    /// A crash: of what was committed since the last checkpoint so many batches are left.
    pub(crate) fn crash(&self, batches: usize) {
        self.held().batches.truncate(batches);
    }

    /// It is emptied.
    pub(crate) fn wipe(&self) {
        *self.held() = Held::default();
    }
}

impl<M: Snapshots> Kept<M> {
    /// A machine that begins with what its store holds.
    pub(crate) fn open(mut machine: M, store: Option<Store>) -> Result<Self, MachineError> {
        if let Some((state, mark)) = store.as_ref().and_then(Store::newest) {
            machine.restore(&mut &state[..], mark)?;
        }
        Ok(Self { machine, store })
    }

    pub(crate) const fn machine(&self) -> &M {
        &self.machine
    }

    fn state(&self) -> Result<Bytes, MachineError> {
        let mut state = Vec::new();
        self.machine.snapshot()?(&mut state)?;
        Ok(state.into())
    }
}

impl<M: Snapshots> StateMachine for Kept<M> {
    type Command = M::Command;
    type Response = M::Response;
    const VERSION: u32 = M::VERSION;

    fn apply(&mut self, command: M::Command, at: At) -> M::Response {
        self.machine.apply(command, at)
    }

    fn digest(&self) -> Option<u64> {
        self.machine.digest()
    }
}

impl<M: Snapshots> Snapshots for Kept<M> {
    const CODEC: &'static str = M::CODEC;

    fn apply_batch(&mut self, mut batch: Batch<'_, Self>) -> Result<(), MachineError> {
        self.machine.apply_batch(batch.lend())?;
        if let Some(store) = &self.store {
            let kept = (self.state()?, batch.stored()?);
            store.held().batches.push(kept);
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        self.machine.snapshot()
    }

    fn restore(&mut self, from: &mut dyn Read, mark: Mark) -> Result<(), MachineError> {
        self.machine.restore(from, mark.clone())?;
        self.checkpoint(mark)
    }

    fn opened_at(&self) -> Opened {
        let Some(store) = &self.store else { return self.machine.opened_at() };
        let held = store.held();
        let Some((_, mark)) = &held.marked else { return Opened::Empty };
        let stored = held.batches.iter().map(|(_, stored)| stored.clone()).collect();
        Opened::At { mark: Box::new(mark.clone()), stored }
    }

    fn checkpoint(&mut self, mark: Mark) -> Result<(), MachineError> {
        let Some(store) = &self.store else { return self.machine.checkpoint(mark) };
        let state = self.state()?;
        let mut held = store.held();
        held.marked = Some((state, mark));
        held.batches.clear();
        Ok(())
    }
}
