//! Three real processes: what survives what.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

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
    assert!(matches!(alone.status.code(), Some(1 | 4)), "{}", said(&alone));
    assert!(said(&alone).contains("skiff status --nodes"), "{}", said(&alone));
    // Nobody may answer for all, but each for itself.
    let survivor = &cluster.addresses[2];
    let read = ["get", "with-two", "--nodes", survivor, "--timeout", "1s"];
    let refused = skiff(&read);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("--local"), "{}", said(&refused));
    assert_eq!(said(&skiff(&["get", "with-three", "--local", "--nodes", survivor])), "value\n");
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

/// While the leader is killed again and again: each is tried until it is done, and done once.
#[test]
fn puts_are_tried_until_they_are_done_while_leaders_are_killed() {
    let mut cluster = Cluster::formed();
    let nodes = cluster.nodes();
    let writer = std::thread::spawn(move || {
        let put = |number: u32| {
            let value = number.to_string();
            let args = ["put", "key", &value, "--json", "--nodes", &nodes, "--timeout", "20s"];
            let output = skiff(&args);
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
            let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let before = number.checked_sub(1).map(|before| before.to_string());
            assert_eq!(line["previous"].as_str(), before.as_deref(), "{line}");
        };
        (0..60).for_each(put);
    });
    while !writer.is_finished() {
        let status = said(&cluster.run(&["status"]));
        let leads = |line: &&str| line.contains(" leader ");
        let leader = status.lines().find(leads).and_then(|line| line.split(' ').next());
        let Some(node) = cluster.addresses.iter().position(|one| Some(&**one) == leader) else {
            continue;
        };
        cluster.kill(node);
        cluster.start(node);
        cluster.servers[node].as_mut().unwrap().hear("in term");
    }
    writer.join().unwrap();
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
    let whose = [format!("`second` at {other}"), format!("`third` at {stranger}")];
    assert!(whose.iter().any(|node| line.contains(node)), "{line}");
    assert!(line.ends_with(", with third"), "{line}");
}
