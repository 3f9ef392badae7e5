//! A counter that keeps its own data, in an embedded database. Killed at any moment it counts nothing
//! twice and forgets nothing, and it need not fit into memory.
//!
//! ```text
//! cargo run -p skiff --example durable_counter -- 127.0.0.1:7001 data-1 127.0.0.1:7002 127.0.0.1:7003
//! ```

use std::{
    error::Error,
    io::{Read, Write},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use skiff::{
    At, Batch, MachineError, Mark, Node, Opened, Queries, SnapshotWriter, Snapshots, StateMachine,
};

/// The counter itself.
const VALUE: TableDefinition<'_, &str, i64> = TableDefinition::new("value");
/// How far it is: Skiff's own notes, in the same transactions as the data. The mark of the last checkpoint,
/// and what is kept of each batch since.
const MARK: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("mark");
const STORED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("stored");

struct Counter {
    database: Database,
    opened: Opened,
}

impl Counter {
    fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let database = Database::create(path)?;
        let begin = database.begin_write()?;
        let (mark, stored) = {
            // Opening a table makes it, if it is not there.
            begin.open_table(VALUE)?;
            let (marks, batches) = (begin.open_table(MARK)?, begin.open_table(STORED)?);
            let mark = marks.get("mark")?.map(|mark| Mark::decode(mark.value())).transpose()?;
            let stored = batches.iter()?.map(|row| Ok(Bytes::copy_from_slice(row?.1.value())));
            (mark, stored.collect::<Result<_, redb::StorageError>>()?)
        };
        begin.commit()?;
        let at = |mark| Opened::At { mark: Box::new(mark), stored };
        Ok(Self { database, opened: mark.map_or(Opened::Empty, at) })
    }

    fn value(&self) -> Result<i64, Box<dyn Error>> {
        let value = self.database.begin_read()?.open_table(VALUE)?.get("value")?;
        Ok(value.map_or(0, |value| value.value()))
    }

    /// A batch is one transaction: its effects, and how far that is. It need not be durable at once, since
    /// the log is; but of all this everything is kept or nothing.
    fn add(&self, mut batch: Batch<'_, Self>) -> Result<(), Box<dyn Error>> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        {
            let mut table = transaction.open_table(VALUE)?;
            let mut value = table.get("value")?.map_or(0, |value| value.value());
            while let Some((by, _)) = batch.next_command()? {
                value += by;
                batch.respond(value);
            }
            table.insert("value", value)?;
            let (last, kept) = (batch.last().index.0, batch.stored()?);
            transaction.open_table(STORED)?.insert(last, &*kept)?;
        }
        Ok(transaction.commit()?)
    }

    /// Everything so far is durable, together with the mark; perhaps with another value. What was kept of
    /// single batches has done its duty.
    fn keep(&self, mark: &Mark, value: Option<i64>) -> Result<(), Box<dyn Error>> {
        let transaction = self.database.begin_write()?;
        transaction.delete_table(STORED)?;
        transaction.open_table(STORED)?;
        transaction.open_table(MARK)?.insert("mark", &*mark.encode())?;
        if let Some(value) = value {
            transaction.open_table(VALUE)?.insert("value", value)?;
        }
        Ok(transaction.commit()?)
    }
}

impl StateMachine for Counter {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, _: i64, _: At) -> i64 {
        unreachable!("commands come in batches, see below")
    }
}

impl Snapshots for Counter {
    fn apply_batch(&mut self, batch: Batch<'_, Self>) -> Result<(), MachineError> {
        self.add(batch).map_err(MachineError::new)
    }

    fn checkpoint(&mut self, mark: Mark) -> Result<(), MachineError> {
        self.keep(&mark, None).map_err(MachineError::new)
    }

    fn opened_at(&self) -> Opened {
        self.opened.clone()
    }

    /// The state as it stands. Where there is more of it, the closure reads from a transaction that is
    /// begun here: that costs nothing, and later commands do not change what it sees.
    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        let value = self.value().map_err(MachineError::new)?;
        Ok(Box::new(move |to: &mut dyn Write| to.write_all(&value.to_le_bytes())))
    }

    /// The state of another node and its mark, in one transaction.
    fn restore(&mut self, from: &mut dyn Read, mark: Mark) -> Result<(), MachineError> {
        let mut value = [0; 8];
        from.read_exact(&mut value)?;
        self.keep(&mark, Some(i64::from_le_bytes(value))).map_err(MachineError::new)
    }
}

impl Queries for Counter {
    type Query = ();
    type Answer = Option<i64>;

    fn query(&self, (): ()) -> Option<i64> {
        self.value().ok()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let usage = "usage: durable_counter ADDRESS FOLDER [PEER]...";
    let (address, folder) = (words.next().ok_or(usage)?, words.next().ok_or(usage)?);
    std::fs::create_dir_all(&folder)?;
    let counter = Counter::open(&Path::new(&folder).join("counter.redb"))?;
    let builder =
        Node::builder().state_machine(counter).answer_queries().id(&address).listen(&address);
    let builder = builder.data_dir(Path::new(&folder).join("raft")).peers(words);
    // Small numbers, so that all of it happens while one looks on.
    let builder = builder.checkpoint_after(200, 1 << 20, Duration::from_secs(1));
    let builder = builder.snapshot_after(Some(1000), None).log_keep(100, 1 << 20);
    let node = builder.start().await?;
    node.ready().await?;
    println!("ready");
    tokio::select! {
        ended = node.stopped() => ended?,
        _ = tokio::signal::ctrl_c() => node.stop().await?,
    }
    Ok(())
}
