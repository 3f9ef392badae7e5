#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod stream;
mod tables;

use std::{fmt, io::Read, path::Path};

use bytes::Bytes;
use redb::{Database, Durability, ReadableDatabase, WriteTransaction};
use skiff::{
    At, Batch, MachineError, Mark, Opened, Queries, SnapshotWriter, Snapshots, StateMachine,
};
use skiff_kv::{Answer, Command, Kv, Query, Response, content};

use crate::tables::{MARK, PAIRS, Pairs, STORED, SUM};

/// How much memory the database may use for its cache, if nothing else is said.
const CACHE_BYTES: usize = 64 << 20;

/// Keys and their values, in a file.
pub struct RedbKv {
    database: Database,
    opened: Opened,
}

/// What any part of it may fail with.
type Told<T> = Result<T, redb::Error>;

impl fmt::Debug for RedbKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbKv").field("opened", &self.opened).finish_non_exhaustive()
    }
}

impl RedbKv {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    ///
    /// If that cannot be done, another process has it open, or it is something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MachineError> {
        Self::open_with_cache(path, CACHE_BYTES)
    }

    /// As [`open`](Self::open), with so much memory for the database's cache.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open_with_cache(path: impl AsRef<Path>, bytes: usize) -> Result<Self, MachineError> {
        let database = Database::builder().set_cache_size(bytes).create(path);
        let database = database.map_err(MachineError::new)?;
        let (mark, stored) = notes(&database).map_err(MachineError::new)?;
        let mark = mark.map(|mark| Mark::decode(&mark)).transpose()?;
        let at = |mark| Opened::At { mark: Box::new(mark), stored };
        Ok(Self { database, opened: mark.map_or(Opened::Empty, at) })
    }

    /// One transaction for the whole batch. It need not be durable: what it did is lost all together or not
    /// at all, and the log has it.
    fn apply_all(&self, mut batch: Batch<'_, Self>) -> Result<(), MachineError> {
        let mut transaction = self.database.begin_write().map_err(MachineError::new)?;
        transaction.set_durability(Durability::None).map_err(MachineError::new)?;
        {
            let mut pairs = Pairs::open(&transaction).map_err(MachineError::new)?;
            while let Some((command, _)) = batch.next_command()? {
                let response = pairs.apply(command)?;
                batch.respond(response);
            }
            pairs.keep_sum().map_err(MachineError::new)?;
        }
        store(&transaction, batch.last().index.0, &batch.stored()?).map_err(MachineError::new)?;
        transaction.commit().map_err(MachineError::new)
    }

    fn keep(&self, mark: &Mark) -> Told<()> {
        let mut transaction = self.database.begin_write()?;
        // A start after a crash need not read the whole file then.
        transaction.set_quick_repair(true);
        note(&transaction, mark)?;
        Ok(transaction.commit()?)
    }

    /// Everything anew, in one transaction: until it is committed the old state stands.
    fn replace(&self, from: &mut dyn Read, mark: &Mark) -> Result<(), MachineError> {
        let mut transaction = self.database.begin_write().map_err(MachineError::new)?;
        transaction.set_quick_repair(true);
        transaction.delete_table(PAIRS).map_err(MachineError::new)?;
        {
            let mut pairs = Pairs::open_anew(&transaction).map_err(MachineError::new)?;
            content::read(from, |key, value| {
                pairs.put(key, value).map(drop).map_err(MachineError::new)
            })?;
            pairs.keep_sum().map_err(MachineError::new)?;
        }
        note(&transaction, mark).map_err(MachineError::new)?;
        transaction.commit().map_err(MachineError::new)
    }

    /// Answers a question; `None` if it is of a kind that is not known here.
    fn ask(&self, query: Query) -> Told<Option<Answer>> {
        let transaction = self.database.begin_read()?;
        let pairs = transaction.open_table(PAIRS)?;
        Ok(Some(match query {
            Query::Get { key } => Answer::Value(tables::get(&pairs, &key)?),
            Query::List { prefix, after, limit } => {
                tables::page(&pairs, &prefix, after.as_deref(), limit)?
            }
            Query::Len => Answer::Len(tables::len(&pairs)?),
            Query::Digest => Answer::Digest(self.sum()?),
            _ => return Ok(None),
        }))
    }

    fn sum(&self) -> Told<u64> {
        let sums = self.database.begin_read()?.open_table(SUM)?;
        tables::sum(&sums)
    }
}

impl StateMachine for RedbKv {
    type Command = Command;
    type Response = Response;

    const VERSION: u32 = Kv::VERSION;

    fn apply(&mut self, _: Command, _: At) -> Response {
        unreachable!("commands come in batches, each of which is one transaction")
    }

    fn digest(&self) -> Option<u64> {
        self.sum().ok()
    }
}

impl Snapshots for RedbKv {
    /// That of the store in memory: nodes of both kinds can be in one cluster.
    const CODEC: &'static str = Kv::CODEC;

    fn apply_batch(&mut self, batch: Batch<'_, Self>) -> Result<(), MachineError> {
        self.apply_all(batch)
    }

    /// A transaction that reads: it costs nothing, and sees the state as it is now for as long as it lives.
    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        let transaction = self.database.begin_read().map_err(MachineError::new)?;
        Ok(Box::new(move |to| stream::write(&transaction, to)))
    }

    fn restore(&mut self, from: &mut dyn Read, mark: Mark) -> Result<(), MachineError> {
        self.replace(from, &mark)
    }

    fn opened_at(&self) -> Opened {
        self.opened.clone()
    }

    fn checkpoint(&mut self, mark: Mark) -> Result<(), MachineError> {
        self.keep(&mark).map_err(MachineError::new)
    }
}

impl Queries for RedbKv {
    type Query = Query;
    type Answer = Answer;

    /// A file that cannot be read panics: whoever asked is told so, and the machine is as it was.
    fn query(&self, query: Query) -> Answer {
        match self.ask(query) {
            Ok(Some(answer)) => answer,
            Ok(None) => panic!("this question is not known here: upgrade this node"),
            Err(error) => panic!("the database cannot be read: {error}"),
        }
    }
}

/// What a database holds of its place in the log. Makes the tables.
fn notes(database: &Database) -> Told<(Option<Bytes>, Vec<Bytes>)> {
    let transaction = database.begin_write()?;
    let notes = {
        Pairs::open(&transaction)?.keep_sum()?;
        let (marks, stored) = (transaction.open_table(MARK)?, transaction.open_table(STORED)?);
        (tables::mark(&marks)?, tables::stored(&stored)?)
    };
    transaction.commit()?;
    Ok(notes)
}

/// Notes how far a batch is, in its own transaction.
fn store(transaction: &WriteTransaction, last: u64, stored: &[u8]) -> Told<()> {
    transaction.open_table(STORED)?.insert(last, stored)?;
    Ok(())
}

/// Notes a mark. What was kept of batches is in it.
fn note(transaction: &WriteTransaction, mark: &Mark) -> Told<()> {
    transaction.delete_table(STORED)?;
    transaction.open_table(STORED)?;
    transaction.open_table(MARK)?.insert("mark", &*mark.encode())?;
    Ok(())
}
