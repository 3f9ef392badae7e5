//! Real processes: snapshots on request, a backup of a cluster that serves, a new instance restored from it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use common::{Cluster, Server, free_address, path, said, skiff};
use serde_json::Value;
use skiff::Client;
use skiff_kv::{Command, Kv, Response};
use tokio::runtime::Runtime;

fn client(runtime: &Runtime, addresses: &[String]) -> Client<Kv> {
    let _inside = runtime.enter();
    Client::new("skiff", addresses.to_vec()).unwrap().with_timeout(Duration::from_secs(20))
}

fn put(runtime: &Runtime, client: &Client<Kv>, number: u64) {
    let key = format!("key-{number:05}");
    let done = runtime.block_on(client.command(Command::put(key, number.to_string()))).unwrap();
    assert!(matches!(done, Response::Done { .. }));
}

fn json(args: &[&str]) -> Value {
    let output = skiff(args);
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    serde_json::from_str(&said(&output)).unwrap()
}

#[test]
fn a_snapshot_is_taken_on_request_and_looked_into() {
    let runtime = Runtime::new().unwrap();
    let cluster = Cluster::formed();
    let client = client(&runtime, &cluster.addresses);
    (0..20).for_each(|number| put(&runtime, &client, number));
    let output = cluster.run(&["snapshot", "take"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).lines().count(), 3);
    let taken = said(&cluster.run(&["snapshot", "take", "--json"]));
    let taken: Vec<Value> = taken.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(taken.iter().all(|one| one["was_there"] == true), "nothing is new: {taken:?}");

    let dir = cluster.dir(0);
    let before = listing(&dir);
    let output = skiff(&["snapshot", "inspect", path(&dir), "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let told = said(&output);
    let newest: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(newest["index"], taken[0]["index"]);
    assert_eq!(newest["size"], taken[0]["size"]);
    assert_eq!((&newest["cluster"], &newest["whole"]), (&"skiff".into(), &true.into()));
    assert_eq!(newest["members"].as_array().unwrap().len(), 3);
    let named: Vec<&String> = before.iter().map(|(name, _)| name).collect();
    let after = listing(&dir);
    let named_after: Vec<&String> = after.iter().map(|(name, _)| name).collect();
    assert_eq!(named, named_after, "it changes nothing");

    // A flipped bit in the content is found, and said where.
    let file = newest["path"].as_str().unwrap();
    let copy = cluster.folder.path().join("copy");
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&copy, &bytes).unwrap();
    let output = skiff(&["snapshot", "inspect", path(&copy)]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("checksum of its content is wrong"), "{}", said(&output));
    assert_eq!(fs::read(&copy).unwrap(), bytes);
}

/// The files of a folder with their sizes, but for the log's, which a node that runs makes ahead.
fn listing(dir: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let mut all: Vec<(String, u64)> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
        .filter(|(name, _)| !name.starts_with("log-"))
        .collect();
    all.sort();
    all
}

#[test]
fn a_backup_of_a_cluster_that_serves_is_restored() {
    let runtime = Runtime::new().unwrap();
    let cluster = Cluster::formed();
    let old = client(&runtime, &cluster.addresses);
    (0..300).for_each(|number| put(&runtime, &old, number));
    let file = cluster.folder.path().join("orders.backup");
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(300));
    let done: Value = thread::scope(|scope| {
        // It goes on serving meanwhile.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                put(&runtime, &old, written.load(Ordering::Relaxed));
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        let nodes = cluster.nodes();
        let done = json(&["backup", path(&file), "--nodes", &nodes, "--timeout", "15s", "--json"]);
        stop.store(true, Ordering::Relaxed);
        done
    });
    let inspected = json(&["snapshot", "inspect", path(&file), "--json"]);
    assert_eq!(inspected["whole"], true);
    assert_eq!((&inspected["backup"], &inspected["cluster"]), (&true.into(), &"skiff".into()));
    assert_eq!(inspected["index"], done["index"]);

    // It replaces nothing unless it is told to.
    let before = fs::read(&file).unwrap();
    let refused = cluster.run(&["backup", path(&file)]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("--force"), "{}", said(&refused));
    assert_eq!(fs::read(&file).unwrap(), before);

    let dir = cluster.folder.path().join("r1");
    let address = free_address();
    let restore =
        ["restore", path(&file), "--data-dir", path(&dir), "--id", "r1", "--listen", &address];
    let told = skiff(&restore);
    assert!(told.status.success(), "{}", said(&told));
    let again = skiff(&restore);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    assert!(said(&again).contains("is not empty"), "{}", said(&again));

    let mut server = Server::start(&["--data-dir", path(&dir), "--id", "r1", "--listen", &address]);
    server.hear("leads");
    let restored = client(&runtime, std::slice::from_ref(&address));
    for number in 0..300 {
        let key = format!("key-{number:05}");
        let output = skiff(&["get", &key, "--nodes", &address]);
        assert_eq!(said(&output), format!("{number}\n"), "{key}");
        if number == 9 {
            break; // By the program; the rest by the library.
        }
    }
    let list = said(&skiff(&["list", "--nodes", &address, "--json"]));
    let keys = list.lines().count() as u64;
    assert!(keys >= 300 && keys <= written.load(Ordering::Relaxed), "{keys} keys");
    put(&runtime, &restored, 99_999);

    // Another instance: nodes and positions of the old one are not taken for this one's.
    let status: Value = json(&["status", "--nodes", &address, "--json"]);
    let instance = status["status"]["instance"].as_str().unwrap().to_owned();
    let old_instance = done["instance"].as_str().unwrap();
    assert_ne!(instance, old_instance);
    let position = format!("{}/t{}", done["index"], done["term"]);
    let asked = ["outcome", &position, "--instance", &old_instance[..8], "--nodes", &address];
    let told = said(&skiff(&asked));
    assert!(told.starts_with("other-instance\n"), "{told}");
}

#[test]
fn what_is_no_whole_backup_is_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let dir = folder.path().join("n");
    let mut server = Server::start(&[
        "--listen",
        &address,
        "--data-dir",
        path(&dir),
        "--bootstrap",
        "--id",
        "n",
    ]);
    server.hear("leads");
    let file = folder.path().join("backup");
    json(&["backup", path(&file), "--nodes", &address, "--timeout", "15s", "--json"]);
    let sound = fs::read(&file).unwrap();
    let into = folder.path().join("r");
    let restore =
        |file: &Path| skiff(&["restore", path(file), "--data-dir", path(&into), "--id", "r"]);
    let broken = folder.path().join("broken");
    for (place, what) in [(0, "head"), (sound.len() - 1, "content")] {
        let mut bytes = sound.clone();
        bytes[place] ^= 1;
        fs::write(&broken, &bytes).unwrap();
        let output = restore(&broken);
        assert_eq!(output.status.code(), Some(5), "{what}: {}", said(&output));
        assert!(!into.exists(), "{what}");
    }
    fs::write(&broken, &sound[..sound.len() - 1]).unwrap();
    assert_eq!(restore(&broken).status.code(), Some(5));
    assert!(!into.exists());
    assert!(restore(&file).status.success());
}
