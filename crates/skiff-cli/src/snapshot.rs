//! `skiff snapshot`: have one taken, and look into one.

mod inspect;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use skiff::SnapshotError;

use crate::{failure::Failure, nodes::Nodes, say, sizes};

#[derive(Args, Debug)]
pub(crate) struct Snapshot {
    #[command(subcommand)]
    command: SnapshotCommand,
}

/// What to do about snapshots.
#[derive(Subcommand, Debug)]
enum SnapshotCommand {
    /// Have each of the nodes take a snapshot, and wait until it is durable
    #[command(after_help = "\
Nodes take snapshots by themselves; see --snapshot-after of `skiff serve`. If a node has applied nothing
since its newest snapshot, that is told.

Example:
  skiff snapshot take --nodes 127.0.0.1:7001
  skiff snapshot take --nodes 127.0.0.1:7001,127.0.0.1:7002 --timeout 5m")]
    Take(Take),
    /// Say what is in a snapshot or a backup, and whether it is whole; change nothing
    #[command(after_help = "\
Of a directory, every snapshot is looked at; the node may run meanwhile.

Exit codes:
  0  all of it is whole
  1  there is nothing to look at, or a newer version of skiff wrote it
  5  something is damaged

Example:
  skiff snapshot inspect n1
  skiff snapshot inspect orders.backup --json")]
    Inspect(Inspect),
}

#[derive(Args, Debug)]
struct Take {
    #[command(flatten)]
    nodes: Nodes,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Inspect {
    /// A snapshot's file, a backup, or a node's data directory
    path: PathBuf,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Snapshot) -> Result<(), Failure> {
    match args.command {
        SnapshotCommand::Take(args) => take(&args).await,
        SnapshotCommand::Inspect(args) => inspect::run(&args.path, args.json),
    }
}

async fn take(args: &Take) -> Result<(), Failure> {
    let client = args.nodes.client()?;
    for address in &args.nodes.nodes {
        let taken = client.snapshot(address).await;
        let taken = taken.map_err(|error| not_taken(address, &args.nodes, &error))?;
        let (index, term, size) = (taken.index, taken.term, taken.size);
        if args.json {
            say::json(&json!({
                "node": address, "index": index.0, "term": term.0, "size": size,
                "was_there": taken.was_there,
            }))?;
            continue;
        }
        let was_there = if taken.was_there { ", which was there already" } else { "" };
        say::line(format_args!(
            "{address}: snapshot of {index}/t{term}, {}{was_there}",
            sizes::show(size)
        ));
    }
    Ok(())
}

fn not_taken(address: &str, nodes: &Nodes, error: &SnapshotError) -> Failure {
    match error {
        SnapshotError::Timeout => Failure::failed(format!(
            "{address} has no snapshot yet after {:?}; it goes on taking it. Wait longer with \
             --timeout, or see later with the same command",
            nodes.timeout
        )),
        _ => Failure::failed(format!("{address}: {error}")),
    }
}
