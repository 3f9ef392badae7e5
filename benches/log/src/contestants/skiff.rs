//! Skiff's log: as a node uses it, and without the thread between.

use std::{path::Path, sync::mpsc};

use anyhow::Result;
use bytes::Bytes;
use skiff_core::{Entry, HardState, Index, LogTime, NodeId, Payload, Term, Write};
use skiff_storage::{Done, LogStore, Opening, Persistence, Recovered, Store, Written};
use skiff_wal::{DiskPersistence, Log, LogId, Opened, Options, disk::files::FileDisk};

use super::Contestant;
use crate::load::Load;

/// Opens a folder as a node does, all defaults.
pub(crate) fn reopen(dir: &Path) -> Result<(Store, Recovered)> {
    let mut store = DiskPersistence::new(dir).open(&opening())?;
    let recovered = store.log.load()?;
    Ok((store, recovered))
}

/// One write is outstanding: it is handed to the thread that writes, and its answer is awaited.
struct OneOutstanding(Box<dyn LogStore>);

pub(super) fn open_store(dir: &Path, _: &Load) -> Result<Box<dyn Contestant>> {
    Ok(Box::new(OneOutstanding(reopen(dir)?.0.log)))
}

impl Contestant for OneOutstanding {
    fn append(&mut self, index: u64, payloads: &[Bytes]) -> Result<()> {
        let (tell, told) = mpsc::sync_channel(1);
        // If nobody listens any more, the run is over.
        let done = Done::new(move |result| drop(tell.send(result)));
        if self.0.write(write(index, payloads), done)? == Written::Later {
            told.recv()??;
        }
        Ok(())
    }
}

/// The log itself, in a segment that holds the whole run: it is made before the clock starts.
struct Direct(Log<FileDisk>);

pub(super) fn open_log(dir: &Path, load: &Load) -> Result<Box<dyn Contestant>> {
    /// Head of a record and of an entry, before the payload.
    const ENTRY_HEAD: u64 = 44;
    /// Header of a batch, and what is left free in its last sector.
    const BATCH_HEAD: u64 = 160 + 512;
    let batch = load.entries as u64 * (load.bytes as u64 + ENTRY_HEAD) + BATCH_HEAD;
    let segment_size = (load.batches as u64 + 16) * batch;
    let options = Options { segment_size, fresh_log: LogId(u128::from(fastrand::u64(..))) };
    let Opened { log, .. } = Log::open(FileDisk::new(dir), &opening(), options)?;
    Ok(Box::new(Direct(log)))
}

impl Contestant for Direct {
    fn append(&mut self, index: u64, payloads: &[Bytes]) -> Result<()> {
        match self.0.append(&[write(index, payloads)]).error {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

fn opening() -> Opening {
    Opening {
        cluster: "bench".to_owned(),
        fresh_name: "bench".to_owned(),
        fresh_node: NodeId(1),
        ..Opening::default()
    }
}

fn write(index: u64, payloads: &[Bytes]) -> Write {
    let entry = |(index, payload): (u64, &Bytes)| Entry {
        term: Term(1),
        index: Index(index),
        time: LogTime(index),
        payload: Payload::Command(payload.clone()),
    };
    Write {
        hard_state: HardState { term: Term(1), vote: None },
        entries: (index..).zip(payloads).map(entry).collect(),
        ..Write::default()
    }
}
