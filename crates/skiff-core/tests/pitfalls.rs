//! Schedules that broke other implementations, named after what went wrong there. Many more stand
//! as scripts; these need a cluster that lives for a while.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod pitfall;

use std::collections::BTreeMap;

use common::{Cluster, MS};
use skiff_core::{Config, Index, Input, Instant, Message, NodeId, Reject, StateName, Token};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

/// Everybody's log is committed to the same place under one leader.
fn agree(cluster: &Cluster, ids: &[NodeId]) -> bool {
    let Some(leader) = cluster.leader() else { return false };
    let last = cluster.raft(leader).last().index;
    ids.iter().all(|id| cluster.raft(*id).committed() == last)
}

/// Capacity was taken when a message was built and freed only by an answer; lost messages filled the
/// window for ever, while commits went on without the follower.
#[test]
fn window_leak_on_lost_send() {
    let mut cluster = Cluster::new(&[1, 2, 3], |config: &mut Config| config.window_messages = 4);
    cluster.make_leader(A);
    cluster.settle();
    for token in 0..50 {
        cluster.propose(A, token, "x");
        cluster.settle_if(|flight| flight.to != C);
    }
    assert!(cluster.run_until(3_000, |c| agree(c, &[A, B, C])), "the window stayed full");
    assert!(cluster.raft(A).is_leader());
}

/// A mismatch answered to a heartbeat was ignored: a follower that had lost its log stayed behind
/// until the next write.
#[test]
fn idle_mismatch_heals() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    for token in 0..5 {
        cluster.propose(A, token, "x");
    }
    cluster.settle();
    cluster.crash(C);
    cluster.member(C).store.entries.clear();
    cluster.start(C);
    cluster.drain(C);
    assert!(cluster.run_until(1_000, |c| agree(c, &[A, B, C])), "not healed without a write");
}

/// The old leader reached one node that reached the majority: it stayed in office for ever and
/// committed nothing.
#[test]
fn bridge_node_stays_loyal() {
    let mut cluster = Cluster::new(&[1, 2, 3, 4, 5], |_| {});
    cluster.make_leader(A);
    cluster.settle();
    cluster.cut_between(&[A], &[C, NodeId(4), NodeId(5)]);
    let timeout = 300;
    assert!(
        cluster.run_until(timeout + 50, |c| !c.raft(A).is_leader()),
        "it leads without a quorum"
    );
    let elsewhere = |c: &Cluster| c.leader().is_some_and(|id| id != A);
    assert!(cluster.run_until(5_000, elsewhere), "nobody else leads");
    let leader = cluster.leader().unwrap();
    cluster.propose(leader, 1, "x");
    assert!(cluster.run_until(1_000, |c| c.answer(leader, 1).is_some_and(|a| a.is_ok())));
}

/// One camp had the longer log and the lower term, the other a candidate of a higher term with a
/// shorter log; each refused the other, and no message raised the term.
#[test]
fn prevote_long_log_low_term() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(C);
    cluster.settle();
    cluster.isolate(&[C]);
    cluster.propose(C, 1, "on C only");
    cluster.settle();
    // B becomes a candidate of a higher term, and its requests are lost.
    for _ in 0..8 {
        cluster.time_out(B);
        cluster.settle_if(|flight| {
            matches!(flight.message, Message::PreVote { .. } | Message::PreVoteReply { .. })
        });
        if cluster.raft(B).term() > cluster.raft(C).term() {
            break;
        }
    }
    assert!(cluster.raft(B).term() > cluster.raft(C).term());
    cluster.crash(A);
    cluster.heal();
    assert!(cluster.run_until(6_000, |c| c.leader() == Some(C)), "leaderless for ever");
}

/// A node that had begun a pre-vote still had its old leader, and refused the others' pre-votes.
#[test]
fn precandidate_forgets_leader() {
    let mut cluster = Cluster::new(&[1, 2, 3, 4, 5], |_| {});
    cluster.make_leader(A);
    cluster.settle();
    cluster.crash(A);
    cluster.crash(B);
    let survivors = [C, NodeId(4), NodeId(5)];
    cluster.now = cluster.now.after(301 * MS);
    survivors.iter().for_each(|id| cluster.step(*id, Input::Timeout));
    assert!(survivors.iter().all(|id| cluster.state(*id) == StateName::Candidate));
    assert!(cluster.run_until(900, |c| c.leader().is_some()), "no leader in three timeouts");
}

/// On a change of role a node discarded what it had acknowledged and the leader had counted.
#[test]
fn acked_tail_kept_on_role_change() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.settle();
    cluster.propose(A, 1, "acknowledged");
    // B has it; nobody learns that it is committed.
    cluster.deliver_if(|flight| flight.to == B);
    cluster.deliver_if(|flight| flight.to == A);
    assert_eq!(cluster.answer(A, 1), Some(Ok(Index(2))));
    cluster.flights.clear();
    cluster.crash(A);
    assert!(cluster.run_until(5_000, |c| c.leader() == Some(B)), "only B can lead");
    cluster.settle();
    assert_eq!(cluster.commands(C), ["acknowledged"]);
}

/// Without a quorum the clients' retries grew the leader's log without limit.
#[test]
fn uncommitted_tail_bounded() {
    let mut cluster = Cluster::new(&[1, 2, 3], |config: &mut Config| {
        config.uncommitted_bytes = 1_000;
        config.options.check_quorum = false;
    });
    cluster.make_leader(A);
    cluster.settle();
    cluster.isolate(&[A]);
    for token in 0..1_000 {
        cluster.propose(A, token, "x");
    }
    assert!(matches!(cluster.answer(A, 999), Some(Err(Reject::Busy { .. }))));
    assert!(cluster.raft(A).last().index < Index(100));
}

/// A node with a slow machine accepted commands faster than it applied them, without limit.
#[test]
fn apply_lag_bounded() {
    let mut cluster = Cluster::new(&[1, 2, 3], |config: &mut Config| {
        config.uncommitted_bytes = 1_000;
        config.apply_bytes = 200;
    });
    cluster.make_leader(A);
    cluster.settle();
    cluster.member(A).slow_machine = true;
    for token in 0..1_000 {
        cluster.propose(A, token, "x");
        cluster.settle();
    }
    assert!(matches!(cluster.answer(A, 999), Some(Err(Reject::Busy { .. }))));
    assert!(cluster.raft(A).last().index < Index(100));
    cluster.member(A).slow_machine = false;
    cluster.finish_apply(A);
    assert!(cluster.run_until(1_000, |c| c.raft(A).status().applied == c.raft(A).last().index));
    cluster.propose(A, 1_000, "y");
    cluster.settle();
    assert!(matches!(cluster.answer(A, 1_000), Some(Ok(_))));

    // A follower's machine holds up nobody else, and is not handed more than it can hold.
    cluster.member(C).slow_machine = true;
    for token in 2_000..3_000 {
        cluster.propose(A, token, "x");
        cluster.settle();
        assert!(matches!(cluster.answer(A, token), Some(Ok(_))));
    }
    let (handed, durable) = (cluster.members[&C].applied.len(), cluster.raft(C).durable());
    assert!(handed + 900 < usize::try_from(durable.0).unwrap(), "{handed} of {durable}");
    while !cluster.members[&C].applying.is_empty() {
        cluster.finish_apply(C);
    }
    assert_eq!(cluster.commands(C), cluster.commands(A));
}

/// Where every disk needed longer for a write than an election timeout, candidates raised terms for
/// ever.
#[test]
fn all_disks_slow() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    let sync = 360 * MS;
    let ids = [A, B, C];
    ids.iter().for_each(|id| cluster.member(*id).slow_disk = true);
    let mut pending: BTreeMap<NodeId, Instant> = BTreeMap::new();
    let mut term_after_ten_seconds = None;
    for moment in 0..6_000_u64 {
        cluster.now = Instant(moment * 5 * MS);
        for id in ids {
            if cluster.raft(id).deadline().is_some_and(|at| at <= cluster.now) {
                cluster.step(id, Input::Timeout);
            }
            match (cluster.members[&id].pending.is_some(), pending.get(&id).copied()) {
                (true, None) => drop(pending.insert(id, cluster.now.after(sync))),
                (true, Some(done)) if done <= cluster.now => {
                    pending.remove(&id);
                    cluster.persist(id);
                }
                _ => {}
            }
        }
        cluster.settle();
        if moment % 200 == 0
            && let Some(leader) = cluster.leader()
        {
            cluster.propose(leader, moment, "x");
        }
        if moment == 2_000 {
            term_after_ten_seconds = cluster.leader().map(|id| cluster.raft(id).term());
        }
    }
    let leader = cluster.leader().expect("a leader");
    assert_eq!(Some(cluster.raft(leader).term()), term_after_ten_seconds, "it flapped");
    let progress = cluster.answer(leader, 5_000);
    assert!(matches!(progress, Some(Ok(_))), "no progress: {progress:?}");
    assert!(cluster.members[&leader].answered.contains_key(&Token(4_000)));
}
