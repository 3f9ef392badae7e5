//! The rules of Diego Ongaro's dissertation (*Consensus: Bridging Theory and Practice*, Stanford,
//! 2014), each as a test. The comment names section and figure and says the rule in our own words;
//! the test shows it on a cluster.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{
    Cluster, MS,
    craft::{A, B, C, D, E, append, change, entry, joint, log, with_learners},
};
use skiff_core::{
    AppendOutcome, HardState, Index, Input, Membership, Message, NodeId, Options, Position, Reject,
    StateName, Term, Token,
};

/// A cluster whose nodes find these logs, each in the term of its last entry or in `term`.
fn with_logs(term: u64, logs: &[&[u64]], options: Options) -> Cluster {
    let ids = (1..=logs.len() as u128).map(NodeId);
    let mut cluster = Cluster::founded(Membership::of(ids.clone()), |c| c.options = options);
    for (id, terms) in ids.zip(logs) {
        cluster.put(id, term, None, log(terms));
    }
    cluster.start_all();
    cluster
}

fn no_pre_vote() -> Options {
    Options { pre_vote: false, ..Options::default() }
}

// ---- 3.3 and 3.4: terms and elections ----

/// 3.4: a server starts as follower and stays one as long as a leader or candidate is heard.
#[test]
fn section_3_4_servers_begin_as_followers() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    assert!([A, B, C].iter().all(|id| cluster.state(*id) == StateName::Follower));
    let leader = cluster.elect();
    cluster.run(5_000);
    assert_eq!(cluster.leader(), Some(leader), "signs of life keep it in office");
    assert_eq!(cluster.raft(leader).term(), Term(1));
}

/// 3.4: to begin an election a follower raises its term, votes for itself and asks all others at
/// once.
#[test]
fn section_3_4_a_candidate_raises_its_term_and_votes_for_itself() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.time_out(A);
    assert_eq!(cluster.state(A), StateName::Candidate);
    assert_eq!(cluster.members[&A].store.hard, HardState { term: Term(1), vote: Some(A) });
    let asked: Vec<NodeId> = cluster.flights.iter().map(|f| f.to).collect();
    assert_eq!(asked, [B, C]);
    assert!(matches!(cluster.sent(A)[..], [Message::Vote { .. }, Message::Vote { .. }]));
}

/// 3.4: a candidate wins with the votes of a majority of the full cluster, not of those who answer.
#[test]
fn section_3_4_a_majority_of_the_full_cluster() {
    let mut cluster = Cluster::new(&[1, 2, 3, 4, 5], |c| c.options = no_pre_vote());
    cluster.isolate(&[A, B]);
    for _ in 0..5 {
        cluster.time_out(A);
        cluster.settle();
        assert!(!cluster.raft(A).is_leader());
    }
    cluster.heal();
    cluster.make_leader(A);
}

/// 3.4: each server votes for at most one candidate in a term, the first that asks; so a term has at
/// most one winner (election safety).
#[test]
fn section_3_4_election_safety() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.time_out(A);
    let last = Position::ZERO;
    cluster.hear(A, C, 1, Message::Vote { last, transfer: false });
    cluster.hear(B, C, 1, Message::Vote { last, transfer: false });
    assert!(matches!(
        cluster.sent(C)[..],
        [Message::VoteReply { granted: true }, Message::VoteReply { granted: false }]
    ));
}

/// 3.4: a candidate that hears a leader whose term is at least its own recognizes it and follows;
/// a lower term is rejected and it goes on as candidate.
#[test]
fn section_3_4_a_candidate_yields_to_the_winner_only() {
    let mut cluster = with_logs(3, &[&[], &[], &[]], no_pre_vote());
    cluster.time_out(A);
    cluster.hear(B, A, 3, append(1, (0, 0), Vec::new(), 0));
    assert_eq!(cluster.state(A), StateName::Candidate);
    cluster.hear(B, A, 4, append(1, (0, 0), Vec::new(), 0));
    assert_eq!((cluster.state(A), cluster.raft(A).leader()), (StateName::Follower, Some(B)));
}

/// 3.4: election timeouts are drawn at random from an interval, so that split votes are rare and are
/// resolved quickly.
#[test]
fn section_3_4_timeouts_are_spread_over_the_interval() {
    let mut waits = Vec::new();
    for seed in 0..200 {
        let cluster = Cluster::new(&[1], |c| c.seed = seed);
        waits.push(cluster.raft(A).deadline().unwrap().0 / MS);
    }
    assert!(waits.iter().all(|wait| (150..=300).contains(wait)));
    let early = waits.iter().filter(|wait| **wait < 225).count();
    assert!((60..=140).contains(&early), "{early} of 200 in the first half");
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 50);
}

/// 3.3: a server whose term is smaller adopts the larger one; a leader or candidate that finds its
/// term out of date becomes follower at once.
#[test]
fn section_3_3_a_higher_term_is_adopted() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.hear(B, A, 7, Message::VoteReply { granted: false });
    assert_eq!((cluster.state(A), cluster.raft(A).term()), (StateName::Follower, Term(7)));
    assert_eq!(cluster.members[&A].store.hard, HardState { term: Term(7), vote: None });
}

/// 3.3: a request with a stale term is rejected, and the answer carries the newer one.
#[test]
fn section_3_3_a_stale_request_is_rejected() {
    let mut cluster = with_logs(5, &[&[1], &[1], &[1]], Options::default());
    cluster.hear(B, A, 4, append(1, (0, 0), log(&[1, 1]), 2));
    assert_eq!(cluster.raft(A).last(), Position::new(1, 1), "nothing is taken from it");
    assert_eq!(cluster.flights[0].term, Term(5));
}

// ---- 3.5: log replication ----

/// 3.5: the leader appends the command to its log, sends it in parallel, and applies and answers it
/// once it is safely replicated.
#[test]
fn section_3_5_replicate_commit_apply_answer() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    assert_eq!(cluster.raft(A).last().index, Index(2));
    assert_eq!(cluster.sent(A).len(), 2);
    assert_eq!(cluster.answer(A, 1), None);
    cluster.deliver_if(|f| f.to == B);
    cluster.deliver_if(|_| true);
    assert_eq!(cluster.answer(A, 1), Some(Ok(Index(2))));
    assert_eq!(cluster.commands(A), ["x"]);
    assert!(cluster.commands(B).is_empty(), "it learns of the commit from what comes next");
    cluster.settle();
    assert_eq!(cluster.commands(B), ["x"]);
}

/// 3.5: followers that crash, run slowly or lose messages get the entries sent again until they have
/// them all, also after the client has been answered.
#[test]
fn section_3_5_appends_are_sent_until_all_have_them() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.crash(C);
    for token in 0..20 {
        cluster.propose(A, token, "x");
    }
    cluster.settle();
    assert!((0..20).all(|token| cluster.answer(A, token).is_some()));
    cluster.start(C);
    assert!(cluster.run_until(2_000, |c| c.commands(C).len() == 20));
}

/// 3.5, log matching: if two logs hold an entry of the same index and term, they agree in it and in
/// all before it. Appends carry the position before their entries, and a follower that lacks it
/// refuses.
#[test]
fn section_3_5_the_consistency_check() {
    let mut cluster = with_logs(2, &[&[1, 1, 2], &[1, 1, 1, 1], &[1]], Options::default());
    cluster.hear(A, B, 3, append(1, (3, 2), vec![entry(4, 3)], 0));
    assert_eq!(cluster.terms(B), [1, 1, 1, 1], "refused as a whole");
    let [Message::AppendReply(reply)] = cluster.sent(B)[..] else { panic!() };
    let hint = Position::new(1, 3);
    assert_eq!(reply.outcome, AppendOutcome::Mismatch { prev: Index(3), hint });
    cluster.hear(A, B, 3, append(2, (2, 1), vec![entry(3, 2), entry(4, 3)], 0));
    assert_eq!(cluster.terms(B), [1, 1, 2, 3]);
}

/// 3.5, leader append-only: a leader never overwrites or removes entries of its own log.
#[test]
fn section_3_5_a_leader_only_appends() {
    let mut cluster = with_logs(2, &[&[1, 2, 2], &[1, 1, 1], &[1, 2]], no_pre_vote());
    cluster.make_leader(A);
    cluster.run(1_000);
    assert_eq!(cluster.terms(A)[..3], [1, 2, 2]);
    assert_eq!(cluster.terms(B), cluster.terms(A));
    assert_eq!(cluster.terms(C), cluster.terms(A));
}

/// Figure 3.6: the leader of term 8 finds six followers whose logs lack entries, hold extra ones, or
/// both (a to f), and brings every one of them to its own log.
#[test]
fn figure_3_6_the_six_logs() {
    let leader: &[u64] = &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [&[u64]; 6] = [
        &[1, 1, 1, 4, 4, 5, 5, 6, 6],
        &[1, 1, 1, 4],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        &[1, 1, 1, 4, 4, 4, 4],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    let mut logs = vec![leader];
    logs.extend(followers);
    let mut cluster = with_logs(7, &logs, no_pre_vote());
    // (c) and (d) would not vote for it: it wins with a, b, e and f.
    cluster.make_leader(A);
    let done =
        cluster.run_until(2_000, |c| c.ids().iter().all(|id| c.raft(*id).committed() == Index(11)));
    assert!(done);
    let expected = [leader, &[cluster.raft(A).term().0]].concat();
    for id in cluster.ids() {
        assert_eq!(cluster.terms(id), expected, "{id}");
    }
}

/// 3.5: the optimization: one refused Append for each conflicting term, not for each entry.
#[test]
fn section_3_5_one_refusal_for_each_term() {
    let long: Vec<u64> = [vec![1; 5], vec![2; 50], vec![3; 50], vec![4; 50]].concat();
    let ours: Vec<u64> = [vec![1; 5], vec![5; 200]].concat();
    let mut cluster = with_logs(5, &[&ours, &long, &ours], no_pre_vote());
    cluster.make_leader(A);
    cluster.trace = Some(Vec::new());
    cluster.run(500);
    assert_eq!(cluster.terms(B), cluster.terms(A));
    let refused = |one: &common::trace::Trace| {
        matches!(&one.what, common::trace::Happened::Given(Input::Message {
            message: Message::AppendReply(reply), ..
        }) if matches!(reply.outcome, AppendOutcome::Mismatch { .. }))
    };
    let refusals = cluster.trace.unwrap().iter().filter(|one| refused(one)).count();
    assert!(refusals <= 4, "{refusals} refusals for three terms");
}

// ---- 3.6: safety ----

/// 3.6.1: a voter refuses a candidate whose log is less up to date than its own: first the later
/// last term decides, then the length.
#[test]
fn section_3_6_1_election_restriction() {
    let cases: [(&[u64], &[u64], bool); 6] = [
        (&[1, 1], &[1, 1], true),
        (&[1, 1, 1], &[1, 1], true),
        (&[1], &[1, 1], false),
        (&[2], &[1, 1, 1, 1], true),
        (&[1, 1, 1, 1], &[2], false),
        (&[], &[1], false),
    ];
    for (candidate, voter, granted) in cases {
        let mut cluster = with_logs(4, &[candidate, voter, &[]], no_pre_vote());
        cluster.time_out(A);
        cluster.deliver_if(|f| f.to == B);
        assert_eq!(cluster.sent(B), [&Message::VoteReply { granted }], "{candidate:?} {voter:?}");
    }
}

/// 3.6.1: so whoever wins holds every committed entry: without it it cannot get a majority.
#[test]
fn section_3_6_1_the_winner_holds_what_is_committed() {
    let mut cluster = Cluster::new(&[1, 2, 3, 4, 5], |_| {});
    cluster.make_leader(A);
    cluster.isolate(&[D, E]);
    cluster.propose(A, 1, "kept");
    cluster.settle();
    assert_eq!(cluster.answer(A, 1), Some(Ok(Index(2))));
    cluster.heal();
    cluster.crash(A);
    // The two that lack it try as hard as they can.
    for _ in 0..10 {
        for id in [D, E] {
            cluster.time_out(id);
            cluster.settle();
            assert!(!cluster.raft(id).is_leader());
        }
    }
    let leader = cluster.elect();
    assert!([B, C].contains(&leader));
    cluster.run(500);
    assert_eq!(cluster.commands(D), ["kept"]);
}

/// 3.6.2 and figure 3.7: an entry of an earlier term is not committed by counting replicas, however
/// many; once an entry of the current term is, all before it are.
#[test]
fn figure_3_7_old_terms_are_not_committed_by_counting() {
    let options = Options { noop: false, ..no_pre_vote() };
    let mut cluster = with_logs(3, &[&[1, 2], &[1, 2], &[1], &[1], &[1, 3]], options);
    cluster.isolate(&[E]);
    cluster.make_leader(A);
    cluster.run(200);
    let holders = [A, B, C, D].iter().filter(|id| cluster.terms(**id) == [1, 2]).count();
    assert_eq!(holders, 4, "a large majority holds it");
    assert_eq!(cluster.raft(A).committed(), Index::ZERO);
    cluster.propose(A, 1, "own");
    cluster.settle();
    assert_eq!(cluster.raft(A).committed(), Index(3));
}

/// 3.6.3, state machine safety: no two servers apply different entries at one index.
#[test]
fn section_3_6_3_state_machine_safety() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.isolate(&[A]);
    cluster.propose(A, 1, "of the old leader");
    cluster.settle();
    cluster.run_until(5_000, |c| [B, C].iter().any(|id| c.raft(*id).is_leader()));
    let leader = [B, C].into_iter().find(|id| cluster.raft(*id).is_leader()).unwrap();
    cluster.propose(leader, 2, "of the new leader");
    cluster.heal();
    cluster.run(2_000);
    for id in [A, B, C] {
        assert_eq!(cluster.commands(id), ["of the new leader"]);
    }
    assert!(matches!(cluster.answer(A, 1), Some(Err(Reject::LeadershipLost { .. }))));
}

// ---- 3.7, 3.8, 3.9 ----

/// 3.7: requests are idempotent: a follower that gets the same Append again ignores what is already
/// in its log, and a voter answers again what it answered before.
#[test]
fn section_3_7_requests_are_idempotent() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    let first = append(1, (0, 0), log(&[1, 1]), 0);
    for _ in 0..3 {
        cluster.hear(A, B, 1, first.clone());
    }
    assert_eq!(cluster.terms(B), [1, 1]);
    let replies = cluster.sent(B);
    assert!(replies.iter().all(|reply| matches!(
        reply,
        Message::AppendReply(reply) if reply.outcome == AppendOutcome::Matched(Index(2))
    )));
    assert_eq!(replies.len(), 3);
}

/// 3.7: a follower that crashes after its write and before its answer has what it wrote.
#[test]
fn section_3_7_a_crashed_follower_comes_back() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.deliver_if(|f| f.to == B);
    cluster.flights.clear();
    cluster.crash(B);
    cluster.start(B);
    assert!(cluster.run_until(2_000, |c| c.answer(A, 1).is_some()));
    assert!(cluster.run_until(500, |c| c.commands(B) == ["x"]));
}

/// 3.8: term and vote persist, or a server could vote twice in a term; the log persists, or
/// committed entries could be lost. The commit index need not: it is found again.
#[test]
fn section_3_8_persisted_state() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.settle();
    let (term, vote) = (cluster.raft(B).term(), cluster.raft(B).status().vote);
    for id in [A, B, C] {
        cluster.crash(id);
        cluster.start(id);
    }
    assert_eq!((cluster.raft(B).term(), cluster.raft(B).status().vote), (term, vote));
    assert_eq!(cluster.raft(B).committed(), Index::ZERO);
    cluster.elect();
    cluster.run(500);
    for id in [A, B, C] {
        assert_eq!(cluster.commands(id), ["x"]);
    }
}

/// 3.8: what is persisted is persisted before it is acted on: nothing leaves in a term, and no vote,
/// before it is durable.
#[test]
fn section_3_8_written_before_it_is_said() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.member(B).slow_disk = true;
    let last = Position::ZERO;
    cluster.hear(A, B, 1, Message::Vote { last, transfer: false });
    assert!(cluster.flights.is_empty());
    cluster.persist(B);
    assert_eq!(cluster.sent(B), [&Message::VoteReply { granted: true }]);
}

/// 3.9: as long as broadcast time is well below the election timeout, and that below the time
/// between failures, a steady leader is elected and kept. Here messages and disks take no time, and
/// leaders fail every few seconds: each time another takes over within a few timeouts.
#[test]
fn section_3_9_availability() {
    let mut cluster = Cluster::new(&[1, 2, 3, 4, 5], |_| {});
    for _ in 0..10 {
        let leader = cluster.elect();
        cluster.run(2_000);
        assert_eq!(cluster.leader(), Some(leader), "kept without failures");
        cluster.crash(leader);
        assert!(cluster.run_until(1_200, |c| c.leader().is_some()));
        cluster.start(leader);
    }
}

// ---- 3.10: transfer, the receiving side ----

/// 3.10: TimeoutNow has the effect of the election timer: the target raises its term at once and
/// campaigns; its requests say that the leader wants this, so that others do not refuse (4.2.3).
#[test]
fn section_3_10_timeout_now() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.hear(A, B, 1, Message::TimeoutNow);
    assert_eq!(cluster.raft(B).term(), Term(2));
    cluster.settle();
    assert!(cluster.raft(B).is_leader());
    assert_eq!(cluster.raft(A).leader(), Some(B));
}

// ---- 4: membership ----

/// 4.1: a server uses the newest configuration in its log, whether or not it is committed.
#[test]
fn section_4_1_the_newest_in_the_log() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    let bigger = Membership::of([A, B, C, D, E]);
    cluster.hear(A, B, 1, append(1, (0, 0), vec![change(1, 1, bigger.clone())], 0));
    assert_eq!(**cluster.raft(B).membership(), bigger);
    assert_eq!(cluster.raft(B).committed(), Index::ZERO);
}

/// 4.1: if the entry is removed from the log, the server goes back to the previous configuration.
#[test]
fn section_4_1_falls_back_when_removed() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    let smaller = Membership::of([A, B]);
    cluster.hear(A, B, 1, append(1, (0, 0), vec![change(1, 1, smaller)], 0));
    cluster.hear(C, B, 2, append(1, (0, 0), vec![entry(1, 2)], 0));
    assert_eq!(**cluster.raft(B).membership(), Membership::of([A, B, C]));
}

/// 4.1: servers answer requests also of those that are not in their configuration: vote and Append.
#[test]
fn section_4_1_strangers_are_answered() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    let last = Position::ZERO;
    cluster.hear(E, A, 1, Message::Vote { last, transfer: false });
    assert_eq!(cluster.sent(A), [&Message::VoteReply { granted: true }]);
    cluster.hear(E, A, 1, append(1, (0, 0), log(&[1]), 0));
    assert_eq!(cluster.terms(A), [1]);
}

/// 4.2.1: a server that only catches up (a learner) gets entries and counts neither for elections nor
/// for commits.
#[test]
fn section_4_2_1_non_voting_members() {
    let mut cluster = Cluster::founded(with_learners(&[A, B, C], &[D, E]), |_| {});
    cluster.start_all();
    cluster.make_leader(A);
    cluster.isolate(&[B, C]);
    cluster.propose(A, 1, "x");
    cluster.settle();
    assert_eq!(cluster.raft(D).last().index, Index(2));
    assert_eq!(cluster.answer(A, 1), None, "A, D and E are three of five, but one of three voters");
}

/// 4.2.2: a leader that is not in the newest configuration replicates without counting itself.
#[test]
fn section_4_2_2_a_leader_outside_does_not_count() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |c| c.options = no_pre_vote());
    cluster.put(A, 1, None, vec![change(1, 1, Membership::of([B, C]))]);
    cluster.start_all();
    cluster.time_out(A);
    cluster.deliver_if(|f| f.to == B);
    cluster.deliver_if(|_| true);
    assert!(!cluster.raft(A).is_leader(), "one vote of {{B, C}}");
    cluster.time_out(A);
    cluster.deliver_if(|_| true);
    cluster.isolate(&[C]);
    cluster.settle();
    assert!(cluster.raft(A).is_leader());
    cluster.propose(A, 1, "x");
    cluster.settle();
    assert_eq!(cluster.raft(B).last().index, cluster.raft(A).last().index);
    assert_eq!(cluster.answer(A, 1), None, "A and B hold it, B alone counts");
}

/// 4.2.3: a server that hears a leader does not grant its vote and does not adopt the term: a removed
/// or partitioned server cannot disrupt the cluster.
#[test]
fn section_4_2_3_disruptive_servers() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.make_leader(A);
    cluster.isolate(&[C]);
    cluster.run(3_000);
    assert!(cluster.raft(C).term() > Term(3), "it campaigned alone, again and again");
    cluster.heal();
    // Its requests reach both others while A's signs of life do not yet reach it.
    cluster.cut.insert((A, C));
    cluster.run(1_000);
    assert!(cluster.raft(A).is_leader() && cluster.raft(A).term() == Term(1));
    assert_eq!(cluster.raft(B).term(), Term(1));
}

/// 4.3: while the configuration is joint, agreement needs separate majorities of the old and of the
/// new servers, for elections and for commits.
#[test]
fn section_4_3_joint_consensus() {
    let membership = joint(&[A, B, C], &[C, D, E]);
    for (up, elected) in [
        (vec![A, B, C], false),
        (vec![C, D, E], false),
        (vec![A, C, D], true),
        (vec![B, C, E], true),
        (vec![A, B, D, E], true),
        (vec![A, D, E], false),
    ] {
        let mut cluster = Cluster::founded(membership.clone(), |_| {});
        up.iter().for_each(|id| cluster.start(*id));
        let done = cluster.run_until(8_000, |c| c.leader().is_some());
        assert_eq!(done, elected, "{up:?}");
        if let Some(leader) = cluster.leader() {
            cluster.propose(leader, 1, "x");
            assert!(cluster.run_until(500, |c| c.answer(leader, 1).is_some()), "{up:?}");
        }
    }
}

// ---- 6 and 9 ----

/// 6.2: a leader steps down if an election timeout passes without a round of answers from a majority.
#[test]
fn section_6_2_a_leader_without_followers_steps_down() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.flights.clear();
    cluster.isolate(&[A]);
    assert!(cluster.run_until(700, |c| !c.raft(A).is_leader()));
    assert!(matches!(cluster.answer(A, 1), Some(Err(Reject::LeadershipLost { .. }))));
}

/// 6.4: a read needs no entry: the leader notes its commit index, makes sure by one round that it
/// still leads, waits until it has applied as far, and reads.
#[test]
fn section_6_4_read_index() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.settle();
    let last = cluster.raft(A).last();
    cluster.read(A, 2);
    assert!(cluster.members[&A].reads.is_empty());
    cluster.settle();
    assert_eq!(cluster.members[&A].reads[&Token(2)], last.index);
    assert_eq!(cluster.raft(A).last(), last, "nothing was appended");
}

/// 6.4: a leader cannot serve reads before an entry of its own term is committed; hence the empty
/// entry at the start of each term.
#[test]
fn section_6_4_not_before_an_entry_of_the_own_term() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.deliver_if(|f| f.to == B);
    cluster.deliver_if(|f| f.to == A);
    assert_eq!(cluster.answer(A, 1), Some(Ok(Index(2))));
    cluster.flights.clear();
    // B does not know that x is committed. It must not serve a read without it.
    cluster.crash(A);
    assert!(cluster.run_until(5_000, |c| c.raft(B).is_leader()));
    cluster.read(B, 2);
    cluster.run(500);
    assert!(cluster.members[&B].reads[&Token(2)] >= Index(2));
    assert_eq!(cluster.commands(B), ["x"]);
}

/// 6.4: followers serve reads as well, with an index asked from the leader.
#[test]
fn section_6_4_reads_at_followers() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.deliver_if(|f| f.to == B);
    cluster.deliver_if(|f| f.to == A);
    cluster.flights.clear();
    cluster.read(C, 2);
    assert!(cluster.members[&C].reads.is_empty(), "C lacks what is committed");
    cluster.run(1_000);
    assert_eq!(cluster.members[&C].reads[&Token(2)], Index(2));
    assert_eq!(cluster.commands(C), ["x"]);
}

/// 9.6: with pre-vote a server raises its term only if a majority would vote for it: one that cannot
/// win, or that others do not miss a leader for, leaves all as it is.
#[test]
fn section_9_6_pre_vote() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.isolate(&[C]);
    cluster.run(3_000);
    assert_eq!(cluster.raft(C).term(), Term(1));
    cluster.heal();
    cluster.run(1_000);
    assert_eq!((cluster.leader(), cluster.raft(A).term()), (Some(A), Term(1)));
}

/// 10.2.1: the leader writes its own log in parallel with sending, and an entry may be committed
/// before the leader's disk has it, if a majority of others has.
#[test]
fn section_10_2_1_the_leaders_disk_in_parallel() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(A).slow_disk = true;
    cluster.propose(A, 1, "x");
    cluster.settle();
    assert_eq!((cluster.raft(A).committed(), cluster.raft(A).durable()), (Index(2), Index(1)));
    assert_eq!(cluster.commands(B), ["x"]);
}
