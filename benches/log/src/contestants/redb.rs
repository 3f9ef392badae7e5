//! redb: a transaction a batch, durable at once, all else as it comes.

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use redb::{Database, Durability, TableDefinition};

use super::Contestant;
use crate::load::Load;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

struct Redb(Database);

pub(super) fn open(dir: &Path, _: &Load) -> Result<Box<dyn Contestant>> {
    Ok(Box::new(Redb(Database::create(dir.join("log.redb"))?)))
}

impl Contestant for Redb {
    fn append(&mut self, index: u64, payloads: &[Bytes]) -> Result<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        let mut log = transaction.open_table(LOG)?;
        for (index, payload) in (index..).zip(payloads) {
            log.insert(index, &payload[..])?;
        }
        drop(log);
        transaction.commit()?;
        Ok(())
    }
}
