//! How many commands a second go through three whole nodes on one core: forming, core, calls,
//! envelopes and machines, without disk, network and tasks. Run with `cargo bench -p skiff-replica`.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant as Clock,
};

use skiff_core::{Config, NodeId};
use skiff_replica::{
    Applier, At, Call, Encoded, Input, Instant, Job, LinkId, Replica, Settings, Start, State,
    StateMachine, Token,
};
use skiff_storage::Identity;
use skiff_transport::Signal;

#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
struct Counter {
    value: i64,
}

impl StateMachine for Counter {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, by: i64, _: At) -> i64 {
        self.value += by;
        self.value
    }
}

struct Node {
    replica: Replica,
    applier: Applier<Counter>,
    responses: Vec<(Token, i64)>,
    tokens: u64,
    answered: u64,
}

/// Everything happens at once and in order.
struct Cluster {
    nodes: Vec<Node>,
    inputs: Vec<VecDeque<Input>>,
    /// The other end of each connection.
    ends: HashMap<(usize, LinkId), (usize, LinkId)>,
    now: u64,
}

impl Cluster {
    fn new(count: usize) -> Self {
        let node = |at: usize| {
            let id = NodeId(at as u128 + 1);
            let mut settings = Settings::new::<Counter>(Config::new(id), at as u64, 7);
            settings.address = at.to_string();
            settings.core.seed = at as u64;
            let identity = Identity {
                cluster: "bench".to_owned(),
                name: at.to_string(),
                node: id,
                boot: 1,
                ..Identity::default()
            };
            let start = Start { identity, ..Start::default() };
            let replica =
                Replica::new(Instant(1), settings, start).expect("the defaults are valid");
            let applier = Applier::new(Counter::default());
            Node { replica, applier, responses: Vec::new(), tokens: 0, answered: 0 }
        };
        let joins = || {
            let peers = (0..count).map(|peer| Input::Join { address: peer.to_string() });
            peers.chain([Input::CloseList]).collect()
        };
        Self {
            nodes: (0..count).map(node).collect(),
            inputs: (0..count).map(|_| joins()).collect(),
            ends: HashMap::new(),
            now: 1,
        }
    }

    /// Runs until nothing is left to do.
    fn settle(&mut self) {
        while self.inputs.iter().any(|inputs| !inputs.is_empty()) {
            for at in 0..self.nodes.len() {
                // What has come is taken in before anything is put out.
                while let Some(input) = self.inputs[at].pop_front() {
                    self.nodes[at].replica.step(Instant(self.now), input);
                }
                while let Some(job) = self.nodes[at].replica.poll() {
                    self.work(at, job);
                }
            }
        }
    }

    fn work(&mut self, at: usize, job: Job) {
        let node = &mut self.nodes[at];
        let input = match job {
            Job::Connect { link, address } => {
                let to: usize = address.parse().expect("addresses are numbers");
                let accepted = LinkId::Accepted(self.ends.len() as u64);
                self.ends.insert((at, link), (to, accepted));
                self.ends.insert((to, accepted), (at, link));
                self.inputs[to].push_back(Input::Signal { link: accepted, signal: Signal::Up });
                Input::Signal { link, signal: Signal::Up }
            }
            Job::Send { link, envelope } => {
                let (to, link) = self.ends[&(at, link)];
                let signal = Signal::Received(envelope);
                return self.inputs[to].push_back(Input::Signal { link, signal });
            }
            Job::Write(write) => Input::Persisted { write: write.id },
            Job::SaveSnapshot { .. } => Input::SnapshotSaved { result: Ok(()) },
            Job::Identify(_) => Input::Identified { result: Ok(()) },
            Job::Capture => {
                Input::Captured { result: node.applier.capture().map_err(|e| e.reason) }
            }
            Job::Restore { content, mark } => {
                let result = node.applier.restore(&content, *mark).map_err(|e| e.reason);
                Input::Restored { result }
            }
            Job::Apply(apply) => {
                node.responses.clear();
                let index = node.applier.apply(&apply, &mut node.responses).expect("it applies");
                node.answered += node.responses.len() as u64;
                Input::Applied { index }
            }
            _ => return,
        };
        self.inputs[at].push_back(input);
    }

    fn elect(&mut self) -> usize {
        loop {
            self.settle();
            let leads = |node: &Node| node.replica.status().state == State::Leader;
            if let Some(leader) = self.nodes.iter().position(leads) {
                return leader;
            }
            self.now += 1_000_000;
            self.inputs.iter_mut().for_each(|inputs| inputs.push_back(Input::Timeout));
        }
    }

    /// So many callers each give a command and wait for its answer.
    fn round(&mut self, leader: usize, callers: u64) {
        for _ in 0..callers {
            let node = &mut self.nodes[leader];
            node.tokens += 1;
            let call = Call::Command(1_i64.encode().expect("a number can be encoded"));
            let deadline = Instant(self.now + 5_000_000_000);
            let input = Input::Call { token: Token(node.tokens), call, deadline };
            self.inputs[leader].push_back(input);
        }
        self.settle();
    }
}

fn main() {
    for callers in [1, 64, 256, 1024] {
        let mut cluster = Cluster::new(3);
        let leader = cluster.elect();
        let begun = Clock::now();
        while begun.elapsed().as_millis() < 1500 {
            for _ in 0..100 {
                cluster.round(leader, callers);
            }
        }
        let Node { answered, tokens, .. } = cluster.nodes[leader];
        assert_eq!(answered, tokens, "every caller has its answer");
        let rate = answered as f64 / begun.elapsed().as_secs_f64();
        println!("{callers} callers: {rate:.0} commands a second");
    }
}
