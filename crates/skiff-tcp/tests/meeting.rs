//! Two nodes over real sockets.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use skiff_core::{Message, NodeId, Term};
use skiff_tcp::TcpTransport;
use skiff_transport::{Accepted, Body, Connection, Envelope, Inbox, Local, Signal, Transport};

const DEADLINE: Duration = Duration::from_secs(10);

fn envelope(boot: u64) -> Envelope {
    let body = Body::Raft { term: Term(1), message: Message::TimeoutNow };
    Envelope { group: 0, from: NodeId(1), to: NodeId(2), boot, body }
}

#[test]
fn two_nodes_meet() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let tcp = || TcpTransport::builder().runtime(runtime.handle().clone()).build().unwrap();
    let (a, b) = (tcp(), tcp());
    let (sender, at_b) = mpsc::channel();
    let accepted = Accepted::new(move |connection: Arc<dyn Connection>| {
        let (sender, kept) = (sender.clone(), connection.clone());
        connection.listen(Inbox::new(move |signal| {
            let _ = sender.send((kept.clone(), signal));
        }));
    });
    let local = Local { listen: Some("127.0.0.1:0".into()), ..Local::default() };
    let address = b.open(local, accepted).unwrap().unwrap();
    let (sender, at_a) = mpsc::channel();
    let connection = a.connect(&address).unwrap();
    connection.listen(Inbox::new(move |signal| {
        let _ = sender.send(signal);
    }));
    assert_eq!(at_a.recv_timeout(DEADLINE).unwrap(), Signal::Up);
    connection.send(envelope(1)).unwrap();
    assert_eq!(at_b.recv_timeout(DEADLINE).unwrap().1, Signal::Up);
    let (back, signal) = at_b.recv_timeout(DEADLINE).unwrap();
    assert_eq!(signal, Signal::Received(envelope(1)));
    back.send(envelope(2)).unwrap();
    assert_eq!(at_a.recv_timeout(DEADLINE).unwrap(), Signal::Received(envelope(2)));
}
