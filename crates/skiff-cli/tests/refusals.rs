//! What `skiff serve` refuses, and whether it says why and what to do.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;

use common::{Cluster, Server, free_address, path, said, segments, skiff};

/// A directory that one node has written to and left.
fn written(listen: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let args = ["--listen", listen, "--data-dir", path(&dir), "--bootstrap", "--id", "solo"];
    let mut server = Server::start(&args);
    server.hear("leads in term");
    let put = skiff(&["put", "key", "value", "--nodes", listen]);
    assert!(put.status.success(), "{}", said(&put));
    server.kill();
    folder
}

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const DAMAGED: i32 = 5;
const LISTEN: i32 = 6;

/// Serves the directory again, which must be refused with this exit code; what was said.
fn refused(exit: i32, folder: &tempfile::TempDir, listen: &str, more: &[&str]) -> String {
    let dir = folder.path().join("data");
    let args = ["serve", "--listen", listen, "--data-dir", path(&dir)];
    let output = skiff(&[&args[..], more].concat());
    assert_eq!(output.status.code(), Some(exit), "{}", said(&output));
    said(&output)
}

fn says(text: &str, all: &[&str]) {
    for one in all {
        assert!(text.contains(one), "`{one}` is missing in: {text}");
    }
}

#[test]
fn an_empty_directory_without_peers_is_refused_with_both_ways_on() {
    let folder = tempfile::tempdir().unwrap();
    says(&refused(USAGE, &folder, &free_address(), &[]), &["--bootstrap", "--dev"]);
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "a file").unwrap();
    let text = refused(FAILED, &folder, &free_address(), &["--bootstrap"]);
    says(&text, &[path(&folder.path().join("data"))]);
}

#[test]
fn a_directory_that_cannot_be_written_to_is_refused_by_name() {
    let dir = "/proc/skiff";
    let listen = free_address();
    let output = skiff(&["serve", "--listen", &listen, "--data-dir", dir, "--bootstrap"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    says(&said(&output), &[dir]);
}

#[test]
fn a_port_in_use_is_refused_by_name() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    says(&refused(LISTEN, &folder, &address, &["--bootstrap"]), &[&address, "in use"]);
}

#[test]
fn listening_off_loopback_needs_insecure() {
    let folder = tempfile::tempdir().unwrap();
    says(&refused(LISTEN, &folder, "0.0.0.0:0", &["--bootstrap"]), &["--insecure"]);
}

#[test]
fn a_second_process_on_one_directory_is_told_the_firsts_pid() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let listen = free_address();
    let mut server = Server::start(&["--listen", &listen, "--data-dir", path(&dir), "--bootstrap"]);
    server.hear("leads in term");
    let text = refused(FAILED, &folder, &free_address(), &["--bootstrap"]);
    says(&text, &["in use", &server.pid().to_string()]);
}

#[test]
fn the_directory_of_another_node_or_cluster_is_refused() {
    let listen = free_address();
    let folder = written(&listen);
    says(&refused(FAILED, &folder, &listen, &["--id", "other"]), &["solo", "other"]);
    says(&refused(FAILED, &folder, &listen, &["--cluster", "else"]), &["skiff", "else"]);
}

#[test]
fn segments_gone_identity_left() {
    let listen = free_address();
    let folder = written(&listen);
    segments(&folder.path().join("data")).iter().for_each(|file| fs::remove_file(file).unwrap());
    says(&refused(DAMAGED, &folder, &listen, &["--bootstrap"]), &["lost data"]);
}

#[test]
fn identity_gone_segments_left() {
    let listen = free_address();
    let folder = written(&listen);
    fs::remove_file(folder.path().join("data").join("IDENTITY")).unwrap();
    says(&refused(DAMAGED, &folder, &listen, &["--bootstrap"]), &["lost data", "IDENTITY"]);
}

#[test]
fn a_damaged_identity_is_refused() {
    let listen = free_address();
    let folder = written(&listen);
    let file = folder.path().join("data").join("IDENTITY");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    says(&refused(DAMAGED, &folder, &listen, &["--bootstrap"]), &["IDENTITY"]);
}

#[test]
fn a_flipped_bit_in_an_acknowledged_record_is_refused_with_file_offset_and_index() {
    let listen = free_address();
    let folder = written(&listen);
    let dir = folder.path().join("data");
    // The genesis is entry 1, the leader's first is 2, the session is 3, and the flipped one is 4.
    // A later batch proves that the one before it was synced.
    let args = ["--listen", &listen, "--data-dir", path(&dir)];
    let mut server = Server::start(&args);
    server.hear("leads in term");
    assert!(skiff(&["put", "later", "value", "--nodes", &listen]).status.success());
    server.kill();
    let file = segments(&dir).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(5).position(|window| window == b"value").unwrap();
    bytes[at] ^= 1;
    fs::write(&file, &bytes).unwrap();
    says(
        &refused(DAMAGED, &folder, &listen, &[]),
        &[path(&file), "at byte", "entries 4 to 4 are lost"],
    );
    let verify = skiff(&["log", "verify", path(&dir)]);
    assert_eq!(verify.status.code(), Some(5), "{}", said(&verify));
    let now = fs::read(&file).unwrap();
    let is_kept = |(was, is): (&u8, &u8)| was == is || *was == 0;
    assert!(bytes.iter().zip(&now).all(is_kept), "nothing that was written is overwritten");
}

#[test]
fn a_random_file_in_the_directory_does_no_harm() {
    let listen = free_address();
    let folder = written(&listen);
    let dir = folder.path().join("data");
    fs::write(dir.join("notes.txt"), [0xff; 1000]).unwrap();
    let mut server = Server::start(&["--listen", &listen, "--data-dir", path(&dir)]);
    server.hear("leads in term");
    assert!(said(&skiff(&["get", "key", "--nodes", &listen])).contains("value"));
    assert!(dir.join("notes.txt").exists());
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let listen = free_address();
    let more =
        ["--bootstrap", "--min-election-timeout-ms", "200", "--max-election-timeout-ms", "150"];
    says(&refused(USAGE, &folder, &listen, &more), &["200ms", "150ms"]);
    let more = ["--bootstrap", "--heartbeat-ms", "150"];
    says(&refused(USAGE, &folder, &listen, &more), &["min election timeout (150ms)", "heartbeat"]);
    says(
        &refused(USAGE, &folder, &listen, &["--bootstrap", "--id", ""]),
        &["the id must not be empty"],
    );
    let more = ["--peers", "127.0.0.1:1,127.0.0.1:1"];
    says(&refused(USAGE, &folder, &listen, &more), &["127.0.0.1:1", "twice"]);
}

#[test]
fn two_nodes_of_one_name_are_refused() {
    let cluster = Cluster::new();
    let mut servers: Vec<Server> = (0..3)
        .map(|node| {
            let (dir, nodes) = (cluster.dir(node), cluster.nodes());
            let listen = &cluster.addresses[node];
            let args = ["--listen", listen, "--data-dir", path(&dir), "--peers", &nodes];
            Server::start(&[&args[..], &["--id", "same"]].concat())
        })
        .collect();
    let line = servers[0].hear("its name `same` is that of another live node");
    // Both are named: the one that was turned away, and the one that has the name.
    let named = cluster.addresses.iter().filter(|address| line.contains(*address)).count();
    assert_eq!(named, 2, "{line}");
    assert!(servers.iter_mut().all(Server::runs), "they wait, to be corrected one at a time");
}
