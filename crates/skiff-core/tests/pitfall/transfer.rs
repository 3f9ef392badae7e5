//! Leadership that is handed over, or is not.

use skiff_core::{
    Append, Change, Event, Fate, Input, Message, NodeId, Position, Reject, Term, Token,
    TransferFailure,
};

use crate::common::{
    Cluster, Flight, MS,
    craft::{A, B, C},
};

const TRANSFER: u64 = 900;

/// What befalls the target, and why it does not come to lead then.
type Case = (&'static str, fn(&mut Cluster), TransferFailure);

fn three() -> Cluster {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.settle();
    cluster
}

fn transfer(cluster: &mut Cluster, from: NodeId, to: NodeId) {
    cluster.step(from, Input::TransferLeadership { token: Token(TRANSFER), to: Some(to) });
}

/// Why the transfer did not come about, as its caller was told.
fn failure(cluster: &Cluster, from: NodeId) -> Option<TransferFailure> {
    match cluster.answer(from, TRANSFER)? {
        Err(Reject::NotTransferred { why, .. }) => Some(why),
        other => panic!("{other:?}"),
    }
}

fn is_taken(cluster: &mut Cluster, node: NodeId, token: u64) -> bool {
    cluster.propose(node, token, "x");
    cluster.answer(node, token).is_none_or(|answer| answer.is_ok())
}

/// A leader stepped down in mid-transfer. When it was elected again it still refused commands as "in
/// transfer".
#[test]
fn transfer_ends_with_the_role() {
    let mut cluster = three();
    cluster.member(B).slow_disk = true;
    cluster.propose(A, 1, "x");
    cluster.settle();
    transfer(&mut cluster, A, B);
    assert!(!is_taken(&mut cluster, A, 2));
    cluster.isolate(&[A]);
    assert!(cluster.run_until(1_000, |c| !c.raft(A).is_leader()), "it hears nobody");
    cluster.heal();
    cluster.member(B).slow_disk = false;
    cluster.persist(B);
    for _ in 0..20 {
        if cluster.raft(A).is_leader() {
            break;
        }
        cluster.run(50);
        cluster.time_out(A);
        cluster.settle();
    }
    assert!(cluster.raft(A).is_leader() && cluster.raft(A).transferring().is_none());
    assert!(is_taken(&mut cluster, A, 3), "it leads anew, and takes what comes");
}

/// The order to campaign left while writes went on, or while its target lacked the tail: that raised the
/// term and lost.
#[test]
fn timeout_now_only_when_equal() {
    let mut cluster = three();
    let mut token = 0;
    for round in 0..100 {
        let (from, to) = (cluster.leader().unwrap(), if round % 2 == 0 { B } else { C });
        let (to, term) = (if to == from { A } else { to }, cluster.raft(from).term());
        for _ in 0..3 {
            token += 1;
            cluster.propose(from, 1_000 + token, "x");
        }
        // What carries the last entries may be on its way, lost, or not even written.
        match round % 3 {
            0 => {}
            1 => cluster.deliver_if(|flight| flight.to != to),
            _ => cluster.settle_if(|flight| flight.to != to),
        }
        cluster.step(from, Input::TransferLeadership { token: Token(round), to: Some(to) });
        let told = |flight: &Flight| matches!(flight.message, Message::TimeoutNow);
        let until = cluster.now.after(300 * MS);
        while cluster.raft(from).is_leader() && cluster.now < until {
            if cluster.flights.iter().any(told) {
                let (last, theirs) = (cluster.raft(from).last(), cluster.raft(to).last());
                assert_eq!((theirs, cluster.raft(to).durable()), (last, last.index));
                assert_eq!(cluster.raft(from).committed(), last.index, "nothing is left behind");
            }
            match cluster.flights.is_empty() {
                true => cluster.wait(),
                false => cluster.deliver_if(|_| true),
            }
            token += 1;
            cluster.propose(from, 1_000 + token, "y");
        }
        cluster.settle();
        assert_eq!(cluster.leader(), Some(to), "round {round}");
        assert_eq!(cluster.raft(to).term(), Term(term.0 + 1), "the target never loses");
    }
}

/// What told the target was lost, or the target was not able or not willing: writes stayed blocked until
/// somebody else campaigned.
#[test]
fn failed_transfer_is_short() {
    let lost = |flight: &Flight| matches!(flight.message, Message::TimeoutNow);
    // Lost once, or twice: it is told again.
    for losses in [1, 2] {
        let mut cluster = three();
        transfer(&mut cluster, A, B);
        for _ in 0..losses {
            cluster.settle_if(|flight| !lost(flight));
            cluster.time_out(A);
        }
        assert!(cluster.run_until(50, |c| c.raft(B).is_leader()));
        assert!(cluster.member(A).done.contains(&Token(TRANSFER)));
    }
    let cases: [Case; 3] = [
        ("it is gone", |cluster| cluster.crash(B), TransferFailure::NotTaken),
        (
            "it is far behind",
            |cluster| {
                cluster.member(B).slow_disk = true;
                cluster.propose(A, 1, "x");
                cluster.settle();
            },
            TransferFailure::Behind,
        ),
        ("it never hears of it", |cluster| cluster.isolate(&[B]), TransferFailure::NotTaken),
    ];
    for (what, befalls, why) in cases {
        let mut cluster = three();
        befalls(&mut cluster);
        let (term, begun) = (cluster.raft(A).term(), cluster.now);
        transfer(&mut cluster, A, B);
        assert!(!is_taken(&mut cluster, A, 7), "{what}");
        assert!(cluster.run_until(1_000, |c| failure(c, A).is_some()), "{what}");
        assert_eq!(failure(&cluster, A), Some(why), "{what}");
        assert!(cluster.now.since(begun) <= 300 * MS, "{what}: an election timeout at most");
        assert!(cluster.raft(A).is_leader() && cluster.raft(A).term() == term, "{what}");
        assert!(is_taken(&mut cluster, A, 8), "{what}");
        let aborted = Event::TransferAborted { to: B, why };
        assert!(cluster.member(A).events.contains(&aborted), "{what}");
    }
}

/// An entry was cut, and its caller learnt so only at the next write.
#[test]
fn outcome_on_an_idle_cluster() {
    let mut cluster = three();
    cluster.isolate(&[A]);
    for token in 1..10 {
        cluster.propose(A, token, "x");
    }
    let lost = cluster.raft(A).last();
    assert_eq!(lost, Position::new(1, 10));
    assert_eq!(cluster.raft(A).fate(lost), Fate::Undecided);
    assert!(cluster.run_until(2_000, |c| c.raft(B).is_leader() || c.raft(C).is_leader()));
    let leader = cluster.leader().unwrap();
    cluster.settle();
    assert!(cluster.raft(leader).last().index < lost.index, "nothing stands where it stood");
    assert_eq!(cluster.raft(leader).fate(lost), Fate::Never);
    assert_eq!(cluster.raft(leader).fate(Position::new(1, 1)), Fate::Applied);
    cluster.heal();
    let knows = |c: &Cluster| c.ids().iter().all(|id| c.raft(*id).fate(lost) == Fate::Never);
    assert!(cluster.run_until(1_000, knows), "without another write");
    assert_eq!(cluster.raft(A).fate(Position::new(7, 1)), Fate::Never, "another term's entry");
    assert_eq!(cluster.raft(A).fate(Position::new(7, 0)), Fate::Never, "nothing stood there");
    let carries = |flight: &Flight| matches!(&flight.message, Message::Append(Append { entries, .. }) if !entries.is_empty());
    assert!(!cluster.flights.iter().any(carries));
}

/// An entry of the library's own, a change of the members, was appended in mid-transfer: the target was never
/// up to date. It waits until the transfer is over, and is made then.
#[test]
fn internal_entries_during_transfer() {
    let mut cluster = three();
    cluster.member(B).slow_disk = true;
    cluster.propose(A, 1, "x");
    cluster.settle();
    transfer(&mut cluster, A, B);
    let last = cluster.raft(A).last();
    let id = NodeId(4);
    cluster.join(id);
    let change = Change::AddLearner { id, node: skiff_core::Node::default() };
    cluster.step(A, Input::ChangeMembership { token: Token(2), change });
    cluster.settle();
    assert!(cluster.raft(A).transferring().is_some());
    assert_eq!(cluster.raft(A).last(), last, "nothing is appended meanwhile");
    let is_done = |c: &Cluster| c.answer(A, 2).is_some_and(|answer| answer.is_ok());
    assert!(cluster.run_until(2_000, is_done), "{:?}", cluster.answer(A, 2));
    assert!(failure(&cluster, A).is_some(), "the transfer was given up first");
    assert!(cluster.raft(A).membership().contains(id));
}
