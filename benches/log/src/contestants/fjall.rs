//! fjall: a batch with `fdatasync`, all else as it comes.

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::Contestant;
use crate::load::Load;

struct Fjall {
    database: Database,
    log: Keyspace,
}

pub(super) fn open(dir: &Path, _: &Load) -> Result<Box<dyn Contestant>> {
    let database = Database::builder(dir).open()?;
    let log = database.keyspace("log", KeyspaceCreateOptions::default)?;
    Ok(Box::new(Fjall { database, log }))
}

impl Contestant for Fjall {
    fn append(&mut self, index: u64, payloads: &[Bytes]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (index, payload) in (index..).zip(payloads) {
            batch.insert(&self.log, index.to_be_bytes(), &payload[..]);
        }
        batch.commit()?;
        Ok(())
    }
}
