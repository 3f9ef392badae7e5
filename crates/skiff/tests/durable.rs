//! The example of a durable machine, as processes that are killed again and again under load: no command
//! is applied twice, none is missing, and sessions stand.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/program.rs"]
mod program;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use skiff::{At, Client, Consistency, Queries, StateMachine};
use tokio::sync::watch;

/// So many nodes are killed by the short form, and by the long one unless this says otherwise.
const ROUNDS: &str = "SKIFF_DURABLE_ROUNDS";
const SHORT: u64 = 12;
const LONG: u64 = 400;
/// So many clients add at the same time.
const CLIENTS: usize = 4;

/// What the client knows of the machine.
struct Counter;

impl StateMachine for Counter {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, _: i64, _: At) -> i64 {
        unreachable!("it runs elsewhere")
    }
}

impl Queries for Counter {
    type Query = ();
    type Answer = Option<i64>;

    fn query(&self, (): ()) -> Option<i64> {
        unreachable!("it runs elsewhere")
    }
}

/// The processes of a cluster.
struct Cluster {
    program: std::path::PathBuf,
    folder: tempfile::TempDir,
    addresses: Vec<String>,
    nodes: Vec<Option<Child>>,
}

impl Cluster {
    fn of_three() -> Self {
        let (program, folder) = (program::example("durable_counter"), tempfile::tempdir().unwrap());
        let addresses = (0..3).map(|_| program::own_address()).collect();
        let mut cluster = Self { program, folder, addresses, nodes: vec![None, None, None] };
        (0..3).for_each(|node| cluster.start(node));
        cluster
    }

    fn start(&mut self, node: usize) {
        let own = self.folder.path().join(node.to_string());
        fs::create_dir_all(&own).unwrap();
        let said = fs::File::options().create(true).append(true).open(own.join("said")).unwrap();
        let mut command = Command::new(&self.program);
        command.arg(&self.addresses[node]).arg(&own).args(&self.addresses);
        command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        self.nodes[node] = Some(command.spawn().unwrap());
    }

    /// Kills a node, without a warning.
    fn kill(&mut self, node: usize) {
        let Some(mut child) = self.nodes[node].take() else { return };
        if let Some(status) = child.try_wait().unwrap() {
            panic!("node {node} ended by itself: {status}\n{}", self.said(node));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn said(&self, node: usize) -> String {
        let said = self.folder.path().join(node.to_string()).join("said");
        let lines = BufReader::new(fs::File::open(said).unwrap()).lines();
        lines.map_while(Result::ok).collect::<Vec<_>>().join("\n")
    }

    /// What all nodes have said.
    fn all_said(&self) -> String {
        (0..3).map(|node| format!("node {node}:\n{}\n", self.said(node))).collect()
    }

    fn client(&self) -> Client<Counter> {
        let client = Client::new("skiff", self.addresses.clone()).unwrap();
        client.with_timeout(Duration::from_secs(60))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().flatten() {
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }
}

/// A number below `most`.
fn below(most: u64) -> u64 {
    getrandom::u64().unwrap() % most
}

/// Adds one again and again until told to stop; what it was answered.
async fn add(client: Client<Counter>, ends: Arc<AtomicBool>, told: watch::Sender<Vec<i64>>) {
    while !ends.load(Ordering::Relaxed) {
        let value = client.command(1).await.unwrap();
        told.send_modify(|told| told.push(value));
    }
}

async fn killed_again_and_again(rounds: u64) {
    let mut cluster = Cluster::of_three();
    let client = cluster.client().exactly_once(Duration::from_secs(600));
    let ends = Arc::new(AtomicBool::new(false));
    let first = client.command(1).await;
    assert_eq!(first.unwrap_or_else(|error| panic!("{error}\n{}", cluster.all_said())), 1);
    let (told, mut grows) = watch::channel(vec![1]);
    let adding = (0..CLIENTS)
        .map(|_| tokio::spawn(add(client.clone(), Arc::clone(&ends), told.clone())))
        .collect::<Vec<_>>();
    for round in 0..rounds {
        // Each time so much must have been done before, so that there is something to lose.
        let wanted = grows.borrow().len() + usize::try_from(below(300)).unwrap();
        grows.wait_for(|told| told.len() >= wanted).await.unwrap();
        // Now and then all of them at once.
        let killed: Vec<usize> =
            if round % 4 == 3 { vec![0, 1, 2] } else { vec![usize::try_from(below(3)).unwrap()] };
        killed.iter().for_each(|node| cluster.kill(*node));
        killed.iter().for_each(|node| cluster.start(*node));
    }
    ends.store(true, Ordering::Relaxed);
    for one in adding {
        one.await.unwrap();
    }
    // Each command was answered with another number, and there is none beyond.
    let mut told = grows.borrow().clone();
    told.sort_unstable();
    let count = i64::try_from(told.len()).unwrap();
    assert_eq!(told, (1..=count).collect::<Vec<_>>());
    for address in cluster.addresses.clone() {
        let read = client.query_at(Some(&address), Consistency::Linearizable, ()).await;
        assert_eq!(read.unwrap(), Some(count), "{address}");
    }
    println!("{rounds} rounds of kills, {count} commands, each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applied_index_with_data() {
    killed_again_and_again(SHORT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; `just soak` runs it"]
async fn durable_soak() {
    let rounds = env::var(ROUNDS).ok().map(|rounds| rounds.parse().unwrap());
    killed_again_and_again(rounds.unwrap_or(LONG)).await;
}

/// What the page shows of the example is in it.
#[test]
fn the_page_shows_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(root.join("examples/durable_counter.rs")).unwrap();
    let page = fs::read_to_string(root.join("../../docs/state-machines.md")).unwrap();
    let block = page.split("```rust,ignore\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(example.contains(block), "{block}");
}
