//! How connections live and die: signs of life, limits, slow and dead peers.

mod support;

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::{Duration, Instant},
};

use skiff_tcp::TcpTransport;
use skiff_transport::{NotSent, Signal};
use support::{DEADLINE, Node, RawPeer, bulk, frame, framed, heartbeat, number};

/// So long that nothing in these tests happens because of it.
const NEVER: Duration = Duration::from_secs(600);

const SHORT: Duration = Duration::from_millis(80);

#[test]
fn silent_connection_is_noticed() {
    let node = Node::start(TcpTransport::builder().idle_timeout(SHORT));
    let mut peer = RawPeer::dial(&node.address, 1);
    assert_eq!(node.wait_down(), "nothing was heard of it for too long");
    peer.is_closed();
    assert_eq!(node.transport.counters().silent, 1);
    node.check_goes_on();
}

/// Both lanes must live: the one that is silent takes the other with it.
#[test]
fn half_a_connection_that_is_silent_is_noticed() {
    let node = Node::start(TcpTransport::builder().idle_timeout(SHORT));
    let mut peer = RawPeer::dial(&node.address, 1);
    let mut control = peer.control.try_clone().unwrap();
    let pinging = std::thread::spawn(move || while control.write_all(&frame(b"")).is_ok() {});
    assert_eq!(node.wait_down(), "nothing was heard of it for too long");
    peer.is_closed();
    pinging.join().unwrap();
}

#[test]
fn dead_link_is_dialled_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Node::start(TcpTransport::builder().idle_timeout(SHORT));
    let connection = node.dial(&listener.local_addr().unwrap().to_string());
    // Neither closed nor heard again, as if the network swallowed everything.
    let _first = RawPeer::accept(&listener);
    assert_eq!(node.wait_down(), "nothing was heard of it for too long");
    let mut second = RawPeer::accept(&listener);
    second.control.write_all(&framed(&heartbeat(1))).unwrap();
    node.wait_received(&heartbeat(1));
    connection.close();
}

#[test]
fn idle_connection_is_kept_by_signs_of_life() {
    let node = Node::start(TcpTransport::builder().idle_timeout(SHORT * 5));
    let mut peer = RawPeer::dial(&node.address, 1);
    // Three times the idle timeout, by the other side's own clock.
    for _ in 0..12 {
        for stream in [&mut peer.control, &mut peer.bulk, &mut peer.snapshots] {
            let mut ping = [0; 12];
            stream.read_exact(&mut ping).unwrap();
            assert_eq!(ping[..], frame(b""));
            stream.write_all(&ping).unwrap();
        }
    }
    assert_eq!(node.told(), [Signal::Up]);
}

#[test]
fn slow_reader_fills_a_bounded_queue_and_is_dropped() {
    let queue = 1 << 20;
    let node = Node::start(TcpTransport::builder().queue(queue).idle_timeout(SHORT * 4));
    let mut peer = RawPeer::dial(&node.address, 1);
    node.wait_up();
    // It shows that it lives, but reads nothing.
    let pinging = [&peer.control, &peer.bulk, &peer.snapshots].map(|stream| {
        let mut stream = stream.try_clone().unwrap();
        std::thread::spawn(move || while stream.write_all(&frame(b"")).is_ok() {})
    });
    let connection = node.accepted().remove(0);
    let mut taken = 0;
    let began = Instant::now();
    let refused = loop {
        match connection.send(bulk(1, 64 << 10)) {
            Ok(()) => taken += 64 << 10,
            Err(refused) => break refused,
        }
        assert!(began.elapsed() < DEADLINE && taken < 100 << 20, "{taken} bytes were taken");
    };
    assert_eq!(refused, NotSent::Full);
    // The other lane has room.
    assert_eq!(connection.send(heartbeat(1)), Ok(()));
    assert_eq!(node.wait_down(), "it took nothing of what waited for it for too long");
    assert_eq!(node.transport.counters().stalled, 1);
    pinging.into_iter().for_each(|thread| thread.join().unwrap());
    peer.is_closed();
}

#[test]
fn connections_are_limited_in_all_and_a_freed_place_is_used() {
    for builder in
        [TcpTransport::builder().connections(1), TcpTransport::builder().connections_per_address(1)]
    {
        let node = Node::start(builder.idle_timeout(NEVER));
        let first = Node::start(TcpTransport::builder().idle_timeout(NEVER));
        let connection = first.dial(&node.address);
        first.wait_up();
        let second = Node::start(TcpTransport::builder().idle_timeout(NEVER));
        let waiting = second.dial(&node.address);
        node.wait_counted(|counted| counted.refused_over_limit > 3);
        assert_eq!(second.told(), []);
        assert_eq!(connection.send(heartbeat(1)), Ok(()));
        node.wait_received(&heartbeat(1));
        connection.close();
        second.wait_up();
        assert_eq!(waiting.send(heartbeat(2)), Ok(()));
        node.wait_received(&heartbeat(2));
    }
}

/// Nobody accepts, and the backlog is full: the system would try for minutes.
#[test]
fn hung_connect_has_a_deadline() {
    let backlog = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    backlog.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    backlog.listen(0).unwrap();
    let address = backlog.local_addr().unwrap().as_socket().unwrap();
    let limit = Duration::from_millis(50);
    let mut filling = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, limit) {
        filling.push(stream);
        assert!(filling.len() < 100, "the backlog never fills");
    }
    let node = Node::start(TcpTransport::builder().connect_timeout(limit).idle_timeout(NEVER));
    let connection = node.dial(&address.to_string());
    node.wait_counted(|counted| counted.connect_timeouts >= 2);
    // It is still being tried once there is room, for all its sockets at once.
    backlog.listen(16).unwrap();
    let listener = TcpListener::from(backlog);
    drop(filling);
    let mut peer = RawPeer::accept(&listener);
    node.wait_up();
    peer.control.write_all(&framed(&heartbeat(1))).unwrap();
    node.wait_received(&heartbeat(1));
    connection.close();
}

/// What is sent in the same breath as the close is heard, if the sockets take it.
#[test]
fn last_words_are_heard() {
    let a = Node::start(TcpTransport::builder());
    // Which of the sockets is seen to end first is left to chance: often enough.
    for dialled in 1..=20 {
        let b = Node::start(TcpTransport::builder());
        let connection = a.dial(&b.address);
        b.wait_up();
        a.wait_counted(|counted| counted.dialled == dialled);
        connection.send(heartbeat(1)).unwrap();
        connection.send(bulk(2, 100)).unwrap();
        connection.close();
        b.wait_down();
        let mut heard: Vec<u64> = b.told().iter().filter_map(number).collect();
        heard.sort_unstable();
        assert_eq!(heard, [1, 2]);
    }
}
