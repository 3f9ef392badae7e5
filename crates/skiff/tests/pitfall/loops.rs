//! Loops that are held up, by others or by callers.

use std::{
    net::TcpListener,
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Waker},
    time::Duration,
};

use skiff::{
    Event, Node,
    core::Message,
    storage::MemoryPersistence,
    transport::{Body, Envelope, MemoryNetwork},
};
use tokio::{runtime, sync::watch};

use crate::{
    Shared,
    common::{Counter, leader, soon, start, until},
};

fn is_heartbeat(envelope: &Envelope) -> bool {
    matches!(envelope.body, Body::Raft { message: Message::Append(_), .. })
}

/// Counts what passes from one to the other.
fn count(network: &MemoryNetwork, from: &str, to: &str) -> watch::Receiver<u64> {
    let (counted, count) = watch::channel(0);
    network.lose(from, to, move |envelope| {
        if is_heartbeat(envelope) {
            counted.send_modify(|count| *count += 1);
        }
        false
    });
    count
}

/// Waits until so many more have passed.
async fn so_many_more(count: &mut watch::Receiver<u64>, more: u64) {
    let wanted = *count.borrow() + more;
    soon("heartbeats", count.wait_for(|count| *count >= wanted)).await.unwrap();
}

/// A loop that got no time looked at its timer before it looked at what had come meanwhile: elections
/// without end on a busy machine. Here a follower's loop is held up for longer than the longest
/// election timeout while heartbeats come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_before_timer() {
    let network = MemoryNetwork::new();
    let own = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let names = ["a", "b", "c"];
    let builder = |name: &str| {
        let builder = Node::builder().state_machine(Counter::default()).id(name).peers(names);
        builder.transport(network.transport())
    };
    let held = builder("b");
    let held = own.spawn(held.start()).await.unwrap().unwrap();
    let others = [builder("a").start().await.unwrap(), builder("c").start().await.unwrap()];
    let leading = async {
        loop {
            let old = leader(&[held.clone(), others[0].clone(), others[1].clone()]).await;
            if old.id() != held.id() {
                return old;
            }
            // It leads itself: it gets the others' terms, and another its place.
            network.cut("b", "a");
            network.cut("b", "c");
            until(&held, |status| status.state != "leader").await;
            network.heal("b", "a");
            network.heal("b", "c");
        }
    };
    let leading = soon("another leads", leading).await;
    until(&held, |status| status.leader.as_deref() == Some(leading.id())).await;

    let (said, mut saying) = tokio::sync::mpsc::unbounded_channel();
    for to in ["a", "c"] {
        let said = said.clone();
        network.lose("b", to, move |envelope| {
            if let Body::Raft { message, .. } = &envelope.body {
                let _gone = said.send(message.clone());
            }
            false
        });
    }
    let (holding, is_held) = tokio::sync::oneshot::channel();
    let (release, released) = mpsc::channel::<()>();
    own.spawn(async move {
        let _gone = holding.send(());
        let _released = released.recv();
    });
    soon("the loop to stand still", is_held).await.unwrap();
    while saying.try_recv().is_ok() {}
    let mut events = held.events();
    // Eight are 350 ms and more.
    so_many_more(&mut count(&network, leading.id(), "b"), 8).await;
    release.send(()).unwrap();
    loop {
        match soon("a word of it", saying.recv()).await.unwrap() {
            Message::AppendReply(_) => break,
            Message::PreVote { .. } | Message::Vote { .. } => panic!("it campaigned"),
            _ => {}
        }
    }
    // What it told, it told before that word.
    let mut told = std::pin::pin!(async {
        while let Some(event) = events.next().await {
            assert!(!matches!(event, Event::ElectionTimeout), "it thought of campaigning");
        }
    });
    assert!(told.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    held.stop().await.unwrap();
    own.shutdown_background();
}

/// Callers' own code filled the threads there were, and what kept the leader in office got none. Here
/// twenty thousand callers have called and do not look for their answers, on a runtime of one thread.
#[tokio::test]
async fn full_executor_keeps_heartbeats() {
    let network = MemoryNetwork::new();
    let nodes = start(&network, &["a", "b", "c"], |builder| {
        let span = Duration::from_secs;
        builder
            .min_election_timeout(span(1))
            .max_election_timeout(span(2))
            .command_timeout(span(60))
    })
    .await;
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let leading = soon("a leader", leader(&nodes)).await;
    let term = leading.status().await.term;
    let mut calls: Vec<Pin<Box<_>>> = (0..20_000).map(|_| Box::pin(leading.command(1))).collect();
    for call in &mut calls {
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    let other = nodes.iter().find(|node| node.id() != leading.id()).unwrap();
    so_many_more(&mut count(&network, leading.id(), other.id()), 20).await;
    until(&leading, |status| status.applied == status.last).await;
    assert_eq!(soon("one more", leading.command(1)).await.unwrap(), 20_001);
    let mut sums = Vec::new();
    for call in calls {
        sums.push(soon("an answer", call).await.unwrap());
    }
    assert!(sums.into_iter().eq(1..=20_000), "each its own");
    assert_eq!(leading.status().await.term, term);
}

/// An address that is free now.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The loop waited for a call to a peer that never returned; elsewhere a peer that refused connections
/// was waited for in a way that never ended. Here in place of one of three somebody accepts and never
/// reads; then nobody does; then it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_call_isolated() {
    let addresses: Vec<String> = (0..3).map(|_| free_address()).collect();
    let stores: Vec<_> = (0..3).map(|_| Arc::new(MemoryPersistence::new())).collect();
    let begin = |at: usize| {
        let builder = Node::builder().state_machine(Counter::default()).id(format!("n{at}"));
        let builder = builder.listen(&addresses[at]).persistence(Shared(Arc::clone(&stores[at])));
        builder.peers(addresses.iter().cloned()).start()
    };
    let mut nodes = Vec::new();
    for at in 0..3 {
        nodes.push(begin(at).await.unwrap());
    }
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let leading = soon("a leader", leader(&nodes)).await;
    let hung = nodes.iter().position(|node| node.id() != leading.id()).unwrap();
    nodes[hung].stop().await.unwrap();

    let listener = TcpListener::bind(&addresses[hung]).unwrap();
    listener.set_nonblocking(true).unwrap();
    let silent = tokio::net::TcpListener::from_std(listener).unwrap();
    let (there, accepted) = tokio::sync::oneshot::channel();
    let silence = tokio::spawn(async move {
        let mut held = vec![silent.accept().await.unwrap()];
        let _gone = there.send(());
        while let Ok(one) = silent.accept().await {
            held.push(one);
        }
    });
    soon("a call that hangs", accepted).await.unwrap();
    for value in 1..=50 {
        assert_eq!(soon("an answer", leading.command(1)).await.unwrap(), value);
    }
    silence.abort();
    assert!(silence.await.unwrap_err().is_cancelled());
    for value in 51..=100 {
        assert_eq!(soon("an answer", leading.command(1)).await.unwrap(), value);
    }
    let back = begin(hung).await.unwrap();
    let last = leading.status().await.committed;
    until(&back, |status| status.applied >= last).await;
    let value = back.read(skiff::Consistency::Local, |machine| machine.value).await.unwrap();
    assert_eq!(value, 100);
}
