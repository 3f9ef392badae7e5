//! Random schedules with lost, repeated and reordered messages, slow disks, crashes and broken
//! connections, under checks that know all nodes. Whatever happens: one leader a term, one entry a
//! place, no vote given twice, nothing acknowledged lost; and once the faults stop, progress.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;

use common::{Cluster, MS};
use skiff_core::{
    Config, Entry, Index, Input, LogTime, Membership, Message, NodeId, Options, Term, Token,
};

/// A small generator of choices.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What is known of all nodes over all time.
#[derive(Default)]
struct Judge {
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    applied: BTreeMap<Index, Entry>,
    acknowledged: BTreeMap<Token, Index>,
    /// The commit index known anywhere when a read was asked.
    floors: BTreeMap<Token, Index>,
}

impl Judge {
    fn look(&mut self, cluster: &Cluster) {
        for (id, member) in &cluster.members {
            if let Some(raft) = &member.raft {
                raft.check_invariants().unwrap();
                if raft.is_leader() {
                    let first = *self.leaders.entry(raft.term()).or_insert(*id);
                    assert_eq!(first, *id, "two leaders in term {}", raft.term());
                }
            }
            for (place, entry) in member.applied.iter().enumerate() {
                assert_eq!(entry.index.0, place as u64 + 1, "applied in order, without a gap");
                let first = self.applied.entry(entry.index).or_insert_with(|| entry.clone());
                assert_eq!(first, entry, "one entry at {}", entry.index);
            }
            for (token, answer) in &member.answered {
                if let Ok(index) = answer {
                    self.acknowledged.insert(*token, *index);
                }
            }
            for (token, index) in &member.reads {
                assert!(*index >= self.floors[token], "read {token} missed a commit");
            }
        }
        self.judge_messages(cluster);
    }

    /// Votes and acknowledgements are judged as they leave: they must be durable by then.
    fn judge_messages(&mut self, cluster: &Cluster) {
        for flight in &cluster.flights {
            let store = &cluster.members[&flight.from].store;
            match &flight.message {
                Message::VoteReply { granted: true } => {
                    let vote = self.votes.entry((flight.from, flight.term)).or_insert(flight.to);
                    assert_eq!(*vote, flight.to, "{} voted twice", flight.from);
                }
                Message::Vote { .. } => {
                    let vote = self.votes.entry((flight.from, flight.term)).or_insert(flight.from);
                    assert_eq!(*vote, flight.from, "{} voted twice", flight.from);
                }
                _ => {}
            }
            assert!(store.hard.term >= flight.term, "{} left before its term", flight.from);
        }
    }
}

fn chaos(seed: u64, options: Options, steps: usize) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let nodes = 1 + dice.below(5) as u128;
    let ids: Vec<u128> = (1..=nodes).collect();
    let tiny = dice.chance(50);
    let mut cluster = Cluster::new(&ids, |config: &mut Config| {
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
    let slow = !dice.chance(30);
    cluster.members.values_mut().for_each(|member| member.slow_disk = slow);
    let (loss, crashes) = (dice.below(30), dice.chance(50));
    let mut judge = Judge::default();
    let mut token = 0;
    let pick = |dice: &mut Dice| NodeId(ids[dice.below(ids.len())]);
    for _ in 0..steps {
        match dice.below(100) {
            0..45 if !cluster.flights.is_empty() => {
                let flight = if dice.chance(70) {
                    cluster.flights.remove(0)
                } else {
                    let at = dice.below(cluster.flights.len());
                    cluster.flights.swap_remove(at)
                };
                if dice.chance(5) {
                    cluster.flights.push(flight.clone());
                }
                if !dice.chance(loss) {
                    cluster.deliver(flight);
                }
            }
            45..65 => {
                let id = pick(&mut dice);
                cluster.persist(id);
            }
            65..80 => {
                token += 1;
                let id = cluster.leader().unwrap_or(NodeId(1));
                let command = bytes::Bytes::from(token.to_string());
                cluster.step(id, Input::Propose { token: Token(token), command, time: LogTime(0) });
            }
            80..84 => {
                token += 1;
                let known = cluster.members.values().filter_map(|m| m.raft.as_ref());
                let floor = known.map(|raft| raft.committed()).max().unwrap_or_default();
                judge.floors.insert(Token(token), floor);
                let id = pick(&mut dice);
                cluster.step(id, Input::Read { token: Token(token) });
            }
            84..96 => {
                cluster.now = cluster.now.after(dice.next() % (30 * MS));
                let id = pick(&mut dice);
                cluster.step(id, Input::Timeout);
            }
            96 if crashes => {
                let id = pick(&mut dice);
                cluster.crash(id);
            }
            97 if crashes => restart(&mut cluster, pick(&mut dice)),
            98 => {
                let (a, b) = (pick(&mut dice), pick(&mut dice));
                cluster.step(a, Input::Unreachable { node: b });
            }
            _ => {}
        }
        judge.look(&cluster);
    }
    recover(&mut cluster, &mut judge, seed);
}

fn restart(cluster: &mut Cluster, id: NodeId) {
    if cluster.members[&id].raft.is_none() {
        cluster.start(id);
        cluster.drain(id);
    }
}

/// The faults stop: within a bounded time one node leads and everything is committed everywhere.
fn recover(cluster: &mut Cluster, judge: &mut Judge, seed: u64) {
    let ids: Vec<NodeId> = cluster.members.keys().copied().collect();
    cluster.members.values_mut().for_each(|member| member.slow_disk = false);
    for id in &ids {
        restart(cluster, *id);
        cluster.persist(*id);
    }
    let last = u64::MAX;
    let healed = cluster.run_until(10_000, |c| {
        let committed: Vec<Index> = ids.iter().map(|id| c.raft(*id).committed()).collect();
        let leader = c.leader();
        leader.is_some_and(|leader| c.raft(leader).committed() == c.raft(leader).last().index)
            && committed.iter().all(|index| *index == committed[0])
            && ids.iter().all(|id| c.raft(*id).leader() == leader)
    });
    assert!(healed, "seed {seed}: no agreement after the faults");
    let leader = cluster.leader().unwrap();
    cluster.propose(leader, last, "the last");
    let done = cluster.run_until(1_000, |c| c.members[&leader].answered.contains_key(&Token(last)));
    assert!(done, "seed {seed}: no progress after the faults");
    judge.look(cluster);
    for (token, index) in &judge.acknowledged {
        let entry = cluster.members[&leader].store.get(*index).unwrap();
        if token.0 != last {
            let command = bytes::Bytes::from(token.0.to_string());
            assert_eq!(entry.payload, skiff_core::Payload::Command(command), "seed {seed}: lost");
        }
    }
}

fn seeds() -> u64 {
    std::env::var("SKIFF_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

#[test]
fn every_schedule_is_safe_and_ends_in_agreement() {
    (0..seeds()).for_each(|seed| chaos(seed, Options::default(), 1_500));
}

#[test]
fn without_pre_vote_and_check_quorum_too() {
    let options = Options {
        pre_vote: false,
        check_quorum: false,
        refuse_while_led: false,
        ..Options::default()
    };
    (0..seeds()).for_each(|seed| chaos(seed, options, 1_500));
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
    assert_eq!(cluster.membership, Membership::of([1, 2, 3].map(NodeId)));
}
