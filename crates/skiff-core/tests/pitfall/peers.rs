//! Peers that are silent, slow or not there, and what is sent to them.

use skiff_core::{Append, Event, Fault, Index, Input, Membership, Message, Position, Term};

use crate::common::{
    Cluster, Flight, MS,
    craft::{A, B, C, D, log, with_learners},
};

fn carries_entries(flight: &Flight) -> bool {
    matches!(&flight.message, Message::Append(Append { entries, .. }) if !entries.is_empty())
}

/// Runs for this long, and loses what `lost` picks.
fn run_losing(cluster: &mut Cluster, ms: u64, lost: impl Fn(&Flight) -> bool) {
    let end = cluster.now.after(ms * MS);
    while cluster.now < end {
        cluster.settle_if(|flight| !lost(flight));
        cluster.wait();
    }
}

/// Both ends of a pipeline waited for each other after one Append had failed; heartbeats went another
/// way and hid it. The follower got no entry until the leader was started again.
#[test]
fn pipeline_dead_heartbeat_alive() {
    // What carries entries is lost until the window is full, and heartbeats are answered.
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.window_messages = 2);
    cluster.make_leader(A);
    for token in 0..10 {
        cluster.propose(A, token, "x");
        cluster.settle_if(|flight| flight.to != C || !carries_entries(flight));
    }
    run_losing(&mut cluster, 2_000, |flight| flight.to == C && carries_entries(flight));
    let progress = cluster.raft(A).status().peers[&C];
    assert_eq!(progress.matched, Index(1), "it is seen how far behind it is");
    assert!(cluster.now.since(progress.heard.unwrap()) <= 50 * MS, "and that it lives");
    assert!(cluster.run_until(1_200, |c| c.terms(C) == c.terms(A)), "by itself");
    assert_eq!((cluster.leader(), cluster.raft(A).term()), (Some(A), Term(1)));

    // The follower's store refuses a write while the window is full.
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.window_messages = 2);
    cluster.make_leader(A);
    cluster.member(C).slow_disk = true;
    for token in 0..10 {
        cluster.propose(A, token, "x");
        cluster.settle();
    }
    let write = cluster.member(C).pending.take().unwrap();
    cluster.step(C, Input::Fault(Fault::WriteRefused { write: write.id }));
    cluster.member(C).slow_disk = false;
    assert!(cluster.run_until(1_200, |c| c.terms(C) == c.terms(A)), "by itself");
    assert_eq!((cluster.leader(), cluster.raft(A).term()), (Some(A), Term(1)));

    // The follower's log conflicts, and the refusals are lost.
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |c| c.window_messages = 2);
    cluster.put(A, 2, None, log(&[1, 2]));
    cluster.put(C, 1, None, log(&[1, 1, 1, 1]));
    cluster.start_all();
    cluster.isolate(&[C]);
    cluster.make_leader(A);
    cluster.heal();
    for token in 0..10 {
        cluster.propose(A, token, "x");
        cluster.settle_if(|flight| flight.from != C);
    }
    assert!(cluster.run_until(1_200, |c| c.terms(C) == c.terms(A)), "by itself");
    assert_eq!(cluster.leader(), Some(A));
}

/// A node that was not there was sent Appends in a tight loop, and a dead one that needed a snapshot
/// was tried ten times a second, each time with a line in the log.
#[test]
fn no_flood_to_a_new_or_dead_peer() {
    let mut cluster = Cluster::founded(with_learners(&[A, B, C], &[D]), |_| {});
    for id in [A, B] {
        cluster.put(id, 1, None, Vec::new());
        cluster.member(id).store.base = Position::new(1, 5);
    }
    cluster.start_all();
    cluster.crash(D);
    cluster.make_leader(A);
    cluster.run(500);
    let needs = |c: &Cluster| {
        let events = c.members[&A].events.iter();
        events.filter(|e| matches!(e, Event::NeedsSnapshot { node: C, .. })).count()
    };
    assert_eq!(needs(&cluster), 1);
    cluster.crash(C);
    let (mut to_new, mut to_dead) = (0, 0);
    let end = cluster.now.after(60_000 * MS);
    let mut token = 0;
    while cluster.now < end {
        while !cluster.flights.is_empty() {
            to_new += cluster.flights.iter().filter(|flight| flight.to == D).count();
            to_dead += cluster.flights.iter().filter(|flight| flight.to == C).count();
            cluster.deliver_if(|_| true);
        }
        token += 1;
        cluster.propose(A, token, "x");
        cluster.wait();
    }
    assert!(token > 1_000);
    assert_eq!(cluster.leader(), Some(A));
    let heartbeats = 60_000 / 50;
    assert!(to_new <= heartbeats + 1 && to_dead <= heartbeats + 1, "{to_new}, {to_dead}");
    assert_eq!(needs(&cluster), 1, "and it is told once");
}
