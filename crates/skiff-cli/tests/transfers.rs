//! Real processes that hand leadership over: when they are asked to, and before they stop.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{Cluster, said, skiff};
use rustix::process::{Pid, Signal, kill_process};
use skiff::Client;
use skiff_kv::{Command, Kv, Response};
use tokio::{runtime::Runtime, task::JoinSet};

/// How many write at the same time.
const WRITERS: u64 = 8;
/// How long one of them waits for an answer. What is refused without effect is tried again meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often each node is stopped and started in the long form.
const ROUNDS: &str = "SKIFF_ROLLING_ROUNDS";

fn terminate(cluster: &mut Cluster, node: usize) {
    let mut server = cluster.servers[node].take().unwrap();
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    server.hear("stopped");
    assert!(server.ended().success());
}

/// What the node says of itself that leads.
fn leaders_status(cluster: &Cluster) -> serde_json::Value {
    let status = said(&cluster.run(&["status", "--json"]));
    let mut lines = status.lines().filter_map(|line| serde_json::from_str(line).ok());
    let leads = lines.find(|one: &serde_json::Value| one["status"]["state"] == "leader");
    leads.unwrap_or_else(|| panic!("nobody leads: {status}"))["status"].clone()
}

/// The node that leads.
fn leader(cluster: &Cluster) -> usize {
    let id = leaders_status(cluster)["id"].clone();
    (0..3).find(|node| id == format!("n{node}")).unwrap()
}

/// Writers that write without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    writers: JoinSet<Vec<String>>,
}

impl Load {
    fn start(runtime: &Runtime, cluster: &Cluster) -> Self {
        let _inside = runtime.enter();
        let (stop, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let client = Client::<Kv>::new("skiff", cluster.addresses.clone()).unwrap();
            let client = client.with_timeout(PATIENCE);
            writers.spawn(write(client, writer, Arc::clone(&stop), Arc::clone(&written)));
        }
        Self { stop, written, writers }
    }

    /// Waits until so many more commands were answered.
    fn goes_on(&self, runtime: &Runtime, count: u64) {
        let goal = self.written.load(Ordering::Relaxed) + count;
        runtime.block_on(async {
            while self.written.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    /// All that went wrong.
    fn end(self, runtime: &Runtime) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        runtime.block_on(self.writers.join_all()).into_iter().flatten().collect()
    }
}

async fn write(
    client: Client<Kv>,
    writer: u64,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
) -> Vec<String> {
    let mut failed = Vec::new();
    let mut number: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        let value = number.to_string();
        let before = (number > 0).then(|| (number - 1).to_string());
        match client.command(Command::put(format!("key-{writer}"), value)).await {
            // What it replaces tells whether each took effect once, and in order.
            Ok(Response::Done { previous }) => {
                if previous.as_deref() != before.as_deref().map(str::as_bytes) {
                    failed.push(format!("{writer}/{number} replaced {previous:?}"));
                }
                written.fetch_add(1, Ordering::Relaxed);
            }
            other => failed.push(format!("{writer}/{number}: {other:?}")),
        }
        number += 1;
    }
    failed
}

#[test]
fn a_rolling_restart_fails_no_call() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let runtime = Runtime::new().unwrap();
    let mut cluster = Cluster::formed();
    let load = Load::start(&runtime, &cluster);
    load.goes_on(&runtime, 100);
    for round in 0..rounds {
        // Each in turn, and the leader, whoever it is then.
        for place in 0..4 {
            let node = if place == 3 { leader(&cluster) } else { place };
            terminate(&mut cluster, node);
            load.goes_on(&runtime, 20);
            cluster.start(node);
            let server = cluster.servers[node].as_mut().unwrap();
            server.hear("follows `");
            load.goes_on(&runtime, 20);
            println!("round {round}: n{node} was stopped and started");
        }
    }
    let failed = load.end(&runtime);
    assert!(failed.is_empty(), "{} calls failed: {failed:#?}", failed.len());
}

#[test]
fn leadership_is_handed_over_on_request() {
    let runtime = Runtime::new().unwrap();
    let cluster = Cluster::formed();
    let load = Load::start(&runtime, &cluster);
    load.goes_on(&runtime, 50);
    for _ in 0..3 {
        let to = (leader(&cluster) + 1) % 3;
        let name = format!("n{to}");
        let output = cluster.run(&["transfer", "--to", &name]);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(said(&output), format!("`{name}` leads\n"));
        assert_eq!(leader(&cluster), to);
        load.goes_on(&runtime, 20);
    }
    let output = cluster.run(&["transfer", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let failed = load.end(&runtime);
    assert!(failed.is_empty(), "{} calls failed: {failed:#?}", failed.len());

    let refused = cluster.run(&["transfer", "--to", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("no member is called so"), "{}", said(&refused));
}

#[test]
fn a_position_is_looked_up_by_hand() {
    let cluster = Cluster::formed();
    let put = cluster.run(&["put", "key", "value"]);
    assert!(put.status.success(), "{}", said(&put));
    // The newest committed entry of a leader is of its own term.
    let status = leaders_status(&cluster);
    let [term, committed, instance] =
        ["term", "committed", "instance"].map(|name| status[name].clone());
    let nodes = cluster.nodes();
    let ask = |index: &str, more: &[&str]| {
        let position = format!("{index}/t{term}");
        let output = skiff(&[&["outcome", &*position, "--nodes", &nodes][..], more].concat());
        (output.status.code(), said(&output))
    };
    let index = committed.to_string();
    let digits = &instance.as_str().unwrap()[..8];
    assert_eq!(ask(&index, &["--instance", digits]), (Some(0), "applied\n".to_owned()));
    let (code, told) = ask(&index, &["--instance", "zz"]);
    assert!(code == Some(4) && told.starts_with("other-instance\n"), "{told}");
    let (code, told) = ask("900000", &["--timeout", "500ms"]);
    assert!(code == Some(4) && told.starts_with("undecided\n"), "{told}");
    let position = ["outcome", "2/t900", "--nodes", &nodes];
    assert_eq!(said(&skiff(&position)), "never\n");
    assert_eq!(skiff(&["outcome", "3"]).status.code(), Some(2));
}
