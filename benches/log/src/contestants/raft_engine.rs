//! raft-engine, the log of TiKV: synced writes, compression off.
//!
//! The payloads are random, so compressing them (the default from 8 KiB on) would only cost.

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use super::Contestant;
use crate::load::Load;

const GROUP: u64 = 1;
const INDEX: usize = 8;

/// An entry is a message of bytes: the index, then the payload. It takes as much room as a usual
/// entry with index and term.
struct Entries;

impl MessageExt for Entries {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        entry.value.first_chunk().map_or(0, |index: &[u8; INDEX]| u64::from_le_bytes(*index))
    }
}

struct RaftEngine {
    engine: Engine,
    batch: LogBatch,
}

/// All else as it comes: a file that grows.
pub(super) fn open(dir: &Path, _: &Load) -> Result<Box<dyn Contestant>> {
    open_with(config(dir))
}

/// Files that are written with zeros before the clock starts and overwritten then: its best case.
/// Only the first file grows; of this size, it is full before the clock starts (unless the turn is made
/// shorter than it is by default).
pub(super) fn open_prefilled(dir: &Path, load: &Load) -> Result<Box<dyn Contestant>> {
    const FILE: u64 = 16 << 20;
    let needed = load.entries as u64 * (load.bytes as u64 + 32) * load.batches as u64;
    open_with(Config {
        target_file_size: ReadableSize(FILE),
        prefill_for_recycle: true,
        prefill_limit: Some(ReadableSize(needed.next_multiple_of(FILE) + FILE)),
        ..config(dir)
    })
}

fn config(dir: &Path) -> Config {
    Config {
        dir: dir.display().to_string(),
        batch_compression_threshold: ReadableSize(0),
        ..Config::default()
    }
}

fn open_with(config: Config) -> Result<Box<dyn Contestant>> {
    Ok(Box::new(RaftEngine { engine: Engine::open(config)?, batch: LogBatch::default() }))
}

impl Contestant for RaftEngine {
    fn append(&mut self, index: u64, payloads: &[Bytes]) -> Result<()> {
        let entry = |(index, payload): (u64, &Bytes)| {
            let mut entry = BytesValue::new();
            entry.value.reserve_exact(INDEX + payload.len());
            entry.value.extend_from_slice(&index.to_le_bytes());
            entry.value.extend_from_slice(payload);
            entry
        };
        let entries: Vec<_> = (index..).zip(payloads).map(entry).collect();
        self.batch.add_entries::<Entries>(GROUP, &entries)?;
        self.engine.write(&mut self.batch, true)?;
        Ok(())
    }
}
