//! Sessions through whole nodes, and through clients.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Counter, leader, soon, start, three};
use skiff::{Client, CommandError, Node, Outcome, transport::MemoryNetwork};

#[tokio::test]
async fn a_session_gives_commands_and_goes_on_through_another_node() {
    let mut nodes = three(&MemoryNetwork::new()).await;
    let first = soon("a leader", leader(&nodes)).await;
    let mut session = soon("a session", first.session()).await.unwrap();
    assert_eq!(session.command(2).await.unwrap(), 2);
    assert_eq!(session.command(3).await.unwrap(), 5);
    assert_eq!(session.retry().await.unwrap_err(), CommandError::Acknowledged);
    first.stop().await.unwrap();
    let error = session.command(10).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    nodes.retain(|node| node.id() != first.id());
    let next = soon("another leader", leader(&nodes)).await;
    session.through(&next);
    assert_eq!(soon("an answer", session.command(10)).await.unwrap(), 15);
    assert_eq!(first.command(1).await.unwrap_err().code(), "ESTOPPED");
    session.end().await.unwrap();
}

#[tokio::test]
async fn a_command_whose_outcome_is_unknown_is_tried_again_and_done_once() {
    let network = MemoryNetwork::new();
    let quick = Duration::from_millis(300);
    let nodes = start(&network, &["a", "b", "c"], |builder| builder.command_timeout(quick)).await;
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let first = soon("a leader", leader(&nodes)).await;
    let mut session = soon("a session", first.session()).await.unwrap();
    assert_eq!(session.command(1).await.unwrap(), 1);
    let others: Vec<&Node<Counter>> = nodes.iter().filter(|n| n.id() != first.id()).collect();
    for other in &others {
        network.cut(first.id(), other.id());
    }
    let error = session.command(10).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    for other in &others {
        network.heal(first.id(), other.id());
    }
    let sum = loop {
        let next = soon("a leader", leader(&nodes)).await;
        session.through(&next);
        match soon("an answer", session.retry()).await {
            Ok(sum) => break sum,
            Err(error) => assert_ne!(error.outcome(), Outcome::AppliedResponseLost, "{error}"),
        }
    };
    assert_eq!(sum, 11, "it is done, and once");
    assert_eq!(session.command(100).await.unwrap(), 111);
}

#[tokio::test]
async fn a_session_that_was_not_used_expires_and_so_many_there_may_be() {
    let builder = Node::builder().state_machine(Counter::default());
    let brief = Duration::from_millis(1);
    let node = builder.session_timeout(brief).max_sessions(1).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let mut session = node.session().await.unwrap();
    // The log's time goes on by what is appended.
    let error = loop {
        match session.command(1).await {
            Ok(_) => tokio::time::sleep(2 * brief).await,
            Err(error) => break error,
        }
    };
    assert_eq!(error, CommandError::SessionExpired { outcome: Outcome::NotApplied });
    assert_eq!(error.code(), "ESESSIONEXPIRED");
    node.stop().await.unwrap();

    let builder = Node::builder().state_machine(Counter::default());
    let node = builder.max_sessions(1).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let first = node.session().await.unwrap();
    let error = node.session().await.unwrap_err();
    assert!(matches!(error, CommandError::SessionsFull { .. }), "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    first.end().await.unwrap();
    node.session().await.unwrap();
}

#[tokio::test]
async fn a_client_gives_each_command_in_a_session_of_its_pool() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let names = ["a", "b", "c"];
    let client: Client<Counter> = Client::over(network.transport(), "skiff", names)
        .unwrap()
        .exactly_once(Duration::from_secs(60));
    let mut adding = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        adding.spawn(async move { client.command(1).await.unwrap() });
    }
    let mut sums = soon("the sums", adding.join_all()).await;
    sums.sort_unstable();
    assert_eq!(sums, (1..=20).collect::<Vec<_>>());
    assert_eq!(client.command(1).await.unwrap(), 21);
    soon("the end", client.end_sessions()).await;
    let first = soon("a leader", leader(&nodes)).await;
    first.stop().await.unwrap();
    assert_eq!(soon("an answer", client.command(1)).await.unwrap(), 22);
}
