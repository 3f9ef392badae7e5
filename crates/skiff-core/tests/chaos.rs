//! Random schedules with lost, repeated and reordered messages, slow, stuck and full disks, slow
//! machines, unreadable stores, crashes and broken connections, under a judge that knows all nodes.
//! Whatever happens: one leader a term, one entry a place, no vote given twice, nothing said before
//! it is durable, nothing acknowledged lost; and once the faults stop, progress.
//!
//! `SKIFF_SEEDS` sets how many schedules are tried.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeSet;

use bytes::Bytes;
use common::{Cluster, Happened, MS, judge::Judge};
use skiff_core::{
    Config, Entry, Fault, HardState, Index, Input, Instant, LoadError, LogTime, Membership, NodeId,
    Options, Payload, Raft, Term, Token,
};

/// A small generator of choices.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn some_of(&mut self, nodes: &[NodeId]) -> BTreeSet<NodeId> {
        let mut some: BTreeSet<NodeId> =
            nodes.iter().copied().filter(|_| self.chance(60)).collect();
        some.insert(nodes[self.below(nodes.len())]);
        some
    }
}

/// A cluster under random faults.
struct Chaos {
    dice: Dice,
    cluster: Cluster,
    ids: Vec<NodeId>,
    token: u64,
    /// How many of a hundred messages are lost.
    loss: usize,
    crashes: bool,
    /// Disks that do nothing at present.
    stuck: BTreeSet<NodeId>,
}

impl Chaos {
    fn new(seed: u64, options: Options) -> Self {
        let mut dice = Dice::new(seed);
        let nodes = 1 + dice.below(5) as u128;
        let ids: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        let mut membership = Membership::of(ids.iter().copied());
        if dice.chance(30) {
            membership.voters = dice.some_of(&ids);
            membership.outgoing = dice.some_of(&ids);
        }
        membership.learners = ids.iter().copied().filter(|id| !membership.is_voter(*id)).collect();
        let tiny = dice.chance(50);
        let mut cluster = Cluster::founded(membership, |config: &mut Config| {
            config.options = options;
            config.seed += seed;
            if tiny {
                config.window_messages = 2;
                config.append_bytes = 80;
                config.write_bytes = 80;
                config.cache_bytes = 100;
                config.apply_bytes = 90;
            }
        });
        if !options.fixed_membership && dice.chance(20) {
            begin_a_change(&mut dice, &mut cluster, &ids);
        }
        let slow = [dice.chance(70), dice.chance(30), dice.chance(30)];
        for member in cluster.members.values_mut() {
            [member.slow_disk, member.slow_machine, member.slow_loads] = slow;
            member.durable_machine = dice.chance(30);
        }
        cluster.judge = Some(Judge::default());
        cluster.start_all();
        let (loss, crashes) = (dice.below(30), dice.chance(50));
        Self { dice, cluster, ids, token: 0, loss, crashes, stuck: BTreeSet::new() }
    }

    fn anybody(&mut self) -> NodeId {
        self.ids[self.dice.below(self.ids.len())]
    }

    fn step(&mut self) {
        let id = self.anybody();
        match self.dice.below(100) {
            0..52 => self.move_a_message(),
            52..68 if !self.stuck.contains(&id) => self.cluster.persist(id),
            68 if self.dice.chance(30) => self.refuse_a_write(id),
            69..73 => self.cluster.finish_apply(id),
            73..76 => self.answer_a_load(id),
            76..83 => self.propose(),
            83..86 => {
                self.token += 1;
                self.cluster.read(id, self.token);
            }
            86 if self.dice.chance(30) => self.transfer(id),
            86..96 => {
                self.cluster.now = self.cluster.now.after(self.dice.next() % (15 * MS));
                self.cluster.step(id, Input::Timeout);
            }
            96 if self.crashes && self.dice.chance(30) => {
                let leader = self.cluster.leader().filter(|_| self.dice.chance(50));
                self.cluster.crash(leader.unwrap_or(id));
            }
            97 => self.restart(id),
            98 => self.disturb_the_network(id),
            99 if !self.stuck.remove(&id) && self.dice.chance(20) => drop(self.stuck.insert(id)),
            _ => {}
        }
    }

    fn disturb_the_network(&mut self, id: NodeId) {
        match self.dice.below(10) {
            0..2 => {
                let node = self.anybody();
                self.cluster.step(id, Input::Unreachable { node });
            }
            2..4 => {
                let leader = self.cluster.leader().filter(|_| self.dice.chance(50));
                self.cluster.isolate(&[leader.unwrap_or(id)]);
            }
            4 => {
                let other = self.anybody();
                self.cluster.cut.insert((id, other));
            }
            _ => self.cluster.heal(),
        }
    }

    fn move_a_message(&mut self) {
        if self.cluster.flights.is_empty() {
            return;
        }
        let flight = if self.dice.chance(70) {
            self.cluster.flights.remove(0)
        } else {
            let at = self.dice.below(self.cluster.flights.len());
            self.cluster.flights.swap_remove(at)
        };
        if self.dice.chance(5) {
            self.cluster.flights.push(flight.clone());
        }
        if !self.dice.chance(self.loss) {
            self.cluster.deliver(flight);
        }
    }

    fn propose(&mut self) {
        self.token += 1;
        let id = self.cluster.leader().unwrap_or(NodeId(1));
        let command = Bytes::from(self.token.to_string());
        let time = LogTime(0);
        self.cluster.step(id, Input::Propose { token: Token(self.token), command, time });
    }

    /// Somebody wants this node to lead, or anybody but who does.
    fn transfer(&mut self, to: NodeId) {
        self.token += 1;
        let (token, to) = (Token(self.token), self.dice.chance(70).then_some(to));
        let leader = self.cluster.leader().unwrap_or(NodeId(1));
        self.cluster.step(leader, Input::TransferLeadership { token, to });
    }

    /// The disk has no room for what it was given.
    fn refuse_a_write(&mut self, id: NodeId) {
        if let Some(write) = self.cluster.member(id).pending.take() {
            self.cluster.step(id, Input::Fault(Fault::WriteRefused { write: write.id }));
        }
    }

    /// The store answers, for entries to be sent sometimes with an error or with less.
    fn answer_a_load(&mut self, id: NodeId) {
        let member = self.cluster.member(id);
        let Some(wanted) = member.wanted.pop_front() else { return };
        let mut result = member.store.read(wanted.from, wanted.to, wanted.bytes_max);
        // An error is final where the machine needs the entries, so only less is given to it.
        let applies = member.raft.as_ref().is_some_and(|r| wanted.from > r.status().applied);
        match self.dice.below(10) {
            0 if !applies => result = Err(LoadError::Failed),
            1 => result = result.map(|entries| entries.into_iter().take(1).collect()),
            _ => {}
        }
        self.cluster.step(id, Input::Loaded { load: wanted.load, result });
    }

    fn restart(&mut self, id: NodeId) {
        if self.cluster.members[&id].raft.is_none() {
            self.cluster.start(id);
            self.cluster.drain(id);
        }
    }

    /// The faults stop: within a bounded time one node leads, and a command goes through everywhere.
    fn recover(&mut self, seed: u64) {
        self.cluster.heal();
        for id in self.ids.clone() {
            self.restart(id);
            while let Some(wanted) = self.cluster.member(id).wanted.pop_front() {
                let result =
                    self.cluster.member(id).store.read(wanted.from, wanted.to, wanted.bytes_max);
                self.cluster.step(id, Input::Loaded { load: wanted.load, result });
            }
            let member = self.cluster.member(id);
            (member.slow_disk, member.slow_machine, member.slow_loads) = (false, false, false);
            self.cluster.persist(id);
            while !self.cluster.members[&id].applying.is_empty() {
                self.cluster.finish_apply(id);
            }
        }
        let ids = self.ids.clone();
        let settled = |c: &Cluster| {
            c.leader()
                .is_some_and(|leader| ids.iter().all(|id| c.raft(*id).leader() == Some(leader)))
        };
        for _ in 0..20 {
            // Without pre-vote candidates with short logs get in the way of those who can win.
            assert!(self.cluster.run_until(60_000, settled), "seed {seed}: no leader");
            self.propose();
            let (token, leader) = (self.token, self.cluster.leader().unwrap());
            let done = |c: &Cluster| {
                let last = c.raft(leader).last().index;
                matches!(c.answer(leader, token), Some(Ok(_)))
                    && ids.iter().all(|id| c.raft(*id).status().applied == last)
            };
            if self.cluster.run_until(3_000, done) {
                return self.nothing_is_lost(seed, leader);
            }
        }
        panic!("seed {seed}: no progress after the faults");
    }

    fn nothing_is_lost(&self, seed: u64, leader: NodeId) {
        let judge = self.cluster.judge.as_ref().unwrap();
        let store = &self.cluster.members[&leader].store;
        for (token, index) in &judge.acknowledged {
            let command = Payload::Command(Bytes::from(token.0.to_string()));
            assert_eq!(store.get(*index).unwrap().payload, command, "seed {seed}: lost {token}");
        }
        for id in &self.ids {
            assert_eq!(self.cluster.members[id].store.entries, store.entries, "seed {seed}: {id}");
        }
    }
}

/// The leader of term 1 had begun to change the members and given its entry to some.
fn begin_a_change(dice: &mut Dice, cluster: &mut Cluster, ids: &[NodeId]) {
    let mut joint = Membership::of(ids.iter().copied());
    joint.outgoing = cluster.membership.voters.clone();
    joint.voters = dice.some_of(ids);
    joint.learners = ids.iter().copied().filter(|id| !joint.is_voter(*id)).collect();
    if cluster.membership.is_joint() {
        return;
    }
    let payload = Payload::Membership(Box::new(joint));
    let entry = Entry { term: Term(1), index: Index(1), time: LogTime(0), payload };
    for id in ids {
        let store = &mut cluster.member(*id).store;
        store.hard = HardState { term: Term(1), vote: Some(ids[0]) };
        if dice.chance(40) {
            store.entries = vec![entry.clone()];
        }
    }
}

const STEPS: usize = 6_000;

/// How many commands were answered and how many terms had a leader while the faults lasted.
fn chaos(seed: u64, options: Options) -> [usize; 2] {
    let mut chaos = Chaos::new(seed, options);
    (0..STEPS).for_each(|_| chaos.step());
    let judge = chaos.cluster.judge.as_ref().unwrap();
    let done = [judge.acknowledged.len(), judge.leaders.len()];
    chaos.recover(seed);
    done
}

/// Runs all these schedules, which are worth little if next to nothing happens in them.
fn all_of(seeds: std::ops::Range<u64>, options: Options) {
    let count = usize::try_from(seeds.end - seeds.start).unwrap();
    let (mut answered, mut led) = (0, 0);
    for [answers, leaders] in seeds.map(|seed| chaos(seed, options)) {
        (answered, led) = (answered + answers, led + leaders);
    }
    assert!(answered > 30 * count && led > 2 * count, "{answered} answers, {led} leaders");
}

fn seeds() -> u64 {
    std::env::var("SKIFF_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

#[test]
fn every_schedule_is_safe_and_ends_in_agreement() {
    all_of(0..seeds(), Options::default());
}

#[test]
fn without_pre_vote_and_check_quorum_too() {
    let options = Options {
        pre_vote: false,
        check_quorum: false,
        refuse_while_led: false,
        ..Options::default()
    };
    all_of(1_000_000..1_000_000 + seeds(), options);
}

/// Peers of the original's protocol, as long as nobody sets other members: plain Raft.
#[test]
fn with_foreign_rules_and_fixed_members_too() {
    all_of(2_000_000..2_000_000 + seeds() / 2, Options::foreign());
}

/// Members that are set from outside at any time can lose entries: the original's risk. No node
/// panics or breaks its own invariants over that, but for stopping where committed entries conflict.
#[test]
fn with_members_set_at_any_time_no_node_breaks() {
    for seed in 0..seeds() / 2 {
        let mut chaos = Chaos::new(3_000_000 + seed, Options::foreign());
        (chaos.cluster.may_stop, chaos.cluster.judge) = (true, None);
        for _ in 0..1_000 {
            if chaos.dice.chance(5) {
                let (id, ids) = (chaos.anybody(), chaos.ids.clone());
                let membership = Membership::of(chaos.dice.some_of(&ids));
                chaos.cluster.step(id, Input::SetMembership { membership });
            }
            chaos.step();
        }
        for member in chaos.cluster.members.values() {
            let stopped = member.stopped.as_ref();
            assert!(
                stopped.is_none_or(|f| matches!(f, skiff_core::Fatal::CommittedConflict { .. })),
                "seed {seed}: {stopped:?}"
            );
        }
    }
}

/// The same inputs give the same outputs: whole lives of whole clusters, told again.
#[test]
fn a_recorded_run_replays_exactly() {
    let mut compared = 0;
    for seed in 0..20 {
        let mut chaos = Chaos::new(4_000_000 + seed, Options::default());
        chaos.cluster.trace = Some(Vec::new());
        chaos.ids.clone().into_iter().for_each(|id| chaos.cluster.start(id));
        (0..STEPS).for_each(|_| chaos.step());
        let history = chaos.cluster.trace.take().unwrap();
        compared += history.len();
        let mut nodes = std::collections::BTreeMap::new();
        for one in history {
            match one.what {
                Happened::Started(with) => {
                    let (config, recovered) = *with;
                    nodes.insert(one.node, Raft::new(one.now, config, recovered).unwrap());
                }
                Happened::Given(input) | Happened::Followed(input) => {
                    if let Some(raft) = nodes.get_mut(&one.node) {
                        raft.step(one.now, input);
                    }
                }
                Happened::Polled(output) => {
                    assert_eq!(nodes.get_mut(&one.node).unwrap().poll(), output, "seed {seed}");
                }
            }
        }
    }
    assert!(compared > 50_000, "only {compared}");
}

#[test]
fn three_nodes_agree() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    let leader = cluster.elect();
    cluster.propose(leader, 1, "a");
    cluster.settle();
    assert_eq!(cluster.members[&leader].answered[&Token(1)], Ok(Index(2)));
    for id in [1, 2, 3].map(NodeId) {
        assert_eq!(cluster.commands(id), ["a"]);
    }
    assert!(cluster.now > Instant(0));
}
