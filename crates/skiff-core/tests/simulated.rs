//! Faults that simulated clusters ran into, each cut down to the steps that matter. Each once failed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bytes::Bytes;
use common::Cluster;
use skiff_core::{
    Append, Entry, Event, HardState, Index, Input, Instant, LogTime, Message, NodeId, Options,
    Payload, Position, Round, StateName, Term,
};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

fn entry(index: u64) -> Entry {
    let payload = Payload::Command(Bytes::from_static(b"some forty bytes of a command, or more"));
    Entry { term: Term(1), index: Index(index), time: LogTime(0), payload }
}

/// A cluster whose members all hold the entries 2 to 5 of term 1, not known to be committed.
fn inherited(options: Options) -> Cluster {
    let mut cluster = Cluster::new(&[1, 2, 3], |config| {
        config.options = options;
        config.uncommitted_bytes = 300;
    });
    for id in cluster.ids() {
        cluster.crash(id);
        let store = &mut cluster.member(id).store;
        store.hard = HardState { term: Term(1), vote: None };
        store.entries = (1..=5).map(entry).collect();
    }
    cluster.start_all();
    cluster
}

/// What was recovered was never counted as waiting, so the entries after it were never taken off
/// again: after some restarts a leader was busy for ever, with nothing under way.
#[test]
fn what_is_committed_does_not_keep_a_leader_busy() {
    let mut cluster = inherited(Options::default());
    // They learn of these entries together with the commit of what they recovered.
    for id in [A, C] {
        let append = Append {
            seq: 1,
            round: Round(1),
            prev: Position::new(1, 5),
            entries: (6..=12).map(entry).collect(),
            commit: Index(12),
        };
        let message = Message::Append(append);
        cluster.step(id, Input::Message { from: B, term: Term(1), message });
        cluster.settle();
    }
    cluster.make_leader(A);
    cluster.settle();
    cluster.propose(A, 10, "a command that fits if nothing else is under way, because it alone has more than one hundred bytes");
    cluster.settle();
    assert!(cluster.answer(A, 10).unwrap().is_ok(), "{:?}", cluster.answer(A, 10));
}

/// Without a no-op a leader commits what it inherits with its first command. It refused that command as
/// one too many behind what it inherited: nothing was ever committed again.
#[test]
fn the_first_command_of_a_term_is_never_one_too_many() {
    let mut cluster = inherited(Options { noop: false, ..Options::default() });
    cluster.make_leader(A);
    // A second term: what the first leader appended is cached, and counts.
    cluster.propose(A, 1, "x");
    cluster.propose(A, 2, "a command that fills the limit, with all that is inherited in front of it, and then some more bytes");
    cluster.propose(A, 3, "a command that fills the limit, with all that is inherited in front of it, and then some more bytes");
    cluster.drain(A);
    cluster.isolate(&[A]);
    cluster.run_until(5_000, |cluster| cluster.state(A) != StateName::Leader);
    cluster.heal();
    cluster.make_leader(A);
    cluster.settle();
    cluster.propose(A, 10, "y");
    cluster.settle();
    assert!(cluster.answer(A, 10).unwrap().is_ok(), "{:?}", cluster.answer(A, 10));
}

/// A node that no vote can help campaigns again and again. Each of its terms restarted the timers of
/// those who could win, and these were long already: nobody led for seconds.
#[test]
fn a_hopeless_candidate_keeps_nobody_from_its_turn() {
    let mut cluster =
        inherited(Options { pre_vote: false, refuse_while_led: false, ..Options::default() });
    let deadline = cluster.raft(A).deadline().unwrap();
    for turn in 1..=5 {
        let message = Message::Vote { last: Position::ZERO, transfer: false };
        cluster.now = Instant(deadline.0 / 6 * turn);
        cluster.step(A, Input::Message { from: B, term: Term(2 * turn), message: message.clone() });
        cluster.step(A, Input::Message { from: C, term: Term(2 * turn + 1), message });
    }
    assert!(cluster.raft(A).deadline().unwrap() <= deadline);
}

/// A leader that was one before, two terms ago, took the answer to an Append of then for the answer to
/// one of now: both are numbered from one on. It said that a follower had lost its log.
#[test]
fn an_answer_to_an_old_term_is_none_to_this_one() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.time_out(A);
    cluster.settle_if(|flight| !matches!(flight.message, Message::Append(_)));
    assert_eq!(cluster.state(A), StateName::Leader);
    // C has voted in this term, has not heard its leader yet, and now gets what A sent in a term before.
    let term = Term(cluster.raft(A).term().0 - 1);
    cluster.flights.clear();
    let (seq, round, prev) = (1, Round(1), Position::ZERO);
    let append = Append { seq, round, prev, entries: Vec::new(), commit: Index::ZERO };
    cluster.step(C, Input::Message { from: A, term, message: Message::Append(append) });
    cluster.settle_if(|flight| flight.from == C);
    let lost = |event: &Event| matches!(event, Event::Reverted { .. });
    assert!(!cluster.member(A).events.iter().any(lost), "{:?}", cluster.member(A).events);
}

/// A leader's disk had died under a write. One follower had everything; the other lacked old entries, and
/// these were to be read from that disk. So nothing more was committed, and since nothing was, nobody
/// noticed that the leader was behind: it stayed for ever.
#[test]
fn a_dead_disk_that_holds_up_a_follower_costs_the_office() {
    let mut cluster = Cluster::new(&[1, 2, 3], |config| config.cache_bytes = 1);
    cluster.make_leader(A);
    cluster.isolate(&[C]);
    (1..=5).for_each(|token| cluster.propose(A, token, "x"));
    cluster.settle();
    cluster.member(A).slow_disk = true;
    cluster.member(A).slow_loads = true;
    cluster.propose(A, 10, "y");
    cluster.settle();
    cluster.heal();
    assert!(cluster.run_until(20_000, |cluster| cluster.state(A) != StateName::Leader));
    assert!(cluster.run_until(10_000, |cluster| cluster.raft(B).is_leader()), "who has everything");
}

/// The rule above asks for somebody who would do better: with one of three away, or of two nodes, the other
/// cannot lead alone, and a leader that left for its slow disk left nobody.
#[test]
fn a_slow_disk_costs_nothing_where_nobody_can_do_better() {
    for (ids, away) in [(&[1, 2][..], None), (&[1, 2, 3][..], Some(C))] {
        let mut cluster = Cluster::new(ids, |_| {});
        cluster.make_leader(A);
        away.into_iter().for_each(|id| cluster.isolate(&[id]));
        cluster.member(A).slow_disk = true;
        cluster.propose(A, 1, "x");
        assert!(!cluster.run_until(60_000, |cluster| cluster.state(A) != StateName::Leader));
        cluster.persist(A);
        cluster.settle();
        assert!(cluster.answer(A, 1).unwrap().is_ok());
    }
}
