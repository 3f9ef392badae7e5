//! Three nodes in this process, and the callers beside them as tasks of the same runtime.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skiff::{At, Node, Raw, StateMachine, transport::MemoryNetwork};

use super::{closed_loop, floor, row::Row};
use crate::{args::Bench, failure::Failure};

/// How large a command is, in bytes.
const COMMAND: usize = 64;
const NAMES: [&str; 3] = ["n1", "n2", "n3"];
/// What takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Counts commands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

impl StateMachine for Counter {
    type Command = Raw;
    type Response = u64;

    fn apply(&mut self, _: Raw, _: At) -> u64 {
        self.count += 1;
        self.count
    }
}

pub(crate) async fn measure(
    args: &Bench,
    mut tell: impl FnMut(Row) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for clients in &args.clients {
        let floor = floor::of_a_wake().await?;
        // Each time new ones, since a log in memory only grows.
        let nodes = start().await?;
        let leader = leader(&nodes).await?;
        let call = move |_| {
            let leader = leader.clone();
            async move {
                let command = Raw(Bytes::copy_from_slice(&[7; COMMAND]));
                leader.command(command).await.map(drop).map_err(|error| error.to_string())
            }
        };
        let me = [std::process::id()];
        let measured = closed_loop::measure(*clients, args.seconds, &me, call).await?;
        tell(Row::new("memory", *clients, floor, &measured))?;
        for node in &nodes {
            node.stop().await.map_err(Failure::failed)?;
        }
    }
    Ok(())
}

async fn start() -> Result<Vec<Node<Counter>>, Failure> {
    let network = MemoryNetwork::new();
    let mut nodes = Vec::new();
    for name in NAMES {
        let builder = Node::builder().state_machine(Counter::default()).id(name);
        let builder = builder.transport(network.transport()).peers(NAMES);
        nodes.push(builder.start().await.map_err(Failure::start)?);
    }
    for node in &nodes {
        let ready = tokio::time::timeout(PATIENCE, node.ready()).await;
        ready.map_err(Failure::failed)?.map_err(Failure::failed)?;
    }
    Ok(nodes)
}

async fn leader(nodes: &[Node<Counter>]) -> Result<Node<Counter>, Failure> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(leader) = nodes.iter().find(|node| node.state() == "leader") {
            return Ok(leader.clone());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(Failure::failed("no node leads"))
}
