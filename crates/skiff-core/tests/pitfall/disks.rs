//! Disks that are slow, full or forgetful.

use skiff_core::{Fatal, Fault, Index, Input, Message, Position, StateName, Term};

use crate::common::{
    Cluster, MS,
    craft::{A, B, C, D, E, append, log, vote},
};

/// The disk hung without an error; heartbeats need no disk, so the leader stayed in office and the
/// cluster stood still.
#[test]
fn stalled_disk_deposes_leader() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(A).slow_disk = true;
    cluster.propose(A, 1, "x");
    assert!(cluster.run_until(3_000, |c| c.leader().is_some_and(|id| id != A)));
    let leader = cluster.leader().unwrap();
    cluster.propose(leader, 2, "y");
    cluster.settle();
    assert!(matches!(cluster.answer(leader, 2), Some(Ok(_))), "the cluster goes on");
    // It does not come back into office before its disk answers.
    cluster.run(5_000);
    assert!(cluster.leader().is_some_and(|id| id != A));
}

/// Every write failed and the leader kept its office. With no room it steps down, does not campaign,
/// and goes on when there is room again.
#[test]
fn write_error_deposes_leader() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(A).slow_disk = true;
    cluster.propose(A, 1, "x");
    let mut seen = 0;
    while cluster.now < crate::common::at(3_000) {
        cluster.settle();
        if let Some(write) = cluster.member(A).pending.take() {
            cluster.step(A, Input::Fault(Fault::WriteRefused { write: write.id }));
            seen += 1;
        }
        assert_ne!(cluster.state(A), StateName::Leader);
        cluster.wait();
    }
    assert!(seen > 5);
    assert!(cluster.leader().is_some_and(|id| id != A));
    cluster.member(A).slow_disk = false;
    cluster.persist(A);
    assert!(cluster.run_until(2_000, |c| c.terms(A) == c.terms(B) && c.terms(B) == c.terms(C)));

    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.may_stop = true;
    cluster.make_leader(A);
    cluster.step(A, Input::Fault(Fault::StoreFailed));
    assert_eq!(cluster.members[&A].stopped, Some(Fatal::StoreFailed));
}

/// The leader's disk was slow, the followers committed 7, the leader applied 7 to a durable machine
/// and crashed with its log ending at 5: it could not start again.
#[test]
fn machine_ahead_of_log() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.member(A).durable_machine = true;
    cluster.make_leader(A);
    cluster.member(A).slow_disk = true;
    cluster.propose(A, 1, "x");
    cluster.propose(A, 2, "y");
    cluster.settle();
    assert_eq!(cluster.raft(A).committed(), Index(3));
    assert!(cluster.commands(A).is_empty() && cluster.commands(B) == ["x", "y"]);
    cluster.crash(A);
    cluster.member(A).slow_disk = false;
    cluster.start(A);
    assert_eq!(cluster.raft(A).last(), Position::new(1, 1));
    assert!(cluster.run_until(3_000, |c| c.commands(A) == ["x", "y"]));
}

/// When disks take about an election timeout for a vote, candidates raised terms for ever.
#[test]
fn slow_vote_sync_elects() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.members.values_mut().for_each(|member| member.slow_disk = true);
    // Every write takes 300 ms.
    for _ in 0..40 {
        cluster.run(300);
        cluster.ids().into_iter().for_each(|id| cluster.persist(id));
        if cluster.leader().is_some() {
            break;
        }
    }
    let leader = cluster.leader().expect("a leader");
    assert!(cluster.raft(leader).term() < Term(12));
}

/// One node lost what it had acknowledged, and with nodes that had been away it was a majority that
/// knew nothing of it. A, B and C have acknowledged an entry; D and E have not seen it; A and B are
/// away while C, D and E elect.
fn away_while_others_elect(lost: bool) -> Cluster {
    let mut cluster = Cluster::new(&[1, 2, 3, 4, 5], |_| {});
    cluster.make_leader(A);
    cluster.isolate(&[D, E]);
    cluster.propose(A, 1, "acknowledged");
    cluster.settle();
    cluster.run(60);
    assert_eq!(cluster.answer(A, 1), Some(Ok(Index(2))));
    assert_eq!(cluster.raft(B).committed(), Index(2));
    cluster.crash(C);
    if lost {
        cluster.member(C).store.entries.truncate(1);
    }
    cluster.heal();
    cluster.isolate(&[A, B]);
    cluster.cut.extend([(A, B), (B, A)]);
    cluster.start(C);
    assert!(cluster.run_until(6_000, |c| [C, D, E].iter().any(|id| c.raft(*id).is_leader())));
    let leader = cluster.leader().unwrap();
    cluster.propose(leader, 2, "later");
    cluster.run(200);
    assert!(matches!(cluster.answer(leader, 2), Some(Ok(_))));
    cluster.heal();
    cluster
}

/// An honest disk: nothing is lost. A disk that lied: those who know better never give up what they
/// know to be committed, but stop and say so.
#[test]
fn lost_tail_plus_laggard() {
    let mut cluster = away_while_others_elect(false);
    cluster.run(2_000);
    for id in cluster.ids() {
        assert_eq!(cluster.commands(id), ["acknowledged", "later"]);
    }

    let mut cluster = away_while_others_elect(true);
    cluster.may_stop = true;
    cluster.run(2_000);
    for id in [A, B] {
        let stopped = &cluster.members[&id].stopped;
        assert!(matches!(stopped, Some(Fatal::CommittedConflict { .. })), "{stopped:?}");
        assert_eq!(cluster.commands(id), ["acknowledged"]);
        assert_eq!(cluster.terms(id), [1, 1], "its log is as it was");
    }
}

/// Old entries had to be read back for a follower far behind, and a vote waited for it. The same
/// where a voter that started anew reads its own log back.
#[test]
fn lagging_load_never_delays_votes() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.cache_bytes = 40);
    cluster.make_leader(A);
    cluster.isolate(&[C]);
    for token in 0..5 {
        cluster.propose(A, token, "x");
    }
    cluster.settle();
    cluster.heal();
    cluster.step(A, Input::Unreachable { node: C });
    cluster.member(A).slow_loads = true;
    cluster.run(60);
    let wanted = cluster.member(A).wanted.pop_front().expect("old entries are asked for");
    let last = cluster.raft(A).last();
    cluster.flights.clear();
    cluster.hear(B, A, 2, Message::Vote { last, transfer: true });
    assert_eq!(cluster.sent(A), [&Message::VoteReply { granted: true }]);
    assert_eq!(cluster.members[&A].store.hard.vote, Some(B), "and it is durable");
    // What comes later than the office is nothing.
    cluster.flights.clear();
    let result = cluster.members[&A].store.read(wanted.from, wanted.to, usize::MAX);
    cluster.step(A, Input::Loaded { load: wanted.load, result });
    assert!(cluster.flights.is_empty());

    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.crash(B);
    cluster.put(B, 1, None, log(&[1; 9]));
    cluster.member(B).slow_loads = true;
    cluster.start(B);
    cluster.hear(A, B, 1, append(1, (9, 1), Vec::new(), 9));
    assert!(!cluster.members[&B].wanted.is_empty(), "it reads its log back to apply it");
    cluster.now = cluster.now.after(400 * MS);
    cluster.flights.clear();
    cluster.hear(C, B, 2, vote((9, 1)));
    assert_eq!(cluster.sent(B), [&Message::VoteReply { granted: true }]);
}
