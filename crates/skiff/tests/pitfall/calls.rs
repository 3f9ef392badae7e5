//! What callers are told.

use std::{collections::BTreeSet, time::Duration};

use skiff::{
    CommandError, Consistency, Node, Outcome, ReadError,
    transport::{Body, MemoryNetwork},
};

use crate::common::{Counter, leader, soon, start, three, until};

/// One error stood for "nobody leads", "too much" and all the rest, and callers did the wrong thing.
#[tokio::test]
async fn reason_with_the_refusal() {
    let network = MemoryNetwork::new();
    let nodes = start(&network, &["a", "b", "c"], |builder| {
        let span = Duration::from_secs;
        let builder = builder.min_election_timeout(span(1)).max_election_timeout(span(2));
        builder.max_queue_bytes(2_000).max_command_bytes(4)
    })
    .await;
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let old = soon("a leader", leader(&nodes)).await;
    let others: Vec<_> = nodes.iter().filter(|node| node.id() != old.id()).collect();
    let mut codes = BTreeSet::new();
    let mut told = |error: &CommandError, code: &str, outcome: Outcome| {
        assert_eq!((error.code(), error.outcome()), (code, outcome), "{error}");
        codes.insert(code.to_owned());
    };

    let error = others[0].command(1).await.unwrap_err();
    told(&error, "ENOTLEADER", Outcome::NotApplied);
    assert_eq!(error.leader().unwrap().name, old.id());
    let error = old.command(i64::MAX).await.unwrap_err();
    told(&error, "ETOOLARGE", Outcome::NotApplied);

    others.iter().for_each(|node| network.cut(old.id(), node.id()));
    let calls: Vec<_> = (0..100)
        .map(|call| {
            let (node, patience) = (old.clone(), if call == 0 { 300 } else { 10_000 });
            let patience = Duration::from_millis(patience);
            tokio::spawn(async move { node.command_within(1, patience).await.unwrap_err() })
        })
        .collect();
    let mut errors = Vec::new();
    for call in calls {
        errors.push(soon("an answer", call).await.unwrap());
    }
    told(&errors[0], "ETIMEOUT", Outcome::Unknown);
    told(&errors[1], "ELEADERSHIPLOST", Outcome::Unknown);
    assert!(errors[1].position().is_some(), "it says where it would be");
    told(&errors[99], "EBUSY", Outcome::NotApplied);

    // Nobody leads, as far as the old leader knows: it names nobody, least of all itself.
    let error = old.command(1).await.unwrap_err();
    told(&error, "ENOTLEADER", Outcome::NotApplied);
    assert_eq!(error.leader(), None);
    old.stop().await.unwrap();
    told(&old.command(1).await.unwrap_err(), "ESTOPPED", Outcome::NotApplied);
    assert_eq!(codes.len(), 6);
}

/// Reads during an election vanished, and their callers waited for the deadline.
#[tokio::test]
async fn read_not_dropped_silently() {
    let value = |machine: &Counter| machine.value;
    let network = MemoryNetwork::new();
    let waiting = start(&network, &["x"], |builder| builder.peers(["x", "absent"])).await;
    let none = soon("an answer", waiting[0].read(Consistency::Linearizable, value)).await;
    assert!(matches!(none, Err(ReadError::NotLeader { leader: None })), "{none:?}");

    let nodes = three(&network).await;
    let old = soon("a leader", leader(&nodes)).await;
    for node in nodes.iter().filter(|node| node.id() != old.id()) {
        network.cut(old.id(), node.id());
    }
    let elected = async {
        loop {
            let new = leader(&nodes).await;
            if new.id() != old.id() {
                return new;
            }
            tokio::task::yield_now().await;
        }
    };
    let asking = |node: Node<Counter>| async move {
        let mut answers = Vec::new();
        while answers.len() < 200 {
            answers.push(node.read(Consistency::Linearizable, value).await);
            tokio::task::yield_now().await;
        }
        answers
    };
    let reads: Vec<_> = nodes.iter().map(|node| tokio::spawn(asking(node.clone()))).collect();
    let new = soon("another leader", elected).await;
    for (node, read) in nodes.iter().zip(reads) {
        let answers = soon("all answers", read).await.unwrap();
        let late = answers.iter().any(|answer| matches!(answer, Err(ReadError::Timeout)));
        assert!(!late, "{} waited for its deadline", node.id());
        assert!(node.id() != old.id() || answers.iter().all(Result::is_err));
    }
    assert!(soon("a read", new.read(Consistency::Linearizable, value)).await.is_ok());
}

/// "The leader changed" was told of entries that were appended already; callers took it for "failed",
/// tried again, and both took effect.
#[tokio::test]
async fn step_down_means_unknown() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let old = soon("a leader", leader(&nodes)).await;
    let others: Vec<_> = nodes.iter().filter(|node| node.id() != old.id()).collect();
    let [reached, cut_off] = others[..] else { panic!("there are two") };
    // The entry gets to one of the others, and its answer does not come back.
    network.cut(old.id(), cut_off.id());
    network.lose(reached.id(), old.id(), |envelope| matches!(envelope.body, Body::Raft { .. }));
    let error = soon("an answer", old.command(7)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    until(reached, |status| status.state == "leader").await;
    let value = soon("a read", reached.read(Consistency::Linearizable, |m| m.value)).await;
    assert_eq!(value.unwrap(), 7, "and so it did");
}
