//! Mistakes that other implementations made with the directories of real processes, each a test
//! under its name.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, path::Path};

use common::{Cluster, Server, free_address, path, said, skiff};

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap().path();
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

fn put(cluster: &Cluster, key: &str) {
    let output = cluster.run(&["put", key, "value"]);
    assert!(output.status.success(), "{}", said(&output));
}

/// Whether the cluster does this within a second.
fn in_a_second(cluster: &Cluster, args: &[&str]) -> bool {
    skiff(&[args, &["--nodes", &cluster.nodes(), "--timeout", "1s"]].concat()).status.success()
}

/// How many voters the nodes count, each for itself.
fn voters(cluster: &Cluster) -> Vec<String> {
    let status = said(&cluster.run(&["status", "--json"]));
    let counts = status.split("\"voters\":").skip(1);
    counts.map(|text| text.chars().take_while(char::is_ascii_digit).collect()).collect()
}

/// A copied directory gave two live nodes of one id. The copy is refused, both addresses are named, and
/// the original keeps its place; two processes on one directory cannot be.
#[test]
fn cloned_directory() {
    let mut cluster = Cluster::formed();
    put(&cluster, "before");
    let (original, elsewhere) = (cluster.dir(1), cluster.folder.path().join("copy"));
    copy(&original, &elsewhere);
    let (address, nodes) = (free_address(), cluster.nodes());
    let mut clone = Server::start(&[
        "--listen",
        &address,
        "--data-dir",
        path(&elsewhere),
        "--id",
        "n1",
        "--peers",
        &nodes,
    ]);
    let lives_at = cluster.addresses[1].clone();
    for node in [0, 2] {
        let line = cluster.servers[node].as_mut().unwrap().hear("one of them runs on a copy");
        assert!(line.contains(&address) && line.contains(&lives_at), "{line}");
    }
    clone.hear("one of them runs on a copy");
    put(&cluster, "beside-the-copy");
    clone.kill();
    // The original is needed from now on, and is there.
    cluster.kill(0);
    put(&cluster, "with-the-original");

    let twice = skiff(&["serve", "--listen", &address, "--data-dir", path(&original)]);
    let holder = cluster.servers[1].as_ref().unwrap().pid().to_string();
    assert!(!twice.status.success() && said(&twice).contains(&holder), "{}", said(&twice));
}

/// The directory of a node was emptied, and it was started again with the same `--bootstrap`: it is the
/// founder of nothing, and ends when it meets the others.
#[test]
fn bootstrap_on_lost_disk() {
    let mut cluster = Cluster::formed();
    put(&cluster, "key");
    cluster.kill(0);
    fs::remove_dir_all(cluster.dir(0)).unwrap();
    let dir = cluster.dir(0);
    let args = ["--listen", &cluster.addresses[0], "--data-dir", path(&dir), "--id", "n0"];
    let mut alone = Server::start(&[&args[..], &["--bootstrap"]].concat());
    let line = alone.hear("this node founded instance");
    assert_eq!(alone.ended().code(), Some(1));
    let status = said(&skiff(&["status", "--json", "--nodes", &cluster.addresses[1]]));
    let theirs = status.split("\"instance\":\"").nth(1).unwrap().get(..8).unwrap();
    assert!(line.contains(&format!("belongs to instance {theirs}")), "{line}");
    assert!(said(&cluster.run(&["get", "key"])).contains("value"), "the others serve");
}

/// Two of three came back empty and founded a cluster beside the data.
#[test]
fn two_of_three_wiped() {
    let mut cluster = Cluster::formed();
    put(&cluster, "key");
    (0..3).for_each(|node| cluster.kill(node));
    for node in [1, 2] {
        fs::remove_dir_all(cluster.dir(node)).unwrap();
        cluster.start(node);
    }
    let third = cluster.addresses[0].clone();
    for node in [1, 2] {
        let waits = format!("nobody answers at {third}");
        cluster.servers[node].as_mut().unwrap().hear(&waits);
    }
    cluster.start(0);
    for node in [1, 2] {
        cluster.servers[node].as_mut().unwrap().hear("belongs to instance");
    }
    assert!(!in_a_second(&cluster, &["get", "key"]), "there is no quorum");
    let dump = said(&skiff(&["log", "dump", path(&cluster.dir(0))]));
    assert!(dump.contains("put \"key\", 5 bytes"), "the data is there: {dump}");
    assert_eq!(voters(&cluster), ["3", "0", "0"]);
}

/// A node that was given no name lost its directory, and became a fourth voter under a new name. It
/// takes its own place, known by its address; three voters there were, and three there are.
#[test]
fn wiped_without_a_name() {
    let mut cluster = Cluster::new();
    let start = |cluster: &mut Cluster, node: usize| {
        let (dir, nodes) = (cluster.dir(node), cluster.nodes());
        let listen = cluster.addresses[node].clone();
        let args = ["--listen", &listen, "--data-dir", path(&dir), "--peers", &nodes];
        cluster.servers[node] = Some(Server::start(&args));
    };
    (0..3).for_each(|node| start(&mut cluster, node));
    for server in cluster.servers.iter_mut().flatten() {
        server.hear("member of a cluster of 3");
    }
    for wiped in [1, 2] {
        put(&cluster, &format!("before-{wiped}"));
        cluster.kill(wiped);
        fs::remove_dir_all(cluster.dir(wiped)).unwrap();
        start(&mut cluster, wiped);
        cluster.servers[wiped].as_mut().unwrap().hear("takes its place");
        put(&cluster, &format!("with-two-{wiped}"));
        cluster.servers[wiped].as_mut().unwrap().hear("follows");
        let until = std::time::Instant::now() + common::PATIENCE;
        while voters(&cluster) != ["3", "3", "3"] {
            assert!(std::time::Instant::now() < until, "{:?}", voters(&cluster));
        }
    }
}
