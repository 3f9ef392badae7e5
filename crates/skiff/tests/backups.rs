//! Backups of whole nodes, and what is restored from them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, path::Path, time::Duration};

use common::{Counter, leader, soon, start, until};
use serde::{Deserialize, Serialize};
use skiff::{
    At, Client, Consistency, Encoded, MachineError, Malformed, Mark, Node, Outcome, SnapshotWriter,
    Snapshots, StateMachine,
    backup::{BackupError, Restore, RestoreError, Restored, restore},
    transport::MemoryNetwork,
};

fn wish(name: &str) -> Restore {
    Restore { name: name.to_owned(), address: name.to_owned(), cluster: None }
}

async fn serve(network: &MemoryNetwork, dir: &Path, name: &str) -> Node<Counter> {
    let node = Node::builder()
        .state_machine(Counter::default())
        .id(name)
        .transport(network.transport())
        .data_dir(dir)
        .forward_commands(true)
        .start()
        .await
        .unwrap();
    soon("ready", node.ready()).await.unwrap();
    node
}

/// Elsewhere, since it blocks: whoever shares a worker with it would miss heartbeats.
async fn restored<M: Snapshots>(file: &Path, dir: &Path) -> Result<Restored, RestoreError> {
    let (file, dir) = (file.to_owned(), dir.to_owned());
    let restored = tokio::task::spawn_blocking(move || restore::<M>(&file, &dir, &wish("r")));
    restored.await.unwrap()
}

/// Three nodes that pass commands on: leadership may move on a machine that has much to do.
async fn forwarding(network: &MemoryNetwork) -> Vec<Node<Counter>> {
    let nodes = start(network, &["a", "b", "c"], |builder| builder.forward_commands(true)).await;
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    nodes
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[tokio::test]
async fn a_session_goes_on_where_the_backup_was_made() {
    let network = MemoryNetwork::new();
    let quick = Duration::from_secs(1);
    let nodes = start(&network, &["a", "b"], |builder| builder.command_timeout(quick)).await;
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    let first = soon("a leader", leader(&nodes)).await;
    let mut session = first.session().await.unwrap();
    assert_eq!(session.command(2).await.unwrap(), 2);
    // The answer to this one never comes, although it takes effect once the two are together again: only who
    // has it can lead.
    network.cut("a", "b");
    let error = soon("an answer", session.command(40)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    network.heal("a", "b");
    let first = soon("a leader", leader(&nodes)).await;
    until(&first, |status| status.state == "leader" && status.committed == status.last).await;
    assert_eq!(first.read(Consistency::Linearizable, |m| m.value).await.unwrap(), 42);
    let folder = tempfile::tempdir().unwrap();
    let (file, dir) = (folder.path().join("backup"), folder.path().join("r"));
    let done = soon("a backup", first.backup(&file)).await.unwrap();
    assert!(done.size > 0);
    let error = first.backup(&file).await.unwrap_err();
    assert!(matches!(error, BackupError::Exists { .. }), "{error}");

    let made = restored::<Counter>(&file, &dir).await.unwrap();
    assert_eq!((made.index, made.backed_up), (done.index, done.instance));
    assert_ne!(made.instance, done.instance);
    let node = serve(&MemoryNetwork::new(), &dir, "r").await;
    session.through(&node);
    assert_eq!(soon("an answer", session.retry()).await.unwrap(), 42, "it is not executed again");
    assert_eq!(soon("an answer", session.command(1)).await.unwrap(), 43);
    node.stop().await.unwrap();
    // What it became it stays.
    let node = serve(&MemoryNetwork::new(), &dir, "r").await;
    assert_eq!(node.read(Consistency::Linearizable, |m| m.value).await.unwrap(), 43);
}

/// A position of the old instance is never taken for one of the restored, although both have an entry of
/// that index and term.
#[tokio::test]
async fn outcome_of_another_instance() {
    let nodes = forwarding(&MemoryNetwork::new()).await;
    let first = soon("a leader", leader(&nodes)).await;
    first.command(1).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, dir) = (folder.path().join("backup"), folder.path().join("r"));
    let done = soon("a backup", first.backup(&file)).await.unwrap();
    restored::<Counter>(&file, &dir).await.unwrap();
    let node = serve(&MemoryNetwork::new(), &dir, "r").await;
    for by in 0..5 {
        first.command(by).await.unwrap();
        node.command(by).await.unwrap();
    }
    let (status, theirs) = (node.status().await, first.status().await);
    let index = status.committed.min(theirs.committed);
    assert!(index > done.index.0, "both have gone on");
    for term in done.term.0..=status.term.max(theirs.term) {
        let position = skiff::EntryPosition {
            instance: done.instance,
            term: skiff::Term(term),
            index: skiff::Index(index),
        };
        assert_eq!(node.outcome(position).await.unwrap(), skiff::Fate::OtherInstance);
        assert_ne!(first.outcome(position).await.unwrap(), skiff::Fate::OtherInstance);
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_backup_that_was_given_up() {
    let network = MemoryNetwork::new();
    let nodes = forwarding(&network).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    for nth in 0..20 {
        let patience = Duration::from_micros(nth * 150);
        if tokio::time::timeout(patience, nodes[0].backup(&file)).await.is_ok() {
            fs::remove_file(&file).unwrap();
        }
        // What was being done on the disk is brought to its end first.
        soon("the next", nodes[0].backup(&folder.path().join("next"))).await.unwrap();
        fs::remove_file(folder.path().join("next")).unwrap();
        if file.exists() {
            skiff::disk::backup::Backup::open(&file).unwrap();
            fs::remove_file(&file).unwrap();
        }
    }
    drop(nodes);
}

#[tokio::test]
async fn a_client_backs_up_from_whoever_answers() {
    let network = MemoryNetwork::new();
    let nodes = forwarding(&network).await;
    nodes[0].stop().await.unwrap();
    let rest: Vec<Node<Counter>> = nodes[1..].to_vec();
    let leads = soon("a leader", leader(&rest)).await;
    leads.command(7).await.unwrap();
    let client = Client::<Counter>::over(network.transport(), "skiff", ["a", "b", "c"]).unwrap();
    let client = client.with_timeout(Duration::from_millis(500));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let mut told = Vec::new();
    let copied = client.backup(&file, false, |done, of| told.push((done, of)));
    let done = soon("a backup", copied).await.unwrap();
    assert_eq!(told.last(), Some(&(done.size, done.size)));
    let error = client.backup(&file, false, |_, _| {}).await.unwrap_err();
    assert!(matches!(error, BackupError::Exists { .. }));
    let again = soon("a backup", client.backup(&file, true, |_, _| {})).await.unwrap();
    assert!(again.index >= done.index);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is there");
}

/// Another machine, with another encoding.
#[derive(Default)]
struct Other;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Newer {
    value: i64,
}

impl StateMachine for Newer {
    type Command = i64;
    type Response = i64;
    const VERSION: u32 = 7;

    fn apply(&mut self, by: i64, _: At) -> i64 {
        self.value += by;
        self.value
    }
}

struct Nothing;

impl Encoded for Nothing {
    fn encode(&self) -> Result<bytes::Bytes, Malformed> {
        Ok(bytes::Bytes::new())
    }

    fn decode(_: &bytes::Bytes) -> Result<Self, Malformed> {
        Ok(Self)
    }
}

impl StateMachine for Other {
    type Command = Nothing;
    type Response = Nothing;

    fn apply(&mut self, _: Nothing, _: At) -> Nothing {
        Nothing
    }
}

impl Snapshots for Other {
    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        Ok(Box::new(|_| Ok(())))
    }

    fn restore(&mut self, _: &mut dyn std::io::Read, _: Mark) -> Result<(), MachineError> {
        Ok(())
    }
}

#[tokio::test]
async fn another_machine_does_not_take_it() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let network = MemoryNetwork::new();
    let nodes = start(&network, &["a"], |builder| builder.bootstrap()).await;
    soon("ready", nodes[0].ready()).await.unwrap();
    soon("a backup", nodes[0].backup(&old)).await.unwrap();
    let newer = Node::builder().state_machine(Newer::default()).start().await.unwrap();
    soon("ready", newer.ready()).await.unwrap();
    soon("a backup", newer.backup(&new)).await.unwrap();

    let dir = folder.path().join("r");
    let error = restored::<Other>(&old, &dir).await.unwrap_err();
    assert!(matches!(error, RestoreError::OtherMachine { .. }), "{error}");
    let error = restored::<Counter>(&new, &dir).await.unwrap_err();
    assert!(error.to_string().contains("has version 7"), "{error}");
    assert!(!dir.exists());
    // A newer machine reads what an older one wrote.
    restored::<Newer>(&old, &dir).await.unwrap();
    let error = restored::<Newer>(&old, &dir).await.unwrap_err();
    assert!(matches!(error, RestoreError::NotEmpty { .. }), "{error}");
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    assert!(is_empty(&other));
    restored::<Newer>(&old, &other).await.unwrap();
}
