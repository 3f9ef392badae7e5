//! Snapshots of whole nodes: taken by policy, sent to a follower that needs one, installed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;

use common::{soon, until};
use serde::{Deserialize, Serialize};
use skiff::{At, Consistency, Event, Events, Node, StateMachine, transport::MemoryNetwork};

/// Keeps blocks of bytes by number, so that it is large soon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Blocks {
    blocks: BTreeMap<u64, Vec<u8>>,
}

/// The bytes of a block.
const BLOCK: usize = 4 << 10;

impl StateMachine for Blocks {
    type Command = (u64, u8);
    type Response = usize;

    fn apply(&mut self, (number, byte): (u64, u8), _: At) -> usize {
        self.blocks.insert(number, vec![byte; BLOCK]);
        self.blocks.len()
    }
}

const NAMES: [&str; 3] = ["a", "b", "c"];

async fn start(
    network: &MemoryNetwork,
    folder: &std::path::Path,
    name: &str,
) -> (Node<Blocks>, Events) {
    let idle = Node::builder()
        .state_machine(Blocks::default())
        .id(name)
        .transport(network.transport())
        .data_dir(folder.join(name))
        .peers(NAMES)
        .forward_commands(true)
        .snapshot_after(Some(100), None)
        .log_keep(20, usize::MAX)
        .build()
        .unwrap();
    let events = idle.events();
    (idle.start().await.unwrap(), events)
}

async fn fill(node: &Node<Blocks>, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let byte = number.to_le_bytes()[0];
        soon("a response", node.command((number, byte))).await.unwrap();
    }
}

/// The next event for which `wanted` has an answer.
async fn event<T>(events: &mut Events, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
    loop {
        let told = soon(what, events.next()).await.expect("the node tells more");
        if let Some(answer) = wanted(&told) {
            return answer;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_away_gets_a_snapshot() {
    let (network, folder) = (MemoryNetwork::new(), tempfile::tempdir().unwrap());
    let (a, _) = start(&network, folder.path(), "a").await;
    let (b, _) = start(&network, folder.path(), "b").await;
    let (c, _) = start(&network, folder.path(), "c").await;
    for node in [&a, &b, &c] {
        soon("ready", node.ready()).await.unwrap();
    }
    fill(&a, 0..10).await;
    c.stop().await.unwrap();
    // Far more than is kept.
    fill(&a, 10..400).await;
    let leader = if a.status().await.state == "leader" { &a } else { &b };
    let compacted = until(leader, |status| status.first > 200).await;
    assert!(compacted.snapshot + 1 >= compacted.first && compacted.last - compacted.first < 250);

    let (c, mut events) = start(&network, folder.path(), "c").await;
    let installed = event(&mut events, "a snapshot", |told| match told {
        Event::SnapshotInstalled { position } => Some(position.index),
        _ => None,
    });
    let installed = installed.await;
    assert!(installed.0 > 200, "{installed}");
    fill(&a, 400..420).await;
    until(&c, |status| status.applied >= status.last && status.last > 420).await;
    let there = leader.read(Consistency::Linearizable, Blocks::clone).await.unwrap();
    let here = c.read(Consistency::Linearizable, Blocks::clone).await.unwrap();
    assert_eq!(here.blocks.len(), 420);
    assert_eq!(here, there);

    // What it was given survives a restart, and nothing is sent again.
    c.stop().await.unwrap();
    let (c, mut events) = start(&network, folder.path(), "c").await;
    fill(&a, 420..430).await;
    let read = soon("a read", c.read(Consistency::Linearizable, Blocks::clone)).await.unwrap();
    assert_eq!(read.blocks.len(), 430);
    for node in [&a, &b, &c] {
        node.stop().await.unwrap();
    }
    while let Some(told) = soon("an event", events.next()).await {
        assert!(!matches!(told, Event::SnapshotReceiving { .. }), "{told:?}");
    }
}
