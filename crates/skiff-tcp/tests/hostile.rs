//! What a broken or hostile peer may send. Each costs that peer its connection and nobody else
//! anything.

mod support;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    time::Duration,
};

use skiff_tcp::TcpTransport;
use skiff_transport::Signal;
use support::{
    BULK, CONTROL, LANES, Node, RawPeer, frame, framed, header, heartbeat, preamble, raw,
    read_to_end, welcome,
};

/// So long that nothing in these tests happens because of it.
const NEVER: Duration = Duration::from_secs(600);

fn node() -> Node {
    Node::start(TcpTransport::builder().handshake_timeout(NEVER).idle_timeout(NEVER))
}

#[test]
fn random_bytes_are_refused() {
    let node = node();
    // The same each time; the first is not the magic's.
    let mut noise = (1_u32..2000).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]);
    let noise: Vec<u8> = noise.by_ref().collect();
    let mut stream = raw(&node.address);
    let _ = stream.write_all(&noise);
    assert_eq!(read_to_end(&mut stream), b"");
    node.wait_counted(|counted| counted.refused_garbage == 1);
    node.check_goes_on();
}

#[test]
fn wrong_magic_is_noticed_at_its_first_byte() {
    let node = node();
    for wrong in [&b"G"[..], b"\x89SKIFX"] {
        let mut stream = raw(&node.address);
        stream.write_all(wrong).unwrap();
        assert_eq!(read_to_end(&mut stream), b"", "{wrong:?}");
    }
    node.wait_counted(|counted| counted.refused_garbage == 2);
    node.check_goes_on();
}

#[test]
fn unknown_version_is_refused_and_told_ours() {
    let node = node();
    let mut stream = raw(&node.address);
    stream.write_all(&preamble((7, 9), CONTROL, 1)).unwrap();
    assert_eq!(read_to_end(&mut stream), welcome((1, 1), 0));
    node.wait_counted(|counted| counted.refused_version == 1);
    node.check_goes_on();
}

#[test]
fn version_unknown_to_us_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = node();
    let connection = node.dial(&listener.local_addr().unwrap().to_string());
    let answer = std::thread::spawn(move || {
        for _ in LANES {
            let (mut stream, _) = listener.accept().unwrap();
            let mut preamble = [0; 36];
            stream.read_exact(&mut preamble).unwrap();
            stream.write_all(&welcome((7, 9), 0)).unwrap();
        }
    });
    node.wait_counted(|counted| counted.refused_version >= 1);
    assert_eq!(node.told(), []);
    connection.close();
    answer.join().unwrap();
}

#[test]
fn older_and_newer_peer_agree_on_what_both_speak() {
    let node = node();
    let mut streams = LANES.map(|lane| {
        let mut stream = raw(&node.address);
        stream.write_all(&preamble((0, 5), lane, 3)).unwrap();
        stream
    });
    for stream in &mut streams {
        let mut answer = [0; 20];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..], welcome((1, 1), 1));
    }
}

/// Others kept what they had agreed on with a newer build; the node that was rolled back misread it.
/// Here a peer is upgraded, upgraded too far, and rolled back: each connection is agreed on anew, by
/// whichever side dials.
#[test]
fn rolled_back_node_reads() {
    let node = node();
    for (round, (versions, agreed)) in
        [((1, 5), true), ((2, 5), false), ((1, 1), true)].into_iter().enumerate()
    {
        let mut streams = LANES.map(|lane| {
            let mut stream = raw(&node.address);
            stream.write_all(&preamble(versions, lane, 10 + round as u128)).unwrap();
            stream
        });
        for stream in &mut streams {
            let mut answer = [0; 20];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer[..], welcome((1, 1), u16::from(agreed)), "{versions:?}");
        }
        if agreed {
            let number = 100 + round as u64;
            streams[0].write_all(&framed(&heartbeat(number))).unwrap();
            node.wait_received(&heartbeat(number));
        }
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = node.dial(&listener.local_addr().unwrap().to_string());
    for (versions, agreed) in [((1, 5), 1), ((2, 5), 0), ((1, 1), 1)] {
        let mut accepted: Vec<_> = LANES
            .iter()
            .map(|_| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut said = [0; 36];
                stream.read_exact(&mut said).unwrap();
                assert_eq!(said[8..12], preamble((1, 1), CONTROL, 1)[8..12], "what it speaks");
                stream.write_all(&welcome(versions, agreed)).unwrap();
                (said[12], stream)
            })
            .collect();
        if agreed == 1 {
            accepted.sort_by_key(|(lane, _)| *lane);
            let number = 200 + u64::from(versions.1);
            accepted[0].1.write_all(&framed(&heartbeat(number))).unwrap();
            node.wait_received(&heartbeat(number));
        }
    }
    connection.close();
}

#[test]
fn damaged_preamble_and_unknown_lane_are_refused() {
    let node = node();
    let mut damaged = preamble((1, 1), CONTROL, 1);
    damaged[20] ^= 1;
    for bytes in [damaged, preamble((1, 1), 9, 1)] {
        let mut stream = raw(&node.address);
        stream.write_all(&bytes).unwrap();
        assert_eq!(read_to_end(&mut stream), b"");
    }
    node.wait_counted(|counted| counted.refused_garbage == 2);
    node.check_goes_on();
}

#[test]
fn silent_peer_is_dropped_and_others_go_on() {
    let node = Node::start(TcpTransport::builder().handshake_timeout(Duration::from_millis(50)));
    let mut silent = raw(&node.address);
    let mut half = raw(&node.address);
    half.write_all(&preamble((1, 1), BULK, 5)).unwrap();
    assert_eq!(read_to_end(&mut silent), b"");
    assert_eq!(read_to_end(&mut half), b"");
    node.wait_counted(|counted| counted.handshake_timeouts == 2);
    node.check_goes_on();
}

#[test]
fn frame_of_four_gib_is_refused() {
    let node = node();
    let mut peer = RawPeer::dial(&node.address, 1);
    node.wait_up();
    peer.control.write_all(&header(u32::MAX, 0)).unwrap();
    let reason = node.wait_down();
    assert_eq!(reason, "it sent a frame of 4294967295 bytes, above the limit of 33554432");
    peer.is_closed();
    assert_eq!(node.transport.counters().bad_frames, 1);
    node.check_goes_on();
}

#[test]
fn flipped_byte_closes_only_that_connection() {
    for (at, reason) in [(2, "it sent a damaged frame header"), (20, "it sent a damaged frame")] {
        let node = node();
        let mut peer = RawPeer::dial(&node.address, 1);
        let mut sound = RawPeer::dial(&node.address, 2);
        peer.control.write_all(&framed(&heartbeat(1))).unwrap();
        node.wait_received(&heartbeat(1));
        let mut damaged = framed(&heartbeat(2));
        damaged[at] ^= 0x10;
        peer.control.write_all(&damaged).unwrap();
        assert_eq!(node.wait_down(), reason);
        peer.is_closed();
        sound.control.write_all(&framed(&heartbeat(3))).unwrap();
        node.wait_received(&heartbeat(3));
        let told = node.told();
        assert!(!told.contains(&Signal::Received(heartbeat(2))), "it was delivered");
        assert_eq!(told.iter().filter(|told| matches!(told, Signal::Down(_))).count(), 1);
    }
}

#[test]
fn frame_that_is_no_envelope_closes_the_connection() {
    let node = node();
    let mut peer = RawPeer::dial(&node.address, 1);
    peer.bulk.write_all(&frame(b"\xff\xff\xff")).unwrap();
    assert!(node.wait_down().starts_with("it sent what cannot be read"));
    peer.is_closed();
    assert_eq!(node.transport.counters().bad_frames, 1);
    node.check_goes_on();
}

/// A later version may say more than this one knows; that is no reason to part.
#[test]
fn unknown_kind_is_dropped_and_the_connection_goes_on() {
    let node = node();
    let mut peer = RawPeer::dial(&node.address, 1);
    // Body number 99, of no bytes.
    peer.control.write_all(&frame(&[0x9a, 0x06, 0])).unwrap();
    peer.control.write_all(&framed(&heartbeat(1))).unwrap();
    node.wait_received(&heartbeat(1));
    assert_eq!(node.told(), [Signal::Up, Signal::Received(heartbeat(1))]);
    assert_eq!(node.transport.counters().unknown_envelopes, 1);
}

#[test]
fn nothing_may_come_before_the_welcome() {
    let node = node();
    let mut early = raw(&node.address);
    early.write_all(&preamble((1, 1), CONTROL, 1)).unwrap();
    early.write_all(&framed(&heartbeat(1))).unwrap();
    assert_eq!(read_to_end(&mut early), b"");
    node.wait_counted(|counted| counted.refused_garbage == 1);
    assert_eq!(node.told(), []);
}

#[test]
fn lanes_of_two_connections_are_not_joined() {
    let node = Node::start(TcpTransport::builder().handshake_timeout(Duration::from_millis(50)));
    let mut control = raw(&node.address);
    control.write_all(&preamble((1, 1), CONTROL, 1)).unwrap();
    let mut stale = raw(&node.address);
    stale.write_all(&preamble((1, 1), BULK, 2)).unwrap();
    assert_eq!(read_to_end(&mut control), b"");
    assert_eq!(read_to_end(&mut stale), b"");
    assert_eq!(node.told(), []);
}

#[test]
fn the_same_lane_twice_joins_nothing() {
    let node = node();
    let mut both = [(); 2].map(|()| {
        let mut stream = raw(&node.address);
        stream.write_all(&preamble((1, 1), BULK, 1)).unwrap();
        stream
    });
    both.iter_mut().for_each(|stream| assert_eq!(read_to_end(stream), b""));
    assert_eq!(node.told(), []);
    // The id is free again.
    RawPeer::dial(&node.address, 1);
    node.wait_up();
}

#[test]
fn lane_that_went_away_while_it_waited_is_not_joined() {
    let node = node();
    let mut gone = raw(&node.address);
    gone.write_all(&preamble((1, 1), BULK, 1)).unwrap();
    gone.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut gone), b"");
    RawPeer::dial(&node.address, 1);
    node.wait_up();
}

#[test]
fn any_lane_takes_the_others_with_it() {
    for lane in LANES {
        let node = node();
        let mut peer = RawPeer::dial(&node.address, 1);
        node.wait_up();
        let dying = match lane {
            CONTROL => &mut peer.control,
            BULK => &mut peer.bulk,
            _ => &mut peer.snapshots,
        };
        dying.shutdown(Shutdown::Both).unwrap();
        assert_eq!(node.wait_down(), "closed by the other side");
        peer.is_closed();
        assert_eq!(node.told().len(), 2, "told once: {:?}", node.told());
    }
}
