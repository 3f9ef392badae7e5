//! `put`, `get`, `delete`, `list` and `status`, against a node that runs.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use common::{SKIFF, Server, free_address, said, skiff};

/// A node by itself, in memory.
struct Node {
    address: String,
    _server: Server,
}

impl Node {
    fn start() -> Self {
        let address = free_address();
        let mut server = Server::start(&["--dev", "--listen", &address]);
        server.hear("leads in term");
        Self { address, _server: server }
    }

    fn run(&self, args: &[&str]) -> Output {
        skiff(&[args, &["--nodes", &self.address]].concat())
    }

    /// What a command prints that does as it is told.
    fn print(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn commands_print_what_was_there_as_text_and_as_json() {
    let node = Node::start();
    assert_eq!(node.print(&["put", "a", "1"]), "");
    assert_eq!(node.print(&["put", "a", "2"]), "replaced 1\n");
    assert_eq!(node.print(&["put", "a", "3", "--json"]), "{\"key\":\"a\",\"previous\":\"2\"}\n");
    assert_eq!(node.print(&["get", "a"]), "3\n");
    assert_eq!(node.print(&["get", "a", "--local"]), "3\n");
    assert_eq!(node.print(&["get", "a", "--json"]), "{\"key\":\"a\",\"value\":\"3\"}\n");
    assert_eq!(node.print(&["delete", "a"]), "deleted 3\n");
    for gone in [&["get", "a"][..], &["delete", "a"]] {
        let output = node.run(gone);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains("the key `a` is not there"), "{}", said(&output));
    }
}

#[test]
fn a_list_is_in_order_and_no_longer_than_asked_for() {
    let node = Node::start();
    for key in ["b/2", "a/1", "b/1", "b/3"] {
        node.print(&["put", key, "v"]);
    }
    assert_eq!(node.print(&["list"]), "a/1\tv\nb/1\tv\nb/2\tv\nb/3\tv\n");
    assert_eq!(node.print(&["list", "--prefix", "b/", "--limit", "2"]), "b/1\tv\nb/2\tv\n");
    assert_eq!(
        node.print(&["list", "--prefix", "a", "--json", "--local"]),
        "{\"key\":\"a/1\",\"value\":\"v\"}\n"
    );
    assert_eq!(node.print(&["list", "--prefix", "x"]), "");
}

#[test]
fn a_value_from_stdin_comes_back_as_it_was() {
    let node = Node::start();
    let value = [0xff, 0, b'\n', 7];
    let put = ["put", "bytes", "-", "--nodes", &node.address];
    let mut put = Command::new(SKIFF).args(put).stdin(Stdio::piped()).spawn().unwrap();
    put.stdin.take().unwrap().write_all(&value).unwrap();
    assert!(put.wait().unwrap().success());
    let got = node.run(&["get", "bytes"]).stdout;
    assert_eq!(got, [&value[..], b"\n"].concat());
    let json = node.print(&["get", "bytes", "--json"]);
    assert_eq!(json, "{\"key\":\"bytes\",\"value_hex\":\"ff000a07\"}\n");
}

#[test]
fn what_the_store_does_not_take_is_wrong_usage() {
    let node = Node::start();
    for key in ["", &"k".repeat(2_000)] {
        let output = node.run(&["put", key, "v"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("the key"), "{}", said(&output));
    }
    let output = skiff(&["get", "k", "--nodes", "127.0.0.1:1", "--timeout", "soon"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("500ms"), "{}", said(&output));
}

#[test]
fn a_client_of_another_cluster_is_told_both_names_and_the_node_goes_on() {
    let node = Node::start();
    for command in [&["put", "k", "v"][..], &["get", "k"], &["get", "k", "--local"], &["status"]] {
        let output = node.run(&[command, &["--cluster", "else"]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let names = "belongs to cluster `skiff`, this client to `else`";
        assert!(said(&output).contains(names), "{}", said(&output));
    }
    node.print(&["put", "k", "v"]);
}

#[test]
fn what_is_no_address_is_refused_at_once() {
    for command in [&["put", "k", "v"][..], &["get", "k"], &["status"]] {
        let output = skiff(&[command, &["--nodes", "nowhere", "--timeout", "1m"]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("`nowhere` is not an address"), "{}", said(&output));
    }
}

#[test]
fn a_status_shows_who_leads_and_who_does_not_answer() {
    let node = Node::start();
    let silent = free_address();
    let nodes = format!("{},{silent}", node.address);
    let output = skiff(&["status", "--nodes", &nodes, "--timeout", "1s"]);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    let row = |address: &str| text.lines().find(|line| line.contains(address)).unwrap().to_owned();
    assert!(row(&node.address).contains("leader"), "{text}");
    assert!(row(&silent).contains("no answer"), "{text}");
    assert!(text.contains("tolerates 0 more failures"), "{text}");
    let none = skiff(&["status", "--nodes", &silent, "--timeout", "300ms"]);
    assert_eq!(none.status.code(), Some(1), "{}", said(&none));
}
