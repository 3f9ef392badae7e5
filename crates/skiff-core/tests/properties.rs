//! What must hold for any input, computed a second, slower way.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use bytes::Bytes;
use common::MS;
use proptest::prelude::*;
use skiff_core::{
    Append, AppendOutcome, AppendReply, Config, Entry, Fatal, HardState, Index, Input, Instant,
    LogTime, Membership, Message, NodeId, Output, Payload, Position, Raft, Recovered, Round, Term,
    Token, quorum,
};

fn some_nodes() -> impl Strategy<Value = BTreeSet<NodeId>> {
    proptest::collection::btree_set((1_u128..8).prop_map(NodeId), 0..7)
}

/// All subsets of `nodes`.
fn subsets(nodes: &BTreeSet<NodeId>) -> Vec<BTreeSet<NodeId>> {
    let nodes: Vec<NodeId> = nodes.iter().copied().collect();
    (0_u32..1 << nodes.len())
        .map(|bits| (0..nodes.len()).filter(|at| bits >> at & 1 == 1).map(|at| nodes[at]).collect())
        .collect()
}

proptest! {
    /// Two majorities of one set always share a node, and no smaller number of nodes is enough.
    #[test]
    fn majorities_intersect(voters in some_nodes()) {
        let majorities: Vec<BTreeSet<NodeId>> = subsets(&voters)
            .into_iter()
            .filter(|some| quorum::is_majority(&voters, |id| some.contains(&id)))
            .collect();
        for one in &majorities {
            prop_assert!(2 * one.len() > voters.len());
            for other in &majorities {
                prop_assert!(!one.is_disjoint(other));
            }
        }
        let all = quorum::is_majority(&voters, |_| true);
        prop_assert_eq!(all, !voters.is_empty());
    }

    /// A joint quorum is a majority of each half, counted by hand.
    #[test]
    fn joint_quorums_need_both_halves(
        voters in some_nodes(), outgoing in some_nodes(), agreeing in some_nodes(),
    ) {
        let half = |of: &BTreeSet<NodeId>| 2 * of.intersection(&agreeing).count() > of.len();
        let membership = Membership { voters: voters.clone(), outgoing: outgoing.clone(), ..Membership::default() };
        let expected = half(&voters) && (outgoing.is_empty() || half(&outgoing));
        prop_assert_eq!(membership.has_quorum(|id| agreeing.contains(&id)), expected);
    }

    /// What a quorum has reached is the largest value that a quorum has.
    #[test]
    fn reached_is_the_largest_value_with_a_quorum(
        voters in some_nodes(), outgoing in some_nodes(),
        values in proptest::collection::vec(0_u64..6, 8),
    ) {
        let membership = Membership { voters, outgoing, ..Membership::default() };
        let value = |id: NodeId| values[usize::try_from(id.0).unwrap()];
        let slow = (0..6).rev().find(|least| membership.has_quorum(|id| value(id) >= *least));
        prop_assert_eq!(membership.reached(value), slow);
    }

    /// A membership survives its bytes; other bytes are refused or are a membership too.
    #[test]
    fn memberships_survive_their_bytes(
        voters in some_nodes(), outgoing in some_nodes(),
        garbage in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut membership = Membership::of(voters.iter().chain(&outgoing).copied());
        membership.voters = voters;
        membership.outgoing = outgoing;
        prop_assert_eq!(Membership::decode(&membership.encode()).unwrap(), membership);
        if let Ok(other) = Membership::decode(&garbage) {
            prop_assert!(other.encode().len() <= garbage.len());
        }
    }
}

/// Appends of leaders whose logs grow, branch and compete, in any order, from any place.
#[derive(Clone, Debug)]
struct Sent {
    leader: usize,
    from: usize,
    count: usize,
    commit: bool,
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let one = (0_usize..4, 0_usize..12, 0_usize..6, any::<bool>())
        .prop_map(|(leader, from, count, commit)| Sent { leader, from, count, commit });
    proptest::collection::vec(one, 1..40)
}

fn entry(term: u64, index: u64) -> Entry {
    let payload = Payload::Command(Bytes::from(format!("{index}/{term}")));
    Entry { term: Term(term), index: Index(index), time: LogTime(0), payload }
}

/// The log of the leader of this term: each begins with a part of the one before and goes on alone.
fn log_of(term: usize) -> Vec<Entry> {
    let mut log: Vec<Entry> = Vec::new();
    for t in 1..=term {
        log.truncate(3 * t - 2);
        let begin = log.len() as u64 + 1;
        log.extend((begin..begin + 4).map(|index| entry(t as u64, index)));
    }
    log
}

fn position(log: &[Entry], count: usize) -> Position {
    count.checked_sub(1).and_then(|at| log.get(at)).map_or(Position::ZERO, Entry::position)
}

proptest! {
    /// A follower's log, spliced Append by Append, against a plain vector that is cut and extended
    /// the slow way.
    #[test]
    fn splicing_equals_a_plain_vector(sent in sent()) {
        let me = NodeId(9);
        let membership = Membership::of((1..=9).map(NodeId));
        let recovered = Recovered { membership, ..Recovered::default() };
        let mut raft = Raft::new(Instant(0), Config::new(me), recovered).unwrap();
        let (mut model, mut term, mut store): (Vec<Entry>, usize, Vec<Entry>) = (Vec::new(), 0, Vec::new());
        let (mut committed, mut verified) = (0_usize, 0_usize);
        for (seq, one) in (1..).zip(sent) {
            let t = one.leader + 1;
            let log = log_of(t);
            let from = one.from.min(log.len());
            let entries: Vec<Entry> = log.iter().skip(from).take(one.count).cloned().collect();
            // Only the part that all later logs share may ever be committed.
            let commit = if one.commit { 1 } else { 0 };
            let append = Append { seq, round: Round(0), prev: position(&log, from), entries: entries.clone(), commit: Index(commit) };
            raft.step(Instant(seq * MS), Input::Message { from: NodeId(t as u128), term: Term(t as u64), message: Message::Append(append) });
            if t >= term {
                if t > term {
                    (term, verified) = (t, committed);
                }
                let fits = from <= committed || model.get(from - 1).is_some_and(|e| e.term == log[from - 1].term);
                if fits {
                    for new in entries {
                        let at = usize::try_from(new.index.0).unwrap() - 1;
                        if model.get(at).is_some_and(|old| old.term != new.term) {
                            model.truncate(at);
                        }
                        if at == model.len() {
                            model.push(new.clone());
                        }
                        verified = verified.max(at + 1);
                    }
                    verified = verified.max(from);
                    committed = committed.max(verified.min(usize::try_from(commit).unwrap()));
                }
            }
            while let Some(output) = raft.poll() {
                if let Output::Persist(write) = output {
                    if let Some(from) = write.truncate_from {
                        store.retain(|entry: &Entry| entry.index < from);
                    }
                    store.extend(write.entries);
                    raft.step(Instant(seq * MS), Input::Persisted { write: write.id });
                }
            }
            prop_assert_eq!(&store, &model);
            prop_assert_eq!(raft.committed(), Index(committed as u64));
        }
    }

    /// Nothing that anybody can say makes a node panic or break its invariants, and the same inputs
    /// give the same outputs.
    #[test]
    fn nonsense_is_survived_and_the_same_twice(inputs in proptest::collection::vec(nonsense(), 1..60)) {
        let one = run(&inputs);
        let other = run(&inputs);
        prop_assert_eq!(one, other);
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..6, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1), 1 => any::<u64>()]
}

fn place() -> impl Strategy<Value = Position> {
    (number(), number()).prop_map(|(term, index)| Position::new(term, index))
}

fn message() -> impl Strategy<Value = Message> {
    let entries = proptest::collection::vec(place(), 0..4);
    let append = (number(), number(), place(), entries, number()).prop_map(
        |(seq, round, prev, entries, commit)| {
            let entries = entries.into_iter().map(|at| entry(at.term.0, at.index.0)).collect();
            Message::Append(Append {
                seq,
                round: Round(round),
                prev,
                entries,
                commit: Index(commit),
            })
        },
    );
    let reply = (number(), number(), number(), number(), place(), any::<bool>()).prop_map(
        |(seq, round, last, index, hint, matched)| {
            let outcome = if matched {
                AppendOutcome::Matched(Index(index))
            } else {
                AppendOutcome::Mismatch { prev: Index(index), hint }
            };
            Message::AppendReply(AppendReply {
                seq,
                round: Round(round),
                last: Index(last),
                outcome,
            })
        },
    );
    prop_oneof![
        4 => append,
        4 => reply,
        1 => (number(), place()).prop_map(|(c, last)| Message::PreVote { campaign: Term(c), last }),
        1 => (number(), any::<bool>())
            .prop_map(|(c, granted)| Message::PreVoteReply { campaign: Term(c), granted }),
        1 => (place(), any::<bool>()).prop_map(|(last, transfer)| Message::Vote { last, transfer }),
        2 => any::<bool>().prop_map(|granted| Message::VoteReply { granted }),
        1 => Just(Message::TimeoutNow),
        1 => number().prop_map(|batch| Message::ReadIndex { batch }),
        1 => (number(), number())
            .prop_map(|(batch, i)| Message::ReadIndexReply { batch, index: Some(Index(i)) }),
    ]
}

fn nonsense() -> impl Strategy<Value = Input> {
    prop_oneof![
        12 => (1_u128..5, number(), message())
            .prop_map(|(from, term, message)| Input::Message { from: NodeId(from), term: Term(term), message }),
        4 => Just(Input::Timeout),
        2 => number().prop_map(|token| Input::Propose { token: Token(token), command: Bytes::from_static(b"x"), time: LogTime(token) }),
        1 => number().prop_map(|token| Input::Read { token: Token(token) }),
        1 => (number(), 0_u128..5).prop_map(|(token, to)| Input::TransferLeadership {
            token: Token(token),
            to: (to > 0).then_some(NodeId(to)),
        }),
        1 => number().prop_map(|token| Input::Cancel { token: Token(token) }),
        1 => number().prop_map(|index| Input::Applied { index: Index(index) }),
        1 => (1_u128..5).prop_map(|node| Input::Unreachable { node: NodeId(node) }),
    ]
}

/// Runs a node through these inputs, its disk and machine at once, and returns all it put out.
fn run(inputs: &[Input]) -> Vec<Output> {
    let membership = Membership::of((1..=3).map(NodeId));
    let hard_state = HardState { term: Term(1), vote: None };
    let recovered = Recovered { hard_state, membership, ..Recovered::default() };
    let mut raft = Raft::new(Instant(0), Config::new(NodeId(1)), recovered).unwrap();
    let mut told = Vec::new();
    let mut now = Instant(0);
    for input in inputs {
        now = now.after(200 * MS);
        raft.step(now, input.clone());
        while let Some(output) = raft.poll() {
            match &output {
                Output::Persist(write) => raft.step(now, Input::Persisted { write: write.id }),
                Output::Apply(apply) => {
                    let index = apply.entries.last().unwrap().index;
                    raft.step(now, Input::Applied { index });
                }
                Output::Stop(fatal) => {
                    assert!(matches!(fatal, Fatal::CommittedConflict { .. }), "{fatal}");
                }
                _ => {}
            }
            told.push(output);
            assert!(told.len() < 100_000, "outputs without end");
        }
        raft.check_invariants().unwrap();
    }
    told
}
