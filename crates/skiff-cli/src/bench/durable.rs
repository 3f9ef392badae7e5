//! Three processes with a log on disk each, and the callers in this one, which write, or read through those
//! that do not lead.

use std::{sync::Arc, time::Duration};

use skiff::{Client, Consistency};
use skiff_kv::{Answer, Command, Kv, Query};

use super::{closed_loop, floor, row::Row};
use crate::{
    args::Bench,
    cluster::{LocalCluster, NODES},
    failure::Failure,
    say,
};

/// How long one command may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many keys are written, again and again.
const KEYS: u32 = 4096;
/// With a key of four bytes, and three that say what it is, the command has 64 bytes.
const VALUE: usize = 57;

/// The processes, and who asks them.
pub(super) struct Setup {
    pub(super) cluster: LocalCluster,
    pub(super) client: Client<Kv>,
    pub(super) leader: usize,
    /// Those whose context switches count.
    pub(super) processes: Vec<u32>,
}

impl Setup {
    /// For what is written before anything is measured: it is tried until it is done, also if a node goes away.
    pub(super) fn patient(&self) -> Client<Kv> {
        self.client.clone().exactly_once(PATIENCE)
    }

    pub(super) async fn start(args: &Bench, options: &[&str]) -> Result<Self, Failure> {
        let mut cluster = LocalCluster::start(args.dir.as_deref(), false, options).await?;
        let (folder, kind) = (cluster.folder(), cluster.file_system());
        say::aside(format_args!("three processes, their data in {} ({kind})", folder.display()));
        let (leader, _) = cluster.leader().await?;
        let client = cluster.client().clone().with_timeout(PATIENCE);
        let mut processes = cluster.pids();
        processes.push(std::process::id());
        Ok(Self { cluster, client, leader, processes })
    }
}

pub(crate) async fn measure_writes(
    args: &Bench,
    mut tell: impl FnMut(Row) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let setup = Setup::start(args, &[]).await?;
    let folder = setup.cluster.folder();
    for clients in &args.clients {
        let before = floor::of_a_durable_command(folder)?;
        let client = setup.client.clone();
        let call = move |number: u32| put(client.clone(), number);
        let measured = closed_loop::measure(*clients, args.seconds, &setup.processes, call).await?;
        // A disk is not equally fast all the time: what it did on both sides counts.
        let after = floor::of_a_durable_command(folder)?;
        tell(Row::new("durable", *clients, (before + after) / 2, &measured))?;
    }
    Ok(())
}

pub(super) async fn put(client: Client<Kv>, number: u32) -> Result<(), String> {
    let command = Command::put(key(number), vec![b'v'; VALUE]);
    client.command(command).await.map(drop).map_err(|error| error.to_string())
}

pub(crate) async fn measure_reads(
    args: &Bench,
    mut tell: impl FnMut(Row) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let setup = Setup::start(args, &[]).await?;
    let patient = setup.patient();
    for number in 0..KEYS {
        put(patient.clone(), number).await.map_err(Failure::failed)?;
    }
    let others = (0..NODES).filter(|node| *node != setup.leader);
    let others: Arc<[String]> = others.map(|node| setup.cluster.address(node).to_owned()).collect();
    for clients in &args.clients {
        // To one that does not lead, and from there to the leader.
        let before = 2 * floor::of_a_round_trip()?;
        let (client, others) = (setup.client.clone(), Arc::clone(&others));
        let call = move |number: u32| get(client.clone(), Arc::clone(&others), number);
        let measured = closed_loop::measure(*clients, args.seconds, &setup.processes, call).await?;
        let after = 2 * floor::of_a_round_trip()?;
        tell(Row::new("reads", *clients, (before + after) / 2, &measured))?;
    }
    Ok(())
}

async fn get(client: Client<Kv>, others: Arc<[String]>, number: u32) -> Result<(), String> {
    let at = &others[number as usize % others.len()];
    let query = Query::Get { key: key(number) };
    match client.query_at(Some(at), Consistency::Linearizable, query).await {
        Ok(Answer::Value(Some(_))) => Ok(()),
        Ok(answer) => Err(format!("a key that was written is not there: {answer:?}")),
        Err(error) => Err(error.to_string()),
    }
}

fn key(number: u32) -> String {
    format!("{:04x}", number % KEYS)
}
