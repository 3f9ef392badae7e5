//! A cluster of cores on a virtual clock, with a store and a machine in memory for each, for tests
//! that want to see many nodes at once.

#![allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]

pub mod craft;
pub mod judge;
pub mod member;
pub mod store;
pub mod trace;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use skiff_core::{
    Config, Index, Input, Instant, LogTime, Membership, Message, NodeId, Output, Position, Raft,
    Recovered, StartError, StateName, Term, Token,
};

use self::{
    judge::Judge,
    member::{Member, Wanted},
};
pub use self::{
    store::Store,
    trace::{Happened, Trace},
};

pub const MS: u64 = 1_000_000;

/// So many milliseconds after the beginning of time.
pub const fn at(ms: u64) -> Instant {
    Instant(ms * MS)
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Flight {
    pub from: NodeId,
    pub to: NodeId,
    pub term: Term,
    pub message: Message,
}

#[derive(Debug)]
pub struct Cluster {
    pub now: Instant,
    pub members: BTreeMap<NodeId, Member>,
    pub flights: Vec<Flight>,
    /// What nodes are founded with.
    pub membership: Membership,
    /// Snapshots that are to be sent: from, to, which.
    pub supplies: Vec<(NodeId, NodeId, Position)>,
    /// What is sent along these ways is lost.
    pub cut: BTreeSet<(NodeId, NodeId)>,
    /// Whether a node may stop for good; otherwise that fails the test.
    pub may_stop: bool,
    /// What happened, if wanted.
    pub trace: Option<Vec<Trace>>,
    /// Who watches over it, if anybody.
    pub judge: Option<Judge>,
}

impl Cluster {
    /// Voters of these ids, started.
    pub fn new(ids: &[u128], configure: impl Fn(&mut Config)) -> Self {
        let mut cluster =
            Self::founded(Membership::of(ids.iter().map(|id| NodeId(*id))), configure);
        cluster.start_all();
        cluster
    }

    /// The members of `membership`, not yet started.
    pub fn founded(membership: Membership, configure: impl Fn(&mut Config)) -> Self {
        let member = |id: NodeId| {
            let mut config = Config::new(id);
            config.seed = u64::try_from(id.0).unwrap();
            configure(&mut config);
            (id, Member::new(config))
        };
        Self {
            now: Instant(0),
            members: membership.members().map(member).collect(),
            flights: Vec::new(),
            supplies: Vec::new(),
            membership,
            cut: BTreeSet::new(),
            may_stop: false,
            trace: None,
            judge: None,
        }
    }

    /// A node more, which knows of no membership but the first, and starts.
    pub fn join(&mut self, id: NodeId) {
        let first = self.members.values().next().unwrap().config().clone();
        let seed = u64::try_from(id.0).unwrap();
        self.members.insert(id, Member::new(Config { id, seed, ..first }));
        self.start(id);
        self.drain(id);
    }

    pub fn ids(&self) -> Vec<NodeId> {
        self.members.keys().copied().collect()
    }

    pub fn start_all(&mut self) {
        self.ids().into_iter().for_each(|id| self.start(id));
    }

    /// Starts a node from what its store holds.
    pub fn start(&mut self, id: NodeId) {
        self.try_start(id).unwrap();
    }

    /// The machine is empty again and replays, unless it is durable.
    pub fn try_start(&mut self, id: NodeId) -> Result<(), StartError> {
        let membership = self.membership.clone();
        let now = self.now;
        let member = self.members.get_mut(&id).unwrap();
        if !member.durable_machine {
            let kept = member.store.snapshot.as_ref();
            member.applied = kept.map(|(_, _, applied)| applied.clone()).unwrap_or_default();
        }
        let config = member.config.as_mut().unwrap();
        config.seed = config.seed.wrapping_add(1_000);
        let config = config.clone();
        let recovered: Recovered =
            member.store.recovered_after_snapshot(membership, member.recovered_applied());
        self.log(id, || Happened::Started(Box::new((config.clone(), recovered.clone()))));
        let raft = Raft::new(now, config, recovered)?;
        self.member(id).raft = Some(raft);
        Ok(())
    }

    /// The node is gone with all that was not durable.
    pub fn crash(&mut self, id: NodeId) {
        let member = self.member(id);
        member.raft = None;
        member.pending = None;
        member.applying.clear();
        member.wanted.clear();
        member.restoring.clear();
    }

    pub fn member(&mut self, id: NodeId) -> &mut Member {
        self.members.get_mut(&id).unwrap()
    }

    pub fn step(&mut self, id: NodeId, input: Input) {
        self.log(id, || Happened::Given(input.clone()));
        self.ask_judge(|judge, cluster| judge.asked(cluster, &input));
        let now = self.now;
        if let Some(raft) = &mut self.member(id).raft {
            raft.step(now, input);
        }
        self.drain(id);
    }

    /// What disk, machine and store say by themselves.
    fn follow(&mut self, id: NodeId, input: Input) {
        self.log(id, || Happened::Followed(input.clone()));
        let now = self.now;
        if let Some(raft) = &mut self.member(id).raft {
            raft.step(now, input);
        }
    }

    /// Does all that the node asks for.
    pub fn drain(&mut self, id: NodeId) {
        loop {
            let Some(raft) = &mut self.member(id).raft else { return };
            let output = raft.poll();
            self.log(id, || Happened::Polled(output.clone()));
            let Some(output) = output else {
                return self.ask_judge(|judge, cluster| judge.settled(cluster, id));
            };
            self.ask_judge(|judge, cluster| judge.put_out(cluster, id, &output));
            if let Some(input) = self.perform(id, output) {
                self.follow(id, input);
            }
        }
    }

    /// Does one thing that the node asks for. What comes of it at once.
    fn perform(&mut self, id: NodeId, output: Output) -> Option<Input> {
        let cut = self.cut.clone();
        let may_stop = self.may_stop;
        let member = self.members.get_mut(&id).unwrap();
        match output {
            Output::Persist(write) => {
                assert!(member.pending.is_none(), "two writes outstanding");
                if member.slow_disk {
                    member.pending = Some(write);
                    return None;
                }
                let write_id = write.id;
                member.store.write(write);
                return Some(Input::Persisted { write: write_id });
            }
            Output::Load { load, from, to, bytes_max } => {
                if member.slow_loads {
                    member.wanted.push_back(Wanted { load, from, to, bytes_max });
                    return None;
                }
                let result = member.store.read(from, to, bytes_max);
                return Some(Input::Loaded { load, result });
            }
            Output::Apply(apply) => {
                let index = apply.entries.last().unwrap().index;
                member.applied.extend(apply.entries);
                for (index, token) in apply.tokens {
                    assert!(member.answered.insert(token, Ok(index)).is_none());
                }
                if member.slow_machine {
                    member.applying.push_back(index);
                    return None;
                }
                return Some(Input::Applied { index });
            }
            Output::RestoreSnapshot { position } => {
                if member.slow_restores {
                    member.restoring.push_back(position);
                    return None;
                }
                member.restore(position);
                return Some(Input::SnapshotRestored { position });
            }
            Output::SendSnapshot { to, position } => self.supplies.push((id, to, position)),
            Output::ReadReady { token, index } => {
                assert!(member.reads.insert(token, index).is_none());
                let applied = member.raft.as_ref().unwrap().status().applied;
                assert!(index <= applied, "a read before its index is applied");
            }
            Output::Send { to, term, message } => {
                if !cut.contains(&(id, to)) {
                    self.flights.push(Flight { from: id, to, term, message });
                }
            }
            Output::Done { token } => {
                assert!(member.done.insert(token), "done twice");
                let at = member.raft.as_ref().unwrap().committed();
                assert!(member.answered.insert(token, Ok(at)).is_none());
            }
            Output::Rejected { token, reason } => {
                assert!(member.answered.insert(token, Err(reason)).is_none());
            }
            Output::Event(event) => member.events.push(event),
            Output::Stop(fatal) => {
                assert!(may_stop, "{id} stopped: {fatal}");
                member.stopped = Some(fatal);
            }
        }
        None
    }

    /// The disk of the node finishes what it was given.
    pub fn persist(&mut self, id: NodeId) {
        if let Some(write) = self.member(id).pending.take() {
            let write_id = write.id;
            self.member(id).store.write(write);
            self.step(id, Input::Persisted { write: write_id });
        }
    }

    /// The machine of the node finishes the oldest batch it was given.
    pub fn finish_apply(&mut self, id: NodeId) {
        if let Some(index) = self.member(id).applying.pop_front() {
            self.step(id, Input::Applied { index });
        }
    }

    /// The machine of the node has the state of the oldest snapshot it was given.
    pub fn finish_restore(&mut self, id: NodeId) {
        if let Some(position) = self.member(id).restoring.pop_front() {
            self.member(id).restore(position);
            self.step(id, Input::SnapshotRestored { position });
        }
    }

    /// The node takes a snapshot of its machine, which is durable at once.
    pub fn snapshot(&mut self, id: NodeId) {
        let point = self.raft(id).snapshot_point().expect("there is something to take");
        let member = self.member(id);
        let applied = member.applied.clone();
        member.store.keep(point.position, point.membership, applied);
        self.step(id, Input::SnapshotTaken { position: point.position });
    }

    /// The oldest snapshot that was to be sent arrives, or does not.
    pub fn supply(&mut self, arrived: bool) {
        let (node, to, position) = self.supplies.remove(0);
        if arrived {
            let (kept, membership, applied) =
                self.member(node).store.snapshot.clone().expect("there is a snapshot");
            assert_eq!(kept, position, "a newer one has taken its place");
            let time = applied.last().map_or(LogTime::ZERO, |entry| entry.time);
            let mut terms: Vec<(Index, Term)> = Vec::new();
            for entry in &applied {
                if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                    terms.push((entry.index, entry.term));
                }
            }
            self.member(to).store.keep(position, membership.clone(), applied);
            self.step(to, Input::SnapshotReceived { position, membership, time, terms });
        }
        self.step(node, Input::SnapshotSent { node: to, position, arrived });
    }

    pub fn deliver(&mut self, flight: Flight) {
        let Flight { from, to, term, message } = flight;
        if self.members.contains_key(&to) {
            self.step(to, Input::Message { from, term, message });
        }
    }

    /// Delivers the messages that are on their way now and that `passes` picks; drops the others.
    pub fn deliver_if(&mut self, passes: impl Fn(&Flight) -> bool) {
        for flight in std::mem::take(&mut self.flights) {
            if passes(&flight) {
                self.deliver(flight);
            }
        }
    }

    /// Delivers all messages for which `passes` holds, in order, until none is left.
    pub fn settle_if(&mut self, passes: impl Fn(&Flight) -> bool) {
        let mut rounds = 0;
        while !self.flights.is_empty() {
            self.deliver_if(&passes);
            rounds += 1;
            assert!(rounds < 10_000, "no end of messages");
        }
    }

    pub fn settle(&mut self) {
        self.settle_if(|_| true);
    }

    /// Nothing passes between these two groups any more, either way.
    pub fn cut_between(&mut self, some: &[NodeId], others: &[NodeId]) {
        for one in some {
            for other in others.iter().filter(|other| *other != one) {
                self.cut.extend([(*one, *other), (*other, *one)]);
            }
        }
    }

    /// Nothing reaches these nodes from outside, and nothing leaves them.
    pub fn isolate(&mut self, some: &[NodeId]) {
        let others: Vec<NodeId> = self.ids().into_iter().filter(|id| !some.contains(id)).collect();
        self.cut_between(some, &others);
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// The clock reaches the deadline of the node, which is told so.
    pub fn time_out(&mut self, id: NodeId) {
        if let Some(at) = self.members[&id].raft.as_ref().and_then(Raft::deadline) {
            self.now = self.now.max(at);
        }
        self.step(id, Input::Timeout);
    }

    /// Lets time pass until the next deadline of any node, and steps those that are due.
    pub fn wait(&mut self) {
        let next = self.members.values().filter_map(|m| m.raft.as_ref()?.deadline()).min();
        let Some(next) = next else { return };
        self.now = self.now.max(next);
        let due: Vec<NodeId> = self
            .members
            .iter()
            .filter(|(_, m)| {
                m.raft.as_ref().and_then(Raft::deadline).is_some_and(|at| at <= self.now)
            })
            .map(|(id, _)| *id)
            .collect();
        due.into_iter().for_each(|id| self.step(id, Input::Timeout));
    }

    /// Runs until `done` holds, for at most `ms` milliseconds of virtual time.
    pub fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.after(ms * MS);
        let (mut last, mut rounds) = (self.now, 0);
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            if self.now > end {
                return false;
            }
            self.wait();
            rounds = if self.now > last { 0 } else { rounds + 1 };
            assert!(rounds < 1_000, "time stands still: somebody is due again and again");
            last = self.now;
        }
    }

    /// Runs for this long.
    pub fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    /// The leader of the highest term, if any.
    pub fn leader(&self) -> Option<NodeId> {
        let leaders =
            self.members.values().filter_map(|m| m.raft.as_ref()).filter(|r| r.is_leader());
        leaders.max_by_key(|raft| raft.term()).map(Raft::id)
    }

    pub fn elect(&mut self) -> NodeId {
        assert!(self.run_until(10_000, |c| c.leader().is_some()), "no leader");
        self.settle();
        self.leader().unwrap()
    }

    /// Makes this node the leader: nobody else is asked to campaign.
    pub fn make_leader(&mut self, id: NodeId) {
        for _ in 0..20 {
            if self.raft(id).is_leader() {
                return;
            }
            self.time_out(id);
            self.settle();
        }
        panic!("{id} was not elected");
    }

    pub fn propose(&mut self, id: NodeId, token: u64, command: &'static str) {
        let command = Bytes::from_static(command.as_bytes());
        self.step(id, Input::Propose { token: Token(token), command, time: LogTime(token) });
    }

    pub fn read(&mut self, id: NodeId, token: u64) {
        self.step(id, Input::Read { token: Token(token) });
    }

    pub fn raft(&self, id: NodeId) -> &Raft {
        self.members[&id].raft.as_ref().unwrap()
    }

    pub fn state(&self, id: NodeId) -> StateName {
        self.raft(id).state()
    }

    /// What became of a request at this node.
    pub fn answer(&self, id: NodeId, token: u64) -> Option<Result<Index, skiff_core::Reject>> {
        self.members[&id].answered.get(&Token(token)).copied()
    }

    /// The commands a node applied, in order.
    pub fn commands(&self, id: NodeId) -> Vec<Bytes> {
        self.members[&id].commands()
    }

    fn ask_judge(&mut self, ask: impl FnOnce(&mut Judge, &Self)) {
        if let Some(mut judge) = self.judge.take() {
            ask(&mut judge, self);
            self.judge = Some(judge);
        }
    }

    fn log(&mut self, node: NodeId, what: impl FnOnce() -> Happened) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(Trace { now, node, what: what() });
        }
    }
}
