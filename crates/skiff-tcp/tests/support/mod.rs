//! What the tests over sockets share: a node that notes what it is told, and a peer whose every byte
//! is the test's own.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use skiff_core::{Append, Entry, Index, LogTime, Message, NodeId, Payload, Position, Round, Term};
use skiff_tcp::{TcpBuilder, TcpCounters, TcpTransport};
use skiff_transport::{
    Accepted, Body, Connection, Envelope, Inbox, Local, Signal, SnapshotPiece, Transport, wire,
};
use tokio::runtime::Runtime;

/// What is expected happens within this time, or the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().expect("no test panics with a lock held")
}

pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime can be had")
}

/// A node that listens on loopback and notes all that it is told.
pub(crate) struct Node {
    pub(crate) transport: TcpTransport,
    pub(crate) address: String,
    notes: Arc<Notes>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct Notes {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    signals: Vec<Signal>,
    accepted: Vec<Arc<dyn Connection>>,
}

impl Notes {
    fn note(&self, signal: Signal) {
        lock(&self.told).signals.push(signal);
        self.changed.notify_all();
    }
}

impl Node {
    pub(crate) fn start(builder: TcpBuilder) -> Self {
        let runtime = runtime();
        let transport =
            builder.runtime(runtime.handle().clone()).build().expect("the limits are sound");
        let notes = Arc::new(Notes::default());
        let noting = notes.clone();
        let accepted = Accepted::new(move |connection: Arc<dyn Connection>| {
            lock(&noting.told).accepted.push(connection.clone());
            let noting = noting.clone();
            connection.listen(Inbox::new(move |signal| noting.note(signal)));
        });
        let local = Local { listen: Some("127.0.0.1:0".into()), ..Local::default() };
        let address = transport.open(local, accepted).expect("it opens");
        let address = address.expect("it listens");
        Self { transport, address, notes, runtime: Some(runtime) }
    }

    pub(crate) fn dial(&self, address: &str) -> Arc<dyn Connection> {
        let connection = self.transport.connect(address).expect("it is an address");
        let notes = self.notes.clone();
        connection.listen(Inbox::new(move |signal| notes.note(signal)));
        connection
    }

    /// Waits until `found` finds something in all that was told.
    pub(crate) fn wait<T>(&self, what: &str, mut found: impl FnMut(&[Signal]) -> Option<T>) -> T {
        let began = Instant::now();
        let mut told = lock(&self.notes.told);
        loop {
            if let Some(found) = found(&told.signals) {
                return found;
            }
            let left = DEADLINE.checked_sub(began.elapsed());
            let left = left.unwrap_or_else(|| panic!("waited in vain for {what}"));
            told = self.notes.changed.wait_timeout(told, left).expect("no panic").0;
        }
    }

    pub(crate) fn wait_up(&self) {
        self.wait("a connection to come up", |told| told.contains(&Signal::Up).then_some(()));
    }

    /// Waits for the first reason of a Down.
    pub(crate) fn wait_down(&self) -> String {
        self.wait("a connection to go down", |told| {
            told.iter().find_map(|signal| match signal {
                Signal::Down(reason) => Some(reason.clone()),
                Signal::Up | Signal::Received(_) => None,
            })
        })
    }

    pub(crate) fn wait_received(&self, envelope: &Envelope) {
        let signal = Signal::Received(envelope.clone());
        self.wait("an envelope", |told| told.contains(&signal).then_some(()));
    }

    pub(crate) fn told(&self) -> Vec<Signal> {
        lock(&self.notes.told).signals.clone()
    }

    pub(crate) fn accepted(&self) -> Vec<Arc<dyn Connection>> {
        lock(&self.notes.told).accepted.clone()
    }

    /// Waits until the counters are as expected.
    pub(crate) fn wait_counted(&self, is: impl Fn(TcpCounters) -> bool) {
        let began = Instant::now();
        while !is(self.transport.counters()) {
            assert!(began.elapsed() < DEADLINE, "counted {:?}", self.transport.counters());
            std::thread::yield_now();
        }
    }

    /// Another node dials this one and is heard: whatever was done to this one, it goes on.
    pub(crate) fn check_goes_on(&self) {
        let other = Self::start(TcpTransport::builder());
        let connection = other.dial(&self.address);
        other.wait_up();
        connection.send(heartbeat(4711)).expect("it is up");
        self.wait_received(&heartbeat(4711));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.transport.shutdown();
        let accepted = std::mem::take(&mut lock(&self.notes.told).accepted);
        drop(accepted);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn raft(number: u64, entries: Vec<Entry>) -> Envelope {
    let append = Append {
        seq: number,
        round: Round(number),
        prev: Position::ZERO,
        entries,
        commit: Index(0),
    };
    let body = Body::Raft { term: Term(1), message: Message::Append(append) };
    Envelope { group: 0, from: NodeId(1), to: NodeId(2), boot: 1, body }
}

/// An append without entries: goes by the control lane.
pub(crate) fn heartbeat(number: u64) -> Envelope {
    raft(number, Vec::new())
}

/// An append with one entry of `length` bytes: goes by the bulk lane.
pub(crate) fn bulk(number: u64, length: usize) -> Envelope {
    let payload = Payload::Command(Bytes::from(vec![7; length]));
    raft(number, vec![Entry { term: Term(1), index: Index(1), time: LogTime(0), payload }])
}

/// A piece of a snapshot.
pub(crate) fn piece(number: u64, length: usize) -> Envelope {
    let bytes = Bytes::from(vec![7; length]);
    let body = Body::Piece(Box::new(SnapshotPiece { transfer: number, offset: 0, bytes }));
    Envelope { group: 0, from: NodeId(1), to: NodeId(2), boot: 1, body }
}

/// The number of a heartbeat, bulk or a piece.
pub(crate) fn number(signal: &Signal) -> Option<u64> {
    let Signal::Received(envelope) = signal else { return None };
    match &envelope.body {
        Body::Raft { message: Message::Append(append), .. } => Some(append.seq),
        Body::Piece(piece) => Some(piece.transfer),
        _ => None,
    }
}

pub(crate) const CONTROL: u8 = 0;
pub(crate) const BULK: u8 = 1;
pub(crate) const SNAPSHOTS: u8 = 2;
pub(crate) const LANES: [u8; 3] = [CONTROL, BULK, SNAPSHOTS];

pub(crate) fn preamble(versions: (u16, u16), lane: u8, connection: u128) -> Vec<u8> {
    let mut bytes = b"\x89SKIFF\r\n".to_vec();
    bytes.extend(versions.0.to_le_bytes());
    bytes.extend(versions.1.to_le_bytes());
    bytes.extend([lane, 0, 0, 0]);
    bytes.extend(connection.to_le_bytes());
    sealed(bytes)
}

pub(crate) fn welcome(versions: (u16, u16), version: u16) -> Vec<u8> {
    let mut bytes = b"\x89SKIFF\r\n".to_vec();
    for number in [versions.0, versions.1, version, 0] {
        bytes.extend(number.to_le_bytes());
    }
    sealed(bytes)
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

pub(crate) fn header(length: u32, checksum: u32) -> Vec<u8> {
    sealed([length.to_le_bytes(), checksum.to_le_bytes()].concat())
}

pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    [header(length, crc32c::crc32c(payload)), payload.to_vec()].concat()
}

pub(crate) fn framed(envelope: &Envelope) -> Vec<u8> {
    let mut payload = BytesMut::new();
    wire::encode(envelope, &mut payload);
    frame(&payload)
}

pub(crate) fn raw(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
    stream
}

/// Reads until the other side closes. Fails if it does not.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it stays open"),
        // Closed with a reset, as unread bytes were left.
        Ok(_) | Err(_) => bytes,
    }
}

/// A connection whose every byte is the test's own.
pub(crate) struct RawPeer {
    pub(crate) control: TcpStream,
    pub(crate) bulk: TcpStream,
    pub(crate) snapshots: TcpStream,
}

impl RawPeer {
    pub(crate) fn dial(address: &str, id: u128) -> Self {
        let mut streams = LANES.map(|lane| {
            let mut stream = raw(address);
            stream.write_all(&preamble((1, 1), lane, id)).expect("it takes the preamble");
            stream
        });
        for stream in &mut streams {
            let mut answer = [0; 20];
            stream.read_exact(&mut answer).expect("it answers");
            assert_eq!(answer[..], welcome((1, 1), 1));
        }
        let [control, bulk, snapshots] = streams;
        Self { control, bulk, snapshots }
    }

    /// Of all that arrives, the first sockets that belong together.
    pub(crate) fn accept(listener: &TcpListener) -> Self {
        let mut connections: HashMap<Vec<u8>, [Option<TcpStream>; 3]> = HashMap::new();
        loop {
            let (mut stream, _) = listener.accept().expect("somebody dials");
            stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
            let mut preamble = [0; 36];
            if stream.read_exact(&mut preamble).is_err() {
                // One that was given up before it was accepted.
                continue;
            }
            let lanes = connections.entry(preamble[16..32].to_vec()).or_default();
            lanes[usize::from(preamble[12])] = Some(stream);
            if let [Some(control), Some(bulk), Some(snapshots)] = lanes {
                for stream in [&mut *control, &mut *bulk, &mut *snapshots] {
                    stream.write_all(&welcome((1, 1), 1)).expect("it takes the welcome");
                }
                let lanes = std::mem::take(lanes).map(|lane| lane.expect("it is there"));
                let [control, bulk, snapshots] = lanes;
                return Self { control, bulk, snapshots };
            }
        }
    }

    /// Whether all sockets get closed.
    pub(crate) fn is_closed(&mut self) {
        read_to_end(&mut self.control);
        read_to_end(&mut self.bulk);
        read_to_end(&mut self.snapshots);
    }
}
