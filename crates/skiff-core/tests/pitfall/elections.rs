//! Elections, votes, terms.

use skiff_core::{
    HardState, Index, Input, Membership, Message, NodeId, Options, Position, Reject, StateName,
    Term,
};

use crate::common::{
    Cluster, MS,
    craft::{A, B, C, D, append, entry, log, matched, vote},
};

fn no_pre_vote() -> Options {
    Options { pre_vote: false, ..Options::default() }
}

/// A voter granted two candidates in one term, the second because its log was newer; elsewhere a
/// candidate that became follower within its term forgot that it had voted for itself.
#[test]
fn one_grant_per_term() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.hear(A, B, 3, vote((0, 0)));
    cluster.hear(C, B, 3, vote((9, 2)));
    let answers = [true, false].map(|granted| Message::VoteReply { granted });
    assert_eq!(cluster.sent(B), answers.iter().collect::<Vec<_>>());

    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.time_out(B);
    cluster.flights.clear();
    cluster.hear(A, B, 1, append(1, (0, 0), Vec::new(), 0));
    cluster.hear(C, B, 1, vote((9, 9)));
    assert!(cluster.sent(B).contains(&&Message::VoteReply { granted: false }));
    assert_eq!(cluster.raft(B).status().vote, Some(B));
}

/// Truncating the log lowered the term, or a restart lost the term of a vote: the node then voted a
/// second time. Here the crash comes after each output that follows the vote.
#[test]
fn term_never_goes_back() {
    for writes in 0..3 {
        let mut cluster =
            Cluster::founded(Membership::of([A, B, C]), |c| c.options = no_pre_vote());
        cluster.put(B, 2, None, log(&[1, 2, 2]));
        cluster.start(B);
        cluster.member(B).slow_disk = true;
        cluster.hear(A, B, 4, vote((9, 3)));
        cluster.hear(A, B, 4, append(1, (1, 1), vec![entry(2, 3)], 0));
        (0..writes).for_each(|_| cluster.persist(B));
        let left = !cluster.sent(B).is_empty();
        let voted = cluster.sent(B).contains(&&Message::VoteReply { granted: true });
        cluster.crash(B);
        cluster.start(B);
        cluster.member(B).slow_disk = false;
        assert_eq!(left, writes > 0, "nothing leaves before the term is durable");
        assert!(!left || cluster.raft(B).term() == Term(4));
        cluster.flights.clear();
        cluster.hear(C, B, 4, vote((9, 3)));
        let again = cluster.sent(B).contains(&&Message::VoteReply { granted: true });
        assert!(!(voted && again), "a second vote after {writes} writes");
        cluster.time_out(B);
        assert!(cluster.raft(B).term() >= Term(5));
    }
}

/// A deposed leader read the current term as it built its message or entry: old content left under
/// the new leader's term.
#[test]
fn stale_leader_restamped() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    // A proposal and a heartbeat are due, and not polled yet.
    let now = cluster.now.after(50 * MS);
    cluster.now = now;
    let raft = cluster.member(A).raft.as_mut().unwrap();
    let propose = |token| Input::Propose {
        token: skiff_core::Token(token),
        command: bytes::Bytes::from_static(b"old"),
        time: skiff_core::LogTime::ZERO,
    };
    raft.step(now, propose(1));
    raft.step(now, Input::Timeout);
    cluster.hear(B, A, 2, append(1, (1, 1), vec![entry(2, 2)], 0));
    assert!(cluster.sent(A).iter().all(|message| matches!(message, Message::AppendReply(_))));
    assert_eq!(cluster.terms(A), [1, 2], "the old entry did not get the new term");
    assert!(matches!(cluster.answer(A, 1), Some(Err(Reject::LeadershipLost { .. }))));
}

/// The write behind an answer finished after the node had changed term or role: the answer went to
/// the wrong leader.
#[test]
fn held_reply_after_role_change() {
    // From follower to follower of another.
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.hear(A, C, 1, append(1, (0, 0), Vec::new(), 0));
    cluster.flights.clear();
    cluster.member(C).slow_disk = true;
    cluster.hear(A, C, 1, append(2, (0, 0), log(&[1]), 0));
    cluster.now = cluster.now.after(400 * MS);
    cluster.flights.clear();
    cluster.hear(B, C, 2, vote((1, 1)));
    cluster.persist(C);
    assert!(cluster.flights.is_empty(), "nothing for A any more, and nothing for B yet");
    cluster.persist(C);
    assert_eq!(cluster.sent(C), [&Message::VoteReply { granted: true }]);
    assert!(cluster.flights.iter().all(|flight| flight.to == B && flight.term == Term(2)));

    // From follower to candidate, to leader, and only then the write.
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.hear(A, C, 1, append(1, (0, 0), Vec::new(), 0));
    cluster.flights.clear();
    cluster.member(C).slow_disk = true;
    cluster.hear(A, C, 1, append(2, (0, 0), log(&[1]), 0));
    cluster.flights.clear();
    cluster.time_out(C);
    assert_eq!(cluster.state(C), StateName::Candidate);
    cluster.persist(C);
    assert!(cluster.flights.is_empty());
    cluster.persist(C);
    assert!(cluster.sent(C).iter().all(|message| matches!(message, Message::Vote { .. })));
    cluster.flights.clear();
    cluster.hear(B, C, 2, Message::VoteReply { granted: true });
    assert!(cluster.raft(C).is_leader());
    assert!(cluster.sent(C).iter().all(|message| matches!(message, Message::Append(_))));
}

/// With the log empty behind a snapshot the request for votes carried last term 0: the node lost
/// every election.
#[test]
fn last_term_from_snapshot() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |c| c.options = no_pre_vote());
    cluster.put(B, 3, None, Vec::new());
    cluster.member(B).store.base = Position::new(3, 10);
    cluster.start(B);
    cluster.hear(A, B, 4, vote((9, 3)));
    assert_eq!(cluster.sent(B), [&Message::VoteReply { granted: false }]);
    cluster.flights.clear();
    cluster.time_out(B);
    let last = Position::new(3, 10);
    assert!(cluster.sent(B).contains(&&Message::Vote { last, transfer: false }));
}

/// A voter whose timer was about to fire granted its vote and campaigned at once against the winner.
/// The reverse: refusing a stale candidate pushed the good node's election back again and again.
#[test]
fn timer_reset_only_when_earned() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.now = cluster.raft(B).deadline().unwrap();
    cluster.hear(A, B, 1, vote((0, 0)));
    assert!(cluster.raft(B).deadline().unwrap().since(cluster.now) >= 150 * MS);

    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |c| c.options = no_pre_vote());
    cluster.put(B, 1, None, log(&[1, 1]));
    cluster.start(B);
    cluster.hear(A, B, 1, vote((1, 1)));
    let until = cluster.raft(B).deadline().unwrap();
    while cluster.now < until {
        cluster.hear(A, B, 1, vote((1, 1)));
        cluster.now = cluster.now.after(75 * MS);
    }
    cluster.step(B, Input::Timeout);
    assert_eq!(cluster.state(B), StateName::Candidate);
}

/// In our ancestor's line past votes blocked later ones, and a node that had joined kept campaigning
/// for ever. Six nodes; the leader dies twice and comes back; the sixth comes late and has heard
/// nothing yet.
#[test]
fn refused_candidate_yields() {
    let mut cluster = Cluster::new(&[1, 2, 3, 4, 5, 6], |c| c.options = Options::foreign());
    let sixth = NodeId(6);
    cluster.crash(sixth);
    for _ in 0..2 {
        let leader = cluster.elect();
        cluster.run(500);
        cluster.crash(leader);
        assert!(cluster.run_until(3_000, |c| c.leader().is_some()), "within ten timeouts");
        cluster.start(leader);
        cluster.run(1_000);
        let now = cluster.leader();
        let five = cluster.ids().into_iter().filter(|id| *id != sixth);
        assert!(five.into_iter().all(|id| cluster.raft(id).leader() == now));
    }
    cluster.start(sixth);
    cluster.time_out(sixth);
    assert_eq!(cluster.state(sixth), StateName::Candidate, "it asks before it hears");
    assert!(cluster.run_until(3_000, |c| {
        let leader = c.leader();
        leader.is_some() && c.ids().iter().all(|id| c.raft(*id).leader() == leader)
    }));
    let (leader, term) = (cluster.leader(), cluster.raft(sixth).term());
    cluster.run(3_000);
    assert_eq!((cluster.leader(), cluster.raft(sixth).term()), (leader, term), "and then follows");
}

/// Pre-votes of a lower term were ignored, so that two survivors of different terms never elected.
#[test]
fn prevote_low_term_voter_needed() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |_| {});
    cluster.put(A, 5, Some(B), log(&[1, 5]));
    cluster.put(C, 1, None, log(&[1]));
    cluster.start(A);
    cluster.start(C);
    assert!(cluster.run_until(1_500, |c| c.leader() == Some(A)));
    assert_eq!(cluster.raft(C).leader(), Some(A));
}

/// A follower deep in catch-up refused heartbeats without restarting its timer; one that was a term
/// ahead could not depose its leader, since its refusals carried no term.
#[test]
fn busy_follower_keeps_faith() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.window_messages = 1);
    cluster.make_leader(A);
    cluster.member(C).slow_disk = true;
    for token in 0..50 {
        cluster.propose(A, token, "x");
    }
    cluster.run(3_000);
    assert_eq!((cluster.state(C), cluster.raft(C).leader()), (StateName::Follower, Some(A)));
    assert_eq!(cluster.raft(A).term(), Term(1));

    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.crash(C);
    cluster.put(C, 8, None, log(&[]));
    cluster.start(C);
    assert!(cluster.run_until(2_000, |c| c.raft(A).term() >= Term(8)));
    assert!(cluster.run_until(2_000, |c| c.leader().is_some_and(|id| c.raft(id).term() > Term(8))));
}

/// The target of a transfer began with a pre-vote in the same term, and the old leader's next
/// heartbeat made it follow again.
#[test]
fn transfer_beats_heartbeat() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.hear(A, B, 1, Message::TimeoutNow);
    assert_eq!(cluster.raft(B).term(), Term(2), "straight to candidate");
    let requests = std::mem::take(&mut cluster.flights);
    cluster.hear(A, B, 1, append(9, (1, 1), Vec::new(), 1));
    requests.into_iter().for_each(|flight| cluster.deliver(flight));
    cluster.settle();
    assert!(cluster.raft(B).is_leader());
}

/// The voter restarted its timer, then spent longer than that writing the vote, and campaigned right
/// after the new leader's election.
#[test]
fn timer_starts_after_the_sync() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.member(B).slow_disk = true;
    cluster.hear(A, B, 1, vote((0, 0)));
    cluster.now = cluster.now.after(270 * MS);
    cluster.step(B, Input::Timeout);
    assert_eq!(cluster.state(B), StateName::Follower);
    cluster.persist(B);
    assert!(cluster.raft(B).deadline().unwrap().since(cluster.now) >= 150 * MS);
}

/// Vote granted in term 5 waits for the disk; term 6 arrives; the disk is done. What leaves must not
/// be counted by the candidate of term 6.
#[test]
fn late_built_vote() {
    let mut cluster = Cluster::new(&[1, 2, 3, 4, 5], |c| c.options = no_pre_vote());
    cluster.member(C).slow_disk = true;
    cluster.hear(A, C, 5, vote((0, 0)));
    cluster.hear(B, C, 6, vote((0, 0)));
    cluster.persist(C);
    assert!(cluster.flights.is_empty());
    // Term 6 brings a leader before its write is done: the vote for B is dropped or still true.
    cluster.hear(B, C, 6, append(1, (0, 0), Vec::new(), 0));
    cluster.hear(D, C, 6, vote((9, 9)));
    cluster.persist(C);
    for flight in &cluster.flights {
        assert_eq!(flight.term, Term(6));
        let granted = flight.message == Message::VoteReply { granted: true };
        assert!(!granted || flight.to == B);
    }
    assert_eq!(cluster.members[&C].store.hard, HardState { term: Term(6), vote: Some(B) });
    assert_eq!(cluster.raft(C).committed(), Index::ZERO);
}

/// Answers of an election that is over are no votes in the next.
#[test]
fn late_matched_is_no_vote() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.time_out(A);
    cluster.hear(B, A, 1, matched(1, 0));
    cluster.hear(C, A, 0, Message::VoteReply { granted: true });
    assert_eq!(cluster.state(A), StateName::Candidate);
}
