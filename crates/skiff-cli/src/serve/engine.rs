//! What keeps the keys and their values of a node that serves.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use skiff::{Builder, Node, Queries, Snapshots};
use skiff_kv::{Answer, Command, Kv, Query, Response};
use skiff_redb::RedbKv;

/// The file of the database, in the data directory: it is set aside with it.
const FILE: &str = "machine-kv.redb";

/// What keeps them. Clients and other nodes see no difference: commands, answers, digests and the bytes of
/// snapshots are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// In memory; a restart reads the newest snapshot and the log behind it
    Memory,
    /// In a database in the data directory; a restart applies only what came since its last mark
    Redb,
}

/// A key-value store, however it keeps its pairs.
pub(crate) trait Store:
    Snapshots<Command = Command, Response = Response> + Queries<Query = Query, Answer = Answer>
{
}

impl<M> Store for M where
    M: Snapshots<Command = Command, Response = Response> + Queries<Query = Query, Answer = Answer>
{
}

/// The database's file in this directory.
pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// A node with a store in memory.
pub(crate) fn memory() -> Builder<Kv> {
    Node::builder().state_machine(Kv::new())
}

/// A node whose store is a database in this directory, with so many bytes of memory for its cache.
pub(crate) fn redb(dir: &Path, cache: usize) -> Builder<RedbKv> {
    let file = file(dir);
    Node::builder().state_machine_with(move || RedbKv::open_with_cache(file, cache))
}
