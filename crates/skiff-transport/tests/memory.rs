//! The network in memory, beyond what every transport must do.

use std::sync::{Arc, mpsc};

use skiff_core::{Message, NodeId, Term};
use skiff_transport::{
    Accepted, Body, Connection, Envelope, Inbox, Local, MemoryNetwork, Signal, Transport,
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
