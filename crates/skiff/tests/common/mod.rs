//! Clusters in one process, for tests.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "shared by several tests")]

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skiff::{At, Builder, Node, Snapshots, StateMachine, Status, transport::MemoryNetwork};

/// Adds up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counter {
    pub value: i64,
}

impl StateMachine for Counter {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, by: i64, _: At) -> i64 {
        self.value += by;
        self.value
    }
}

/// What takes longer than this hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain: {what}"),
    }
}

/// Nodes of these names on one network, each told of all others.
pub async fn start(
    network: &MemoryNetwork,
    names: &[&str],
    configure: impl Fn(Builder<Counter>) -> Builder<Counter>,
) -> Vec<Node<Counter>> {
    let mut nodes = Vec::new();
    for name in names {
        let builder = Node::builder()
            .state_machine(Counter::default())
            .id(*name)
            .transport(network.transport())
            .peers(names.iter().copied());
        nodes.push(configure(builder).start().await.unwrap());
    }
    nodes
}

/// Three nodes, members of one cluster with a leader.
pub async fn three(network: &MemoryNetwork) -> Vec<Node<Counter>> {
    let nodes = start(network, &["a", "b", "c"], |builder| builder).await;
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    nodes
}

/// The node that leads.
pub async fn leader(nodes: &[Node<Counter>]) -> Node<Counter> {
    loop {
        for node in nodes {
            if node.status().await.state == "leader" {
                return node.clone();
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Waits until the node's status is as wanted.
pub async fn until<M: Snapshots>(node: &Node<M>, wanted: impl FnMut(&Status) -> bool) -> Status {
    let mut watch = node.watch();
    soon("a status", watch.wait_for(wanted)).await.unwrap().clone()
}
