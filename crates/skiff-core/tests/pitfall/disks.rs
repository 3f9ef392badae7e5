//! Disks that are slow, full or forgetful.

use skiff_core::{Fault, Index, Input, Position, StateName, Term};

use crate::common::{
    Cluster,
    craft::{A, B, C},
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
    assert_eq!(cluster.members[&A].stopped, Some(skiff_core::Fatal::StoreFailed));
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
