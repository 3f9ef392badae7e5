//! A durable counter on three nodes.

use serde::{Deserialize, Serialize};
use skiff::{At, Node, StateMachine};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

impl StateMachine for Counter {
    type Command = i64;
    type Response = i64;
    fn apply(&mut self, by: i64, _: At) -> i64 {
        self.value += by;
        self.value
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let me = std::env::args().nth(1).ok_or("usage: three_nodes ADDRESS")?;
    let peers = ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"];
    let node = Node::builder().state_machine(Counter::default());
    let node = node.listen(&me).data_dir(format!("data-{me}")).peers(peers);
    let node = node.forward_commands(true).start().await?;
    node.ready().await?;
    println!("agreed: {}", node.command(1).await?);
    Ok(node.stopped().await?)
}
