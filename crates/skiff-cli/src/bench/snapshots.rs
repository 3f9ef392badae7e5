//! Commands while snapshots of a large state are taken and sent.

use std::time::{Duration, Instant};

use bytes::Bytes;
use skiff::Client;
use skiff_kv::{Command, Kv};
use tokio::task::JoinSet;

use super::{
    closed_loop,
    durable::{Setup, put},
    floor,
    row::Row,
};
use crate::{args::Bench, cluster::NODES, failure::Failure, say};

/// How large the values are that make the state large, and how many of them are written at a time.
const VALUE: usize = 16 << 10;
const AT_ONCE: usize = 64;
/// How long a snapshot may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// Fills the store, and has one node need a snapshot. Measures commands while the leader takes a snapshot and
/// that node is sent it, and afterwards, while nothing else goes on.
pub(crate) async fn measure(
    args: &Bench,
    bytes: u64,
    mut tell: impl FnMut(Row) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let options = ["--snapshot-after", "never", "--log-keep", "1000,1MiB"];
    let mut setup = Setup::start(args, &options).await?;
    let behind = (setup.leader + 1) % NODES;
    let at = setup.cluster.address(setup.leader).to_owned();
    for clients in &args.clients {
        setup.cluster.kill(behind)?;
        fill(&setup.patient(), bytes).await?;
        let folder = setup.cluster.folder().to_owned();
        let floor = floor::of_a_durable_command(&folder)?;
        let client = setup.client.clone();
        let call = move |number: u32| put(client.clone(), number);
        let (processes, span) = (setup.processes.clone(), args.seconds);
        let snapshots = snapshots(&mut setup, behind, &at);
        let measured = closed_loop::measure(*clients, span, &processes, call.clone());
        let (measured, took) = tokio::join!(measured, snapshots);
        let took = took?;
        say::aside(format_args!(
            "a snapshot was taken and sent within {:.1} s",
            took.as_secs_f64()
        ));
        if took > span {
            say::aside("that is longer than was measured: give more --seconds");
        }
        tell(Row::new("snapshot", *clients, floor, &measured?))?;
        let measured = closed_loop::measure(*clients, span, &processes, call).await?;
        tell(Row::new("without", *clients, floor, &measured))?;
    }
    Ok(())
}

async fn fill(client: &Client<Kv>, bytes: u64) -> Result<(), Failure> {
    let value = Bytes::from(vec![b'v'; VALUE]);
    let count = bytes / VALUE as u64;
    for first in (0..count).step_by(AT_ONCE) {
        let mut writes = JoinSet::new();
        for number in first..count.min(first + AT_ONCE as u64) {
            let (client, value) = (client.clone(), value.clone());
            let write = Command::put(format!("large-{number}"), value);
            writes.spawn(async move { client.command(write).await });
        }
        for done in writes.join_all().await {
            done.map_err(Failure::failed)?;
        }
    }
    say::aside(format_args!("the store holds {} MiB", bytes >> 20));
    Ok(())
}

/// Has the leader take a snapshot, so that its log is given up, and starts the node that needs it. How long
/// it took until that one has it.
async fn snapshots(setup: &mut Setup, behind: usize, at: &str) -> Result<Duration, Failure> {
    let began = Instant::now();
    let client = setup.client.clone().with_timeout(PATIENCE);
    let taken = client.snapshot(at).await.map_err(Failure::failed)?;
    setup.cluster.restart(behind)?;
    setup.cluster.wait_for(behind, |status| status.applied >= taken.index.0).await?;
    Ok(began.elapsed())
}
