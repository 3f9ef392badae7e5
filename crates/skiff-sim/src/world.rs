//! The world: a queue of what is still to happen, nodes, a network between them, clients, and judges
//! that look at every step. One thread, virtual time; the same plan gives the same run.

mod churn;
mod clients;
mod clock;
mod copies;
mod faults;
mod handing;
mod healing;
mod jobs;
mod machines;
mod network;
mod news;
mod node;
mod orders;
mod process;
mod queue;
mod recoverable;
mod reference;
mod restoring;
mod says;
mod sessions;
mod snapshots;
mod steady;
mod watch;

use skiff_replica::{
    Input, InstanceId, SessionId,
    transport::{Signal, wire},
};

pub(crate) use self::churn::GONE;
pub(crate) use self::healing::{is_reordered, is_same_content};
pub(crate) use self::{
    clients::Attempt,
    watch::{Counted, Struck, Watch},
};
use self::{
    clock::Clock,
    copies::Copying,
    healing::Healing,
    network::Network,
    node::Node,
    orders::Doubt,
    queue::{Event, Item, Queue},
    reference::Reference,
    sessions::SessionClient,
};
use crate::{
    checker::{Judges, transfers},
    failure::Failure,
    hash,
    plan::Plan,
    random::Streams,
    reached::Reached,
    workload::{Operation, Workload},
};

/// Takes a line of the story of a run.
pub(crate) type Tracer<'t> = &'t mut dyn FnMut(&str);

pub(crate) struct World<'w, 't, W: Workload> {
    plan: &'w Plan,
    workload: &'w W,
    tracer: Option<Tracer<'t>>,
    now: u64,
    queue: Queue,
    nodes: Vec<Node<W::Machine>>,
    network: Network,
    random: Streams,
    judges: Judges,
    pub(crate) reached: Reached,
    pub(crate) hash: hash::Running,
    pub(crate) events: u64,
    attempts: Vec<Attempt>,
    /// Commands whose outcome was unknown, with where they stand.
    doubts: Vec<Doubt>,
    /// Backups that somebody makes.
    copies: Vec<Copying>,
    /// What everything that was committed comes to.
    reference: Reference<W::Machine>,
    pub(crate) history: Vec<Operation>,
    /// The commands of the history.
    remembered: Vec<bytes::Bytes>,
    /// The clients with sessions.
    sessions: Vec<SessionClient>,
    /// Which operations of the history are commands of sessions, and which.
    session_places: Vec<(usize, SessionId, u64)>,
    /// Who led when a client last heard of a leader.
    believed_leader: usize,
    /// What is cut, by the fault that cut it.
    cuts: Vec<(usize, Vec<(usize, usize)>)>,
    /// Faults have ended.
    calm: bool,
    healing: Healing,
    finished: bool,
    /// Whoever wants to know exactly what each node does.
    pub(crate) watch: Option<Watch>,
}

type Step = Result<(), Failure>;

impl<'w, 't, W: Workload> World<'w, 't, W> {
    pub(crate) fn new(plan: &'w Plan, workload: &'w W, tracer: Option<Tracer<'t>>) -> Self {
        let clocks = plan.knobs.clocks.iter().map(|knobs| Clock::new(knobs.offset, knobs.drift));
        let nodes: Vec<_> = clocks.take(plan.nodes).map(Node::new).collect();
        Self {
            plan,
            workload,
            tracer,
            now: 0,
            queue: Queue::default(),
            network: Network::new(nodes.len()),
            random: Streams::new(plan.seed),
            judges: Judges::new(nodes.len()),
            nodes,
            reached: Reached::default(),
            hash: hash::Running::default(),
            events: 0,
            attempts: Vec::new(),
            doubts: Vec::new(),
            copies: Vec::new(),
            reference: Reference::default(),
            history: Vec::new(),
            remembered: Vec::new(),
            sessions: vec![SessionClient::default(); plan.sessions.len()],
            session_places: Vec::new(),
            believed_leader: 0,
            cuts: Vec::new(),
            calm: false,
            healing: Healing::default(),
            finished: false,
            watch: None,
        }
    }

    /// Runs to the end.
    pub(crate) fn run(&mut self) -> Step {
        self.schedule();
        while !self.finished {
            let Some(item) = self.queue.pop() else {
                return Err(self.failure("liveness", "nothing is ever to happen again".to_owned()));
            };
            self.now = self.now.max(item.at);
            self.events += 1;
            self.judges.event(self.now, self.queue.len())?;
            self.happen(item)?;
        }
        self.end()
    }

    pub(crate) const fn simulated(&self) -> u64 {
        self.now
    }

    pub(crate) fn failure(&self, judge: &str, text: String) -> Failure {
        Failure { judge: judge.to_owned(), text, at: self.now }
    }

    fn schedule(&mut self) {
        for node in 0..self.nodes.len() {
            let at = self.random.process.u64(0..500 * crate::plan::MS);
            self.queue.push(at, node, 0, Event::Start);
        }
        for (number, call) in self.plan.calls.iter().enumerate() {
            self.queue.push(call.at, 0, 0, Event::Call(number));
        }
        for (client, session) in self.plan.sessions.iter().enumerate() {
            self.queue.push(session.at, 0, 0, Event::SessionTurn(client));
        }
        for (number, (at, _)) in self.plan.faults.iter().enumerate() {
            self.queue.push(*at, 0, 0, Event::Fault(number));
        }
        self.queue.push(self.plan.nanos, 0, 0, Event::Heal);
    }

    fn happen(&mut self, item: Item) -> Step {
        self.hash.number(item.at);
        self.hash.number(item.node as u64);
        match item.event {
            Event::Call(number) => self.call(number),
            Event::AskAfterwards(number) => self.ask_for_fate(item.node, number).map(drop),
            Event::CallAgain(number, tries) => self.call_again(number, tries),
            Event::SessionTurn(client) => self.session_turn(client),
            Event::CopyOn(number) => self.copy_on(number),
            Event::Fault(number) => self.fault(number),
            Event::Mend(number) => {
                self.mend(number, item.node);
                Ok(())
            }
            Event::Heal => self.heal(),
            Event::Probe => self.probe(),
            Event::Start => self.start(item.node),
            Event::Comeback => self.comeback(item.node),
            Event::Resume => self.resume(item.node),
            event => {
                let node = &mut self.nodes[item.node];
                if node.process.is_none() || (item.run != 0 && item.run != node.run) {
                    return Ok(());
                }
                if let Some(waiting) = &mut node.paused {
                    waiting.push(event);
                    return Ok(());
                }
                self.take(item.node, event)?;
                self.drain(item.node)
            }
        }
    }

    /// Something happens to a process: what it means for its replica is stepped.
    fn take(&mut self, node: usize, event: Event) -> Step {
        match event {
            Event::Wake => self.wake(node),
            Event::Join(peer) => self.step(node, Input::Join { address: self.address(peer) }),
            Event::Bootstrap => self.step(node, Input::Bootstrap),
            Event::CloseList => self.step(node, Input::CloseList),
            Event::Asked(input) => self.step(node, *input),
            Event::Dial(link) => self.dial(node, link),
            Event::Up { connection, link } => {
                if self.network.stands(connection) {
                    self.step(node, Input::Signal { link, signal: Signal::Up });
                }
            }
            Event::Down { link } => {
                let signal = Signal::Down("the connection broke".to_owned());
                self.step(node, Input::Signal { link, signal });
                self.redial(node, link);
            }
            Event::Arrive { connection, link, bytes } => {
                return self.arrive(node, connection, link, bytes);
            }
            Event::DiskDone => return self.disk_done(node),
            Event::SnapshotDone => return self.snapshot_done(node),
            Event::PieceRead(transfer, offset) => self.piece_read(node, transfer, offset),
            Event::MachineDone => return self.machine_done(node),
            Event::Loaded(load) => return self.loaded(node, load),
            Event::LookForRoom => self.look_again(node),
            Event::Start
            | Event::Comeback
            | Event::Resume
            | Event::Call(_)
            | Event::AskAfterwards(_)
            | Event::CallAgain(..)
            | Event::SessionTurn(_)
            | Event::CopyOn(_)
            | Event::Fault(_)
            | Event::Mend(_)
            | Event::Heal
            | Event::Probe => {}
        }
        Ok(())
    }

    fn step(&mut self, node: usize, input: Input) {
        let now = self.nodes[node].clock.shows(self.now);
        if let Some(process) = &mut self.nodes[node].process {
            process.replica.step(now, input);
        }
    }

    /// The moment it was to be woken at has come, or another.
    fn wake(&mut self, node: usize) {
        let now = self.nodes[node].clock.shows(self.now);
        self.healing.wakes += u64::from(self.healing.steady.is_some());
        let Some(process) = &mut self.nodes[node].process else { return };
        process.wake_at = process.wake_at.filter(|at| *at > self.now);
        if process.replica.deadline().is_some_and(|at| at <= now) {
            process.replica.step(now, Input::Timeout);
        }
    }

    fn arrive(
        &mut self,
        node: usize,
        connection: u32,
        link: skiff_replica::LinkId,
        bytes: bytes::Bytes,
    ) -> Step {
        let Some((_, from)) = self.network.other(node, link) else { return Ok(()) };
        if !self.network.stands(connection) || self.network.is_cut(from.node, node) {
            self.reached.messages_lost += 1;
            return Ok(());
        }
        self.hash.bytes(&bytes);
        let envelope = wire::decode(bytes).map_err(|error| {
            self.failure("wire", format!("an envelope cannot be read: {error}"))
        })?;
        self.note_arrival(node, from.node, &envelope);
        self.step(node, Input::Signal { link, signal: Signal::Received(envelope) });
        Ok(())
    }

    /// Does everything that a replica asks for, looks at it, and sees when it wants to be woken.
    fn drain(&mut self, node: usize) -> Step {
        let mut count = 0;
        loop {
            let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
            let Some(job) = process.replica.poll() else { break };
            count += 1;
            self.judges.job(count)?;
            self.job(node, job)?;
            self.watch_job(node);
            if self.nodes[node].process.is_some()
                && let Some((_, down)) =
                    self.nodes[node].trips(|point| point == crate::plan::Point::AfterJob)
            {
                self.end_process(node, true, down);
            }
        }
        self.look(node)?;
        self.arm(node);
        Ok(())
    }

    /// Looks what has become of a node.
    fn look(&mut self, node: usize) -> Step {
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        let Some(raft) = process.replica.raft() else { return Ok(()) };
        let instance: InstanceId = process.replica.identity().instance.unwrap_or_default();
        let (shown, resumed) = (self.nodes[node].clock.shows(self.now), self.nodes[node].resumed);
        let transfer = raft.transferring().filter(|_| self.now > resumed + transfers::SLACK);
        self.judges.named("transfers", transfers::look(transfer, shown))?;
        self.look_at_leaving(node)?;
        let changed = self.judges.look(node, instance, raft)?;
        self.reached.commits += changed.newly_committed;
        if changed.elected {
            self.reached.leaders_elected += 1;
            self.reached.leaders_under_partition += u64::from(self.is_any_cut());
        }
        if changed.stepped_down {
            self.reached.leaders_replaced += u64::from(!changed.same_term);
            self.reached.quorum_step_downs += u64::from(changed.same_term);
        }
        Ok(())
    }

    fn is_any_cut(&self) -> bool {
        let nodes = 0..self.nodes.len();
        nodes.clone().any(|one| nodes.clone().any(|other| self.network.is_cut(one, other)))
    }

    /// Sees to it that the node is woken at its deadline.
    fn arm(&mut self, node: usize) {
        let (clock, run) = (self.nodes[node].clock, self.nodes[node].run);
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some(deadline) = process.replica.deadline() else { return };
        let at = clock.when(deadline).max(self.now);
        if process.wake_at.is_none_or(|armed| at < armed) {
            process.wake_at = Some(at);
            self.queue.push(at, node, run, Event::Wake);
        }
    }

    fn resume(&mut self, node: usize) -> Step {
        let Some(waiting) = self.nodes[node].paused.take() else { return Ok(()) };
        self.nodes[node].resumed = self.now;
        // What has arrived is stepped before the clock may end anything.
        let (clocks, others): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|event| matches!(event, Event::Wake));
        for event in others.into_iter().chain(clocks.into_iter().take(1)) {
            if self.nodes[node].process.is_some() {
                self.take(node, event)?;
            }
        }
        self.drain(node)
    }

    /// Tells a line of the story.
    fn trace(&mut self, node: usize, words: impl FnOnce(&Self) -> String) {
        if self.tracer.is_some() {
            let line = format!("{:>12.3} ms  n{node}  {}", millis(self.now), words(self));
            if let Some(tracer) = &mut self.tracer {
                tracer(&line);
            }
        }
    }
}

/// Milliseconds, for people.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
