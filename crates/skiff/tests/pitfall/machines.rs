//! Machines that are slow, that fail, or that belong elsewhere.

use std::{
    io::Read,
    sync::{Arc, Mutex, MutexGuard},
};

use skiff::{
    At, InstanceId, MachineError, Mark, Node, Opened, SnapshotWriter, Snapshots, StateMachine,
    core::{Membership, NodeId, Position},
    storage::MemoryPersistence,
    transport::MemoryNetwork,
};

use crate::{
    Shared,
    common::{soon, until},
};

/// Notes the index of each command, and does not return while its gate is shut.
#[derive(Clone, Default)]
struct Recorder {
    gate: Arc<Mutex<()>>,
    seen: Arc<Mutex<Vec<u64>>>,
    mark: Option<Mark>,
}

impl Recorder {
    fn shut(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap()
    }

    fn seen(&self) -> Vec<u64> {
        self.seen.lock().unwrap().clone()
    }
}

impl StateMachine for Recorder {
    type Command = u64;
    type Response = u64;

    fn apply(&mut self, command: u64, at: At) -> u64 {
        let _gate = self.gate.lock().unwrap();
        self.seen.lock().unwrap().push(at.index.0);
        command
    }
}

impl Snapshots for Recorder {
    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        Ok(Box::new(|_| Ok(())))
    }

    fn restore(&mut self, _: &mut dyn Read, _: Mark) -> Result<(), MachineError> {
        Ok(())
    }

    fn opened_at(&self) -> Opened {
        let mark = self.mark.clone();
        mark.map_or(Opened::Empty, |mark| Opened::At { stored: Vec::new(), mark: Box::new(mark) })
    }
}

/// Three nodes and their machines, the leader's first.
async fn three(network: &MemoryNetwork) -> Vec<(Node<Recorder>, Recorder)> {
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        let machine = Recorder::default();
        let builder = Node::builder().state_machine(machine.clone()).id(name);
        let builder = builder.transport(network.transport()).peers(["a", "b", "c"]);
        nodes.push((builder.start().await.unwrap(), machine));
    }
    for (node, _) in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let leader = nodes[0].0.leader().unwrap().name;
    nodes.sort_by_key(|(node, _)| node.id() != leader);
    nodes
}

/// A command that is tried until a leader takes it.
async fn command(nodes: &[(Node<Recorder>, Recorder)], command: u64) {
    let trying = async {
        loop {
            for (node, _) in nodes {
                if node.command(command).await.is_ok() {
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    };
    soon("a leader that takes it", trying).await;
}

/// What answered callers failed and left the mark of what was applied behind, and the batch was applied
/// again; it also waited for the step-down that waited for it. Here a caller is gone, a consumer of
/// events panics, and the leader steps down, all while a batch is with the machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[allow(clippy::await_holding_lock, reason = "the machine waits for it, not this task")]
async fn answer_code_cannot_reapply() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let (leading, machine) = &nodes[0];
    let mut events = leading.events();
    let consumer = tokio::spawn(async move {
        events.next().await;
        panic!("the consumer's own fault");
    });
    let before = leading.status().await.committed;
    let shut = machine.shut();
    let calls: Vec<_> = (0..2_u64)
        .map(|call| {
            let node = leading.clone();
            tokio::spawn(async move { node.command(call).await })
        })
        .collect();
    until(leading, |status| status.committed >= before + 2).await;
    calls[0].abort();
    for (other, _) in &nodes[1..] {
        network.cut(leading.id(), other.id());
    }
    until(leading, |status| status.state != "leader").await;
    assert!(soon("its end", consumer).await.unwrap_err().is_panic());
    drop(shut);
    for (other, _) in &nodes[1..] {
        network.heal(leading.id(), other.id());
    }
    command(&nodes, 7).await;
    let last = nodes[1].1.seen().len().max(nodes[2].1.seen().len());
    assert_eq!(last, 3);
    for (node, machine) in &nodes {
        until(node, |status| status.applied == status.last && machine.seen().len() >= 3).await;
        assert_eq!(machine.seen(), nodes[1].1.seen(), "each once, at {}", node.id());
    }
    for call in calls {
        let _done = soon("an answer", call).await;
    }
}

/// A follower with a slow machine accepted what it could not hold. Here it has the log, applies later,
/// and holds up nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[allow(clippy::await_holding_lock, reason = "the machine waits for it, not this task")]
async fn apply_lag_bounded() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let (leading, _) = &nodes[0];
    let (slow, machine) = &nodes[1];
    let shut = machine.shut();
    for call in 0..2_000_u64 {
        assert_eq!(soon("an answer", leading.command(call)).await.unwrap(), call);
    }
    let last = leading.status().await.last;
    let status = until(slow, |status| status.durable == last && status.committed == last).await;
    assert!(status.applied + 2_000 <= last, "{status:?}");
    assert!(machine.seen().is_empty());
    drop(shut);
    until(slow, |status| status.applied == last).await;
    assert_eq!(machine.seen().len(), 2_000);
}

/// A machine that keeps its data belongs to one instance of the cluster; beside a new directory, or
/// that of another instance, it would mix two histories.
#[tokio::test]
async fn old_engine_new_directory() {
    let instance = InstanceId(0xabcd_ef01 << 96);
    let mark = Mark::new(instance, NodeId(1), Position::new(1, 7), Membership::of([NodeId(1)]));
    let old = || Recorder { mark: Some(mark.clone()), ..Recorder::default() };
    let error = Node::builder().state_machine(old()).bootstrap().start().await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains(&instance.to_string()) && error.contains("is new"), "{error}");

    let store = Arc::new(MemoryPersistence::new());
    let node = Node::builder().state_machine(Recorder::default()).id("a").bootstrap();
    let node = node.persistence(Shared(Arc::clone(&store))).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let other = node.status().await.instance.unwrap();
    node.stop().await.unwrap();
    let again = Node::builder().state_machine(old()).id("a").persistence(Shared(store));
    let error = again.start().await.unwrap_err().to_string();
    assert!(error.contains(&instance.to_string()) && error.contains(&other[..8]), "{error}");
}
