//! The commit rule.

use skiff_core::{Index, Input, Membership, Options, Term};

use crate::common::{
    Cluster,
    craft::{A, B, C, D, E, append, change, entry, joint, log, matched, with_learners},
};

fn no_pre_vote() -> Options {
    Options { pre_vote: false, ..Options::default() }
}

/// An empty Append that matched at 9 and told commit 11 made the follower commit its own stale 10.
#[test]
fn commit_not_past_verified() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |_| {});
    cluster.put(A, 1, None, log(&[1; 10]));
    cluster.start(A);
    cluster.hear(B, A, 2, append(1, (9, 1), Vec::new(), 11));
    assert_eq!(cluster.raft(A).committed(), Index(9));
    cluster.hear(B, A, 2, append(2, (9, 1), vec![entry(10, 2)], 11));
    assert_eq!(cluster.raft(A).committed(), Index(10));
    assert_eq!(cluster.terms(A)[9], 2);
}

/// An entry of an earlier term was committed because a majority held it; then it was replaced. Five
/// nodes, with the crash after the first has spread its entry of term 2 to three in term 4.
#[test]
fn old_term_not_by_count() {
    let options = Options { noop: false, ..no_pre_vote() };
    let founded = Membership::of([A, B, C, D, E]);
    let mut cluster = Cluster::founded(founded, |c| c.options = options);
    for (id, terms) in [(A, &[1, 2][..]), (B, &[1, 2]), (C, &[1]), (D, &[1]), (E, &[1, 3])] {
        cluster.put(id, 3, None, log(terms));
    }
    cluster.start_all();
    cluster.isolate(&[D, E]);
    cluster.make_leader(A);
    cluster.run(200);
    assert_eq!(cluster.terms(C), [1, 2]);
    assert_eq!(cluster.raft(A).committed(), Index::ZERO);
    assert!(cluster.members.values().all(|member| member.applied.is_empty()));
    cluster.heal();
    cluster.crash(A);
    cluster.make_leader(E);
    cluster.propose(E, 1, "own");
    cluster.run(500);
    assert_eq!(cluster.terms(B), [1, 3, cluster.raft(E).term().0]);
    assert_eq!(cluster.answer(E, 1), Some(Ok(Index(3))));
}

/// Quorums were counted from "the peers and me", so that a leader outside of the membership counted,
/// and learners did.
#[test]
fn self_counts_only_as_voter() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |c| c.options = no_pre_vote());
    cluster.put(A, 1, None, vec![change(1, 1, Membership::of([B, C]))]);
    cluster.start_all();
    cluster.time_out(A);
    cluster.deliver_if(|_| true);
    cluster.isolate(&[B]);
    cluster.settle();
    assert!(cluster.raft(A).is_leader());
    let before = cluster.raft(A).committed();
    cluster.propose(A, 1, "x");
    cluster.settle();
    assert_eq!(cluster.raft(C).last().index, cluster.raft(A).last().index);
    assert_eq!(cluster.raft(A).committed(), before);

    let mut cluster = Cluster::founded(with_learners(&[A, B, C], &[D, E]), |_| {});
    cluster.start_all();
    cluster.make_leader(A);
    cluster.isolate(&[B, C]);
    cluster.propose(A, 1, "x");
    cluster.settle();
    assert_eq!(cluster.raft(E).last().index, Index(2));
    assert_eq!(cluster.raft(A).committed(), Index(1));
}

/// A leader that was its only voter committed a batch at once, although an entry of the batch added
/// voters.
#[test]
fn fast_path_with_config_entry() {
    let mut cluster = Cluster::founded(Membership::of([A]), |c| c.options = no_pre_vote());
    let both = joint(&[A], &[A, B]);
    cluster.put(A, 1, None, vec![entry(1, 1), change(2, 1, both), entry(3, 1)]);
    cluster.start(A);
    cluster.time_out(A);
    assert!(!cluster.raft(A).is_leader(), "B must vote, too");
    cluster.hear(B, A, 2, skiff_core::Message::VoteReply { granted: true });
    assert!(cluster.raft(A).is_leader());
    assert_eq!(cluster.raft(A).committed(), Index::ZERO, "one of two holds the new entry");
    cluster.hear(B, A, 2, matched(1, 4));
    assert_eq!(cluster.raft(A).committed(), Index(4));
}

/// All followers held the leader's first entry, but the commit index stayed behind for ever, since it
/// was computed anew only by a later event. The answers come in every order, twice, one of them before
/// the leader's own write is done; then nothing happens any more.
#[test]
fn commit_noop_without_traffic() {
    for order in 0..6 {
        let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
        cluster.time_out(A);
        cluster.hear(B, A, 1, skiff_core::Message::VoteReply { granted: true });
        cluster.member(A).slow_disk = order % 2 == 0;
        cluster.flights.retain(|flight| flight.to == B || flight.to == C);
        cluster.deliver_if(|flight| order != 1 || flight.to == C);
        let mut answers = std::mem::take(&mut cluster.flights);
        answers.extend(answers.clone());
        if order >= 3 {
            answers.reverse();
        }
        answers.into_iter().for_each(|flight| cluster.deliver(flight));
        cluster.persist(A);
        assert_eq!(cluster.raft(A).committed(), Index(1), "in order {order}");
        assert_eq!(cluster.raft(A).term(), Term(1));
    }
}

/// The machine had applied 6 while the log did not say that anything was committed: panic at the
/// start. And a machine beyond the log's end is refused with a reason.
#[test]
fn applied_ahead_of_known_commit() {
    let mut cluster = Cluster::founded(Membership::of([A]), |_| {});
    cluster.put(A, 1, None, log(&[1; 7]));
    cluster.member(A).durable_machine = true;
    cluster.member(A).applied = log(&[1; 6]);
    cluster.start(A);
    assert_eq!(cluster.raft(A).status().applied, Index(6));
    cluster.elect();
    let indices: Vec<u64> = cluster.members[&A].applied.iter().map(|e| e.index.0).collect();
    assert_eq!(indices, (1..=8).collect::<Vec<_>>(), "each once");
    cluster.crash(A);
    cluster.member(A).store.entries.truncate(3);
    let (applied, last) = (Index(8), Index(3));
    let expected = skiff_core::StartError::AppliedBeyondLog { applied, last };
    cluster.member(A).store.hard.term = Term(2);
    assert_eq!(cluster.try_start(A), Err(expected));
}

/// A restarted lone node stayed candidate, or led without applying its log again.
#[test]
fn lone_node_replays() {
    let mut cluster = Cluster::new(&[1], |_| {});
    cluster.elect();
    for token in 0..10 {
        cluster.propose(A, token, "x");
    }
    cluster.crash(A);
    cluster.start(A);
    cluster.time_out(A);
    assert!(cluster.raft(A).is_leader(), "in one timeout");
    cluster.read(A, 100);
    assert_eq!(cluster.commands(A).len(), 10, "all there without a write");
    assert!(cluster.members[&A].reads.contains_key(&skiff_core::Token(100)));
}

/// A node skipped an entry of a kind it did not know, and went on with another state than the others.
#[test]
fn unknown_entry_stops_not_skips() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.may_stop = true;
    let body = bytes::Bytes::from_static(b"from a newer version");
    let payload = skiff_core::Payload::Unknown { kind: 9, body };
    let unknown = skiff_core::Entry { payload, ..entry(2, 1) };
    let entries = vec![entry(1, 1), unknown, entry(3, 1)];
    cluster.hear(A, B, 1, append(1, (0, 0), entries.clone(), 0));
    assert_eq!(cluster.acknowledged(B), Some(Index(3)), "stored as it came");
    assert_eq!(cluster.members[&B].store.entries, entries);
    cluster.hear(A, B, 1, append(2, (3, 1), Vec::new(), 3));
    let expected = skiff_core::Fatal::UnknownEntry { index: Index(2), kind: 9 };
    assert_eq!(cluster.members[&B].stopped, Some(expected));
    assert_eq!(cluster.members[&B].applied.len(), 1);
    // Started again without being replaced, it stops at the same place.
    cluster.crash(B);
    cluster.member(B).stopped = None;
    cluster.start(B);
    cluster.hear(A, B, 1, append(9, (3, 1), Vec::new(), 3));
    assert!(cluster.members[&B].stopped.is_some());
    cluster.step(B, Input::Timeout);
    assert_eq!(cluster.members[&B].applied.len(), 1);
}
