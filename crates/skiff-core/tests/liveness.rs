//! The rules that keep a cluster from standing still, one test for each: every one of them is the
//! repair of a deadlock that some implementation ran into. Their numbers are those of the protocol's
//! description; those that belong to membership changes, transfer by a leader and snapshots come with
//! them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{
    Cluster, MS,
    craft::{A, B, C, D, E, change, entry, joint, log, with_learners},
};
use skiff_core::{
    Append, AppendOutcome, Event, Fault, Index, Input, Membership, Message, NodeId, Options,
    Position, Reject, Round, StateName, Term, Token,
};

fn empty_append(seq: u64, round: u64, prev: Position) -> Message {
    let commit = Index::ZERO;
    Message::Append(Append { seq, round: Round(round), prev, entries: Vec::new(), commit })
}

/// How long the node waits, in milliseconds.
fn patience(cluster: &Cluster, id: NodeId) -> u64 {
    cluster.raft(id).deadline().unwrap().since(cluster.now) / MS
}

fn no_pre_vote() -> Options {
    Options { pre_vote: false, ..Options::default() }
}

/// Replies carry the term, and a pre-candidate adopts a higher one. A and B are all that is left:
/// A's log is short and its term high, B's log is long and its term low. Each refuses the other's
/// pre-vote; only because the refusal carries the term can B come to lead.
#[test]
fn rule_1_replies_carry_the_term() {
    for (short_term, long_term) in [(5, 1), (9, 8)] {
        let mut cluster = Cluster::founded(Membership::of([A, B, C]), |_| {});
        cluster.put(A, short_term, Some(A), log(&[1]));
        cluster.put(B, long_term, None, log(&[1, 1, 1]));
        cluster.start(A);
        cluster.start(B);
        assert!(cluster.run_until(2_000, |c| c.leader() == Some(B)));
        assert!(cluster.raft(B).term() > Term(short_term));
    }
}

/// A refusal because a leader is heard does not raise the voter's term: otherwise the voter could
/// not hear its leader any more, whose term is lower.
#[test]
fn rule_1_a_refusal_does_not_raise_the_voters_term() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    let last = Position::new(9, 9);
    cluster.hear(C, B, 8, Message::Vote { last, transfer: false });
    cluster.hear(C, B, 8, Message::PreVote { campaign: Term(9), last });
    assert_eq!(cluster.raft(B).term(), Term(1));
    assert_eq!(cluster.raft(B).leader(), Some(A));
    cluster.flights.clear();
    cluster.propose(A, 1, "x");
    cluster.settle();
    assert_eq!(cluster.raft(B).committed(), Index(2));
}

/// A stale Append is answered, and its sender obeys the higher term: a leader that was left behind
/// would otherwise go on appending into the void.
#[test]
fn rule_1_a_stale_append_is_answered() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options.check_quorum = false);
    cluster.make_leader(A);
    cluster.isolate(&[A]);
    assert!(cluster.run_until(5_000, |c| c.raft(B).is_leader() || c.raft(C).is_leader()));
    assert!(cluster.raft(A).is_leader(), "without check-quorum it cannot know better");
    cluster.heal();
    // Nothing but A's own Appends reaches anybody, and nothing but the answers comes back.
    cluster.time_out(A);
    cluster.settle_if(|f| f.from == A || matches!(f.message, Message::AppendReply(_)));
    assert!(!cluster.raft(A).is_leader());
    assert!(cluster.raft(A).term() > Term(1));
}

/// Check-quorum steps down, not only refuses: and every pending call gets its answer.
#[test]
fn rule_2_check_quorum_steps_down_and_answers() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.isolate(&[A]);
    cluster.propose(A, 1, "x");
    cluster.read(A, 2);
    assert!(cluster.run_until(700, |c| c.state(A) != StateName::Leader));
    let position = Position::new(1, 2);
    assert_eq!(cluster.answer(A, 1), Some(Err(Reject::LeadershipLost { position, leader: None })));
    assert_eq!(cluster.answer(A, 2), Some(Err(Reject::NotLeader { leader: None })));
}

/// While joint, each half must be heard.
#[test]
fn rule_2_check_quorum_needs_both_halves() {
    for lost in [[B, C], [D, E]] {
        // Without an entry of its term a leader ends no change, so that it stays joint.
        let no_entry = |config: &mut skiff_core::Config| config.options.noop = false;
        let mut cluster = Cluster::founded(joint(&[A, D, E], &[A, B, C]), no_entry);
        cluster.start_all();
        cluster.make_leader(A);
        cluster.run(1_000);
        assert!(cluster.raft(A).is_leader());
        cluster.isolate(&lost);
        assert!(cluster.run_until(700, |c| !c.raft(A).is_leader()), "without {lost:?}");
    }
}

/// Learners do not count as a quorum that is heard.
#[test]
fn rule_2_check_quorum_does_not_count_learners() {
    let learners = [D, E, NodeId(6)];
    let mut cluster = Cluster::founded(with_learners(&[A, B, C], &learners), |_| {});
    cluster.start_all();
    cluster.make_leader(A);
    cluster.isolate(&[B, C]);
    assert!(cluster.run_until(700, |c| !c.raft(A).is_leader()));
}

/// The requests of a transfer's target bypass pre-vote and "a leader is heard": without that, a
/// transfer from a healthy leader could never succeed.
#[test]
fn rule_3_a_transfers_votes_bypass_the_refusals() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.hear(A, B, 1, Message::TimeoutNow);
    assert!(
        cluster.flights.iter().all(|f| matches!(f.message, Message::Vote { transfer: true, .. }))
    );
    // The old leader's sign of life comes in between and must not stop it.
    cluster.hear(A, B, 1, empty_append(90, 90, Position::new(1, 1)));
    assert_eq!(cluster.state(B), StateName::Candidate);
    cluster.settle();
    assert!(cluster.raft(B).is_leader());
}

/// A node outside of its newest membership answers votes: {A, B, C} became {A, B, D}, B has not heard
/// of it, C has left and A is dead. B and D are a majority of the new set and can elect.
#[test]
fn rule_4_votes_are_answered_by_anybody() {
    let mut cluster = Cluster::founded(with_learners(&[A, B, C], &[D]), |_| {});
    cluster.put(B, 1, None, log(&[1]));
    cluster.put(D, 1, None, vec![entry(1, 1), change(2, 1, Membership::of([A, B, D]))]);
    cluster.start(B);
    cluster.start(D);
    assert!(cluster.run_until(3_000, |c| c.leader() == Some(D)));
    cluster.run(500);
    assert_eq!(cluster.raft(D).committed(), Index(3));
}

/// A node outside of an uncommitted membership campaigns, without counting itself: perhaps it alone
/// has the entry that removes it, and nobody else can win.
#[test]
fn rule_4_an_outsider_campaigns_while_uncommitted() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |_| {});
    cluster.put(A, 1, None, vec![change(1, 1, Membership::of([B, C]))]);
    cluster.start(A);
    cluster.start(B);
    cluster.run(2_000);
    assert_eq!(cluster.leader(), None, "B alone is no majority of {{B, C}}, and A does not count");
    cluster.start(C);
    // B and C do not reach each other: only A can win, and C and B make it.
    cluster.cut_between(&[B], &[C]);
    assert!(cluster.run_until(3_000, |c| c.raft(A).committed() >= Index(1)));
    assert_eq!(cluster.raft(B).membership().voters, [B, C].into());
}

/// A learner answers votes: it may have been made a voter without knowing it. {A, B, C} with learner D
/// has become {A, B, C, D}, which D has not heard; A needs D.
#[test]
fn rule_4_learners_answer_votes() {
    let mut cluster = Cluster::founded(with_learners(&[A, B, C], &[D]), |_| {});
    for id in [A, B] {
        cluster.put(id, 1, None, vec![change(1, 1, Membership::of([A, B, C, D]))]);
    }
    [A, B, D].into_iter().for_each(|id| cluster.start(id));
    assert!(cluster.run_until(3_000, |c| c.leader().is_some()));
    assert!(cluster.run_until(500, |c| c.raft(D).membership().is_voter(D)));
}

/// A learner never campaigns.
#[test]
fn rule_4_learners_do_not_campaign() {
    let mut cluster = Cluster::founded(with_learners(&[A], &[D]), |_| {});
    cluster.start(D);
    cluster.run(3_000);
    assert_eq!((cluster.state(D), cluster.raft(D).term()), (StateName::Follower, Term(0)));
    assert!(cluster.flights.is_empty());
}

/// Granting a pre-vote postpones one's own candidacy by a heartbeat.
#[test]
fn rule_8_granting_a_pre_vote_postpones_the_own_candidacy() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    let at = cluster.raft(B).deadline().unwrap();
    cluster.now = at;
    let last = Position::ZERO;
    cluster.hear(A, B, 0, Message::PreVote { campaign: Term(1), last });
    assert_eq!(patience(&cluster, B), 50);
    // A refusal postpones nothing: the one that asks in vain must not keep the better one waiting.
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.now = at;
    cluster.hear(A, B, 0, Message::PreVote { campaign: Term(0), last });
    assert_eq!(patience(&cluster, B), 0);
}

/// A closed connection to the leader is a reason to ask after a random part of a heartbeat; then a
/// killed leader is replaced long before the timeout. Others are asked first, so a mere broken
/// connection changes nothing.
#[test]
fn rule_8_a_closed_connection_is_suspicious() {
    let mut waits = Vec::new();
    for seed in 0..20 {
        let mut cluster = Cluster::new(&[1, 2, 3], |c| c.seed += seed);
        cluster.make_leader(A);
        cluster.crash(A);
        cluster.step(B, Input::Unreachable { node: A });
        waits.push(patience(&cluster, B));
        cluster.step(C, Input::Unreachable { node: A });
        let start = cluster.now;
        assert!(cluster.run_until(1_000, |c| c.leader().is_some()));
        assert!(cluster.now.since(start) <= 350 * MS);
    }
    assert!(waits.iter().all(|wait| *wait <= 50));
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 5, "a random part of it: {waits:?}");
}

#[test]
fn rule_8_a_broken_connection_alone_deposes_nobody() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.run(500);
    cluster.step(B, Input::Unreachable { node: A });
    cluster.cut_between(&[A], &[B]);
    cluster.run(2_000);
    assert_eq!((cluster.raft(A).is_leader(), cluster.raft(A).term()), (true, Term(1)));
}

/// A leader steps down when something the others committed is still not durable on its own disk two
/// election timeouts later: only then does it hide a fault that another does not have.
#[test]
fn rule_9_a_leader_with_a_stuck_disk_steps_down() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(A).slow_disk = true;
    cluster.propose(A, 1, "x");
    cluster.settle();
    assert_eq!(cluster.raft(A).committed(), Index(2));
    let since = cluster.now;
    assert!(cluster.run_until(1_000, |c| !c.raft(A).is_leader()));
    assert!((600..=660).contains(&(cluster.now.since(since) / MS)));
    assert!(cluster.run_until(2_000, |c| c.leader().is_some_and(|id| id != A)));
    // The command was committed: the new leader has it, and the caller at the old one is answered
    // once its disk comes back.
    assert_eq!(cluster.answer(A, 1), None, "it is committed, so it was not given up");
    cluster.member(A).slow_disk = false;
    cluster.persist(A);
    cluster.run(1_000);
    assert_eq!(cluster.answer(A, 1), Some(Ok(Index(2))));
}

/// A disk that is slow but moves, with others no faster, is no reason: nobody could do better.
#[test]
fn rule_9_a_slow_disk_that_moves_is_kept() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(A).slow_disk = true;
    for token in 1..10 {
        cluster.propose(A, token, "x");
        cluster.run(400);
        cluster.persist(A);
    }
    assert!(cluster.raft(A).is_leader());
}

/// A node with a write pending for longer than an election timeout does not campaign, nor one whose
/// disk has no room: as a leader it would do no better.
#[test]
fn rule_9_a_stuck_disk_does_not_campaign() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(B).slow_disk = true;
    cluster.propose(A, 1, "x");
    cluster.run(400);
    cluster.crash(A);
    cluster.crash(C);
    cluster.run(3_000);
    assert_eq!((cluster.state(B), cluster.raft(B).leader()), (StateName::Follower, None));
    cluster.persist(B);
    assert!(cluster.run_until(500, |c| c.state(B) == StateName::Candidate));
}

#[test]
fn rule_9_a_full_disk_does_not_campaign() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(A).slow_disk = true;
    cluster.propose(A, 1, "x");
    cluster.isolate(&[A]);
    let mut tries = 0;
    while cluster.now < common::at(3_000) {
        if let Some(write) = cluster.member(A).pending.take() {
            cluster.step(A, Input::Fault(Fault::WriteRefused { write: write.id }));
            tries += 1;
        }
        cluster.time_out(A);
        assert_eq!(cluster.state(A), StateName::Follower);
    }
    // After 50 ms, 100, 200 and so on; never after more than a second.
    assert!((6..=8).contains(&tries), "it goes on trying, ever more seldom: {tries}");
    cluster.member(A).slow_disk = false;
    cluster.persist(A);
    cluster.heal();
    assert!(cluster.run_until(1_000, |c| c.leader().is_some()));
}

/// A slow state machine is no reason for an election, however slow.
#[test]
fn rule_9_a_slow_machine_never_causes_an_election() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.members.values_mut().for_each(|member| member.slow_machine = true);
    cluster.propose(A, 1, "x");
    cluster.run(5_000);
    assert_eq!((cluster.leader(), cluster.raft(A).term()), (Some(A), Term(1)));
}

/// Any valid message of the current leader restarts the election timer, also one whose content is
/// refused: a follower deep in catch-up would otherwise campaign for ever.
#[test]
fn rule_10_a_refused_append_restarts_the_timer() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    for seq in 1..40 {
        cluster.hear(A, B, 1, empty_append(seq, seq, Position::new(1, 1_000)));
        assert!(patience(&cluster, B) >= 150);
        let refused = cluster.flights.pop().unwrap();
        let Message::AppendReply(reply) = refused.message else { panic!() };
        assert!(matches!(reply.outcome, AppendOutcome::Mismatch { .. }));
        cluster.now = cluster.now.after(140 * MS);
        cluster.step(B, Input::Timeout);
    }
    assert_eq!(cluster.state(B), StateName::Follower);
}

/// A voter's timer starts when its grant leaves: not when it was asked, for the disk may take its
/// time, and it would campaign against the one it has just elected.
#[test]
fn rule_11_a_voters_timer_starts_when_its_grant_leaves() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.member(B).slow_disk = true;
    let last = Position::ZERO;
    cluster.hear(A, B, 1, Message::Vote { last, transfer: false });
    for _ in 0..5 {
        cluster.now = cluster.now.after(200 * MS);
        cluster.step(B, Input::Timeout);
        assert_eq!(cluster.state(B), StateName::Follower);
    }
    assert!(cluster.flights.is_empty());
    cluster.persist(B);
    assert_eq!(cluster.flights.len(), 1);
    assert!(patience(&cluster, B) >= 150);
}

/// A refusal restarts nothing: a stale candidate that asks again and again must not keep the one
/// waiting that could win.
#[test]
fn rule_11_a_refused_vote_restarts_nothing() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |c| c.options = no_pre_vote());
    cluster.put(B, 1, None, log(&[1, 1]));
    cluster.start(B);
    let at = cluster.raft(B).deadline().unwrap();
    // The first raises the term, which makes it a follower of the new term; the others ask within it.
    cluster.hear(A, B, 2, Message::Vote { last: Position::ZERO, transfer: false });
    let restarted = cluster.raft(B).deadline().unwrap();
    assert!(restarted.since(at) <= 300 * MS);
    for _ in 0..5 {
        cluster.now = cluster.now.after(20 * MS);
        cluster.hear(A, B, 2, Message::Vote { last: Position::ZERO, transfer: false });
        assert_eq!(cluster.raft(B).deadline(), Some(restarted));
    }
}

/// A candidate's timer starts when its requests leave.
#[test]
fn rule_11_a_candidates_timer_starts_when_its_requests_leave() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.member(A).slow_disk = true;
    cluster.time_out(A);
    cluster.now = cluster.now.after(140 * MS);
    cluster.persist(A);
    assert_eq!(cluster.flights.len(), 2);
    assert!(patience(&cluster, A) >= 150);
}

/// After each failed round the range doubles, up to eight times, until a leader is heard.
#[test]
fn rule_11_the_range_doubles_after_failed_rounds() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options = no_pre_vote());
    cluster.isolate(&[A]);
    cluster.time_out(A);
    for factor in [1, 2, 4, 8, 8, 8] {
        assert!((150 * factor..=300 * factor).contains(&patience(&cluster, A)));
        cluster.time_out(A);
    }
    cluster.hear(B, A, 99, empty_append(1, 1, Position::ZERO));
    assert!((150..=300).contains(&patience(&cluster, A)));
}

/// A sign of life waits for no write but the term's: the leader learns at once that it is followed,
/// however long the follower's disk takes for entries.
#[test]
fn rule_11_a_sign_of_life_waits_for_no_write() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(B).slow_disk = true;
    cluster.member(C).slow_disk = true;
    cluster.propose(A, 1, "x");
    cluster.settle();
    cluster.run(3_000);
    assert_eq!((cluster.leader(), cluster.raft(A).term()), (Some(A), Term(1)));
    cluster.read(A, 2);
    cluster.settle();
    assert_eq!(cluster.members[&A].reads[&Token(2)], Index(1), "reads go on");
    assert_eq!(cluster.answer(A, 1), None, "writes wait");
    assert!(cluster.members[&B].events.iter().any(|e| matches!(e, Event::SlowDisk { .. })));
}
