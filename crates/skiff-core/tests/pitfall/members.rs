//! Memberships as they are found in logs, and as they change.

use skiff_core::{Change, Index, Input, Membership, Message, NodeId, Options, Token};

use crate::common::{
    Cluster,
    craft::{A, B, C, D, E, append, change, entry, joint, log, with_learners},
};

/// A node judged requests for votes by its own, older membership, and a lawful majority could not
/// elect. {A, B, C} became {A, B, D}; B was cut off throughout; C has left and A is dead.
#[test]
fn vote_by_candidates_config() {
    let mut cluster = Cluster::founded(with_learners(&[A, B, C], &[D]), |_| {});
    cluster.put(B, 1, None, log(&[1]));
    cluster.put(D, 1, None, vec![entry(1, 1), change(2, 1, Membership::of([A, B, D]))]);
    cluster.start(B);
    cluster.start(D);
    assert!(cluster.run_until(3_000, |c| c.leader() == Some(D)));
}

/// {A, B, C} has become {D, E} by way of both; D lags and knows only A, B, C; those are gone.
#[test]
fn stranger_may_campaign() {
    let mut cluster = Cluster::founded(with_learners(&[A, B, C], &[D, E]), |_| {});
    let entries = vec![
        entry(1, 1),
        change(2, 1, joint(&[A, B, C], &[D, E])),
        change(3, 1, Membership::of([D, E])),
    ];
    cluster.put(D, 1, None, entries[..1].to_vec());
    cluster.put(E, 1, None, entries);
    cluster.start(D);
    cluster.start(E);
    assert!(cluster.run_until(3_000, |c| c.leader() == Some(E)));
    cluster.run(200);
    assert!(cluster.raft(D).membership().is_voter(D));
    assert!(cluster.raft(E).committed() >= Index(4));
}

/// Undoing an aborted change brought back the wrong predecessor, or none.
#[test]
fn config_rollback_exact() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |_| {});
    cluster.member(B).store.base = skiff_core::Position::new(1, 10);
    cluster.put(B, 1, None, Vec::new());
    cluster.start(B);
    let (c2, c3) = (Membership::of([A, B]), Membership::of([A, B, C, D]));
    let tail =
        vec![entry(11, 1), change(12, 1, c2.clone()), entry(13, 1), change(14, 1, c3.clone())];
    cluster.hear(A, B, 1, append(1, (10, 1), tail, 0));
    assert_eq!(**cluster.raft(B).membership(), c3);
    cluster.hear(C, B, 2, append(1, (12, 1), vec![entry(13, 2)], 0));
    assert_eq!(**cluster.raft(B).membership(), c2);
    cluster.hear(A, B, 3, append(1, (10, 1), vec![entry(11, 3)], 0));
    assert_eq!(**cluster.raft(B).membership(), Membership::of([A, B, C]));
}

/// A membership was kept when committed only: a restart forgot an appended one, and waited for a
/// quorum that does not exist any more. {A, B} to {B}: B has it appended only, and starts again.
#[test]
fn uncommitted_config_survives_restart() {
    let options = Options { pre_vote: false, ..Options::default() };
    let mut cluster = Cluster::founded(Membership::of([A, B]), |c| c.options = options);
    cluster.put(B, 1, None, vec![entry(1, 1), change(2, 1, Membership::of([B]))]);
    cluster.start(B);
    cluster.time_out(B);
    assert!(cluster.raft(B).is_leader());
    assert_eq!(cluster.raft(B).committed(), Index(3));
}

/// A leader that finds a joint membership in its log commits it by both halves, never by one.
#[test]
fn recovered_joint_commits_first() {
    let mut cluster = Cluster::founded(Membership::of([A, B]), |_| {});
    cluster.put(A, 1, None, vec![change(1, 1, joint(&[A, B], &[A]))]);
    cluster.start(A);
    cluster.run(3_000);
    assert_eq!(cluster.leader(), None, "not without B, which the outgoing half needs");
    cluster.start(B);
    assert!(cluster.run_until(3_000, |c| c.raft(A).committed() >= Index(2)));
    let only = |c: &Cluster| **c.raft(A).membership() == Membership::of([A]);
    assert!(cluster.run_until(3_000, only), "then the leader leaves it, unasked");
    let ends = cluster.members[&A].store.entries.iter().position(
        |entry| matches!(&entry.payload, skiff_core::Payload::Membership(one) if !one.is_joint()),
    );
    assert_eq!(ends, Some(2), "behind the joint one and the entry that committed it");
}

/// A node that was removed while it was cut off came back with a high term and deposed one leader
/// after the other. {A, B, C} has become {A, B}; C has not heard of it.
#[test]
fn removed_node_is_quiet() {
    for pre_vote in [true, false] {
        let options = Options { pre_vote, ..Options::default() };
        let mut cluster = Cluster::founded(Membership::of([A, B, C]), |c| c.options = options);
        let entries = vec![entry(1, 1), change(2, 1, Membership::of([A, B]))];
        cluster.put(A, 1, None, entries.clone());
        cluster.put(B, 1, None, entries);
        cluster.put(C, 1, None, log(&[1]));
        cluster.start_all();
        cluster.isolate(&[C]);
        cluster.make_leader(A);
        cluster.run(30_000);
        let (term, campaigns) = (cluster.raft(A).term(), cluster.raft(C).term());
        assert_eq!(campaigns > term, !pre_vote, "it campaigned a hundred timeouts long");
        cluster.heal();
        cluster.run(30_000);
        assert_eq!((cluster.leader(), cluster.raft(B).term()), (Some(A), term), "{pre_vote}");
    }
}

fn remove(cluster: &mut Cluster, at: NodeId, token: u64, id: NodeId) {
    let (token, change) = (Token(token), Change::Remove { id });
    cluster.step(at, Input::ChangeMembership { token, change });
}

/// Two leaders each removed another node from four, and both changes were committed: the second had not
/// committed anything of its own term when it began (the erratum of 2015).
#[test]
fn no_change_before_noop_commits() {
    let mut cluster = Cluster::new(&[1, 2, 3, 4], |_| {});
    cluster.make_leader(A);
    cluster.run(400);
    cluster.isolate(&[A]);
    remove(&mut cluster, A, 1, D);
    assert!(cluster.raft(A).membership().is_joint());
    while !cluster.raft(B).is_leader() {
        cluster.time_out(B);
        cluster.settle_if(|flight| !matches!(flight.message, Message::Append(_)));
    }
    remove(&mut cluster, B, 2, C);
    assert!(!cluster.raft(B).membership().is_joint(), "nothing of its term is committed");
    assert!(cluster.run_until(3_000, |c| c.answer(B, 2).is_some_and(|answer| answer.is_ok())));
    cluster.heal();
    let left = Membership::of([A, B, D]);
    let agreed =
        |c: &Cluster| [A, B, D].iter().all(|id| c.raft(*id).membership().voters == left.voters);
    assert!(cluster.run_until(5_000, agreed), "the first one's change never was");
    assert!(!cluster.raft(A).membership().is_joint());
}

/// A removed leader stayed; or left before the others knew of the commit; or a removal that was asked for
/// through a follower never returned.
#[test]
fn leader_removes_itself() {
    for down in [false, true] {
        let mut cluster = Cluster::new(&[1, 2, 3, 4], |_| {});
        cluster.make_leader(A);
        cluster.run(700);
        if down {
            cluster.crash(D);
        }
        remove(&mut cluster, A, 1, A);
        assert!(cluster.run_until(3_000, |c| !c.raft(A).is_leader()));
        assert!(matches!(cluster.answer(A, 1), Some(Ok(_))), "its caller has its answer");
        let committed = cluster.raft(A).committed();
        let knows = |id: &&NodeId| cluster.raft(**id).committed() >= committed;
        assert!([B, C].iter().any(|id| knows(&id)), "another knows before it goes");
        let leads = |c: &Cluster| [B, C].iter().any(|id| c.raft(*id).is_leader());
        assert!(cluster.run_until(3_000, leads));
        assert!(!cluster.raft(A).is_leader());
    }
}

/// The stream to a removed node ended when its removal was appended, which it was needed for; or went on
/// for ever.
#[test]
fn replicate_until_removal_commits() {
    let mut cluster = Cluster::new(&[1, 2], |_| {});
    cluster.make_leader(A);
    cluster.run(400);
    remove(&mut cluster, A, 1, B);
    assert!(cluster.run_until(1_000, |c| c.answer(A, 1).is_some_and(|answer| answer.is_ok())));
    assert_eq!(cluster.raft(B).durable(), Index(2), "the joint membership needed it");
    cluster.settle();
    let told = cluster.members[&B].events.iter();
    assert!(told.into_iter().any(|event| matches!(event, skiff_core::Event::Removed { .. })));

    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.run(400);
    cluster.crash(C);
    remove(&mut cluster, A, 1, C);
    assert!(cluster.raft(A).status().peers.contains_key(&C), "not while it is not committed");
    assert!(cluster.run_until(1_000, |c| c.answer(A, 1).is_some_and(|answer| answer.is_ok())));
    cluster.settle();
    cluster.propose(A, 2, "x");
    cluster.time_out(A);
    assert!(
        cluster.flights.iter().all(|flight| flight.to != C),
        "nothing goes to a dead one for ever"
    );
}

/// A node that was admitted and removed before it received its own admission campaigned for ever, since the
/// newest membership in its log was without it and not committed: it took itself for one that is on its way
/// out.
#[test]
fn who_never_was_a_member_does_not_campaign() {
    let options = Options { pre_vote: false, ..Options::default() };
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |c| c.options = options);
    cluster.join(D);
    let entries = vec![entry(1, 1), change(2, 1, Membership::of([A, B]))];
    cluster.hear(A, D, 1, append(1, (0, 0), entries, 0));
    assert_eq!(**cluster.raft(D).membership(), Membership::of([A, B]));
    let term = cluster.raft(D).term();
    cluster.run(5_000);
    assert_eq!(cluster.raft(D).term(), term);
}

/// Without a no-op, and without callers, a new leader knows of nothing that it is committed: a change of the
/// members waited for ever.
#[test]
fn a_change_gets_the_entry_it_waits_for() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.options.noop = false);
    cluster.make_leader(A);
    cluster.join(D);
    let node = skiff_core::Node::default();
    let change = Change::AddLearner { id: D, node };
    cluster.step(A, Input::ChangeMembership { token: Token(1), change });
    assert!(cluster.run_until(1_000, |c| c.answer(A, 1).is_some_and(|answer| answer.is_ok())));
    assert!(cluster.raft(A).membership().contains(D));
}

/// Who was removed is told so also once the log, and with it who the members were, is compacted.
#[test]
fn compacted_members_are_known_to_be_gone() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.keep_entries = 1);
    cluster.make_leader(A);
    cluster.step(A, Input::ChangeMembership { token: Token(1), change: Change::Remove { id: C } });
    assert!(cluster.run_until(2_000, |c| c.answer(A, 1).is_some()));
    let removed = cluster.raft(A).last().index;
    for token in 10..20 {
        cluster.propose(A, token, "x");
        cluster.settle();
    }
    cluster.snapshot(A);
    cluster.settle();
    assert!(cluster.raft(A).base().index > removed, "the log does not tell any more");
    assert!(cluster.raft(A).removed_as_of(C).is_some_and(|index| index <= removed));
    assert_eq!(cluster.raft(A).removed_as_of(B), None);
}

fn add_voter(cluster: &mut Cluster, at: NodeId, token: u64, id: NodeId) {
    let change = Change::AddVoter { id, node: skiff_core::Node::default() };
    cluster.step(at, Input::ChangeMembership { token: Token(token), change });
}

/// Whether this change was answered, and made.
fn made(cluster: &Cluster, at: NodeId, token: u64) -> bool {
    cluster.answer(at, token).is_some_and(|answer| answer.is_ok())
}

/// A node that was removed, wiped and added again was credited with what its earlier life had acknowledged,
/// and voted a second time in an old term. C comes back as E.
#[test]
fn re_added_id_has_no_past() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    // C acknowledges; its words are late.
    cluster.settle_if(|flight| flight.from != C);
    cluster.flights.clear();
    let term = cluster.raft(A).term();
    let matched = cluster.raft(A).last().index;
    remove(&mut cluster, A, 2, C);
    assert!(cluster.run_until(2_000, |c| made(c, A, 2)));
    cluster.crash(C);
    add_voter(&mut cluster, A, 3, E);
    cluster.settle();
    for seq in 0..64 {
        cluster.hear(C, A, term.0, crate::common::craft::matched(seq, matched.0));
    }
    let peers = cluster.raft(A).status().peers;
    assert!(!peers.contains_key(&C), "it is nobody's peer");
    assert_eq!(peers[&E].matched, Index::ZERO, "who has come has acknowledged nothing");
    cluster.join(E);
    assert!(cluster.run_until(3_000, |c| made(c, A, 3)));
    // C has voted for A in this term; B asks its next life for another vote in it.
    cluster.flights.clear();
    let last = cluster.raft(E).last();
    let vote = crate::common::craft::vote((last.index.0, last.term.0));
    cluster.hear(B, E, term.0, vote);
    let grants = |flight: &crate::common::Flight| {
        matches!(flight.message, Message::VoteReply { granted: true, .. })
    };
    assert!(!cluster.flights.iter().any(grants), "{:?}", cluster.flights);
}

/// A learner became a voter, then the log was given up past what it and a slow voter needed: the quorum had just
/// grown, so nothing could be committed, and no other change was allowed.
#[test]
fn promotion_meets_compaction() {
    let mut cluster = Cluster::new(&[1, 2, 3], |c| c.keep_entries = 0);
    cluster.make_leader(A);
    cluster.run(400);
    // B answers, and its disk lags; D and B are cut off as soon as the membership with D is joint.
    cluster.member(B).slow_disk = true;
    cluster.join(D);
    add_voter(&mut cluster, A, 1, D);
    for _ in 0..1_000 {
        while !cluster.flights.is_empty() && !cluster.raft(A).membership().is_joint() {
            cluster.deliver_if(|_| true);
        }
        if cluster.raft(A).membership().is_joint() {
            break;
        }
        cluster.wait();
    }
    assert!(cluster.raft(A).membership().is_joint());
    cluster.crash(B);
    cluster.member(B).slow_disk = false;
    cluster.start(B);
    cluster.isolate(&[B]);
    cluster.isolate(&[D]);
    for token in 10..30 {
        cluster.propose(A, token, "x");
    }
    cluster.settle_if(|flight| [A, C].contains(&flight.to) && [A, C].contains(&flight.from));
    cluster.snapshot(A);
    let base = cluster.raft(A).base().index;
    assert!(base > cluster.raft(B).last().index, "B needs what is gone");
    cluster.heal();
    let whole = Membership::of([A, B, C, D]);
    let mut snapshots = 0;
    for _ in 0..500 {
        cluster.run(20);
        while !cluster.supplies.is_empty() {
            cluster.supply(true);
            snapshots += 1;
        }
    }
    assert!(made(&cluster, A, 1), "the change is at its end");
    for id in [A, B, C, D] {
        assert_eq!(cluster.raft(id).membership().voters, whole.voters, "{id}");
        assert_eq!(cluster.raft(id).committed(), cluster.raft(A).committed(), "{id}");
    }
    assert!((1..10).contains(&snapshots), "{snapshots} snapshots were sent");
}
