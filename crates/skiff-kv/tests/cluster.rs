//! The store, replicated: within the process, and asked by a client.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::time::Duration;

use bytes::Bytes;
use skiff::{
    Client, CommandError, Consistency, Node, ReadError,
    transport::{MemoryNetwork, MemoryTransport},
};
use skiff_kv::{Answer, Command, Kv, Query, Refusal, Response};

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);
const NAMES: [&str; 3] = ["a", "b", "c"];

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain: {what}"),
    }
}

async fn three(network: &MemoryNetwork) -> Vec<Node<Kv>> {
    let mut nodes = Vec::new();
    for name in NAMES {
        let builder = Node::builder().state_machine(Kv::new()).answer_queries();
        let builder = builder.id(name).transport(network.transport()).peers(NAMES);
        nodes.push(builder.start().await.unwrap());
    }
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    nodes
}

fn client(transport: MemoryTransport) -> Client<Kv> {
    Client::over(transport, "skiff", NAMES).unwrap().with_timeout(PATIENCE)
}

#[tokio::test]
async fn a_node_of_its_own_keeps_pairs() {
    let node = Node::builder().state_machine(Kv::new()).start().await.unwrap();
    let response = soon("a response", node.command(Command::put("k", "v"))).await.unwrap();
    assert_eq!(response, Response::Done { previous: None });
    let value = node.read(Consistency::Linearizable, |kv| kv.get("k").cloned()).await.unwrap();
    assert_eq!(value, Some(Bytes::from_static(b"v")));
    let response = node.command(Command::put("", "v")).await.unwrap();
    assert_eq!(response, Response::Refused(Refusal::EmptyKey));
}

#[tokio::test]
async fn a_client_writes_and_reads_at_every_node() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let client = client(network.transport());
    for number in 0..10 {
        let put = Command::put(format!("key/{number}"), number.to_string());
        assert!(client.command(put).await.unwrap().is_done());
    }
    let gone = client.command(Command::delete("key/3")).await.unwrap();
    assert_eq!(gone, Response::Done { previous: Some(Bytes::from_static(b"3")) });

    let get = Query::Get { key: "key/7".to_owned() };
    let got = client.query(Consistency::Linearizable, get).await.unwrap();
    assert_eq!(got, Answer::Value(Some(Bytes::from_static(b"7"))));

    // A linearizable read at a node makes it apply all there is: then its local answers are as new.
    let mut digests = Vec::new();
    for name in NAMES {
        let at = Some(name);
        let len = client.query_at(at, Consistency::Linearizable, Query::Len).await.unwrap();
        assert_eq!(len, Answer::Len(9), "at {name}");
        digests.push(client.query_at(at, Consistency::Local, Query::Digest).await.unwrap());
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    let digest = nodes[0].read(Consistency::Local, skiff::StateMachine::digest).await.unwrap();
    assert_eq!(digest.map(Answer::Digest).as_ref(), digests.first());
}

#[tokio::test]
async fn a_client_finds_the_next_leader() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let client = client(network.transport());
    assert!(client.command(Command::put("before", "1")).await.unwrap().is_done());
    let leader = nodes.iter().find(|node| node.state() == "leader").unwrap();
    leader.stop().await.unwrap();
    // Without an answer nothing is known of a command; this one can be sent again.
    let put = || Command::put("after", "2");
    let response = loop {
        match client.command(put()).await {
            Ok(response) => break response,
            Err(CommandError::Disconnected | CommandError::Stopped { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert!(response.is_done());
    let len = client.query(Consistency::Linearizable, Query::Len).await.unwrap();
    assert_eq!(len, Answer::Len(2));
}

#[tokio::test]
async fn questions_are_answered_only_by_nodes_that_say_so() {
    let network = MemoryNetwork::new();
    let builder = Node::builder().state_machine(Kv::new()).id("a").bootstrap();
    let node = builder.transport(network.transport()).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let client = Client::<Kv>::over(network.transport(), "skiff", ["a"]).unwrap();
    let error = client.query(Consistency::Local, Query::Len).await.unwrap_err();
    assert!(matches!(error, ReadError::Unsupported { .. }), "{error}");
}
