//! A counter that remembers all it did. It is an engine: neither `Clone` nor serde, so it gives and
//! takes its state in its own way, and may keep it.

use std::{
    io::Read,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use skiff_replica::{
    At, Batch, MachineError, Mark, Opened, Queries, SnapshotWriter, Snapshots, StateMachine,
};

#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) value: i64,
    pub(crate) history: Vec<i64>,
    /// Panics when it is to apply this.
    pub(crate) fails_at: Option<i64>,
    /// Where it keeps what it holds, if it does.
    pub(crate) disk: Option<Disk>,
}

/// What outlives a counter.
pub(crate) type Disk = Arc<Mutex<Kept>>;

/// What a counter kept, all of it at once.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    history: Vec<i64>,
    mark: Option<Mark>,
    stored: Vec<Bytes>,
    /// How often it was given a state.
    pub(crate) restores: usize,
}

impl Counter {
    /// A counter with what was kept.
    pub(crate) fn open(disk: &Disk) -> Self {
        let history = disk.lock().expect("no panic").history.clone();
        let value = history.iter().sum();
        Self { value, history, fails_at: None, disk: Some(Arc::clone(disk)) }
    }

    fn keep(&self, stored: Option<Bytes>, mark: Option<Mark>) {
        let Some(disk) = &self.disk else { return };
        let mut kept = disk.lock().expect("no panic");
        kept.history.clone_from(&self.history);
        if mark.is_some() {
            kept.stored.clear();
            kept.mark = mark;
        }
        kept.stored.extend(stored);
    }
}

impl StateMachine for Counter {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, by: i64, _: At) -> i64 {
        assert!(self.fails_at != Some(by), "cannot add {by}");
        self.value += by;
        self.history.push(by);
        self.value
    }
}

impl Queries for Counter {
    type Query = i64;
    type Answer = i64;

    fn query(&self, plus: i64) -> i64 {
        self.value + plus
    }
}

impl Snapshots for Counter {
    fn apply_batch(&mut self, mut batch: Batch<'_, Self>) -> Result<(), MachineError> {
        while let Some((command, at)) = batch.next_command()? {
            let response = self.apply(command, at);
            batch.respond(response);
        }
        self.keep(Some(batch.stored()?), None);
        Ok(())
    }

    fn opened_at(&self) -> Opened {
        let Some(disk) = &self.disk else { return Opened::Empty };
        let kept = disk.lock().expect("no panic");
        kept.mark.clone().map_or(Opened::Empty, |mark| Opened::At {
            mark: Box::new(mark),
            stored: kept.stored.clone(),
        })
    }

    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        let history = self.history.clone();
        Ok(Box::new(move |to| {
            history.iter().try_for_each(|number| to.write_all(&number.to_le_bytes()))
        }))
    }

    fn restore(&mut self, from: &mut dyn Read, mark: Mark) -> Result<(), MachineError> {
        let mut content = Vec::new();
        from.read_to_end(&mut content)?;
        let numbers = content.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok());
        self.history = numbers.map(i64::from_le_bytes).collect();
        self.value = self.history.iter().sum();
        if let Some(disk) = &self.disk {
            disk.lock().expect("no panic").restores += 1;
        }
        self.keep(None, Some(mark));
        Ok(())
    }

    fn checkpoint(&mut self, mark: Mark) -> Result<(), MachineError> {
        self.keep(None, Some(mark));
        Ok(())
    }
}
