//! Nodes with addresses and a client of their own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use skiff::{Client, CommandError, Consistency, Status};
use skiff_kv::{self as kv, Answer, Kv, MAX_PAGE, Query};
use tokio::runtime::{self, Runtime};

use crate::{
    common::{PATIENCE, SKIFF, Server, own_address, path},
    history::History,
};

/// How long one write may take where it may fail.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(2);
/// Between two looks at something that takes its time.
const GLANCE: Duration = Duration::from_millis(5);

/// One node by itself, or several that form a cluster.
pub(crate) struct Nodes {
    pub(crate) servers: Vec<Option<Server>>,
    addresses: Vec<String>,
    dirs: Vec<PathBuf>,
    client: Client<Kv>,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Nodes {
    /// Not started yet.
    pub(crate) fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addresses: Vec<String> = (0..count).map(|_| own_address()).collect();
        let dirs = (0..count).map(|node| folder.path().join(format!("n{node}"))).collect();
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let client = runtime.block_on(async { Client::new("skiff", addresses.clone()).unwrap() });
        let servers = (0..count).map(|_| None).collect();
        Self { servers, addresses, dirs, client, runtime, _folder: folder }
    }

    /// Started, and one of them leads.
    pub(crate) fn formed(count: usize) -> Self {
        let mut nodes = Self::new(count);
        (0..count).for_each(|node| nodes.start(node));
        nodes.leader();
        nodes
    }

    /// Keeps the data of a node that is not started yet in another place.
    pub(crate) fn keep_in(&mut self, node: usize, dir: PathBuf) {
        self.dirs[node] = dir;
    }

    pub(crate) fn dir(&self, node: usize) -> &Path {
        &self.dirs[node]
    }

    /// The first file of a node's log, by the name that the system has for it.
    pub(crate) fn segment(&self, node: usize) -> PathBuf {
        self.dirs[node].join("log-00000000000000000001")
    }

    /// The program and its arguments for a node.
    pub(crate) fn program(&self, node: usize) -> Vec<String> {
        let id = format!("n{node}");
        let dir = path(&self.dirs[node]);
        let mut program =
            vec![SKIFF, "serve", "--listen", &self.addresses[node], "--data-dir", dir, "--id", &id];
        let peers = self.addresses.join(",");
        if self.addresses.len() == 1 {
            program.push("--bootstrap");
        } else {
            program.extend(["--peers", &peers]);
        }
        program.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn start(&mut self, node: usize) {
        let program = self.program(node);
        let mut command = Command::new(&program[0]);
        command.args(&program[1..]);
        self.start_as(node, command);
    }

    /// Starts a node by a command that becomes its program.
    pub(crate) fn start_as(&mut self, node: usize, command: Command) {
        self.servers[node] = Some(Server::spawn(command));
    }

    pub(crate) fn server(&mut self, node: usize) -> &mut Server {
        self.servers[node].as_mut().unwrap()
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.servers[node].take().unwrap().kill();
    }

    /// `kill -9` for all of them before any is waited for.
    pub(crate) fn kill_at_once(&mut self, nodes: &[usize]) {
        for node in nodes {
            let pid = Pid::from_raw(i32::try_from(self.server(*node).pid()).unwrap()).unwrap();
            kill_process(pid, Signal::KILL).unwrap();
        }
        nodes.iter().for_each(|node| self.kill(*node));
    }

    pub(crate) fn client(&self, timeout: Duration) -> Client<Kv> {
        self.client.clone().with_timeout(timeout)
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Writes to a key that nothing was written to, once.
    pub(crate) fn put(&self, history: &History, key: &str) -> Result<(), CommandError> {
        self.runtime.block_on(history.put(&self.client(ATTEMPT), key))
    }

    /// Has something written to the log that changes nothing.
    pub(crate) fn write_nothing(&self) {
        let command = self.client(PATIENCE);
        self.runtime.block_on(command.command(kv::Command::delete("nothing"))).unwrap();
    }

    /// The sector behind the last one of a node's first segment that was written.
    pub(crate) fn end_of_log(&self, node: usize) -> u64 {
        const SECTOR: u64 = 512;
        let log = fs::read(self.segment(node)).unwrap();
        let last = log.iter().rposition(|byte| *byte != 0).unwrap();
        (u64::try_from(last).unwrap() / SECTOR + 1) * SECTOR
    }

    /// Writes to one new key after the other until the node ends by itself.
    pub(crate) fn put_until_the_end(&mut self, node: usize, history: &History, name: &str) {
        let end = Instant::now() + PATIENCE;
        let client = self.client(ATTEMPT / 4);
        for number in 0.. {
            if !self.server(node).runs() {
                return;
            }
            assert!(Instant::now() < end, "node {node} must have ended by now");
            let key = format!("{name}-{number}");
            let _as_noted = self.runtime.block_on(history.put(&client, &key));
        }
    }

    /// Waits until so many of them have ended by themselves; which.
    pub(crate) fn wait_until_ended(&mut self, count: usize) -> Vec<usize> {
        let end = Instant::now() + PATIENCE;
        loop {
            let all = 0..self.addresses.len();
            let ended: Vec<usize> = all.filter(|node| !self.server(*node).runs()).collect();
            if ended.len() >= count {
                return ended;
            }
            assert!(Instant::now() < end, "only {ended:?} have ended");
            thread::park_timeout(GLANCE);
        }
    }

    /// Waits until one of them leads, with a majority; which.
    pub(crate) fn leader(&self) -> usize {
        self.read_what_is_agreed();
        let end = Instant::now() + PATIENCE;
        loop {
            let leads = |node: &usize| self.status(*node).is_some_and(|it| it.state == "leader");
            if let Some(leader) = (0..self.addresses.len()).find(leads) {
                return leader;
            }
            assert!(Instant::now() < end, "none of them leads");
            thread::park_timeout(GLANCE);
        }
    }

    /// A read that the leader answers once a majority has confirmed it.
    fn read_what_is_agreed(&self) {
        let query = Query::Get { key: String::new() };
        let read = self.client(PATIENCE);
        self.runtime.block_on(read.query(Consistency::Linearizable, query)).unwrap();
    }

    /// How a node stands, if it answers at once.
    fn status(&self, node: usize) -> Option<Status> {
        let client = self.client(ATTEMPT);
        self.runtime.block_on(client.status(&self.addresses[node])).ok()
    }

    /// Reads everything from every node that was started, each by itself, and compares it with what
    /// was acknowledged.
    pub(crate) fn check(&mut self, history: &History) {
        let before = history.now();
        // Whoever leads now has committed all that was acknowledged until here.
        self.read_what_is_agreed();
        let started: Vec<usize> =
            (0..self.addresses.len()).filter(|node| self.servers[*node].is_some()).collect();
        let committed = started.iter().filter_map(|node| self.status(*node));
        let committed = committed.map(|status| status.committed).max().unwrap();
        for node in started {
            self.wait_until_applied(node, committed);
            let held = self.runtime.block_on(read_all(&self.client, &self.addresses[node]));
            let wrong = history.wrong_with(&held, &before);
            assert!(wrong.is_empty(), "on node {node}:\n  {}", wrong.join("\n  "));
        }
    }

    /// The keys that a node holds.
    pub(crate) fn keys(&self, node: usize) -> Vec<String> {
        let held = self.runtime.block_on(read_all(&self.client, &self.addresses[node]));
        held.into_keys().collect()
    }

    /// Waits until all nodes hold the same, once nobody writes any more.
    pub(crate) fn check_that_all_agree(&mut self, history: &History) {
        self.check(history);
        let digest = |address: &String| {
            let client = self.client(PATIENCE);
            let digest = client.query_at(Some(address), Consistency::Local, Query::Digest);
            self.runtime.block_on(digest).unwrap()
        };
        let digests: Vec<Answer> = self.addresses.iter().map(digest).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    }

    fn wait_until_applied(&mut self, node: usize, index: u64) {
        let end = Instant::now() + PATIENCE;
        while self.status(node).is_none_or(|status| status.applied < index) {
            assert!(self.server(node).runs(), "node {node} has ended");
            assert!(Instant::now() < end, "node {node} does not get as far as entry {index}");
            thread::park_timeout(GLANCE);
        }
    }
}

/// All that a node has applied.
async fn read_all(client: &Client<Kv>, address: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    loop {
        let after = all.last_key_value().map(|(key, _): (&String, &String)| key.clone());
        let query = Query::List { prefix: String::new(), after, limit: MAX_PAGE };
        let client = client.clone().with_timeout(PATIENCE);
        let answer = client.query_at(Some(address), Consistency::Local, query).await.unwrap();
        let Answer::Page { pairs, more } = answer else { panic!("{answer:?}") };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        all.extend(pairs.iter().map(|(key, value)| (key.clone(), text(value))));
        if !more {
            return all;
        }
    }
}
