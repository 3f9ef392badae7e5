//! Three processes with a log on disk each, and the callers in this one.

use std::{fmt::Write, sync::Arc, time::Duration};

use skiff_kv::Command;

use super::{closed_loop, floor, row::Row};
use crate::{args::Bench, cluster::LocalCluster, failure::Failure, say};

/// How long one command may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many keys are written, again and again.
const KEYS: u32 = 4096;
/// With a key of four bytes, and three that say what it is, the command has 64 bytes.
const VALUE: usize = 57;

pub(crate) async fn measure(
    args: &Bench,
    mut tell: impl FnMut(Row) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut cluster = LocalCluster::start(args.dir.as_deref(), false, &[]).await?;
    let (folder, kind) = (cluster.folder().to_owned(), cluster.file_system());
    say::aside(format_args!("three processes, their data in {} ({kind})", folder.display()));
    cluster.leader().await?;
    let client = cluster.client().clone().with_timeout(PATIENCE);
    let mut processes = cluster.pids();
    processes.push(std::process::id());
    let value = Arc::new("v".repeat(VALUE));
    for clients in &args.clients {
        let before = floor::of_a_durable_command(&folder)?;
        let (client, value) = (client.clone(), Arc::clone(&value));
        let call = move |number: u32| {
            let (client, value) = (client.clone(), Arc::clone(&value));
            async move {
                let mut key = String::with_capacity(4);
                let _never_fails = write!(key, "{:04x}", number % KEYS);
                let command = Command::put(key, value.as_bytes().to_vec());
                client.command(command).await.map(drop).map_err(|error| error.to_string())
            }
        };
        let measured = closed_loop::measure(*clients, args.seconds, &processes, call).await?;
        // A disk is not equally fast all the time: what it did on both sides counts.
        let after = floor::of_a_durable_command(&folder)?;
        tell(Row::new("durable", *clients, (before + after) / 2, &measured))?;
    }
    Ok(())
}
