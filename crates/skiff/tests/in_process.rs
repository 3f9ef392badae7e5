//! Whole nodes in one process, in memory.

mod common;

use common::{Counter, leader, soon, start, three};
use skiff::{CommandError, Consistency, Event, Node, State, transport::MemoryNetwork};

#[tokio::test]
async fn a_node_without_options_works() {
    let node = Node::builder().start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let first = node.command("some command").await.unwrap();
    assert_eq!(node.command("another").await.unwrap(), first + 1);
    assert!(!node.id().is_empty());
    node.stop().await.unwrap();
    node.stop().await.unwrap();
}

#[tokio::test]
async fn three_nodes_agree_and_followers_name_the_leader() {
    let nodes = three(&MemoryNetwork::new()).await;
    let leader = soon("a leader", leader(&nodes)).await;
    assert_eq!(leader.command(2).await.unwrap(), 2);
    assert_eq!(leader.command(3).await.unwrap(), 5);
    let follower = nodes.iter().find(|node| node.id() != leader.id()).unwrap();
    let error = follower.command(1).await.unwrap_err();
    assert_eq!(error.code(), "ENOTLEADER");
    assert_eq!(error.leader().unwrap().name, leader.id());
    for node in &nodes {
        let value = node.read(Consistency::Linearizable, |machine| machine.value).await.unwrap();
        assert_eq!(value, 5, "at {}", node.id());
    }
}

#[tokio::test]
async fn a_follower_forwards_if_told_to() {
    let network = MemoryNetwork::new();
    let nodes = start(&network, &["a", "b", "c"], |builder| builder.forward_commands(true)).await;
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let mut sum = 0;
    for node in &nodes {
        sum += 1;
        assert_eq!(node.command(1).await.unwrap(), sum);
    }
}

#[tokio::test]
async fn another_leads_when_the_leader_is_gone() {
    let mut nodes = three(&MemoryNetwork::new()).await;
    let old = soon("a leader", leader(&nodes)).await;
    assert_eq!(old.command(7).await.unwrap(), 7);
    old.stop().await.unwrap();
    nodes.retain(|node| node.id() != old.id());
    let new = soon("another leader", leader(&nodes)).await;
    assert_eq!(new.command(1).await.unwrap(), 8);
    let error = old.command(1).await.unwrap_err();
    assert!(matches!(error, CommandError::Stopped { .. }), "{error}");
}

#[tokio::test]
async fn the_story_is_told_from_its_first_word() {
    let idle = Node::builder().state_machine(Counter::default()).build().unwrap();
    let mut events = idle.events();
    let node = idle.start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    node.command(1).await.unwrap();
    let mut told = Vec::new();
    loop {
        let event = soon("an event", events.next()).await.unwrap();
        let applied = matches!(event, Event::AppliedLog(_));
        told.push(event);
        if applied {
            break;
        }
    }
    let at = |wanted: &Event| told.iter().position(|event| event == wanted);
    let loaded = at(&Event::Loaded).unwrap();
    let follower = at(&Event::State(State::Follower)).unwrap();
    let candidate = at(&Event::State(State::Candidate)).unwrap();
    let leader = at(&Event::State(State::Leader)).unwrap();
    assert!(loaded < follower && follower < candidate && candidate < leader, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_can_be_made_from_a_spawned_task() {
    let node = Node::builder().state_machine(Counter::default()).start().await.unwrap();
    let task = tokio::spawn(async move {
        node.ready().await.unwrap();
        node.command(1).await.unwrap();
        node.read(Consistency::Linearizable, |machine| machine.value).await.unwrap();
        node.status().await;
        node.stop().await.unwrap();
        node.stopped().await.unwrap();
    });
    soon("the task", task).await.unwrap();
}

#[tokio::test]
async fn a_node_that_waits_says_for_whom_in_time() {
    let network = MemoryNetwork::new();
    let nodes = start(&network, &["a", "b"], |builder| builder.peers(["a", "b", "absent"])).await;
    let patience = std::time::Duration::from_millis(300);
    let error = soon("an answer", nodes[0].ready_within(patience)).await.unwrap_err();
    assert!(error.to_string().contains("nobody answers at absent"), "{error}");
    let error = soon("an answer", nodes[0].command(1)).await.unwrap_err();
    assert_eq!((error.code(), error.leader()), ("ENOTLEADER", None));
}

#[tokio::test]
async fn what_is_not_there_yet_says_so() {
    let node = Node::builder().state_machine(Counter::default()).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    for consistency in [Consistency::Lease, Consistency::BoundedStale(1)] {
        let error = node.read(consistency, |machine| machine.value).await.unwrap_err();
        assert!(matches!(error, skiff::ReadError::Unsupported { .. }), "{error}");
    }
}
