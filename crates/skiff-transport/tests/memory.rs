//! The network in memory, beyond what every transport must do.

use std::sync::{Arc, mpsc};

use skiff_core::{Instant, Message, NodeId, Term};
use skiff_transport::{
    Accepted, Body, Connection, Envelope, Inbox, Local, MemoryNetwork, NotSent, Signal, Transport,
    conformance::Medium, transport_conformance,
};

struct InMemory(MemoryNetwork);

impl Medium for InMemory {
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.0.transport())
    }
}

transport_conformance!(InMemory(MemoryNetwork::with_limit(1000)));

fn envelope(boot: u64) -> Envelope {
    let body = Body::Raft { term: Term(1), message: Message::TimeoutNow };
    Envelope { group: 0, from: NodeId(1), to: NodeId(2), boot, body }
}

fn local(name: &str) -> Local {
    Local { name: name.to_owned(), ..Local::default() }
}

/// Keeps what is accepted, and tells all signals to one channel.
fn keeping(transport: &dyn Transport, name: &str) -> mpsc::Receiver<(Arc<dyn Connection>, Signal)> {
    let (sender, receiver) = mpsc::channel();
    let accepted = Accepted::new(move |connection: Arc<dyn Connection>| {
        let (sender, kept) = (sender.clone(), connection.clone());
        connection.listen(Inbox::new(move |signal| {
            let _ = sender.send((kept.clone(), signal));
        }));
    });
    transport.open(local(name), accepted).expect("the name is free");
    receiver
}

fn dial(from: &dyn Transport, to: &str) -> (Arc<dyn Connection>, mpsc::Receiver<Signal>) {
    let (sender, receiver) = mpsc::channel();
    let connection = from.connect(to).expect("any string is an address");
    connection.listen(Inbox::new(move |signal| {
        let _ = sender.send(signal);
    }));
    (connection, receiver)
}

#[test]
fn two_nodes_meet() {
    let network = MemoryNetwork::new();
    let (a, b) = (network.transport(), network.transport());
    let at_b = keeping(&b, "b");
    let (connection, at_a) = dial(&a, "b");
    assert_eq!(at_a.try_recv(), Ok(Signal::Up));
    connection.send(envelope(1)).unwrap();
    assert_eq!(at_b.try_recv().unwrap().1, Signal::Up);
    let (back, signal) = at_b.try_recv().unwrap();
    assert_eq!(signal, Signal::Received(envelope(1)));
    back.send(envelope(2)).unwrap();
    assert_eq!(at_a.try_recv(), Ok(Signal::Received(envelope(2))));
}

#[test]
fn cut_takes_connections_down_and_heal_brings_them_back() {
    let network = MemoryNetwork::new();
    let (a, b) = (network.transport(), network.transport());
    let (_at_a, _at_b) = (keeping(&a, "a"), keeping(&b, "b"));
    let (a_to_b, told_a) = dial(&a, "b");
    let (_b_to_a, told_b) = dial(&b, "a");
    assert_eq!((told_a.try_recv(), told_b.try_recv()), (Ok(Signal::Up), Ok(Signal::Up)));
    network.cut("b", "a");
    for told in [&told_a, &told_b] {
        assert_eq!(told.try_recv(), Ok(Signal::Down("the network is cut".into())));
    }
    assert_eq!(a_to_b.send(envelope(1)), Err(NotSent::Down));
    // Others are not touched, and no new one comes up.
    let c = network.transport();
    let (_, told_c) = dial(&c, "b");
    assert_eq!(told_c.try_recv(), Ok(Signal::Up));
    let (_another, told_another) = dial(&a, "b");
    a.tick(Instant(1));
    assert!(told_another.try_recv().is_err() && told_a.try_recv().is_err());
    network.heal("a", "b");
    for told in [&told_a, &told_b, &told_another] {
        assert_eq!(told.try_recv(), Ok(Signal::Up));
    }
    assert_eq!(a_to_b.send(envelope(1)), Ok(()));
}

#[test]
fn lost_envelopes_are_lost_in_one_direction() {
    let network = MemoryNetwork::new();
    let (a, b) = (network.transport(), network.transport());
    let (_at_a, at_b) = (keeping(&a, "a"), keeping(&b, "b"));
    let (a_to_b, told) = dial(&a, "b");
    assert_eq!(told.try_recv(), Ok(Signal::Up));
    assert_eq!(at_b.try_recv().unwrap().1, Signal::Up);
    network.lose("a", "b", |envelope| envelope.boot == 1);
    a_to_b.send(envelope(1)).unwrap();
    a_to_b.send(envelope(2)).unwrap();
    let (back, signal) = at_b.try_recv().unwrap();
    assert_eq!(signal, Signal::Received(envelope(2)));
    back.send(envelope(1)).unwrap();
    assert_eq!(told.try_recv(), Ok(Signal::Received(envelope(1))), "the way back loses nothing");
    network.lose_nothing("a", "b");
    a_to_b.send(envelope(1)).unwrap();
    assert_eq!(at_b.try_recv().unwrap().1, Signal::Received(envelope(1)));
}

#[test]
fn address_in_use_says_what_to_do() {
    let network = MemoryNetwork::new();
    let (a, b) = (network.transport(), network.transport());
    let _at_a = keeping(&a, "a");
    let error = b.open(local("a"), Accepted::new(|_| ())).unwrap_err().to_string();
    assert!(error.starts_with("cannot listen on a: another node"), "{error}");
    a.shutdown();
    assert!(b.open(local("a"), Accepted::new(|_| ())).is_ok(), "it is free again");
}

#[test]
fn node_listens_where_it_is_told_or_at_its_name() {
    let network = MemoryNetwork::new();
    let named = network.transport().open(local("n"), Accepted::new(|_| ())).unwrap();
    assert_eq!(named.as_deref(), Some("n"));
    let told = Local { listen: Some("there".into()), ..local("m") };
    let told = network.transport().open(told, Accepted::new(|_| ())).unwrap();
    assert_eq!(told.as_deref(), Some("there"));
}

/// An inbox that owns the connection it hears of, and a transport that its own closure owns: what
/// is dropped at the end is dropped with no lock held.
#[test]
fn inbox_may_own_its_connection() {
    let network = MemoryNetwork::new();
    let (a, b) = (network.transport(), Arc::new(network.transport()));
    let own = b.clone();
    let accepted = Accepted::new(move |connection: Arc<dyn Connection>| {
        let (own, kept) = (own.clone(), connection.clone());
        connection.listen(Inbox::new(move |_| {
            let _ = (&own, &kept);
        }));
    });
    b.open(local("b"), accepted).unwrap();
    let (connection, told) = dial(&a, "b");
    assert_eq!(told.try_recv(), Ok(Signal::Up));
    b.shutdown();
    assert_eq!(told.try_recv(), Ok(Signal::Down("the other side has shut down".into())));
    drop(connection);
}

/// Many threads open, dial, send, cut and close at once: nothing hangs, and every connection's Up
/// and Down take turns.
#[test]
fn nothing_hangs_however_threads_meet() {
    let network = MemoryNetwork::new();
    let nodes: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            let transport = network.transport();
            let at = keeping(&transport, name);
            (name, transport, at)
        })
        .into();
    std::thread::scope(|scope| {
        for (name, transport, _) in &nodes {
            let (network, nodes) = (&network, ["a", "b", "c"]);
            scope.spawn(move || {
                for round in 0..200 {
                    let other = nodes[round % 3];
                    let (connection, told) = dial(transport, other);
                    let _ = connection.send(envelope(1));
                    network.cut(name, other);
                    let _ = connection.send(envelope(2));
                    network.heal(name, other);
                    let _ = connection.send(envelope(3));
                    connection.close();
                    check_turns(&told.try_iter().collect::<Vec<_>>());
                }
            });
        }
    });
    for (_, transport, _) in &nodes {
        transport.shutdown();
    }
}

fn check_turns(told: &[Signal]) {
    for (at, signal) in told.iter().enumerate() {
        let up = at % 2 == 0;
        assert_eq!(matches!(signal, Signal::Up), up, "{told:?}");
    }
}

/// What is on its way when a connection ends does not arrive on the next.
#[test]
fn old_wire_leads_nowhere() {
    let network = MemoryNetwork::new();
    let (a, b) = (network.transport(), network.transport());
    let (_at_a, at_b) = (keeping(&a, "a"), keeping(&b, "b"));
    let (a_to_b, _told) = dial(&a, "b");
    // The rule is asked when the envelope has left: then the network fails for a moment.
    let failing = network.clone();
    network.lose("a", "b", move |envelope| {
        if envelope.boot == 1 {
            failing.cut("a", "b");
            failing.heal("a", "b");
        }
        false
    });
    assert_eq!(a_to_b.send(envelope(1)), Err(NotSent::Down));
    assert_eq!(a_to_b.send(envelope(2)), Ok(()));
    let told: Vec<Signal> = at_b.try_iter().map(|(_, signal)| signal).collect();
    let down = Signal::Down("the network is cut".into());
    assert_eq!(told, [Signal::Up, down, Signal::Up, Signal::Received(envelope(2))]);
}

/// An inbox is told one thing at a time: what comes while it is busy is told when it is done.
#[test]
fn inbox_is_not_called_within_itself() {
    let network = MemoryNetwork::new();
    let (a, b) = (network.transport(), network.transport());
    let at_b = keeping(&b, "b");
    let (sender, done) = mpsc::channel();
    let connection = a.connect("b").unwrap();
    let accepted = at_b.try_recv();
    assert!(accepted.is_ok_and(|(_, signal)| signal == Signal::Up));
    let back = Arc::new(std::sync::OnceLock::<Arc<dyn Connection>>::new());
    let within = back.clone();
    connection.listen(Inbox::new(move |signal| {
        if let Signal::Received(envelope) = signal {
            if let (1, Some(back)) = (envelope.boot, within.get()) {
                back.send(self::envelope(2)).unwrap();
            }
            sender.send(envelope.boot).unwrap();
        }
    }));
    connection.send(envelope(0)).unwrap();
    let (other, _) = at_b.try_recv().unwrap();
    assert!(back.set(other.clone()).is_ok());
    other.send(envelope(1)).unwrap();
    assert_eq!(done.try_iter().collect::<Vec<_>>(), [1, 2]);
}
