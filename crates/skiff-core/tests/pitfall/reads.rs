//! Reads.

use std::cell::Cell;

use skiff_core::{Index, Message, Reject, Token};

use crate::common::{
    Cluster, Flight,
    craft::{A, B, C},
};

fn is_read_reply(flight: &Flight) -> bool {
    matches!(flight.message, Message::ReadIndexReply { .. })
}

/// A fresh leader served reads at its old commit index; a deposed one without asking anybody.
#[test]
fn read_waits_for_noop() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.deliver_if(|flight| flight.to == B);
    cluster.deliver_if(|flight| flight.to == A);
    cluster.flights.clear();
    assert_eq!(cluster.raft(A).committed(), Index(2));
    cluster.isolate(&[A]);
    assert!(cluster.run_until(5_000, |c| {
        let fresh = c.raft(B).is_leader();
        assert!(fresh || c.raft(B).committed() < Index(2));
        fresh
    }));
    cluster.read(B, 2);
    cluster.run(500);
    assert!(cluster.members[&B].reads[&Token(2)] >= Index(2));
    assert_eq!(cluster.commands(B), ["x"]);
}

#[test]
fn read_waits_for_noop_and_a_deposed_leader_serves_none() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options.check_quorum = false);
    cluster.make_leader(A);
    cluster.isolate(&[A]);
    assert!(cluster.run_until(5_000, |c| c.raft(B).is_leader() || c.raft(C).is_leader()));
    let leader = if cluster.raft(B).is_leader() { B } else { C };
    cluster.propose(leader, 1, "new");
    cluster.settle();
    cluster.read(A, 2);
    cluster.run(2_000);
    assert!(cluster.members[&A].reads.is_empty());
    cluster.heal();
    cluster.run(500);
    assert!(matches!(cluster.answer(A, 2), Some(Err(Reject::NotLeader { .. }))));
}

/// A follower asked again under the same id; the leader, elected again meanwhile, counted answers to
/// the first try for a newer read.
#[test]
fn read_id_never_reused() {
    let mut batches = std::collections::BTreeSet::new();
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    for token in 0..20 {
        cluster.read(C, token);
        for flight in &cluster.flights {
            if let Message::ReadIndex { batch } = flight.message {
                assert!(batches.insert(batch), "the name {batch} twice");
            }
        }
        // Every third is lost and asked again, and once the node starts anew.
        if token % 3 == 0 {
            cluster.flights.clear();
            for _ in 0..3 {
                cluster.time_out(A);
                let to_c = |flight: &Flight| flight.to == C || flight.from == A;
                cluster.deliver_if(to_c);
                for flight in &cluster.flights {
                    if let Message::ReadIndex { batch } = flight.message {
                        assert!(batches.insert(batch), "the name {batch} twice");
                    }
                }
                cluster.deliver_if(|flight| !matches!(flight.message, Message::ReadIndex { .. }));
            }
        }
        if token == 10 {
            cluster.crash(C);
            cluster.start(C);
            cluster.run(100);
        }
        cluster.settle();
    }
    assert!(batches.len() >= 20);
}

/// Late answers to an earlier question, of an earlier term of the same leader, serve no newer read.
#[test]
fn read_id_never_reused_over_terms() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.read(C, 1);
    cluster.settle_if(|flight| !is_read_reply(flight));
    cluster.read(C, 2);
    cluster.deliver_if(|flight| flight.to == A);
    cluster.deliver_if(|_| true);
    let mut late = Vec::new();
    while !cluster.flights.is_empty() {
        let (replies, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut cluster.flights).into_iter().partition(is_read_reply);
        late.extend(replies);
        others.into_iter().for_each(|flight| cluster.deliver(flight));
    }
    assert!(!late.is_empty());
    // The leader changes and changes back; a write is committed.
    cluster.crash(A);
    assert!(cluster.run_until(5_000, |c| c.leader().is_some()));
    cluster.start(A);
    cluster.run(500);
    cluster.make_leader(A);
    cluster.propose(A, 3, "newer");
    cluster.settle();
    cluster.read(C, 4);
    cluster.flights.clear();
    late.into_iter().for_each(|flight| cluster.deliver(flight));
    assert!(!cluster.members[&C].reads.contains_key(&Token(4)));
}

/// One commit index was checked against the term, and another, older one was handed out.
#[test]
fn checked_index_is_used_index() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(A).slow_machine = true;
    cluster.propose(A, 1, "x");
    cluster.settle();
    let committed = cluster.raft(A).committed();
    assert!(cluster.raft(A).status().applied < committed);
    cluster.read(B, 2);
    cluster.settle();
    assert_eq!(cluster.members[&B].reads[&Token(2)], committed);
    cluster.read(A, 3);
    cluster.settle();
    assert!(cluster.members[&A].reads.is_empty(), "its own machine is not there yet");
    cluster.finish_apply(A);
    assert_eq!(cluster.members[&A].reads[&Token(3)], committed);
}

/// Reads during an election vanished, and their callers waited for the deadline.
#[test]
fn read_not_dropped_silently() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.read(B, 1);
    assert!(matches!(cluster.answer(B, 1), Some(Err(Reject::NotLeader { leader: None }))));
    cluster.make_leader(A);
    cluster.read(B, 2);
    cluster.read(A, 3);
    cluster.isolate(&[A]);
    cluster.settle();
    cluster.run(2_000);
    for (id, token) in [(B, 2), (A, 3)] {
        let served = cluster.members[&id].reads.contains_key(&Token(token));
        assert!(served || cluster.answer(id, token).is_some(), "{token} was forgotten");
    }
    cluster.time_out(A);
    cluster.read(A, 4);
    assert!(cluster.answer(A, 4).is_some(), "a candidate says so at once");
}

/// A leader that could confirm nothing kept every batch that a follower asked again, each under a new name,
/// and answered them all at once when it could: a storm, though only the newest found anybody.
#[test]
fn reads_asked_anew_do_not_pile_up() {
    const ASKED: u64 = 2_000;
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options.check_quorum = false);
    cluster.make_leader(A);
    cluster.settle();
    cluster.isolate(&[A]);
    for batch in 0..ASKED {
        cluster.hear(B, A, 1, Message::ReadIndex { batch });
        if batch % 50 == 0 {
            cluster.time_out(A);
            cluster.settle();
        }
    }
    cluster.heal();
    let (all, newest) = (Cell::new(0), Cell::new(false));
    for _ in 0..5 {
        cluster.time_out(A);
        cluster.settle_if(|flight| {
            if let Message::ReadIndexReply { batch, .. } = flight.message {
                all.set(all.get() + 1);
                newest.set(newest.get() || batch == ASKED - 1);
            }
            true
        });
    }
    assert!(newest.get(), "the newest is answered");
    assert!(all.get() < ASKED / 4, "{} old names were answered too", all.get());
}
