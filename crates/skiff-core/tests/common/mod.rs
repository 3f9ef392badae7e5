//! A cluster of cores on a virtual clock, with a store and a machine in memory for each, for tests
//! that want to see many nodes at once.

#![allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]

use std::collections::BTreeMap;

use bytes::Bytes;
use skiff_core::{
    Config, Entry, Event, HardState, Index, Input, Instant, LoadError, LogTime, Membership,
    Message, NodeId, Output, Payload, Position, Raft, Recovered, Reject, StateName, Term, Token,
    Write,
};

pub const MS: u64 = 1_000_000;

/// What a node's log store holds.
#[derive(Clone, Debug, Default)]
pub struct Store {
    pub hard: HardState,
    pub entries: Vec<Entry>,
}

impl Store {
    pub fn write(&mut self, write: Write) {
        if let Some(from) = write.truncate_from {
            self.entries.retain(|entry| entry.index < from);
        }
        for entry in write.entries {
            assert_eq!(entry.index.0, self.entries.len() as u64 + 1, "a gap in the store");
            self.entries.push(entry);
        }
        self.hard = write.hard_state;
    }

    pub fn recovered(&self, membership: Membership) -> Recovered {
        let mut terms: Vec<(Index, Term)> = Vec::new();
        let mut memberships = Vec::new();
        for entry in &self.entries {
            if terms.last().is_none_or(|(_, term)| *term != entry.term) {
                terms.push((entry.index, entry.term));
            }
            if let Payload::Membership(membership) = &entry.payload {
                memberships.push((entry.index, Membership::clone(membership)));
            }
        }
        Recovered {
            hard_state: self.hard,
            last: self.entries.last().map_or(Position::ZERO, Entry::position),
            last_time: self.entries.last().map_or(LogTime::ZERO, |entry| entry.time),
            terms,
            membership,
            memberships,
            ..Recovered::default()
        }
    }

    pub fn read(&self, from: Index, to: Index, bytes_max: usize) -> Result<Vec<Entry>, LoadError> {
        let mut bytes = 0;
        let mut found = Vec::new();
        for entry in self.entries.iter().filter(|e| e.index >= from && e.index < to) {
            bytes += entry.size();
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        if found.is_empty() { Err(LoadError::Failed) } else { Ok(found) }
    }
}

/// One node: its core, what is durable, what is on its way to the disk, what was applied.
#[derive(Debug)]
pub struct Member {
    pub config: Config,
    pub raft: Option<Raft>,
    pub store: Store,
    pub pending: Option<Write>,
    pub applied: Vec<Entry>,
    pub answered: BTreeMap<Token, Result<Index, Reject>>,
    pub reads: BTreeMap<Token, Index>,
    pub events: Vec<Event>,
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
    pub membership: Membership,
    /// Writes complete at once unless this is off.
    pub disk_at_once: bool,
}

impl Cluster {
    pub fn new(ids: &[u128], configure: impl Fn(&mut Config)) -> Self {
        let membership = Membership::of(ids.iter().map(|id| NodeId(*id)));
        let members = ids
            .iter()
            .map(|id| {
                let mut config = Config::new(NodeId(*id));
                config.seed = *id as u64;
                configure(&mut config);
                let member = Member {
                    config,
                    raft: None,
                    store: Store::default(),
                    pending: None,
                    applied: Vec::new(),
                    answered: BTreeMap::new(),
                    reads: BTreeMap::new(),
                    events: Vec::new(),
                };
                (NodeId(*id), member)
            })
            .collect();
        let mut cluster =
            Self { now: Instant(0), members, flights: Vec::new(), membership, disk_at_once: true };
        let ids: Vec<NodeId> = cluster.members.keys().copied().collect();
        ids.iter().for_each(|id| cluster.start(*id));
        cluster
    }

    /// Starts a node from what its store holds. The machine is empty again and replays.
    pub fn start(&mut self, id: NodeId) {
        let membership = self.membership.clone();
        let now = self.now;
        let member = self.members.get_mut(&id).unwrap();
        member.config.seed = member.config.seed.wrapping_add(1_000);
        member.applied.clear();
        let recovered = member.store.recovered(membership);
        member.raft = Some(Raft::new(now, member.config.clone(), recovered).unwrap());
    }

    /// The node is gone with all that was not durable.
    pub fn crash(&mut self, id: NodeId) {
        let member = self.members.get_mut(&id).unwrap();
        member.raft = None;
        member.pending = None;
    }

    pub fn step(&mut self, id: NodeId, input: Input) {
        let now = self.now;
        if let Some(raft) = &mut self.members.get_mut(&id).unwrap().raft {
            raft.step(now, input);
        }
        self.drain(id);
    }

    /// Does all that the node asks for.
    pub fn drain(&mut self, id: NodeId) {
        let now = self.now;
        let disk_at_once = self.disk_at_once;
        let member = self.members.get_mut(&id).unwrap();
        let Some(raft) = &mut member.raft else { return };
        while let Some(output) = raft.poll() {
            match output {
                Output::Persist(write) if disk_at_once => {
                    let id = write.id;
                    member.store.write(write);
                    raft.step(now, Input::Persisted { write: id });
                }
                Output::Persist(write) => {
                    assert!(member.pending.is_none(), "two writes outstanding");
                    member.pending = Some(write);
                }
                Output::Load { load, from, to, bytes_max } => {
                    let result = member.store.read(from, to, bytes_max);
                    raft.step(now, Input::Loaded { load, result });
                }
                Output::Apply(apply) => {
                    let index = apply.entries.last().unwrap().index;
                    member.applied.extend(apply.entries);
                    for (index, token) in apply.tokens {
                        assert!(member.answered.insert(token, Ok(index)).is_none());
                    }
                    raft.step(now, Input::Applied { index });
                }
                Output::ReadReady { token, index } => {
                    assert!(member.reads.insert(token, index).is_none());
                }
                Output::Send { to, term, message } => {
                    self.flights.push(Flight { from: id, to, term, message });
                }
                Output::Rejected { token, reason } => {
                    assert!(member.answered.insert(token, Err(reason)).is_none());
                }
                Output::Event(event) => member.events.push(event),
                Output::Stop(fatal) => panic!("{id} stopped: {fatal}"),
            }
        }
    }

    /// The disk of the node finishes what it was given.
    pub fn persist(&mut self, id: NodeId) {
        let member = self.members.get_mut(&id).unwrap();
        if let Some(write) = member.pending.take() {
            let write_id = write.id;
            member.store.write(write);
            self.step(id, Input::Persisted { write: write_id });
        }
    }

    pub fn deliver(&mut self, flight: Flight) {
        let Flight { from, to, term, message } = flight;
        if self.members.contains_key(&to) {
            self.step(to, Input::Message { from, term, message });
        }
    }

    /// Delivers all messages for which `passes` holds, in order, until none is left.
    pub fn settle_if(&mut self, passes: impl Fn(&Flight) -> bool) {
        while !self.flights.is_empty() {
            for flight in std::mem::take(&mut self.flights) {
                if passes(&flight) {
                    self.deliver(flight);
                }
            }
        }
    }

    pub fn settle(&mut self) {
        self.settle_if(|_| true);
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
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            if self.now > end {
                return false;
            }
            self.wait();
        }
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

    pub fn propose(&mut self, id: NodeId, token: u64, command: &'static str) {
        let command = Bytes::from_static(command.as_bytes());
        self.step(id, Input::Propose { token: Token(token), command, time: LogTime(token) });
    }

    pub fn raft(&self, id: NodeId) -> &Raft {
        self.members[&id].raft.as_ref().unwrap()
    }

    pub fn state(&self, id: NodeId) -> StateName {
        self.raft(id).state()
    }

    /// The commands a node applied, in order.
    pub fn commands(&self, id: NodeId) -> Vec<Bytes> {
        self.members[&id]
            .applied
            .iter()
            .filter_map(|entry| match &entry.payload {
                Payload::Command(bytes) => Some(bytes.clone()),
                _ => None,
            })
            .collect()
    }
}
