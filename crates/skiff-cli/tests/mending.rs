//! Damaged directories of real processes: the nodes get back from each other what damage took.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;

use common::{Cluster, Server, free_address, path, said, segments, skiff};

const KEYS: usize = 30;

fn key(number: usize) -> String {
    format!("key-{number:02}")
}

fn value(number: usize) -> String {
    format!("value-{}", number * number)
}

/// Flips a bit of each batch that holds one of these values.
fn damage(cluster: &Cluster, node: usize, numbers: std::ops::Range<usize>) {
    for file in segments(&cluster.dir(node)) {
        let mut bytes = fs::read(&file).unwrap();
        for number in numbers.clone() {
            let value = value(number);
            let found = bytes.windows(value.len()).position(|window| window == value.as_bytes());
            if let Some(at) = found {
                bytes[at] ^= 1;
            }
        }
        fs::write(&file, bytes).unwrap();
    }
}

/// Whose directory it is, and how its log is.
fn identity(cluster: &Cluster, node: usize) -> serde_json::Value {
    let dump = skiff(&["log", "dump", path(&cluster.dir(node)), "--json"]);
    let text = String::from_utf8(dump.stdout).unwrap();
    let identity = text.lines().next().unwrap();
    serde_json::from_str::<serde_json::Value>(identity).unwrap()["node"].clone()
}

fn written() -> Cluster {
    let mut cluster = Cluster::formed();
    for number in 0..KEYS {
        let put = cluster.run(&["put", &key(number), &value(number)]);
        assert!(put.status.success(), "{}", said(&put));
    }
    (0..3).for_each(|node| cluster.kill(node));
    cluster
}

fn assert_all_is_there(cluster: &Cluster) {
    for number in 0..KEYS {
        let get = cluster.run(&["get", &key(number)]);
        assert!(get.status.success(), "{}", said(&get));
        assert_eq!(String::from_utf8(get.stdout).unwrap().trim_end(), value(number));
    }
}

/// Starts all three, of which some must say that they are mended, and looks at what they serve.
fn assert_mends(mut cluster: Cluster, damaged: &[usize]) {
    let before: Vec<_> = (0..3).map(|node| identity(&cluster, node)).collect();
    for node in damaged {
        let verify = skiff(&["log", "verify", path(&cluster.dir(*node))]);
        assert_eq!(verify.status.code(), Some(5), "{}", said(&verify));
    }
    (0..3).for_each(|node| cluster.start(node));
    for node in damaged {
        let server = cluster.servers[*node].as_mut().unwrap();
        server.hear("are damaged and will be asked of other members");
        server.hear("the log is whole again");
    }
    assert_all_is_there(&cluster);
    (0..3).for_each(|node| cluster.kill(node));
    for (node, before) in before.iter().enumerate() {
        assert_eq!(identity(&cluster, node), *before, "the node is another one now");
        let verify = skiff(&["log", "verify", path(&cluster.dir(node))]);
        assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
    }
    // Two that were damaged serve without the third.
    (0..2).for_each(|node| cluster.start(node));
    assert_all_is_there(&cluster);
}

#[test]
fn two_of_three_are_damaged_in_different_places() {
    let cluster = written();
    damage(&cluster, 0, 3..6);
    damage(&cluster, 1, 20..22);
    assert_mends(cluster, &[0, 1]);
}

#[test]
fn all_three_are_damaged_in_different_places() {
    let cluster = written();
    damage(&cluster, 0, 3..6);
    damage(&cluster, 1, 20..22);
    damage(&cluster, 2, 10..14);
    assert_mends(cluster, &[0, 1, 2]);
}

/// What nobody has any more is not made up: all stop, and say what is lost.
#[test]
fn what_no_member_has_is_told() {
    let mut cluster = written();
    (0..3).for_each(|node| damage(&cluster, node, 7..8));
    (0..3).for_each(|node| cluster.start(node));
    for node in 0..3 {
        let server = cluster.servers[node].as_mut().unwrap();
        server.hear("every other voter has answered that it cannot give them");
        assert!(!server.ended().success());
    }
}

/// A node that is to refuse does so, with an exit code of its own, and leaves everything as it is; told
/// otherwise, it is mended from then on.
#[test]
fn a_node_that_is_to_refuse_leaves_its_damaged_directory_alone() {
    let mut cluster = written();
    damage(&cluster, 0, 3..6);
    let bytes = |cluster: &Cluster| -> Vec<Vec<u8>> {
        segments(&cluster.dir(0)).iter().map(|file| fs::read(file).unwrap()).collect()
    };
    let before = bytes(&cluster);
    let (dir, nodes) = (cluster.dir(0), cluster.nodes());
    let listen = cluster.addresses[0].clone();
    let args = ["serve", "--listen", &listen, "--data-dir", path(&dir), "--peers", &nodes];
    let refused = skiff(&[&args[..], &["--on-lost-data", "refuse"]].concat());
    assert_eq!(refused.status.code(), Some(5), "{}", said(&refused));
    assert!(said(&refused).contains("damaged at byte"), "{}", said(&refused));
    assert_eq!(bytes(&cluster), before);
    cluster.start(1);
    cluster.start(2);
    let mends = [&args[1..], &["--on-lost-data", "mend"]].concat();
    let mut server = Server::start(&mends);
    server.hear("the log is whole again");
    cluster.servers[0] = Some(server);
    assert_all_is_there(&cluster);
}

#[test]
fn a_node_that_is_alone_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let (listen, dir) = (free_address(), folder.path().join("data"));
    let args = ["--listen", &listen, "--data-dir", path(&dir), "--bootstrap"];
    let mut server = Server::start(&args);
    server.hear("leads in term");
    for number in 0..3 {
        let put = skiff(&["put", &key(number), &value(number), "--nodes", &listen]);
        assert!(put.status.success(), "{}", said(&put));
    }
    server.kill();
    let file = segments(&dir).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(7).position(|window| window == b"value-1").unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    let mut server = Server::start(&args);
    server.hear("this node is the only voter of its cluster");
    assert!(!server.ended().success());
}
