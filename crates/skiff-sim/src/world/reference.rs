//! A machine beside all nodes that is given everything that was applied anywhere, once and in order: what a
//! snapshot or a backup stands for must be what this one holds there.

use bytes::Bytes;
use skiff_replica::{
    Applier, Apply, Index, InstanceId, Mark, Position, Snapshots, Term,
    core::{Entry, Membership, NodeId},
};

use super::World;
use crate::{failure::Failure, kept::Kept, workload::Workload};

/// With which a cluster begins.
const GENESIS: Position = Position { term: Term(1), index: Index(1) };

pub(crate) struct Reference<M: Snapshots> {
    /// Everything that was applied anywhere after the genesis, in order.
    entries: Vec<Entry>,
    instance: InstanceId,
    /// The machine, as far as somebody wanted to know.
    applier: Option<Applier<Kept<M>>>,
}

impl<M: Snapshots> Default for Reference<M> {
    fn default() -> Self {
        Self { entries: Vec::new(), instance: InstanceId::default(), applier: None }
    }
}

impl<M: Snapshots> Reference<M> {
    fn last(&self) -> Index {
        Index(GENESIS.index.0 + self.entries.len() as u64)
    }

    /// Some node has applied these.
    pub(super) fn note(&mut self, instance: InstanceId, entries: &[Entry]) {
        self.instance = instance;
        for entry in entries {
            if entry.index == self.last().next() {
                self.entries.push(entry.clone());
            }
        }
    }

    /// The state after an entry, if it was applied; with `again` also if that was long ago.
    fn state_at(
        &mut self,
        index: Index,
        again: bool,
        machine: impl FnOnce() -> M,
    ) -> Result<Option<Bytes>, String> {
        let stands = self.applier.as_ref().map_or(Index::ZERO, Applier::applied);
        if index > self.last() || index <= GENESIS.index || (index < stands && !again) {
            return Ok(None);
        }
        let mut applier = match self.applier.take().filter(|_| stands <= index) {
            Some(applier) => applier,
            None => begin(machine(), self.instance)?,
        };
        let place = |index: Index| usize::try_from(index.0 - GENESIS.index.0).unwrap_or(usize::MAX);
        let new = &self.entries[place(applier.applied())..place(index)];
        let all = Apply { entries: new.to_vec(), tokens: Vec::new() };
        applier.apply(&all, &mut Vec::new()).map_err(|error| error.to_string())?;
        applier.take_answers();
        let mut state = Vec::new();
        let view = applier.view(index).map_err(|error| error.to_string())?;
        view(&mut state).map_err(|error| error.to_string())?;
        self.applier = Some(applier);
        Ok(Some(state.into()))
    }
}

/// A machine as each node starts with, after the genesis.
fn begin<M: Snapshots>(machine: M, instance: InstanceId) -> Result<Applier<Kept<M>>, String> {
    let words = |error: skiff_replica::MachineError| error.to_string();
    let mut applier = Applier::new(Kept::open(machine, None).map_err(words)?);
    let first = applier.capture().map_err(words)?;
    let mark = Mark::new(instance, NodeId::default(), GENESIS, Membership::default());
    applier.restore(&first, mark).map_err(words)?;
    Ok(applier)
}

impl<W: Workload> World<'_, '_, W> {
    /// What everything up to an entry comes to, sessions included, if that is known; with `again` also where
    /// it takes applying all of it once more.
    pub(super) fn comes_to(&mut self, index: Index, again: bool) -> Result<Option<Bytes>, Failure> {
        let machine = || self.workload.machine();
        let state = self.reference.state_at(index, again, machine);
        state.map_err(|text| self.failure("state_machine", text))
    }
}
