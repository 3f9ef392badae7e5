//! `skiff serve --engine`: nodes that keep their store in memory and in a database, in one cluster.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, path::PathBuf};

use common::{Server, free_address, path, said, skiff};
use serde_json::Value;

/// The database's file in a data directory.
const FILE: &str = "machine-kv.redb";
/// Almost nothing of the log is kept, so that whoever was away needs a snapshot.
const LITTLE_LOG: [&str; 4] = ["--log-keep", "1", "--snapshot-after", "never"];

struct Nodes {
    folder: tempfile::TempDir,
    addresses: Vec<String>,
    servers: Vec<Option<Server>>,
}

impl Nodes {
    /// Three, each with its engine.
    fn formed(engines: [&str; 3]) -> Self {
        let addresses: Vec<String> = (0..3).map(|_| free_address()).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut nodes = Self { folder, addresses, servers: vec![None, None, None] };
        (0..3).for_each(|node| nodes.start(node, engines[node], &[]));
        for server in nodes.servers.iter_mut().flatten() {
            server.hear("member of a cluster of 3");
        }
        nodes
    }

    fn dir(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("n{node}"))
    }

    fn start(&mut self, node: usize, engine: &str, more: &[&str]) {
        let (dir, id, peers) = (self.dir(node), format!("n{node}"), self.addresses.join(","));
        let own = ["--listen", &self.addresses[node], "--data-dir", path(&dir), "--id", &id];
        let args = [&own[..], &["--peers", &peers, "--engine", engine], &LITTLE_LOG, more];
        self.servers[node] = Some(Server::start(&args.concat()));
    }

    fn kill(&mut self, node: usize) {
        self.servers[node].take().unwrap().kill();
    }

    fn server(&mut self, node: usize) -> &mut Server {
        self.servers[node].as_mut().unwrap()
    }

    /// Runs a client command, which must succeed, against those that run.
    fn run(&self, args: &[&str]) -> String {
        let up = self.servers.iter().zip(&self.addresses).filter(|(server, _)| server.is_some());
        let nodes: Vec<&str> = up.map(|(_, address)| address.as_str()).collect();
        ask(args, &nodes.join(","))
    }

    fn put(&self, keys: std::ops::Range<u32>) {
        for key in keys {
            self.run(&["put", &format!("key-{key:03}"), &format!("value {key}")]);
        }
    }

    /// What one node holds, once it has applied all that the leader had.
    fn holds(&self, node: usize) -> String {
        let wanted = self.status(&self.run(&["status", "--json"]), None);
        let end = std::time::Instant::now() + common::PATIENCE;
        loop {
            let at = &self.addresses[node];
            if self.status(&ask(&["status", "--json"], at), Some(at)) >= wanted {
                return ask(&["list", "--local"], at);
            }
            assert!(std::time::Instant::now() < end, "{node} does not get as far as {wanted}");
        }
    }

    /// How far one node has applied, or the committed index of whoever knows most.
    fn status(&self, told: &str, at: Option<&str>) -> u64 {
        let all = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let field = if at.is_some() { "applied" } else { "committed" };
        all.filter_map(|one| one["status"][field].as_u64()).max().unwrap_or(0)
    }

    /// Has each of these take a snapshot, and give up its log.
    fn snapshots(&self, nodes: &[usize]) {
        for node in nodes {
            ask(&["snapshot", "take"], &self.addresses[*node]);
        }
    }
}

fn ask(args: &[&str], nodes: &str) -> String {
    let output = skiff(&[args, &["--nodes", nodes, "--timeout", "20s"]].concat());
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Each gets the other's snapshot, and all hold the same; a backup of it begins a cluster of either kind.
#[test]
fn nodes_of_both_engines_take_each_others_snapshots() {
    let mut nodes = Nodes::formed(["memory", "redb", "redb"]);
    nodes.put(0..10);
    nodes.kill(0);
    nodes.put(10..20);
    nodes.snapshots(&[1, 2]);
    nodes.put(20..22);
    nodes.start(0, "memory", &[]);
    let all = nodes.holds(0);
    assert_eq!(all.lines().count(), 22, "{all}");
    nodes.kill(1);
    nodes.put(22..30);
    nodes.snapshots(&[0, 2]);
    nodes.run(&["transfer", "--to", "n0"]);
    nodes.start(1, "redb", &[]);
    let all = nodes.holds(1);
    assert_eq!(all.lines().count(), 30, "{all}");
    assert!((0..3).all(|node| nodes.holds(node) == all));
    nodes.run(&["delete", "key-000"]);
    assert!((0..3).all(|node| !nodes.holds(node).contains("key-000")));

    let file = nodes.folder.path().join("backup");
    nodes.run(&["backup", path(&file)]);
    let inspected = said(&skiff(&["snapshot", "inspect", path(&file)]));
    assert!(inspected.contains("encoded as `msgpack-named`"), "{inspected}");
    let all = nodes.holds(2);
    for engine in ["memory", "redb"] {
        let (dir, at) = (nodes.folder.path().join(engine), free_address());
        let restored = skiff(&["restore", path(&file), "--data-dir", path(&dir), "--id", "r"]);
        assert!(restored.status.success(), "{}", said(&restored));
        let serve = ["--data-dir", path(&dir), "--listen", &at, "--engine", engine];
        let mut server = Server::start(&serve);
        server.hear("leads");
        assert_eq!(ask(&["list"], &at), all, "{engine}");
        assert_eq!(dir.join(FILE).exists(), engine == "redb");
    }
}

/// A directory is not bound to an engine: what an engine left there is behind, never wrong.
#[test]
fn a_node_changes_its_engine_and_changes_back() {
    let mut nodes = Nodes::formed(["redb", "redb", "redb"]);
    nodes.put(0..5);
    for (engine, keys) in
        [("memory", 5..10), ("redb", 10..15), ("memory", 15..16), ("redb", 16..20)]
    {
        nodes.kill(0);
        nodes.put(keys.start..keys.end - 1);
        nodes.snapshots(&[1, 2]);
        nodes.start(0, engine, &[]);
        nodes.put(keys.end - 1..keys.end);
        assert_eq!(nodes.holds(0).lines().count(), keys.end as usize, "{engine}");
    }
    // What the other nodes hold a restart finds in the file, not in the log.
    let all = nodes.holds(1);
    nodes.kill(1);
    nodes.start(1, "redb", &[]);
    assert_eq!(nodes.holds(1), all);
}

#[test]
fn a_removed_node_with_a_filled_engine_begins_anew() {
    let mut nodes = Nodes::formed(["redb", "redb", "redb"]);
    nodes.put(0..5);
    nodes.run(&["transfer", "--to", "n0"]);
    nodes.run(&["member", "remove", "n2"]);
    nodes.server(2).hear("it was removed from its cluster");
    nodes.kill(2);
    nodes.put(5..10);
    nodes.start(2, "redb", &["--rejoin"]);
    nodes.server(2).hear("member of a cluster of 3");
    assert_eq!(nodes.holds(2), nodes.holds(0));
    let dir = nodes.dir(2);
    assert!(dir.join(FILE).exists());
    assert!(dir.join(format!("aside-1-{FILE}")).exists(), "its old file is set aside");
}

/// Somebody has put an engine's file where it does not belong. What is printed helps.
#[test]
fn an_engines_file_of_another_directory_is_refused() {
    let mut nodes = Nodes::formed(["redb", "memory", "memory"]);
    nodes.put(0..3);
    // A cluster of its own.
    let (dir, at) = (nodes.folder.path().join("other"), free_address());
    let serve = ["--data-dir", path(&dir), "--listen", &at, "--engine", "redb"];
    let mut other = Server::start(&[&serve[..], &["--bootstrap"]].concat());
    other.hear("leads");
    ask(&["put", "strange", "thing"], &at);
    other.kill();
    nodes.kill(0);
    let file = nodes.dir(0).join(FILE);
    fs::copy(dir.join(FILE), &file).unwrap();
    nodes.start(0, "redb", &[]);
    let told = nodes.server(0).hear("belongs to instance");
    assert!(told.contains("use the machine and the directory that belong together"), "{told}");
    let (from, to) = (path(&file).to_owned(), format!("{}.old", path(&file)));
    nodes.server(0).hear(&format!("mv {from} {to}"));
    nodes.server(0).hear("skiff serve --engine redb --data-dir");
    assert!(!nodes.server(0).ended().success());
    fs::rename(from, to).unwrap();
    nodes.start(0, "redb", &[]);
    assert_eq!(nodes.holds(0), nodes.holds(1));
    // Likewise beside a directory that was emptied but for it.
    let lone = nodes.folder.path().join("lone");
    fs::create_dir(&lone).unwrap();
    fs::copy(dir.join(FILE), lone.join(FILE)).unwrap();
    let own = ["--data-dir", path(&lone), "--listen", &at, "--engine", "redb"];
    let mut server = Server::start(&[&own[..], &["--bootstrap"]].concat());
    server.hear("but the node's directory is new");
    server.hear(&format!("mv {}", path(&lone.join(FILE))));
    assert!(!server.ended().success());
}

#[test]
fn an_engine_on_disk_needs_a_disk() {
    let output = skiff(&["serve", "--dev", "--engine", "redb"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--data-dir"), "{}", said(&output));
}
