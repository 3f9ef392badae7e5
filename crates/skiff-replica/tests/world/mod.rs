//! A little world for whole nodes: virtual time, connections in memory, stores in memory, crashes
//! at any job. Everything happens in the order of a queue, so a run is the same each time.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod machine;
mod network;
pub(crate) mod node;
pub(crate) mod stranger;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use skiff_replica::{
    Call, CommandError, Consistency, Encoded, Event, Index, Input, Instant, Job, LinkId, Refused,
    ReplicaError, State, Status, Token,
};
use skiff_transport::{Body, Envelope, Signal};

pub(crate) use self::node::Spec;
use self::{
    network::{End, Network},
    node::Node,
};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;
/// How long a caller waits in these tests.
pub(crate) const PATIENCE: u64 = 5 * SECOND;

/// What became of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Response(i64),
    /// A read: the machine's value, and the index it was ready at.
    Read(i64, Index),
    /// Of something of a session, or of the node itself, encoded.
    Told(Bytes),
    Refused(Refused),
}

/// Names a call: the node, the run of that node, the token there.
pub(crate) type CallId = (String, u64, Token);

/// Something that will happen to a node, if it still runs then.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Input(Input),
    /// Look at the clock.
    Wake,
    /// Try a dialled connection.
    Dial {
        link: LinkId,
        address: String,
    },
    /// An envelope arrives, if the connection still stands.
    Arrive {
        connection: u64,
        link: LinkId,
        envelope: Envelope,
    },
    /// The machine answers a local caller.
    Answer {
        token: Token,
        value: i64,
    },
    /// A local caller is told of something of a session.
    Told {
        token: Token,
        result: Result<Bytes, Refused>,
    },
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) now: Instant,
    queue: BTreeMap<(Instant, u64), (String, u64, Happening)>,
    sequence: u64,
    nodes: BTreeMap<String, Node>,
    network: Network,
    answers: BTreeMap<CallId, Vec<Answer>>,
    /// Calls that want something of the node itself.
    orders: BTreeSet<CallId>,
    /// What was said to strangers.
    strangers: BTreeMap<End, Vec<Envelope>>,
    /// All jobs of all nodes, in words, if they are wanted.
    pub(crate) record: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { now: Instant(SECOND), ..Self::default() }
    }

    /// Three nodes that know each other.
    pub(crate) fn of_three() -> Self {
        let mut world = Self::new();
        for name in ["a", "b", "c"] {
            world.add(name, Spec::peers(&["a", "b", "c"]));
        }
        world
    }

    pub(crate) fn add(&mut self, name: &str, spec: Spec) {
        self.nodes.insert(name.to_owned(), Node::new(name, spec));
        self.start(name);
    }

    /// Adds a node without starting it.
    pub(crate) fn prepare(&mut self, name: &str, spec: Spec) {
        self.nodes.insert(name.to_owned(), Node::new(name, spec));
    }

    pub(crate) fn spec(&mut self, name: &str) -> &mut Spec {
        &mut self.node_mut(name).spec
    }

    pub(crate) fn start(&mut self, name: &str) {
        let now = self.now;
        if let Err(error) = self.node_mut(name).start(now) {
            self.node_mut(name).stopped = Some(Err(error));
            return;
        }
        let node = self.node_mut(name);
        let mut inputs: Vec<Input> = node.spec.joins();
        if node.spec.closed {
            inputs.push(Input::CloseList);
        }
        if node.spec.bootstrap {
            inputs.push(Input::Bootstrap);
        }
        for input in inputs {
            self.happen(name, 0, Happening::Input(input));
        }
        self.happen(name, 0, Happening::Wake);
    }

    /// The node is gone, and with it everything that was not durable.
    pub(crate) fn crash(&mut self, name: &str) {
        self.node_mut(name).crash();
        for (other, link) in self.network.drop_node(name) {
            let down = Signal::Down("the other side is gone".to_owned());
            self.tell(&other, link, down);
        }
    }

    /// The node is gone and so is its directory.
    pub(crate) fn wipe(&mut self, name: &str) {
        self.crash(name);
        self.node_mut(name).wipe();
    }

    /// The node is gone, and its directory is put back to what it was before anything was in it.
    pub(crate) fn roll_back(&mut self, name: &str) {
        self.crash(name);
        self.node_mut(name).roll_back();
    }

    pub(crate) fn is_running(&self, name: &str) -> bool {
        self.nodes[name].running.is_some()
    }

    /// Names at which a node can be reached besides its own address.
    pub(crate) fn alias(&mut self, address: &str, name: &str) {
        self.network.alias(address, name);
    }

    pub(crate) fn cut(&mut self, one: &str, other: &str) {
        for (name, link) in self.network.cut(one, other) {
            self.tell(&name, link, Signal::Down("the network is cut".to_owned()));
        }
    }

    pub(crate) fn heal(&mut self, one: &str, other: &str) {
        self.network.heal(one, other);
    }

    pub(crate) fn input(&mut self, name: &str, input: Input) {
        self.happen(name, 0, Happening::Input(input));
    }

    pub(crate) fn join(&mut self, name: &str, address: &str) {
        self.input(name, Input::Join { address: address.to_owned() });
    }

    pub(crate) fn command(&mut self, name: &str, by: i64) -> CallId {
        self.command_within(name, by, PATIENCE)
    }

    pub(crate) fn command_within(&mut self, name: &str, by: i64, patience: u64) -> CallId {
        let command = by.encode().expect("a number can be encoded");
        self.call(name, Call::Command(command), patience)
    }

    pub(crate) fn read(&mut self, name: &str, consistency: Consistency) -> CallId {
        self.call(name, Call::Read(consistency), PATIENCE)
    }

    pub(crate) fn call(&mut self, name: &str, call: Call, patience: u64) -> CallId {
        let deadline = self.now.after(patience);
        let node = self.node_mut(name);
        let running = node.running.as_mut().expect("the node runs");
        running.tokens += 1;
        let token = Token(running.tokens);
        let id = (name.to_owned(), node.run, token);
        if !matches!(call, Call::Command(_) | Call::Session(_) | Call::Read(_)) {
            self.orders.insert(id.clone());
        }
        self.happen(name, 0, Happening::Input(Input::Call { token, call, deadline }));
        id
    }

    /// What was answered to a call; at most once.
    pub(crate) fn answer(&self, call: &CallId) -> Option<Answer> {
        let answers = self.answers.get(call)?;
        assert_eq!(answers.len(), 1, "{call:?} was answered more than once: {answers:?}");
        answers.first().cloned()
    }

    pub(crate) fn status(&self, name: &str) -> Status {
        let running = self.nodes[name].running.as_ref();
        running.expect("the node runs").replica.status()
    }

    /// The state machine's value.
    pub(crate) fn value(&self, name: &str) -> i64 {
        let running = self.nodes[name].running.as_ref();
        running.expect("the node runs").applier.machine().value
    }

    pub(crate) fn history(&self, name: &str) -> Vec<i64> {
        let running = self.nodes[name].running.as_ref();
        running.expect("the node runs").applier.machine().history.clone()
    }

    /// How often a durable machine was given a state.
    pub(crate) fn restores(&self, name: &str) -> usize {
        self.nodes[name].kept.lock().expect("no panic").restores
    }

    pub(crate) fn events(&self, name: &str) -> &[Event] {
        &self.nodes[name].events
    }

    pub(crate) fn stopped(&self, name: &str) -> Option<&Result<(), ReplicaError>> {
        self.nodes[name].stopped.as_ref()
    }

    /// How often the node was started or crashed.
    pub(crate) fn run_of(&self, name: &str) -> u64 {
        self.nodes[name].run
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// The one that leads in the highest term.
    pub(crate) fn leader(&self) -> Option<String> {
        let running = self.nodes.keys().filter(|name| self.is_running(name));
        let leading = running.filter(|name| self.status(name).state == State::Leader);
        leading.max_by_key(|name| self.status(name).term).cloned()
    }

    /// Runs until there is a leader that all who run follow.
    pub(crate) fn elect(&mut self) -> String {
        self.until("a leader that all follow", |world| {
            let running: Vec<_> =
                world.nodes.keys().filter(|name| world.is_running(name)).collect();
            let Some(leader) = world.leader() else { return false };
            running
                .iter()
                .all(|name| world.status(name).leader.is_some_and(|found| found.name == leader))
        });
        self.leader().expect("it was just there")
    }

    /// Runs until one of these leads.
    pub(crate) fn elect_among(&mut self, may: impl Fn(&String) -> bool) -> String {
        self.until("a leader", |world| world.leader().is_some_and(|leader| may(&leader)));
        self.leader().expect("it was just there")
    }

    /// Runs until the call is answered.
    pub(crate) fn wait(&mut self, call: &CallId) -> Answer {
        self.until("an answer", |world| world.answers.contains_key(call));
        self.answer(call).expect("it was just there")
    }

    /// Runs until something holds; fails after a minute of the world's time.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = self.now.after(60 * SECOND);
        while !holds(self) {
            let in_time = self.now < end && self.step();
            assert!(in_time, "waited in vain for {what}\n{}", self.describe());
        }
    }

    /// Runs for so long.
    pub(crate) fn run(&mut self, nanos: u64) {
        let end = self.now.after(nanos);
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step();
        }
        self.now = end;
    }

    fn step(&mut self) -> bool {
        let Some(((at, _), (name, run, happening))) = self.queue.pop_first() else { return false };
        self.now = self.now.max(at);
        let node = &self.nodes[&name];
        if node.run != run || node.running.is_none() {
            return true;
        }
        let input = match happening {
            Happening::Input(input) => Some(input),
            Happening::Wake => self.node_mut(&name).due(at).then_some(Input::Timeout),
            Happening::Dial { link, address } => {
                self.dial(&name, link, &address);
                None
            }
            Happening::Arrive { connection, link, envelope } => self
                .network
                .stands(connection)
                .then_some(Input::Signal { link, signal: Signal::Received(envelope) }),
            Happening::Answer { token, value } => {
                self.answered(&name, token, Answer::Response(value));
                None
            }
            Happening::Told { token, result } => {
                let answer = result.map_or_else(Answer::Refused, Answer::Told);
                self.answered(&name, token, answer);
                None
            }
        };
        if let Some(input) = input {
            self.feed(&name, input);
        }
        true
    }

    fn feed(&mut self, name: &str, input: Input) {
        let now = self.now;
        let running = self.node_mut(name).running.as_mut().expect("it was just there");
        running.replica.step(now, input);
        let mut jobs = VecDeque::new();
        while let Some(job) = running.replica.poll() {
            jobs.push_back(job);
        }
        for job in jobs {
            if let Some(record) = &mut self.record {
                record.push(format!("{} {name}: {job:?}", now.0));
            }
            if self.crashes_at(name, &job) {
                return self.crash(name);
            }
            self.work(name, job);
            if !self.is_running(name) {
                return;
            }
        }
        if let Some(deadline) = self.node_mut(name).wake_at() {
            let run = self.nodes[name].run;
            self.push(deadline.max(self.now), name, run, Happening::Wake);
        }
    }

    /// Whether the node is to crash at this job; the job may be done before.
    fn crashes_at(&mut self, name: &str, job: &Job) -> bool {
        if matches!(job, Job::Event(_)) {
            return false;
        }
        let node = self.node_mut(name);
        let Some(crash) = &mut node.spec.crash else { return false };
        if crash.jobs > 0 {
            crash.jobs -= 1;
            return false;
        }
        let done = crash.done;
        node.spec.crash = None;
        if done {
            self.work(name, job.clone());
        }
        true
    }

    fn work(&mut self, name: &str, job: Job) {
        match job {
            Job::Connect { link, address } => {
                self.happen(name, MS, Happening::Dial { link, address });
            }
            Job::Send { link, envelope } => self.send(name, link, envelope),
            Job::Close { link } => {
                self.node_mut(name).closed.insert(link);
                if let Some((other, link)) = self.network.close(name, link) {
                    self.tell(&other, link, Signal::Down("closed by the other side".to_owned()));
                }
            }
            Job::ReadReady { token, index } => {
                let value = self.value(name);
                self.answered(name, token, Answer::Read(value, index));
            }
            Job::Respond { token, response } => {
                let id = (name.to_owned(), self.nodes[name].run, token);
                let answer = match self.orders.contains(&id) {
                    true => Answer::Told(response),
                    false => Answer::Response(i64::decode(&response).expect("a response")),
                };
                self.answered(name, token, answer);
            }
            Job::Refuse { token, reason } => {
                let id = (name.to_owned(), self.nodes[name].run, token);
                // What was answered already is not affected.
                if !self.answers.contains_key(&id) {
                    self.answered(name, token, Answer::Refused(reason));
                }
            }
            Job::Event(event) => self.node_mut(name).events.push(event),
            Job::Stop(result) => {
                self.node_mut(name).stopped = Some(result);
                self.crash(name);
            }
            job => {
                for (after, done) in self.node_mut(name).work(job) {
                    match done {
                        node::Done::Input(input) => {
                            self.happen(name, after, Happening::Input(input));
                        }
                        node::Done::Answer(token, value) => {
                            self.happen(name, after, Happening::Answer { token, value });
                        }
                        node::Done::Told(token, result) => {
                            self.happen(name, after, Happening::Told { token, result });
                        }
                    }
                }
            }
        }
    }

    fn answered(&mut self, name: &str, token: Token, answer: Answer) {
        let id = (name.to_owned(), self.nodes[name].run, token);
        self.answers.entry(id).or_default().push(answer);
    }

    fn send(&mut self, name: &str, link: LinkId, envelope: Envelope) {
        if let Body::Genesis(_) = envelope.body {
            let running = self.nodes[name].running.as_ref();
            let is_member = running.is_some_and(|running| running.is_member);
            assert!(is_member, "{name} gives away what it does not keep");
        }
        if let Some((connection, (other, link))) = self.network.other(name, link) {
            let run = self.nodes[&other].run;
            let happening = Happening::Arrive { connection, link, envelope };
            self.push(self.now.after(MS), &other, run, happening);
        } else if let Some(said) = self.strangers.get_mut(&(name.to_owned(), link)) {
            said.push(envelope);
        }
    }

    fn dial(&mut self, name: &str, link: LinkId, address: &str) {
        if self.nodes[name].closed.contains(&link) {
            return;
        }
        let target = self.network.resolve(address);
        let reachable = self.nodes.get(&target).is_some_and(|node| node.running.is_some())
            && !self.network.is_cut(name, &target);
        if !reachable {
            let address = address.to_owned();
            return self.happen(name, 20 * MS, Happening::Dial { link, address });
        }
        let accepted = self.node_mut(&target).accept();
        self.network.connect((name, link, address), (&target, accepted));
        self.tell(name, link, Signal::Up);
        self.tell(&target, accepted, Signal::Up);
    }

    /// Tells a node about one of its connections; a dialled one that is down is tried again.
    fn tell(&mut self, name: &str, link: LinkId, signal: Signal) {
        if let (LinkId::Dialled(_), Signal::Down(_)) = (link, &signal)
            && let Some(address) = self.network.address_of(name, link)
        {
            self.happen(name, 20 * MS, Happening::Dial { link, address });
        }
        self.happen(name, MS / 10, Happening::Input(Input::Signal { link, signal }));
    }

    /// Says hello, or anything else, to a node as somebody who is no node of this world.
    pub(crate) fn stranger(&mut self, name: &str) -> LinkId {
        let link = self.node_mut(name).accept();
        self.strangers.insert((name.to_owned(), link), Vec::new());
        self.tell(name, link, Signal::Up);
        link
    }

    pub(crate) fn strange(&mut self, name: &str, link: LinkId, envelope: Envelope) {
        let signal = Signal::Received(envelope);
        self.happen(name, MS, Happening::Input(Input::Signal { link, signal }));
    }

    /// Whether the node has closed this connection.
    pub(crate) fn was_closed(&self, name: &str, link: LinkId) -> bool {
        self.nodes[name].closed.contains(&link)
    }

    /// What the node said to a stranger so far.
    pub(crate) fn said_to(&self, name: &str, link: LinkId) -> &[Envelope] {
        &self.strangers[&(name.to_owned(), link)]
    }

    fn happen(&mut self, name: &str, after: u64, happening: Happening) {
        let run = self.nodes[name].run;
        self.push(self.now.after(after), name, run, happening);
    }

    fn push(&mut self, at: Instant, name: &str, run: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), (name.to_owned(), run, happening));
    }

    fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).expect("there is such a node")
    }

    fn describe(&self) -> String {
        let describe = |(name, node): (&String, &Node)| match &node.running {
            None => format!("{name}: down, {:?}\n", node.stopped),
            Some(running) => {
                let status = running.replica.status();
                let waits: Vec<_> = status.waiting_for.iter().map(ToString::to_string).collect();
                let last: Vec<_> = node.events.iter().rev().take(5).collect();
                format!("{name}: {:?} {:?} {waits:?} {last:?}\n", status.state, status.leader)
            }
        };
        self.nodes.iter().map(describe).collect()
    }
}

/// All instances that members here belong to.
pub(crate) fn instances(world: &World) -> BTreeSet<u128> {
    let running = world.names().into_iter().filter(|name| world.is_running(name));
    running.filter_map(|name| world.status(&name).instance).map(|instance| instance.0).collect()
}

pub(crate) fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(crate) fn refused(world: &mut World, call: &CallId) -> CommandError {
    match world.wait(call) {
        Answer::Refused(refused) => refused.into(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn followers(world: &World, leader: &str) -> Vec<String> {
    world.names().into_iter().filter(|name| name != leader).collect()
}

pub(crate) fn three_forwarding() -> World {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.add(name, Spec::peers(&["a", "b", "c"]).forwarding());
    }
    world
}
