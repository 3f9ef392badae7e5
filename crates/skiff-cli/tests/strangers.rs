//! What arrives at the port of a node and is none of ours, while the cluster goes on serving.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    thread,
};

use common::{Cluster, PATIENCE, Server, said};

/// The checksum that the protocol uses, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 * (sum & 1)))
    })
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// The first bytes of a socket of version 1, on this lane of this connection.
fn preamble(lane: u8, connection: u128) -> Vec<u8> {
    let mut bytes = b"\x89SKIFF\r\n\x01\0\x01\0".to_vec();
    bytes.extend([lane, 0, 0, 0]);
    bytes.extend(connection.to_le_bytes());
    sealed(bytes)
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Waits until the other side closes: by an end or by a reset. What it said until then.
fn until_closed(stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // No answer may be without end.
    match stream.take(1 << 20).read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("it stays open, after {} bytes", answer.len())
        }
        _ => answer,
    }
}

/// Puts one key after another while this is done; how many were put.
fn put_meanwhile(cluster: &Cluster, work: impl FnOnce() + Send) -> usize {
    thread::scope(|scope| {
        let work = scope.spawn(work);
        let mut count = 0;
        while count == 0 || !work.is_finished() {
            let output = cluster.run(&["put", &format!("key/{count}"), "value"]);
            assert!(output.status.success(), "{}", said(&output));
            count += 1;
        }
        count
    })
}

/// All that was put is there, and no node has ended.
fn goes_on(mut cluster: Cluster, put: usize) {
    assert_eq!(said(&cluster.run(&["list"])).lines().count(), put);
    assert!(cluster.servers.iter_mut().flatten().all(Server::runs));
}

#[test]
fn random_bytes_are_cut_off_and_disturb_nobody() {
    let cluster = Cluster::formed();
    let addresses = &cluster.addresses.clone();
    let put = put_meanwhile(&cluster, || {
        for address in addresses {
            for garbage in [&[0x5a; 300][..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64]] {
                let mut stream = connect(address);
                let _refused = stream.write_all(garbage);
                assert!(until_closed(stream).len() < 1_024, "garbage was answered at length");
            }
        }
    });
    goes_on(cluster, put);
}

#[test]
fn a_frame_that_claims_four_gigabytes_is_cut_off_at_its_header() {
    let cluster = Cluster::formed();
    let addresses = &cluster.addresses.clone();
    let put = put_meanwhile(&cluster, || {
        for (connection, address) in (0x51ff..).zip(addresses) {
            let mut lanes = [0, 1, 2].map(|lane| {
                let mut stream = connect(address);
                stream.write_all(&preamble(lane, connection)).unwrap();
                stream
            });
            // Only what is welcome gets as far as a frame.
            for stream in &mut lanes {
                let mut welcome = [0; 20];
                stream.read_exact(&mut welcome).unwrap();
                assert_eq!(&welcome[12..14], [1, 0], "the version that is spoken");
            }
            // A length, a checksum of what never comes, and a sound checksum of these two.
            let header = sealed([u32::MAX.to_le_bytes(), [0; 4]].concat());
            lanes[1].write_all(&header).unwrap();
            lanes.into_iter().for_each(|lane| drop(until_closed(lane)));
        }
    });
    goes_on(cluster, put);
}

#[test]
fn a_silent_connection_is_closed_and_disturbs_nobody() {
    let cluster = Cluster::formed();
    let addresses = &cluster.addresses.clone();
    let silent: Vec<TcpStream> = addresses.iter().map(|address| connect(address)).collect();
    let put = put_meanwhile(&cluster, || {
        for stream in silent {
            assert_eq!(until_closed(stream), [], "nothing is said to who says nothing");
        }
    });
    goes_on(cluster, put);
}
