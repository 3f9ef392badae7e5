//! Two nodes with a proxy between them that the tests stop and let go, lane by lane.

mod support;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use skiff_core::NodeId;
use skiff_tcp::TcpTransport;
use skiff_transport::{Answer, Ask, Body, Envelope, NotSent, Request, Signal};
use support::{BULK, CONTROL, LANES, Node, SNAPSHOTS, bulk, heartbeat, lock, number, piece};

const NEVER: Duration = Duration::from_secs(600);

/// Stops what flows through it while it is shut.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
    /// Bytes that went through it.
    passed: AtomicUsize,
}

impl Gate {
    fn set(&self, shut: bool) {
        *lock(&self.shut) = shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let shut = lock(&self.shut);
        drop(self.opened.wait_while(shut, |shut| *shut).expect("no panic"));
    }
}

/// Passes everything on, through a gate for each lane and direction.
struct Proxy {
    address: String,
    there: [Arc<Gate>; 3],
    back: [Arc<Gate>; 3],
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let gates = || LANES.map(|_| Arc::new(Gate::default()));
        let proxy = Self {
            address: listener.local_addr().expect("it is bound").to_string(),
            there: gates(),
            back: gates(),
            streams: Arc::default(),
        };
        let (to, there, back) = (address.to_owned(), proxy.there.clone(), proxy.back.clone());
        let streams = proxy.streams.clone();
        thread::spawn(move || {
            for dialling in listener.incoming().map_while(Result::ok) {
                let _ = pass(dialling, &to, &there, &back, &streams);
            }
        });
        proxy
    }

    /// Cuts every connection, at the side that dialled.
    fn cut(&self) {
        for stream in lock(&self.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(
    mut dialling: TcpStream,
    to: &str,
    there: &[Arc<Gate>; 3],
    back: &[Arc<Gate>; 3],
    streams: &Mutex<Vec<TcpStream>>,
) -> std::io::Result<()> {
    let mut preamble = [0; 36];
    dialling.read_exact(&mut preamble)?;
    let lane = usize::from(preamble[12]);
    let mut accepting = TcpStream::connect(to)?;
    accepting.write_all(&preamble)?;
    lock(streams).push(dialling.try_clone()?);
    flow(dialling.try_clone()?, accepting.try_clone()?, there[lane].clone());
    flow(accepting, dialling, back[lane].clone());
    Ok(())
}

fn flow(mut from: TcpStream, mut to: TcpStream, gate: Arc<Gate>) {
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            gate.pass();
            if to.write_all(&bytes[..read]).is_err() {
                break;
            }
            gate.passed.fetch_add(read, Ordering::SeqCst);
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn said(body: Body) -> Envelope {
    Envelope { group: 0, from: NodeId(1), to: NodeId(2), boot: 1, body }
}

fn node() -> Node {
    let backoff = (Duration::from_millis(1), Duration::from_millis(5));
    let builder = TcpTransport::builder().idle_timeout(NEVER).queue(64 << 20);
    Node::start(builder.backoff(backoff.0, backoff.1))
}

/// A snapshot that does not move holds up neither heartbeats nor entries.
#[test]
fn snapshot_never_delays_heartbeat_or_entries() {
    let (a, b) = (node(), node());
    let proxy = Proxy::to(&b.address);
    let connection = a.dial(&proxy.address);
    a.wait_up();
    b.wait_up();
    let gate = &proxy.there[usize::from(SNAPSHOTS)];
    gate.set(true);
    for sent in 0..40 {
        assert_eq!(connection.send(piece(1000 + sent, 1 << 20)), Ok(()));
    }
    for sent in 0..50 {
        assert_eq!(connection.send(heartbeat(2 * sent)), Ok(()));
        assert_eq!(connection.send(bulk(2 * sent + 1, 10_000)), Ok(()));
    }
    let heard = |told: &[Signal], from: u64, to: u64| -> Vec<u64> {
        told.iter().filter_map(number).filter(|number| (from..to).contains(number)).collect()
    };
    b.wait("heartbeats and entries", |told| (heard(told, 0, 1000).len() == 100).then_some(()));
    assert!(heard(&b.told(), 1000, u64::MAX).is_empty(), "no piece came by");
    gate.set(false);
    b.wait("all pieces, in order", |told| {
        (heard(told, 1000, u64::MAX) == (1000..1040).collect::<Vec<_>>()).then_some(())
    });
}

/// Megabytes that do not move hold no heartbeat up; within the bulk lane order holds.
#[test]
fn bulk_never_delays_heartbeat() {
    let (a, b) = (node(), node());
    let proxy = Proxy::to(&b.address);
    let connection = a.dial(&proxy.address);
    a.wait_up();
    b.wait_up();
    proxy.there[usize::from(BULK)].set(true);
    for sent in 0..40 {
        assert_eq!(connection.send(bulk(1000 + sent, 1 << 20)), Ok(()));
    }
    for sent in 0..100 {
        assert_eq!(connection.send(heartbeat(sent)), Ok(()));
    }
    let numbers = |told: &[Signal]| -> Vec<u64> { told.iter().filter_map(number).collect() };
    let heard = b.wait("all heartbeats", |told| {
        let heard = numbers(told);
        (heard.len() >= 100).then_some(heard)
    });
    assert!(heard.iter().copied().eq(0..100), "{heard:?}");
    proxy.there[usize::from(BULK)].set(false);
    let heard = b.wait("all bulk", |told| {
        let heard = numbers(told);
        (heard.len() >= 140).then(|| heard[100..].to_vec())
    });
    assert!(heard.iter().copied().eq(1000..1040), "{heard:?}");
}

/// Commands on their way to another node, and its responses, went ahead of heartbeats.
#[test]
fn heavy_calls_never_delay_heartbeats() {
    let (a, b) = (node(), node());
    let proxy = Proxy::to(&b.address);
    let connection = a.dial(&proxy.address);
    a.wait_up();
    b.wait_up();
    let bulk = usize::from(BULK);
    proxy.there[bulk].set(true);
    proxy.back[bulk].set(true);
    let heavy = Bytes::from(vec![7; 1 << 20]);
    let request = Request { id: 1, timeout_ms: 1, hops: 1, ask: Ask::Command(heavy.clone()) };
    let request = said(Body::Request(Box::new(request)));
    let answer = said(Body::Answer(Box::new(Answer { id: 1, result: Ok(heavy) })));
    let light = said(Body::Answer(Box::new(Answer { id: 2, result: Ok(Bytes::new()) })));
    let accepted = b.accepted().remove(0);
    for (from, to, heavy) in [(&connection, &b, &request), (&accepted, &a, &answer)] {
        for _ in 0..40 {
            assert_eq!(from.send(heavy.clone()), Ok(()));
        }
        for envelope in [heartbeat(1), light.clone(), heartbeat(2)] {
            assert_eq!(from.send(envelope), Ok(()));
        }
        to.wait_received(&heartbeat(2));
        let told: Vec<_> = to.told().into_iter().filter(|signal| *signal != Signal::Up).collect();
        let expected = [heartbeat(1), light.clone(), heartbeat(2)].map(Signal::Received);
        assert!(told == expected, "{} were told", told.len());
    }
    proxy.there[bulk].set(false);
    proxy.back[bulk].set(false);
    b.wait("all", |told| (told.len() == 44).then_some(()));
    a.wait("all", |told| (told.len() == 44).then_some(()));
}

/// Entries arrived before the words that said who sends them: whoever sends them was turned away.
#[test]
fn what_is_said_first_arrives_first() {
    let (a, b) = (node(), node());
    let proxy = Proxy::to(&b.address);
    let control = &proxy.there[usize::from(CONTROL)];
    let bulk_gate = &proxy.there[usize::from(BULK)];
    for round in 1..=20 {
        let connection = a.dial(&proxy.address);
        let ups = |told: &[Signal]| told.iter().filter(|signal| **signal == Signal::Up).count();
        a.wait("a connection to come up", |told| (ups(told) == round).then_some(()));
        control.set(true);
        let passed = bulk_gate.passed.load(Ordering::SeqCst);
        assert_eq!(connection.send(heartbeat(1)), Ok(()));
        assert_eq!(connection.send(bulk(2, 1000)), Ok(()));
        while bulk_gate.passed.load(Ordering::SeqCst) < passed + 1000 {
            thread::yield_now();
        }
        control.set(false);
        let heard = b.wait("both", |told| {
            let heard: Vec<u64> = told.iter().filter_map(number).collect();
            (heard.len() == 2 * round).then_some(heard)
        });
        assert_eq!(heard, [1, 2].repeat(round));
    }
}

/// Who says nothing by the control lane is heard by the other all the same.
#[test]
fn bulk_waits_for_nobody_for_ever() {
    let limit = Duration::from_secs(1);
    let (a, b) = (
        Node::start(TcpTransport::builder().idle_timeout(limit)),
        Node::start(TcpTransport::builder().idle_timeout(limit)),
    );
    let connection = a.dial(&b.address);
    a.wait_up();
    assert_eq!(connection.send(bulk(1, 1000)), Ok(()));
    b.wait_received(&bulk(1, 1000));
    assert!(!b.told().iter().any(|signal| matches!(signal, Signal::Down(_))));
}

/// The network swallowed everything and closed nothing; long after it was well again the old
/// connection was waited for. Here an established link goes dead, and those dialled in its place hang.
#[test]
fn dead_link_noticed_fast() {
    let limit = Duration::from_millis(100);
    let short = || {
        let builder = TcpTransport::builder().idle_timeout(limit).connect_timeout(limit);
        let builder = builder.handshake_timeout(limit);
        Node::start(builder.backoff(Duration::from_millis(1), Duration::from_millis(5)))
    };
    let (a, b) = (short(), short());
    let proxy = Proxy::to(&b.address);
    let connection = a.dial(&proxy.address);
    a.wait_up();
    b.wait_up();
    let shut = |shut| proxy.there.iter().chain(&proxy.back).for_each(|gate| gate.set(shut));
    shut(true);
    assert_eq!(a.wait_down(), "nothing was heard of it for too long");
    b.wait_down();
    assert_eq!(connection.send(heartbeat(1)), Err(NotSent::Down), "it is not kept for later");
    // The calls that hang are given up, one after the other.
    a.wait_counted(|counted| counted.connect_timeouts + counted.handshake_timeouts >= 2);
    shut(false);
    let ups = |told: &[Signal]| told.iter().filter(|signal| **signal == Signal::Up).count();
    a.wait("the connection to come up again", |told| (ups(told) >= 2).then_some(()));
    a.wait("it to take something", |_| connection.send(heartbeat(2)).is_ok().then_some(()));
    b.wait_received(&heartbeat(2));
}

/// What was on its way when a connection died does not arrive on the next.
#[test]
fn old_connection_late_reply() {
    let (a, b) = (node(), node());
    let proxy = Proxy::to(&b.address);
    let connection = a.dial(&proxy.address);
    a.wait_up();
    b.wait_up();
    proxy.back[usize::from(CONTROL)].set(true);
    let old = b.accepted().remove(0);
    for late in 1..=50 {
        assert_eq!(old.send(heartbeat(late)), Ok(()));
    }
    proxy.cut();
    a.wait_down();
    b.wait_down();
    assert_eq!(old.send(heartbeat(51)), Err(NotSent::Down));
    proxy.back[usize::from(CONTROL)].set(false);
    let ups = |told: &[Signal]| told.iter().filter(|signal| **signal == Signal::Up).count();
    a.wait("the connection to come up again", |told| (ups(told) == 2).then_some(()));
    assert_eq!(connection.send(heartbeat(60)), Ok(()));
    b.wait_received(&heartbeat(60));
    let new = b.accepted().remove(1);
    assert_eq!(new.send(heartbeat(100)), Ok(()));
    a.wait_received(&heartbeat(100));
    let told = a.told();
    assert!(matches!(&told[..], [Signal::Up, Signal::Down(_), Signal::Up, _]), "{told:?}");
}

/// Cut again and again, from both sides at once: Up and Down take turns all the while.
#[test]
fn up_and_down_take_turns_through_many_cuts() {
    let (a, b) = (node(), node());
    let proxy = Proxy::to(&b.address);
    let connection = a.dial(&proxy.address);
    let ups = |told: &[Signal]| told.iter().filter(|signal| **signal == Signal::Up).count();
    for round in 1..=30 {
        a.wait("the connection to come up", |told| (ups(told) >= round).then_some(()));
        let _ = connection.send(heartbeat(1));
        let _ = connection.send(bulk(2, 1000));
        if round % 2 == 0 {
            proxy.cut();
        } else {
            b.accepted().iter().for_each(|accepted| accepted.close());
            proxy.cut();
        }
    }
    let mut up = false;
    for signal in a.told() {
        match signal {
            Signal::Up => assert!(!std::mem::replace(&mut up, true), "up twice"),
            Signal::Down(_) => assert!(std::mem::take(&mut up), "down twice"),
            Signal::Received(_) => assert!(up, "received while down"),
        }
    }
}
