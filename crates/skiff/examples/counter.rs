//! A replicated counter: one process, three nodes, everything in memory.
//!
//! ```text
//! cargo run -p skiff --example counter
//! ```

use serde::{Deserialize, Serialize};
use skiff::{At, Consistency, Node, StateMachine};

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
    let names = ["ann", "bob", "cleo"];
    let mut nodes = Vec::new();
    for name in names {
        // Without a transport of their own, nodes of one process find each other by name.
        let builder = Node::builder().state_machine(Counter::default()).id(name).peers(names);
        nodes.push(builder.forward_commands(true).start().await?);
    }
    for node in &nodes {
        node.ready().await?;
    }
    for node in &nodes {
        let value = node.command(1).await?;
        println!("{} added one: {value}", node.id());
    }
    for node in &nodes {
        let value = node.read(Consistency::Linearizable, |counter| counter.value).await?;
        println!("{} ({}) holds {value}", node.id(), node.state());
    }
    Ok(())
}
