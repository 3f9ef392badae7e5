//! Three real processes: what survives what.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use common::{Cluster, Server, free_address, path, said, skiff};

#[test]
fn three_processes_keep_what_was_acknowledged_through_kills() {
    let mut cluster = Cluster::formed();
    let put = |cluster: &Cluster, key: &str| {
        let output = cluster.run(&["put", key, "value"]);
        assert!(output.status.success(), "{}", said(&output));
    };
    put(&cluster, "with-three");
    cluster.kill(0);
    put(&cluster, "with-two");
    cluster.kill(1);
    let args = ["put", "with-one", "value", "--nodes", &cluster.nodes(), "--timeout", "1s"];
    let alone = skiff(&args);
    assert!(!alone.status.success() && !said(&alone).is_empty());
    cluster.start(0);
    cluster.start(1);
    put(&cluster, "with-three-again");
    let list = said(&cluster.run(&["list"]));
    for key in ["with-three", "with-two", "with-three-again"] {
        assert!(list.contains(key), "{key} is missing in {list}");
    }
    let deleted = cluster.run(&["delete", "with-two"]);
    assert!(deleted.status.success(), "{}", said(&deleted));
    assert_eq!(cluster.run(&["get", "with-two"]).status.code(), Some(3));
    let status = said(&cluster.run(&["status", "--json"]));
    assert_eq!(status.matches("\"voters\":3").count(), 3, "{status}");
}

#[test]
fn two_wait_for_the_third_by_address() {
    let mut cluster = Cluster::new();
    cluster.start(0);
    cluster.start(1);
    let third = cluster.addresses[2].clone();
    for server in cluster.servers.iter_mut().flatten() {
        server.hear(&format!("nobody answers at {third}"));
    }
    cluster.start(2);
    for server in cluster.servers.iter_mut().flatten() {
        server.hear("member of a cluster of 3");
    }
}

#[test]
fn lists_that_differ_are_told_by_name() {
    let (one, other) = (free_address(), free_address());
    let folder = tempfile::tempdir().unwrap();
    let start = |id: &str, listen: &str, peers: &str| {
        let dir = folder.path().join(id);
        let args = ["--listen", listen, "--data-dir", path(&dir), "--peers", peers, "--id", id];
        Server::start(&args)
    };
    let pair = format!("{one},{other}");
    let mut first = start("first", &one, &pair);
    let stranger = free_address();
    let _second = start("second", &other, &format!("{one},{other},{stranger}"));
    let _third = start("third", &stranger, &format!("{one},{other},{stranger}"));
    let line = first.hear("was given another list of peers");
    assert!(line.contains("second") || line.contains("third"), "{line}");
}

#[test]
fn garbage_at_the_port_does_not_disturb_the_others() {
    let cluster = Cluster::formed();
    let mut silent = Vec::new();
    for address in &cluster.addresses {
        silent.push(TcpStream::connect(address).unwrap());
        for garbage in [&[0x5a; 300][..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64]] {
            let mut stream = TcpStream::connect(address).unwrap();
            let _refused = stream.write_all(garbage);
            // The other side closes: the end, or a reset, but no answer without end.
            let mut answer = Vec::new();
            let _reset = stream.take(1 << 20).read_to_end(&mut answer);
            assert!(answer.len() < 1_024, "garbage was answered at length");
        }
    }
    let output = cluster.run(&["put", "key", "value"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&cluster.run(&["get", "key"])).contains("value"));
}
