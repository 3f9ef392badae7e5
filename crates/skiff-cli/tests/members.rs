//! Members come, go and come back, as real processes with real files.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, path::PathBuf};

use common::{Server, free_address, path, said, skiff};
use serde_json::Value;

/// Nodes of one cluster, each started by hand.
struct Nodes {
    folder: tempfile::TempDir,
    names: Vec<String>,
    addresses: Vec<String>,
    servers: Vec<Option<Server>>,
}

impl Nodes {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, names: Vec::new(), addresses: Vec::new(), servers: Vec::new() }
    }

    /// A node more, not started. Returns its number.
    fn add(&mut self) -> usize {
        let number = self.names.len();
        self.names.push(format!("n{number}"));
        self.addresses.push(free_address());
        self.servers.push(None);
        number
    }

    fn dir(&self, node: usize) -> PathBuf {
        self.folder.path().join(&self.names[node])
    }

    fn start(&mut self, node: usize, more: &[&str]) {
        let (dir, address) = (self.dir(node), self.addresses[node].clone());
        let args = ["--listen", &address, "--data-dir", path(&dir), "--id", &self.names[node]];
        self.servers[node] = Some(Server::start(&[&args[..], more].concat()));
    }

    fn kill(&mut self, node: usize) {
        self.servers[node].take().unwrap().kill();
    }

    fn server(&mut self, node: usize) -> &mut Server {
        self.servers[node].as_mut().unwrap()
    }

    /// Runs a client command against all nodes that run.
    fn run(&self, args: &[&str]) -> String {
        let up = self.servers.iter().zip(&self.addresses).filter(|(server, _)| server.is_some());
        let nodes: Vec<&str> = up.map(|(_, address)| address.as_str()).collect();
        let output = skiff(&[args, &["--nodes", &nodes.join(","), "--timeout", "25s"]].concat());
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Names and roles, as the leader tells them.
    fn members(&self) -> Vec<String> {
        let text = self.run(&["member", "list", "--json"]);
        let members: Value = serde_json::from_str(&text).unwrap();
        let word = |member: &Value, key: &str| member[key].as_str().unwrap().to_owned();
        let members = members.as_array().unwrap().iter();
        members.map(|one| format!("{} {}", word(one, "name"), word(one, "role"))).collect()
    }

    /// Waits until the members are these.
    fn until(&self, wanted: &[&str]) {
        let end = std::time::Instant::now() + common::PATIENCE;
        loop {
            let members = self.members();
            if members == wanted {
                return;
            }
            assert!(std::time::Instant::now() < end, "{members:?} are not {wanted:?}");
        }
    }

    fn leader(&self) -> usize {
        let table = self.run(&["member", "list"]);
        let line = table.lines().find(|line| line.trim_end().ends_with("leader"));
        let name =
            line.unwrap_or_else(|| panic!("nobody leads: {table}")).split_whitespace().next();
        self.names.iter().position(|one| Some(one.as_str()) == name).unwrap()
    }

    /// One node, alone.
    fn lone() -> Self {
        let mut nodes = Self::new();
        let first = nodes.add();
        nodes.start(first, &["--bootstrap"]);
        nodes.server(first).hear("leads in term");
        nodes
    }

    /// A node more, which waits to be invited.
    fn waiting(&mut self) -> (usize, String) {
        let node = self.add();
        self.start(node, &["--wait"]);
        self.server(node).hear("listens on");
        (node, self.addresses[node].clone())
    }
}

#[test]
fn one_grows_to_three_and_each_is_replaced_in_turn() {
    let mut nodes = Nodes::lone();
    nodes.run(&["put", "k", "v"]);
    let (_, address) = nodes.waiting();
    nodes.run(&["member", "add", &address]);
    // Another asks by itself, of one that is not the founder.
    let third = nodes.add();
    nodes.start(third, &["--peers", &address]);
    nodes.until(&["n0 voter", "n1 voter", "n2 voter"]);
    assert_eq!(nodes.run(&["get", "k"]), "v\n");
    for old in 0..3 {
        let (new, address) = nodes.waiting();
        let name = nodes.names[old].clone();
        nodes.run(&["member", "replace", &name, &address]);
        let key = format!("after-{old}");
        nodes.run(&["put", &key, "v"]);
        assert_eq!(new, old + 3);
        nodes.server(old).hear("it was removed from its cluster");
        nodes.kill(old);
    }
    nodes.until(&["n3 voter", "n4 voter", "n5 voter"]);
    assert_eq!(nodes.run(&["get", "after-0"]), "v\n");
}

#[test]
fn two_are_removed_down_to_one_and_it_grows_again() {
    let mut nodes = Nodes::lone();
    for _ in 0..2 {
        let (_, address) = nodes.waiting();
        nodes.run(&["member", "add", &address]);
    }
    nodes.until(&["n0 voter", "n1 voter", "n2 voter"]);
    let leader = nodes.leader();
    let others: Vec<usize> = (0..3).filter(|node| *node != leader).collect();
    for other in &others {
        let name = nodes.names[*other].clone();
        nodes.run(&["member", "remove", &name]);
        nodes.server(*other).hear("it was removed from its cluster");
    }
    nodes.run(&["put", "k", "alone"]);
    let address = nodes.addresses[leader].clone();
    for other in others {
        nodes.kill(other);
        // It stays out, until it is told to begin anew.
        nodes.start(other, &["--peers", &address]);
        nodes.server(other).hear("--rejoin");
        assert!(!nodes.server(other).ended().success());
        nodes.start(other, &["--peers", &address, "--rejoin"]);
        nodes.server(other).hear("follows");
        let kept = fs::read_dir(nodes.dir(other)).unwrap();
        let kept = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(kept.into_iter().any(|name| name == "aside-1-IDENTITY"), "nothing is deleted");
    }
    nodes.until(&["n0 voter", "n1 voter", "n2 voter"]);
    assert_eq!(nodes.run(&["get", "k"]), "alone\n");
}

#[test]
fn a_leader_that_is_removed_makes_place_for_another() {
    let mut nodes = Nodes::lone();
    for _ in 0..2 {
        let (_, address) = nodes.waiting();
        nodes.run(&["member", "add", &address]);
    }
    nodes.until(&["n0 voter", "n1 voter", "n2 voter"]);
    let leader = nodes.leader();
    let name = nodes.names[leader].clone();
    nodes.run(&["member", "remove", &name]);
    nodes.server(leader).hear("it was removed from its cluster");
    nodes.kill(leader);
    nodes.run(&["put", "k", "v"]);
    assert_ne!(nodes.leader(), leader);
}

#[test]
fn a_wiped_node_that_is_started_as_before_takes_its_own_place() {
    let mut nodes = Nodes::new();
    let numbers = [nodes.add(), nodes.add(), nodes.add()];
    let all = nodes.addresses.join(",");
    for node in numbers {
        nodes.start(node, &["--peers", &all]);
    }
    for node in numbers {
        nodes.server(node).hear("member of a cluster of 3");
    }
    nodes.run(&["put", "k", "v"]);
    let leader = nodes.leader();
    let wiped = (leader + 1) % 3;
    nodes.kill(wiped);
    fs::remove_dir_all(nodes.dir(wiped)).unwrap();
    nodes.start(wiped, &["--peers", &all]);
    // The others wait a while, in case it is only another of its name.
    nodes.server(wiped).hear("takes its place");
    nodes.server(wiped).hear("member of a cluster");
    nodes.server(wiped).hear("follows");
    nodes.until(&["n0 voter", "n1 voter", "n2 voter"]);
    // All three count: with another one down, two still serve.
    let third = (leader + 2) % 3;
    nodes.kill(third);
    nodes.run(&["put", "k", "w"]);
    assert_eq!(nodes.run(&["get", "k"]), "w\n");
}

#[test]
fn a_change_goes_on_when_its_leader_is_killed_and_nobody_asks_again() {
    let mut nodes = Nodes::lone();
    for _ in 0..3 {
        let (_, address) = nodes.waiting();
        nodes.run(&["member", "add", &address]);
    }
    nodes.until(&["n0 voter", "n1 voter", "n2 voter", "n3 voter"]);
    let leader = nodes.leader();
    let gone = (leader + 1) % 4;
    let (_, address) = nodes.waiting();
    // The caller gives up at once: the node is on its way to be a voter.
    let (name, at) = (nodes.names[gone].clone(), nodes.addresses[leader].clone());
    let args = ["member", "replace", &name, &address, "--nodes", &at, "--timeout", "30ms"];
    drop(skiff(&args));
    nodes.kill(leader);
    nodes.run(&["put", "k", "v"]);
    let end = std::time::Instant::now() + common::PATIENCE;
    loop {
        let members = nodes.members();
        let settled = |one: &String| one.ends_with("voter");
        let count = members.len();
        if members.iter().all(settled) && count == 4 {
            break;
        }
        assert!(std::time::Instant::now() < end, "the change hangs: {members:?}");
    }
    assert_eq!(nodes.run(&["get", "k"]), "v\n");
}
