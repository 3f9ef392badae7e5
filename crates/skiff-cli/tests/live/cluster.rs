//! Nodes that reach each other through a network that can be cut, and clients that reach them all.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use skiff::{Client, Consistency, Status};
use skiff_kv::{Answer, Kv, Query};
use tokio::runtime::{self, Runtime};

use crate::{
    clients::{ATTEMPT, Clients, client},
    common::{PATIENCE, SKIFF, Server, own_address, path},
    history::History,
    proxy::Network,
};

const GLANCE: Duration = Duration::from_millis(5);
const CLIENTS: u64 = 6;

pub(crate) struct Cluster {
    pub(crate) history: Arc<History>,
    pub(crate) network: Network,
    nodes: Vec<Node>,
    /// Those that clients are to ask.
    asked: Arc<Mutex<Vec<String>>>,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

struct Node {
    server: Option<Server>,
    /// Where it listens.
    at: String,
    /// Where the others reach it.
    public: String,
    dir: PathBuf,
}

impl Cluster {
    /// So many nodes, one of which leads.
    pub(crate) fn formed(count: usize) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let mut cluster = Self {
            history: Arc::new(History::new()),
            network: Network::new(runtime.handle()),
            nodes: Vec::new(),
            asked: Arc::default(),
            runtime,
            folder: tempfile::tempdir().unwrap(),
        };
        for node in 0..count {
            let (at, public) = (own_address(), own_address());
            cluster.network.stand_before(node, &at, &public);
            cluster.asked.lock().unwrap().push(at.clone());
            let dir = cluster.folder.path().join(format!("n{node}"));
            cluster.nodes.push(Node { server: None, at, public, dir });
        }
        (0..count).for_each(|node| cluster.start(node));
        cluster.leader();
        cluster
    }

    pub(crate) fn clients(&self) -> Clients {
        Clients::start(self.runtime.handle(), &self.history, &self.asked, CLIENTS)
    }

    pub(crate) fn start(&mut self, node: usize) {
        let peers: Vec<&str> = self.nodes.iter().map(|node| &*node.public).collect();
        let Node { at, public, dir, .. } = &self.nodes[node];
        let mut command = Command::new(SKIFF);
        command.args(["serve", "--listen", at, "--advertise", public, "--data-dir", path(dir)]);
        command.args(["--id", &format!("n{node}"), "--peers", &peers.join(",")]);
        let server = Server::spawn(command);
        self.network.set_pid(node, Some(server.pid()));
        self.nodes[node].server = Some(server);
    }

    /// `kill -9` for all of them before any is waited for.
    pub(crate) fn kill(&mut self, nodes: &[usize]) {
        nodes.iter().for_each(|node| self.signal(*node, Signal::KILL));
        for node in nodes {
            self.nodes[*node].server.take().unwrap().kill();
            self.network.set_pid(*node, None);
        }
    }

    pub(crate) fn signal(&self, node: usize, signal: Signal) {
        let pid = self.nodes[node].server.as_ref().unwrap().pid();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    pub(crate) fn address(&self, node: usize) -> &str {
        &self.nodes[node].at
    }

    /// Waits until one leads that a majority follows; which.
    pub(crate) fn leader(&self) -> usize {
        let read = self.client().with_timeout(PATIENCE);
        let query = Query::Get { key: String::new() };
        self.runtime.block_on(read.query(Consistency::Linearizable, query)).unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let leads = |node: &usize| self.status(*node).is_some_and(|it| it.state == "leader");
            if let Some(leader) = (0..self.nodes.len()).find(leads) {
                return leader;
            }
            assert!(Instant::now() < end, "none of them leads");
            thread::park_timeout(GLANCE);
        }
    }

    pub(crate) fn run<T>(&self, it: impl Future<Output = T>) -> T {
        self.runtime.block_on(it)
    }

    pub(crate) fn client(&self) -> Client<Kv> {
        let _inside = self.runtime.enter();
        client(self.asked.lock().unwrap().clone())
    }

    /// How a node stands, if it answers in time.
    fn status(&self, node: usize) -> Option<Status> {
        self.nodes[node].server.as_ref()?;
        self.runtime.block_on(self.client().with_timeout(ATTEMPT).status(self.address(node))).ok()
    }

    /// Ends the load, waits until all nodes have applied the same, and judges what the clients saw.
    pub(crate) fn judge(self, clients: Clients, what: &str) {
        self.network.heal();
        clients.stop();
        self.leader();
        let committed = |node| self.status(node).map(|status| status.committed);
        let all = || 0..self.nodes.len();
        let wanted = all().filter_map(committed).max().unwrap();
        let end = Instant::now() + PATIENCE;
        for node in all() {
            while self.status(node).is_none_or(|status| status.applied < wanted) {
                assert!(Instant::now() < end, "node {node} does not get as far as {wanted}");
                thread::park_timeout(GLANCE);
            }
        }
        let digest = |node: usize| {
            let (client, at) = (self.client(), self.address(node));
            self.run(client.query_at(Some(at), Consistency::Local, Query::Digest)).unwrap()
        };
        let digests: Vec<Answer> = all().map(digest).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
        self.history.judge(what);
    }
}
