//! What a second reader looked for around the loop, the machine and the callers, each told as a test.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use common::{Counter, soon, until};
use serde::{Deserialize, Serialize};
use skiff::{
    At, Client, CommandError, Consistency, Encoded, KeepsNothing, Malformed, Node, Outcome,
    ReadError, StateMachine,
    core::{Entry, Index, Write},
    storage::{
        Done, Identity, LogReader, LogStore, MemoryPersistence, Opening, Persistence, Recovered,
        Store, StoreError, Written,
    },
    transport::{Accepted, Connection, Local, MemoryNetwork, Transport, TransportError},
};

/// A number that can be decoded but not encoded if it is odd.
#[derive(Debug, PartialEq, Eq)]
struct Even(u64);

impl Encoded for Even {
    fn encode(&self) -> Result<Bytes, Malformed> {
        if self.0.is_multiple_of(2) { self.0.encode() } else { Err(Malformed::new("it is odd")) }
    }

    fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        u64::decode(bytes).map(Self)
    }
}

/// Answers with what it was told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Echo {
    applied: u64,
}

impl StateMachine for Echo {
    type Command = u64;
    type Response = Even;

    fn apply(&mut self, command: u64, _: At) -> Even {
        self.applied += 1;
        Even(command)
    }
}

/// A response that cannot be encoded was answered as if its command had had no effect.
#[tokio::test]
async fn a_response_that_cannot_travel_is_lost_and_not_its_command() {
    let network = MemoryNetwork::new();
    let node = Node::builder().state_machine(Echo::default()).id("a").bootstrap();
    let node = node.transport(network.transport()).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let client = Client::<Echo>::over(network.transport(), "skiff", ["a"]).unwrap();
    assert_eq!(soon("a response", client.command(2_u64)).await.unwrap(), Even(2));
    let error = soon("an answer", client.command(3_u64)).await.unwrap_err();
    let applied = node.read(Consistency::Local, |machine| machine.applied).await.unwrap();
    assert_eq!(applied, 2);
    assert_eq!(error.outcome(), Outcome::AppliedResponseLost, "{error}");
}

/// Does not return from a command while the gate of its number is shut.
struct Gates(Arc<[Mutex<()>; 2]>);

impl StateMachine for Gates {
    type Command = usize;
    type Response = usize;

    fn apply(&mut self, command: usize, _: At) -> usize {
        let _gate = self.0[command % 2].lock().unwrap();
        command
    }
}

impl skiff::Snapshots for Gates {
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

/// A machine that had one batch after another woke the loop, and then kept the very thread that was to
/// run it: no heartbeat left for as long as the second batch took.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[allow(clippy::await_holding_lock, reason = "the machine waits for them, not this task")]
async fn a_machine_that_is_slow_twice_does_not_stop_the_loop() {
    let gates = Arc::new([Mutex::default(), Mutex::default()]);
    let node = Node::builder().state_machine(Gates(Arc::clone(&gates))).bootstrap();
    let node = node.start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    soon("a response", node.command(0_usize)).await.unwrap();
    let before = node.status().await.committed;
    let (first, second) = (gates[0].lock().unwrap(), gates[1].lock().unwrap());
    let call = |command: usize| {
        let node = node.clone();
        tokio::spawn(async move { node.command(command).await })
    };
    let quick = call(0);
    until(&node, |status| status.committed > before).await;
    let slow = call(1);
    until(&node, |status| status.committed > before + 1).await;
    drop(first);
    assert_eq!(soon("a response", quick).await.unwrap().unwrap(), 0);
    soon("a word of the loop", node.status()).await;
    drop(second);
    assert_eq!(soon("a response", slow).await.unwrap().unwrap(), 1);
}

/// A reader waited for a slow machine beyond its deadline, and kept a thread of the runtime meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock, reason = "the machine waits for it, not this task")]
async fn readers_of_a_slow_machine_end_by_their_deadline() {
    let gates = Arc::new([Mutex::default(), Mutex::default()]);
    let node = Node::builder().state_machine(Gates(Arc::clone(&gates))).bootstrap();
    let node = node.command_timeout(Duration::from_millis(300)).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let term = node.status().await.term;
    let shut = gates[0].lock().unwrap();
    let error = soon("an answer", node.command(0_usize)).await.unwrap_err();
    assert_eq!(error.code(), "ETIMEOUT");
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let node = node.clone();
            tokio::spawn(async move { node.read(Consistency::Local, |_| ()).await })
        })
        .collect();
    for reader in readers {
        assert_eq!(soon("an answer", reader).await.unwrap(), Err(ReadError::Timeout));
    }
    drop(shut);
    assert_eq!(soon("a read", node.read(Consistency::Linearizable, |_| 7)).await, Ok(7));
    let status = node.status().await;
    assert_eq!((status.term, status.state.as_str()), (term, "leader"));
}

/// What happened to the machine and its callers, in order.
static NOTED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// Notes that it applies something.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Noted;

impl StateMachine for Noted {
    type Command = String;
    type Response = ();

    fn apply(&mut self, _: String, _: At) {
        NOTED.lock().unwrap().push("applied");
    }
}

/// Whoever was answered, and the loop, waited until the machine had nothing left to do.
#[tokio::test]
async fn those_who_are_answered_do_not_wait_for_the_next_batch() {
    let node = Node::builder().state_machine(Noted).bootstrap().start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    // No two of them go into one batch.
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let node = node.clone();
            tokio::spawn(async move {
                node.command("x".repeat(700 << 10)).await.unwrap();
                NOTED.lock().unwrap().push("answered");
            })
        })
        .collect();
    for call in calls {
        soon("a response", call).await.unwrap();
    }
    let said = NOTED.lock().unwrap().clone();
    assert_eq!(said, ["applied", "answered"].repeat(3));
}

/// Counts twice, and fails between the two.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Torn {
    begun: u64,
    ended: u64,
}

impl StateMachine for Torn {
    type Command = u64;
    type Response = u64;

    fn apply(&mut self, command: u64, _: At) -> u64 {
        self.begun += 1;
        assert!(command != 3, "three is too much");
        self.ended += 1;
        self.ended
    }
}

/// What a failed machine had done of the command that it failed at could be read.
#[tokio::test]
async fn half_of_a_command_is_never_read() {
    let node = Node::builder().state_machine(Torn::default()).bootstrap().start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    assert_eq!(soon("a response", node.command(1_u64)).await.unwrap(), 1);
    soon("an answer", node.command(3_u64)).await.unwrap_err();
    soon("the end", node.stopped()).await.unwrap_err();
    let read = node.read(Consistency::Local, |machine| (machine.begun, machine.ended)).await;
    assert_eq!(read, Err(ReadError::Stopped));
}

/// A command that a machine failed at was told to a client as one that took effect.
#[tokio::test]
async fn what_a_machine_fails_at_is_not_told_as_applied() {
    let network = MemoryNetwork::new();
    let node = Node::builder().state_machine(Torn::default()).id("a").bootstrap();
    let node = node.transport(network.transport()).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let client = Client::<Torn>::over(network.transport(), "skiff", ["a"]).unwrap();
    let error = soon("an answer", client.command(3_u64)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
}

/// Calls to a node that had stopped were refused as too many, to be tried again later.
#[tokio::test]
async fn a_stopped_node_is_not_busy() {
    let node = Node::builder().state_machine(Counter::default()).bootstrap();
    let node = node.max_queue_bytes(1000).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    node.stop().await.unwrap();
    for _ in 0..100 {
        let error = soon("an answer", node.command(1)).await.unwrap_err();
        assert!(matches!(error, CommandError::Stopped { .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
}

/// A command whose caller had gone before the loop saw it was appended all the same.
#[tokio::test]
async fn a_caller_that_is_gone_is_not_served() {
    let node = Node::builder().state_machine(Counter::default()).bootstrap();
    let node = node.start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    {
        let mut call = pin!(node.command(1));
        let mut context = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(soon("a response", node.command(10)).await.unwrap(), 10);
}

/// A command that panics where it is decoded.
#[derive(Debug)]
struct Four;

impl Encoded for Four {
    fn encode(&self) -> Result<Bytes, Malformed> {
        Ok(Bytes::from_static(b"four"))
    }

    fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        assert_eq!(bytes.len(), 4);
        Ok(Self)
    }
}

/// Counts fours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Fours(u64);

impl StateMachine for Fours {
    type Command = Four;
    type Response = u64;

    fn apply(&mut self, _: Four, _: At) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Bytes from anybody at which the user's own decoding panics ended the node.
#[tokio::test]
async fn bytes_that_make_decoding_panic_are_refused() {
    let network = MemoryNetwork::new();
    let node = Node::builder().state_machine(Fours::default()).id("a").bootstrap();
    let node = node.transport(network.transport()).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let client = Client::<KeepsNothing>::over(network.transport(), "skiff", ["a"]).unwrap();
    let error = soon("an answer", client.command("five!")).await.unwrap_err();
    assert_eq!((error.code(), error.outcome()), ("EUNDECODABLE", Outcome::NotApplied), "{error}");
    assert_eq!(soon("a response", node.command(Four)).await.unwrap(), 1);
}

/// A response that panics where it is decoded if it is three.
#[derive(Debug, PartialEq, Eq)]
struct Spiked(u64);

impl Encoded for Spiked {
    fn encode(&self) -> Result<Bytes, Malformed> {
        self.0.encode()
    }

    fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let number = u64::decode(bytes)?;
        assert!(number != 3, "three is too much");
        Ok(Self(number))
    }
}

/// Answers with what it was told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Spikes;

impl StateMachine for Spikes {
    type Command = u64;
    type Response = Spiked;

    fn apply(&mut self, command: u64, _: At) -> Spiked {
        Spiked(command)
    }
}

/// A response from elsewhere at which the user's own decoding panics ended the node that had asked.
#[tokio::test]
async fn responses_that_make_decoding_panic_are_lost() {
    let network = MemoryNetwork::new();
    let mut nodes = Vec::new();
    for name in ["a", "b"] {
        let builder = Node::builder().state_machine(Spikes).id(name).peers(["a", "b"]);
        let builder = builder.transport(network.transport()).forward_commands(true);
        nodes.push(builder.start().await.unwrap());
    }
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let leader = nodes[0].leader().unwrap().name;
    let follower = nodes.iter().find(|node| node.id() != leader).unwrap();
    let error = soon("an answer", follower.command(3_u64)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        ("EUNDECODABLE", Outcome::AppliedResponseLost),
        "{error}"
    );
    // A panic can take so long to be told that another leads afterwards.
    let served = async {
        while follower.command(4_u64).await != Ok(Spiked(4)) {
            tokio::task::yield_now().await;
        }
    };
    soon("a response", served).await;
}

/// Answers with so many bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Talkative;

impl StateMachine for Talkative {
    type Command = usize;
    type Response = String;

    fn apply(&mut self, length: usize, _: At) -> String {
        "x".repeat(length)
    }
}

/// A response too large for the transport was dropped, and who waited for it elsewhere waited until its
/// deadline.
#[tokio::test]
async fn a_response_too_large_to_travel_is_told_as_such() {
    let tcp = || skiff::tcp::TcpTransport::builder().max_frame(64 << 10).build().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    let node = Node::builder().state_machine(Talkative).id("a").bootstrap();
    let node = node.transport(Listening(tcp(), address.clone())).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let client = Client::<Talkative>::over(tcp(), "skiff", [address]).unwrap();
    let client = client.with_timeout(Duration::from_secs(600));
    assert_eq!(soon("a response", client.command(10_usize)).await.unwrap().len(), 10);
    let error = soon("an answer", client.command(1_usize << 20)).await.unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        ("EUNDECODABLE", Outcome::AppliedResponseLost),
        "{error}"
    );
}

/// Listens at an address of its own.
struct Listening(skiff::tcp::TcpTransport, String);

impl Transport for Listening {
    fn open(&self, local: Local, accepted: Accepted) -> Result<Option<String>, TransportError> {
        self.0.open(Local { listen: Some(self.1.clone()), ..local }, accepted)
    }

    fn connect(&self, address: &str) -> Result<Arc<dyn Connection>, TransportError> {
        self.0.connect(address)
    }

    fn shutdown(&self) {
        self.0.shutdown();
    }
}

/// Two clusters of one name that were founded apart were one to a client: it wrote to the one and read
/// from the other.
#[tokio::test]
async fn a_client_keeps_to_the_instance_it_met() {
    let network = MemoryNetwork::new();
    let mut nodes = Vec::new();
    for name in ["a", "b"] {
        let builder = Node::builder().state_machine(Counter::default()).id(name).bootstrap();
        nodes.push(builder.transport(network.transport()).start().await.unwrap());
    }
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let client = Client::<Counter>::over(network.transport(), "skiff", ["a", "b"]).unwrap();
    assert_eq!(soon("a response", client.command(1)).await.unwrap(), 1);
    nodes[0].stop().await.unwrap();
    let client = client.with_timeout(Duration::from_millis(300));
    let error = soon("an answer", client.command(1)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    assert_eq!(nodes[1].read(Consistency::Local, |machine| machine.value).await, Ok(0));
    let status = soon("a status", client.status("b")).await.unwrap();
    assert_eq!(status.id, "b", "it tells how it is");
}

/// A client that was to wait for as long as it takes panicked.
#[tokio::test]
async fn a_client_may_wait_for_ever() {
    let network = MemoryNetwork::new();
    let node = Node::builder().state_machine(Counter::default()).id("a").bootstrap();
    let node = node.transport(network.transport()).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let client = Client::<Counter>::over(network.transport(), "skiff", ["a"]).unwrap();
    let client = client.with_timeout(Duration::MAX);
    assert_eq!(soon("a response", client.command(1)).await.unwrap(), 1);
    assert_eq!(soon("a status", client.status("a")).await.unwrap().id, "a");
}

/// A log whose reader panics.
struct Unreadable(Box<dyn LogStore>);

impl LogStore for Unreadable {
    fn load(&mut self) -> Result<Recovered, StoreError> {
        self.0.load()
    }

    fn write(&mut self, write: Write, done: Done) -> Result<Written, StoreError> {
        self.0.write(write, done)
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(Panics)
    }

    fn identify(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.0.identify(identity)
    }
}

struct Panics;

impl LogReader for Panics {
    fn read(&self, from: Index, _: Index, _: usize) -> Result<Vec<Entry>, StoreError> {
        panic!("cannot read {from}");
    }
}

/// A store that outlives its node, readable or not.
struct Kept {
    store: Arc<MemoryPersistence>,
    readable: bool,
}

impl Persistence for Kept {
    fn open(&self, opening: &Opening) -> Result<Store, StoreError> {
        let store = self.store.open(opening)?;
        if self.readable {
            return Ok(store);
        }
        Ok(Store { log: Box::new(Unreadable(store.log)), ..store })
    }
}

/// A store that panicked while it read was waited for without end.
#[tokio::test]
async fn a_store_that_panics_at_reading_stops_the_node() {
    let store = Arc::new(MemoryPersistence::new());
    let start = |readable| {
        let builder = Node::builder().state_machine(Counter::default()).id("a").bootstrap();
        builder.persistence(Kept { store: Arc::clone(&store), readable }).start()
    };
    let node = start(true).await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    assert_eq!(soon("a response", node.command(1)).await.unwrap(), 1);
    node.stop().await.unwrap();
    let node = start(false).await.unwrap();
    let error = soon("the end", node.stopped()).await.unwrap_err();
    assert!(error.to_string().contains("store"), "{error}");
}

/// A log in memory that takes its time to be closed.
struct SlowToClose {
    log: Box<dyn LogStore>,
    closing: tokio::sync::mpsc::UnboundedSender<()>,
    go_on: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl LogStore for SlowToClose {
    fn load(&mut self) -> Result<Recovered, StoreError> {
        self.log.load()
    }

    fn write(&mut self, write: Write, done: Done) -> Result<Written, StoreError> {
        self.log.write(write, done)
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        self.log.reader()
    }

    fn identify(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.log.identify(identity)
    }
}

impl Drop for SlowToClose {
    fn drop(&mut self) {
        let _gone = self.closing.send(());
        let _gone = self.go_on.lock().unwrap().recv_timeout(common::PATIENCE);
    }
}

struct SlowStore {
    closing: tokio::sync::mpsc::UnboundedSender<()>,
    go_on: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Persistence for SlowStore {
    fn open(&self, opening: &Opening) -> Result<Store, StoreError> {
        let store = MemoryPersistence::new().open(opening)?;
        let (closing, go_on) = (self.closing.clone(), Arc::clone(&self.go_on));
        let log = Box::new(SlowToClose { log: store.log, closing, go_on });
        Ok(Store { log, ..store })
    }
}

/// A disk that hangs held up the stop, and with it all else that ran on the thread.
#[tokio::test]
async fn a_log_that_is_slow_to_close_holds_up_nobody() {
    let (closing, mut is_closing) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, gone_on) = mpsc::channel();
    let store = SlowStore { closing, go_on: Arc::new(Mutex::new(gone_on)) };
    let node = Node::builder().state_machine(Counter::default()).persistence(store).bootstrap();
    let node = node.start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let stopping = tokio::spawn({
        let node = node.clone();
        async move { node.stop().await }
    });
    soon("the log to be closed", is_closing.recv()).await.unwrap();
    assert!(!stopping.is_finished(), "the stop waits for the store to be free");
    go_on.send(()).expect("it still waits");
    soon("the end", stopping).await.unwrap().unwrap();
}
