//! A snapshot that is larger than what its nodes may use of memory, sent to two followers at once, real
//! processes on a database each: nobody holds it.
//!
//! What a process uses is what the kernel says that it had of memory at most (`VmHWM`). Where this test may
//! make a control group, each process is in one of its own besides, with a hard limit that counts the pages of
//! its files too.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

#[path = "big_snapshots/cell.rs"]
mod cell;

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use cell::Cell;
use common::{SKIFF, Server, free_address, path, say};
use skiff::{Client, Consistency};
use skiff_kv::{Answer, Command as Change, Kv, Query};
use tokio::{runtime::Runtime, task::JoinSet};

const VALUE: usize = 64 << 10;
/// So many are written at a time.
const AT_ONCE: usize = 16;
const GLANCE: Duration = Duration::from_millis(20);
const MIB: u64 = 1 << 20;

/// How much there is, and how much of memory each process may have.
struct Size {
    state: u64,
    limit: u64,
    /// Whether the limit holds for filling the store too: the log keeps what was written last in memory, up to
    /// some amount that does not depend on how much there is.
    filled_within: bool,
    cache: &'static str,
    /// How long to wait for what must come.
    patience: Duration,
}

/// One node, in a cell.
struct Node {
    // In the order of their dropping: the cell goes when its process is gone.
    server: Option<Server>,
    cell: Cell,
    name: String,
    address: String,
    options: Vec<String>,
}

impl Node {
    fn new(folder: &tempfile::TempDir, name: &str, size: &Size, more: &[&str]) -> Self {
        let (address, dir) = (free_address(), folder.path().join(name));
        let own = ["--log", "info", "serve", "--listen", &address, "--id", name];
        // The log is given up as soon as there is a snapshot, so that whoever comes needs that.
        let log = ["--snapshot-after", "never", "--log-keep", "1,1KiB", "--data-dir", path(&dir)];
        let engine = ["--engine", "redb", "--engine-cache", size.cache];
        let all = [&own[..], &log, &engine, more].concat();
        let options = all.into_iter().map(str::to_owned).collect();
        Self {
            server: None,
            cell: Cell::new(name, size.limit),
            name: name.to_owned(),
            address,
            options,
        }
    }

    fn start(&mut self) {
        self.start_as(self.cell.command(SKIFF));
    }

    /// Starts it without a limit.
    fn start_free(&mut self) {
        self.start_as(Command::new(SKIFF));
    }

    fn start_as(&mut self, mut command: Command) {
        command.args(&self.options);
        self.server = Some(Server::spawn(command));
    }

    fn server(&mut self) -> &mut Server {
        self.server.as_mut().unwrap()
    }

    /// The most memory that its process had so far, in bytes.
    fn peak(&self) -> u64 {
        let pid = self.server.as_ref().unwrap().pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        let status = status.unwrap_or_else(|error| panic!("{} is gone: {error}", self.name));
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

fn client(runtime: &Runtime, nodes: &[&Node], size: &Size) -> Client<Kv> {
    let _inside = runtime.enter();
    let addresses: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
    Client::new("skiff", addresses).unwrap().with_timeout(size.patience)
}

/// Bytes that cannot be made small, another for each key.
fn value(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..VALUE / 8).flat_map(|_| word()).collect()
}

async fn fill(client: &Client<Kv>, bytes: u64) {
    let count = bytes / VALUE as u64;
    for first in (0..count).step_by(AT_ONCE) {
        let mut writes = JoinSet::new();
        for number in first..count.min(first + AT_ONCE as u64) {
            let put = Change::put(format!("key-{number:08}"), value(number));
            let client = client.clone();
            writes.spawn(async move { client.command(put).await });
        }
        writes.join_all().await.into_iter().for_each(|done| drop(done.unwrap()));
    }
}

fn transfer(size: &Size) {
    let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let mut leader = Node::new(&folder, "n0", size, &["--bootstrap"]);
    if size.filled_within {
        leader.start()
    } else {
        leader.start_free()
    }
    leader.server().hear("leads");
    let asked = client(&runtime, &[&leader], size);
    let began = Instant::now();
    runtime.block_on(fill(&asked, size.state));
    let filled = began.elapsed();
    let taken = runtime.block_on(asked.snapshot(&leader.address)).unwrap();
    assert!(taken.size > size.state);
    let took = began.elapsed().saturating_sub(filled);
    if !size.filled_within {
        leader.server().kill();
        leader.start();
        leader.server().hear("leads");
    }

    let address = leader.address.clone();
    let more = ["--learner", "--peers", &address];
    let mut others = ["n1", "n2"].map(|name| Node::new(&folder, name, size, &more));
    let began = Instant::now();
    others.iter_mut().for_each(Node::start);
    let end = began + size.patience;
    for node in &others {
        loop {
            let status = runtime.block_on(asked.status(&node.address));
            if status.is_ok_and(|status| status.applied >= taken.index.0) {
                break;
            }
            let peaks = (leader.peak(), node.peak());
            assert!(Instant::now() < end, "{} has no snapshot; {peaks:?}", node.name);
            thread::park_timeout(GLANCE);
        }
    }
    let sent = began.elapsed();
    // Both at once: the second began before the first was done.
    let said = leader.server().all_said();
    let first = said.iter().position(|line| line.contains("sent a snapshot")).unwrap();
    let begun = said[..first].iter().filter(|line| line.contains("sends a snapshot"));
    assert_eq!(begun.count(), 2, "{said:?}");

    let digest = |node: &Node| {
        let asked = asked.query_at(Some(&node.address), Consistency::Local, Query::Digest);
        runtime.block_on(asked).unwrap()
    };
    let (whole, count) = (digest(&leader), size.state / VALUE as u64);
    for node in &others {
        assert_eq!(digest(node), whole, "{}", node.name);
        let asked = asked.query_at(Some(&node.address), Consistency::Local, Query::Len);
        assert_eq!(runtime.block_on(asked).unwrap(), Answer::Len(count));
    }
    let nodes: Vec<&Node> = std::iter::once(&leader).chain(&others).collect();
    let peaks: Vec<u64> = nodes.iter().map(|node| node.peak() / MIB).collect();
    say(&format!(
        "{} MiB of state: filled in {:.0} s, snapshot of {} MiB taken in {:.1} s, two more nodes had it after {:.1} s; \
         memory at most {peaks:?} MiB, limit {} MiB{}",
        size.state / MIB,
        filled.as_secs_f64(),
        taken.size / MIB,
        took.as_secs_f64(),
        sent.as_secs_f64(),
        size.limit / MIB,
        if leader.cell.is_hard() { ", hard" } else { "" },
    ));
    assert!(peaks.iter().all(|peak| *peak < size.limit / MIB), "{peaks:?}");
}

#[test]
fn a_snapshot_larger_than_memory_goes_to_two_at_once() {
    transfer(&Size {
        state: 96 * MIB,
        limit: 64 * MIB,
        filled_within: false,
        cache: "8MiB",
        patience: Duration::from_secs(50),
    });
}

#[test]
#[ignore = "takes minutes and twenty gigabytes of disk; `just soak` runs it"]
fn two_gibibytes_go_to_two_at_once_in_half_a_gibibyte() {
    transfer(&Size {
        state: 2048 * MIB,
        limit: 512 * MIB,
        filled_within: true,
        cache: "64MiB",
        patience: Duration::from_secs(900),
    });
}
