//! Nodes that reach each other through a network that can be cut, and clients that reach them all.

use std::{
    fs,
    path::PathBuf,
    process,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use skiff::{ChangeError, Client, Consistency, MemberChange, Status};
use skiff_kv::{Answer, Command, Kv, Query};
use tokio::{
    runtime::{self, Runtime},
    task::{JoinHandle, JoinSet},
};

use crate::{
    clients::{ATTEMPT, Clients, client},
    common::{PATIENCE, SKIFF, Server, own_address, path},
    history::History,
    proxy::Network,
};

const GLANCE: Duration = Duration::from_millis(5);
const CLIENTS: u64 = 6;
/// How large the values are that make a log long, and how many of them are written at a time.
const BULK: usize = 64 << 10;
const AT_ONCE: usize = 16;

pub(crate) struct Cluster {
    pub(crate) history: Arc<History>,
    pub(crate) network: Network,
    nodes: Vec<Node>,
    /// Those that clients are to ask.
    asked: Arc<Mutex<Vec<String>>>,
    runtime: Runtime,
    folder: tempfile::TempDir,
    /// What each node is started with besides.
    options: fn(usize) -> &'static [&'static str],
}

struct Node {
    server: Option<Server>,
    /// Where it listens.
    at: String,
    /// Where the others reach it.
    public: String,
    dir: PathBuf,
    /// Whether it waits to be invited, and names nobody.
    waits: bool,
}

impl Cluster {
    /// So many nodes, one of which leads.
    pub(crate) fn formed(count: usize) -> Self {
        Self::formed_with(count, |_| &[])
    }

    /// Likewise, each started with these options besides.
    pub(crate) fn formed_with(count: usize, options: fn(usize) -> &'static [&'static str]) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let mut cluster = Self {
            history: Arc::new(History::new()),
            network: Network::new(runtime.handle()),
            nodes: Vec::new(),
            asked: Arc::default(),
            runtime,
            folder: tempfile::tempdir().unwrap(),
            options,
        };
        (0..count).for_each(|_| cluster.make_place(false));
        (0..count).for_each(|node| cluster.start(node));
        cluster.leader();
        cluster
    }

    fn make_place(&mut self, waits: bool) {
        let (node, at, public) = (self.nodes.len(), own_address(), own_address());
        self.network.stand_before(node, &at, &public);
        if !waits {
            self.asked.lock().unwrap().push(at.clone());
        }
        let dir = self.folder.path().join(format!("n{node}"));
        self.nodes.push(Node { server: None, at, public, dir, waits });
    }

    /// Starts a node more, which waits to be invited; which.
    pub(crate) fn add(&mut self) -> usize {
        let node = self.nodes.len();
        self.make_place(true);
        self.start(node);
        self.server(node).hear("listens on");
        node
    }

    /// From now on clients ask this node too.
    pub(crate) fn ask(&self, node: usize) {
        self.asked.lock().unwrap().push(self.nodes[node].at.clone());
    }

    /// From now on clients do not ask this node.
    pub(crate) fn ask_no_more(&self, node: usize) {
        self.asked.lock().unwrap().retain(|at| *at != self.nodes[node].at);
    }

    pub(crate) fn invite(&self, node: usize) -> MemberChange {
        MemberChange::AddVoter { address: self.nodes[node].public.clone() }
    }

    pub(crate) fn replace(&self, node: usize, new: usize) -> MemberChange {
        MemberChange::Replace { name: name(node), address: self.nodes[new].public.clone() }
    }

    pub(crate) fn change(&self, change: MemberChange) -> Result<(), ChangeError> {
        self.run(self.client().with_timeout(PATIENCE).change(change))
    }

    pub(crate) fn transfer(&self, to: usize) {
        let client = self.client().with_timeout(PATIENCE);
        self.run(client.transfer_leadership(Some(&name(to)))).unwrap();
    }

    /// Has one node asked for a change, which goes on by itself until it is aborted.
    pub(crate) fn begin(&self, at: usize, change: MemberChange) -> JoinHandle<()> {
        let _inside = self.runtime.enter();
        let one = client(vec![self.nodes[at].at.clone()]).with_timeout(PATIENCE);
        self.runtime.spawn(async move { drop(one.change(change).await) })
    }

    /// Writes so many bytes, in values of 64 KiB, to keys that nobody else uses.
    pub(crate) fn write(&self, bytes: usize) {
        let client = self.client().with_timeout(PATIENCE);
        let count = bytes / BULK;
        self.run(async {
            for first in (0..count).step_by(AT_ONCE) {
                let mut writes = JoinSet::new();
                for number in first..count.min(first + AT_ONCE) {
                    let put = Command::put(format!("bulk-{}", number % 64), vec![7; BULK]);
                    let client = client.clone();
                    writes.spawn(async move { client.command(put).await });
                }
                writes.join_all().await.into_iter().for_each(|done| drop(done.unwrap()));
            }
        });
    }

    pub(crate) fn server(&mut self, node: usize) -> &mut Server {
        self.nodes[node].server.as_mut().unwrap()
    }

    /// Waits until one leads by whose word these are the members, voters all of them.
    pub(crate) fn until_voters(&self, wanted: &[usize]) {
        let end = Instant::now() + PATIENCE;
        let mut wanted: Vec<String> = wanted.iter().map(|node| name(*node)).collect();
        wanted.sort();
        loop {
            let status = self.status(self.leader()).unwrap_or_default();
            let settled = status.members.iter().all(|member| member.role == "voter");
            let mut names: Vec<String> = status.members.into_iter().map(|one| one.name).collect();
            names.sort();
            if settled && names == wanted {
                return;
            }
            assert!(Instant::now() < end, "{names:?} are not {wanted:?}, voters all of them");
            thread::park_timeout(GLANCE);
        }
    }

    /// Empties the directory of a node that does not run.
    pub(crate) fn wipe(&self, node: usize) {
        assert!(self.nodes[node].server.is_none(), "it runs");
        fs::remove_dir_all(&self.nodes[node].dir).unwrap();
    }

    /// Lets a node stop as it wants to.
    pub(crate) fn stop(&mut self, node: usize) {
        self.signal(node, Signal::TERM);
        let mut server = self.nodes[node].server.take().unwrap();
        server.hear("stopped");
        assert!(server.ended().success());
        self.network.set_pid(node, None);
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].server.is_some())
    }

    pub(crate) fn clients(&self) -> Clients {
        Clients::start(self.runtime.handle(), &self.history, &self.asked, CLIENTS)
    }

    pub(crate) fn start(&mut self, node: usize) {
        let founders = self.nodes.iter().filter(|node| !node.waits);
        let peers: Vec<&str> = founders.map(|node| &*node.public).collect();
        let Node { at, public, dir, waits, .. } = &self.nodes[node];
        let mut command = process::Command::new(SKIFF);
        command.args(["serve", "--listen", at, "--advertise", public, "--data-dir", path(dir)]);
        command.args(["--id", &name(node)]).args((self.options)(node));
        if *waits {
            command.arg("--wait");
        } else {
            command.args(["--peers", &peers.join(",")]);
        }
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

    /// How much memory a node's process has at the moment, in bytes.
    pub(crate) fn resident(&self, node: usize) -> usize {
        let pid = self.nodes[node].server.as_ref().unwrap().pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
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
            if let Some(leader) = self.running().find(leads) {
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
    pub(crate) fn status(&self, node: usize) -> Option<Status> {
        self.nodes[node].server.as_ref()?;
        self.runtime.block_on(self.client().with_timeout(ATTEMPT).status(self.address(node))).ok()
    }

    /// Ends the load, waits until all nodes have applied the same, and judges what the clients saw.
    pub(crate) fn judge(self, clients: Clients, what: &str) {
        self.network.heal();
        clients.stop();
        self.leader();
        let committed = |node| self.status(node).map(|status| status.committed);
        let all = || self.running();
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

pub(crate) fn name(node: usize) -> String {
    format!("n{node}")
}
