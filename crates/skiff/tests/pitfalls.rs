//! Mistakes that other implementations made around the loop, the callers and the events, each told
//! as a test.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod pitfall;

use std::{sync::Arc, time::Duration};

use common::{Counter, leader, soon, start, three, until};
use serde::{Deserialize, Serialize};
use skiff::{
    At, CommandError, Consistency, Event, Node, Outcome, ReadError, StateMachine,
    storage::MemoryPersistence, transport::MemoryNetwork,
};

/// Answers were given twice or never, or shifted to the next caller, once operations were aborted.
#[tokio::test]
async fn each_call_answered_once() {
    let network = MemoryNetwork::new();
    let nodes = start(&network, &["a", "b", "c"], |builder| builder.forward_commands(true)).await;
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let mut calls = Vec::new();
    for call in 0..3_000 {
        let node = nodes[call % 3].clone();
        calls.push(tokio::spawn(async move { node.command(1).await }));
        if call % 1_000 == 500 {
            let leader = soon("a leader", leader(&nodes)).await;
            let others = nodes.iter().filter(|node| node.id() != leader.id());
            others.for_each(|node| network.cut(leader.id(), node.id()));
            let other = nodes.iter().find(|node| node.id() != leader.id()).unwrap();
            let old = leader.id().to_owned();
            until(other, |status| status.leader.as_ref().is_some_and(|name| *name != old)).await;
            let others = nodes.iter().filter(|node| node.id() != leader.id());
            others.for_each(|node| network.heal(leader.id(), node.id()));
        }
    }
    let mut values = Vec::new();
    let mut unknown = 0;
    for call in calls {
        match soon("an answer", call).await.unwrap() {
            Ok(value) => values.push(value),
            Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
            Err(error) => assert_eq!(error.outcome(), Outcome::NotApplied, "{error}"),
        }
    }
    let answered = values.len();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), answered, "two callers got the response of one command");
    let total = read(&nodes).await;
    let least = i64::try_from(answered).unwrap();
    assert!(total >= least && total <= least + unknown, "{total} of {answered} and {unknown}");
}

/// A linearizable read that is tried again until a leader serves it.
async fn read(nodes: &[Node<Counter>]) -> i64 {
    soon("a read", async {
        loop {
            match nodes[0].read(Consistency::Linearizable, |machine| machine.value).await {
                Ok(value) => return value,
                Err(ReadError::NotLeader { .. } | ReadError::Timeout) => {
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await
}

/// The loop waited for a listener that waited for the loop.
#[tokio::test]
async fn slow_listener_harmless() {
    let idle = Node::builder().state_machine(Counter::default()).build().unwrap();
    let mut never_read = idle.events();
    let node = idle.start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    for _ in 0..10_000 {
        node.command(1).await.unwrap();
    }
    assert!(matches!(never_read.next().await, Some(Event::Lagged(missed)) if missed > 0));
}

/// Two readers of one channel stole each other's events.
#[tokio::test]
async fn two_watchers_see_all() {
    let idle = Node::builder().state_machine(Counter::default()).build().unwrap();
    let (mut one, mut other) = (idle.events(), idle.events());
    let node = idle.start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    node.command(1).await.unwrap();
    node.stop().await.unwrap();
    drop(node);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    while let Some(event) = soon("an event", one.next()).await {
        first.push(event);
    }
    while let Some(event) = soon("an event", other.next()).await {
        second.push(event);
    }
    assert!(!first.is_empty());
    assert_eq!(first, second);
}

/// Leadership came before the subscription, and the waiter hung.
#[tokio::test]
async fn early_event_not_lost() {
    let node = Node::builder().bootstrap().start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let mut watch = node.watch();
    let status = soon("the present state", watch.wait_for(|status| status.state == "leader")).await;
    assert_eq!(status.unwrap().id, node.id());
}

/// Requests whose callers had given up stayed in the table as long as the leader was in office.
#[tokio::test]
async fn abandoned_call_freed() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let old = soon("a leader", leader(&nodes)).await;
    for node in nodes.iter().filter(|node| node.id() != old.id()) {
        network.cut(old.id(), node.id());
    }
    let calls: Vec<_> = (0..20_000)
        .map(|_| {
            let node = old.clone();
            tokio::spawn(async move { node.command_within(1, Duration::from_millis(1)).await })
        })
        .collect();
    for call in calls {
        assert!(soon("an answer", call).await.unwrap().is_err());
    }
    assert_eq!(old.status().await.waiting_calls, 0);
}

/// A command whose deadline has passed before it was looked at must never enter the log.
#[tokio::test]
async fn dropped_caller_after_deadline_is_not_applied() {
    let node = Node::builder().state_machine(Counter::default()).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let error = node.command_within(1, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, CommandError::Timeout { outcome: Outcome::NotApplied, .. }), "{error}");
    assert_eq!(node.read(Consistency::Linearizable, |machine| machine.value).await.unwrap(), 0);
}

/// A machine that does not return while its gate is shut.
struct Gated(Arc<std::sync::Mutex<()>>);

impl StateMachine for Gated {
    type Command = u64;
    type Response = u64;

    fn apply(&mut self, command: u64, _: At) -> u64 {
        let _gate = self.0.lock().unwrap();
        command
    }
}

impl skiff::Snapshots for Gated {
    fn snapshot(&self) -> Result<skiff::SnapshotWriter, skiff::MachineError> {
        Ok(Box::new(|_| Ok(())))
    }

    fn restore(
        &mut self,
        _: &mut dyn std::io::Read,
        _: skiff::Mark,
    ) -> Result<(), skiff::MachineError> {
        Ok(())
    }
}

/// A call whose command was with a slow machine did not end by its deadline, and a slow machine held
/// up heartbeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock, reason = "the machine waits for it, not this task")]
async fn full_machine_keeps_deadlines_and_heartbeats() {
    let gate = Arc::new(std::sync::Mutex::new(()));
    let machine = Gated(Arc::clone(&gate));
    let node = Node::builder().state_machine(machine).bootstrap().start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let term = node.status().await.term;
    let shut = gate.lock().unwrap();
    let calling = node.command_within(1_u64, Duration::from_millis(400));
    let error = soon("an answer", calling).await.unwrap_err();
    drop(shut);
    let lost = Outcome::AppliedResponseLost;
    assert!(matches!(error, CommandError::Timeout { outcome, .. } if outcome == lost), "{error}");
    assert_eq!(soon("a response", node.command(2_u64)).await.unwrap(), 2);
    let status = node.status().await;
    assert_eq!((status.term, status.state.as_str()), (term, "leader"));
}

/// A machine that panics at the third command.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Fragile(u64);

impl StateMachine for Fragile {
    type Command = u64;
    type Response = u64;

    fn apply(&mut self, command: u64, _: At) -> u64 {
        assert!(command != 3, "three is too much");
        self.0 += 1;
        self.0
    }
}

/// A failing apply was logged and the index moved on.
#[tokio::test]
async fn apply_failure_does_not_advance() {
    let idle = Node::builder().state_machine(Fragile::default()).build().unwrap();
    let mut events = idle.events();
    let node = idle.start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    node.command(1_u64).await.unwrap();
    let applied = node.status().await.applied;
    let error = soon("an answer", node.command(3_u64)).await.unwrap_err();
    assert!(matches!(error, CommandError::Stopped { .. }), "{error}");
    let why = soon("the end", node.stopped()).await.unwrap_err().to_string();
    assert!(why.contains("three is too much") && why.contains("index"), "{why}");
    assert_eq!(node.status().await.applied, applied);
    let mut told = false;
    while let Some(event) = events.next().await {
        told |= matches!(event, Event::Error(_));
        if told {
            break;
        }
    }
    assert!(told);
}

/// A restarted single node stayed a candidate, or led without having replayed its log.
#[tokio::test]
async fn lone_node_replays() {
    let store = Arc::new(MemoryPersistence::new());
    for round in 0_i64..3 {
        let node = Node::builder()
            .state_machine(Counter::default())
            .id("lone")
            .persistence(Shared(Arc::clone(&store)))
            .bootstrap()
            .start()
            .await
            .unwrap();
        soon("ready", node.ready()).await.unwrap();
        let value = node.read(Consistency::Linearizable, |machine| machine.value).await.unwrap();
        assert_eq!(value, 10 * round);
        for _ in 0..10 {
            node.command(1).await.unwrap();
        }
        node.stop().await.unwrap();
        drop(node);
    }
}

/// A store that outlives its node.
struct Shared(Arc<MemoryPersistence>);

impl skiff::storage::Persistence for Shared {
    fn open(
        &self,
        opening: &skiff::storage::Opening,
    ) -> Result<skiff::storage::Store, skiff::storage::StoreError> {
        self.0.open(opening)
    }
}

/// A response that goes off when nobody takes it.
#[derive(Serialize, Deserialize)]
struct Fused(bool);

impl Drop for Fused {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "nobody took it");
    }
}

/// Answers with a response that must be taken, once its gate is open.
struct Touchy(Arc<std::sync::Mutex<()>>);

impl StateMachine for Touchy {
    type Command = u64;
    type Response = Fused;

    fn apply(&mut self, _: u64, _: At) -> Fused {
        let _gate = self.0.lock().unwrap();
        Fused(true)
    }
}

impl skiff::Snapshots for Touchy {
    fn snapshot(&self) -> Result<skiff::SnapshotWriter, skiff::MachineError> {
        Ok(Box::new(|_| Ok(())))
    }

    fn restore(
        &mut self,
        _: &mut dyn std::io::Read,
        _: skiff::Mark,
    ) -> Result<(), skiff::MachineError> {
        Ok(())
    }
}

/// A user's code failed beside `apply`, where nobody looked: the node lived on and applied nothing
/// any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock, reason = "the machine waits for it, not this task")]
async fn panic_beside_apply_stops_the_node() {
    let gate = Arc::new(std::sync::Mutex::new(()));
    let machine = Touchy(Arc::clone(&gate));
    let node = Node::builder().state_machine(machine).bootstrap().start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let before = node.status().await.committed;
    let shut = gate.lock().unwrap();
    let calling = tokio::spawn({
        let node = node.clone();
        async move { node.command(1_u64).await.map(std::mem::forget) }
    });
    let mut watch = node.watch();
    soon("the commit", watch.wait_for(|status| status.committed > before)).await.unwrap();
    calling.abort();
    assert!(calling.await.is_err_and(|error| error.is_cancelled()));
    drop(shut);
    let why = soon("the end", node.stopped()).await.unwrap_err().to_string();
    assert!(why.contains("panicked"), "{why}");
}
