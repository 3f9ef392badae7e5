//! Replication and truncation.

use skiff_core::{
    AppendOutcome, Event, Fault, Index, Input, LoadError, Membership, Message, Position, Reject,
    StateName, Term,
};

use crate::common::{
    Cluster,
    craft::{A, B, C, D, append, entry, log, matched, mismatch},
};

/// An Append that overlapped what was there already cut the tail first, and a crash lost acknowledged
/// entries; elsewhere a conflicting entry was replaced, but its tail kept.
#[test]
fn truncate_only_on_conflict() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.hear(A, B, 1, append(1, (0, 0), log(&[1; 5]), 0));
    cluster.member(B).slow_disk = true;
    cluster.hear(A, B, 1, append(2, (1, 1), vec![entry(2, 1)], 0));
    cluster.hear(A, B, 1, append(3, (2, 1), Vec::new(), 0));
    assert!(cluster.members[&B].pending.is_none(), "nothing is written");
    assert_eq!(cluster.raft(B).last(), Position::new(1, 5));
    cluster.crash(B);
    cluster.start(B);
    assert_eq!(cluster.raft(B).last(), Position::new(1, 5), "a crash here loses nothing");
    cluster.member(B).slow_disk = false;
    cluster.hear(C, B, 3, append(1, (3, 1), vec![entry(4, 3)], 0));
    assert_eq!(cluster.terms(B), [1, 1, 1, 3]);
}

/// The answer named the follower's last index: the leader counted entries that differ from its own.
#[test]
fn ack_only_what_matched() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |_| {});
    cluster.put(B, 1, None, log(&[1; 9]));
    cluster.start(B);
    cluster.hear(A, B, 2, append(1, (3, 1), vec![entry(4, 1)], 0));
    assert_eq!(cluster.acknowledged(B), Some(Index(4)));
}

/// A late refusal moved the match back, and the commit index was computed anew from it.
#[test]
fn match_never_decreases() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    for token in 0..9 {
        cluster.propose(A, token, "x");
    }
    cluster.settle();
    let before = cluster.raft(A).status().peers[&B];
    assert_eq!(before.matched, Index(10));
    cluster.hear(B, A, 1, mismatch(2, 5, (3, 1), 3));
    cluster.hear(B, A, 1, matched(2, 3));
    let after = cluster.raft(A).status().peers[&B];
    assert_eq!((after.matched, after.next), (before.matched, before.next));
    assert!(cluster.flights.is_empty(), "nothing is sent again");
}

/// "Durable up to 9" of the old leader's entries survived a truncation at 7, so that new entries were
/// acknowledged that were not on disk.
#[test]
fn written_mark_after_truncation() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |_| {});
    cluster.put(B, 1, None, log(&[1; 6]));
    cluster.start(B);
    cluster.member(B).slow_disk = true;
    let tail = (7..=9).map(|index| entry(index, 1)).collect();
    cluster.hear(A, B, 1, append(1, (6, 1), tail, 0));
    cluster.hear(C, B, 2, append(1, (6, 1), vec![entry(7, 2), entry(8, 2)], 0));
    cluster.flights.clear();
    cluster.persist(B);
    assert!(cluster.acknowledged(B).is_none_or(|index| index <= Index(6)));
    cluster.persist(B);
    assert_eq!(cluster.acknowledged(B), Some(Index(8)));
}

/// The leader's write of an entry it had sent already failed; it put another in the same place of the
/// same term, and a follower that held the first acknowledged the second.
#[test]
fn same_term_index_reused() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.member(A).slow_disk = true;
    cluster.propose(A, 1, "x");
    cluster.deliver_if(|flight| flight.to == B);
    let write = cluster.member(A).pending.take().unwrap();
    cluster.step(A, Input::Fault(Fault::WriteRefused { write: write.id }));
    cluster.propose(A, 2, "y");
    assert!(matches!(cluster.answer(A, 2), Some(Err(Reject::NotLeader { .. }))));
    cluster.member(A).slow_disk = false;
    assert!(cluster.run_until(3_000, |c| c.leader().is_some()));
    let leader = cluster.leader().unwrap();
    assert!(cluster.raft(leader).term() > Term(1), "never again in that term");
    cluster.propose(leader, 3, "y");
    cluster.run(1_000);
    let commands = cluster.commands(A);
    assert!([B, C].iter().all(|id| cluster.commands(*id) == commands));
}

/// An error while reading old entries was taken for the end of the log: the next request left with a
/// gap before its entries.
#[test]
fn read_failure_is_not_empty() {
    for answer in 0..3 {
        let mut cluster = Cluster::new(&[1, 2, 3], |c| c.cache_bytes = 40);
        cluster.make_leader(A);
        cluster.isolate(&[C]);
        for token in 0..5 {
            cluster.propose(A, token, "x");
        }
        cluster.settle();
        cluster.heal();
        cluster.step(A, Input::Unreachable { node: C });
        cluster.member(A).slow_loads = true;
        cluster.run(60);
        let wanted = cluster.member(A).wanted.pop_front().expect("old entries are asked for");
        let store = &cluster.members[&A].store;
        let all = store.read(wanted.from, wanted.to, usize::MAX).unwrap();
        let result = match answer {
            0 => Err(LoadError::Failed),
            1 => Ok(Vec::new()),
            _ => Ok(all[1..].to_vec()),
        };
        cluster.step(A, Input::Loaded { load: wanted.load, result });
        assert!(cluster.flights.is_empty(), "nothing leaves because of it");
        assert!(cluster.members[&A].events.contains(&Event::LoadFailed { from: wanted.from }));
        cluster.member(A).slow_loads = false;
        assert!(cluster.run_until(1_000, |c| c.terms(C) == c.terms(A)));
    }
}

/// Heartbeats named the commit index as predecessor; a refusal that arrived after the follower had
/// acknowledged it was read as "lost its log": panic.
#[test]
fn late_refusal_is_not_amnesia() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.settle();
    let seq = 1; // That of an Append long before the acknowledgement.
    cluster.hear(B, A, 1, mismatch(seq, 2, (1, 1), 1));
    assert!(cluster.flights.is_empty());
    let reverted = |event: &Event| matches!(event, Event::Reverted { .. });
    assert!(!cluster.members[&A].events.iter().any(reverted));
    assert!(cluster.raft(A).is_leader());
}

/// Follower durable to 9 with 6 to 9 of an old term; the new leader's heartbeat has verified 5.
#[test]
fn late_built_match() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C]), |_| {});
    cluster.put(B, 2, None, log(&[1, 1, 1, 1, 1, 2, 2, 2, 2]));
    cluster.start(B);
    cluster.hear(A, B, 3, append(1, (5, 1), Vec::new(), 0));
    assert_eq!(cluster.acknowledged(B), Some(Index(5)));
}

/// Entries 6 and 7 are in a slow write; another leader cuts them; the first returns with the very
/// same entries. The first write's end says nothing about them, though term and index are equal.
#[test]
fn persisted_aba() {
    let mut cluster = Cluster::founded(Membership::of([A, B, C, D]), |_| {});
    cluster.put(B, 1, None, log(&[1; 5]));
    cluster.start(B);
    cluster.member(B).slow_disk = true;
    let pair = || vec![entry(6, 1), entry(7, 1)];
    cluster.hear(A, B, 1, append(1, (5, 1), pair(), 0));
    cluster.hear(C, B, 2, append(1, (5, 1), vec![entry(6, 2)], 0));
    cluster.hear(A, B, 3, append(1, (5, 1), pair(), 0));
    cluster.flights.clear();
    cluster.persist(B);
    assert!(cluster.acknowledged(B).is_none_or(|index| index <= Index(5)));
    cluster.crash(B);
    assert_eq!(cluster.members[&B].store.hard.term, Term(1), "a crash here comes back in term 1");
    cluster.start(B);
    cluster.hear(A, B, 3, append(2, (5, 1), pair(), 0));
    cluster.persist(B);
    assert_eq!(cluster.acknowledged(B), Some(Index(7)));
    assert_eq!(cluster.terms(B), [1; 7]);
}

/// A node whose data was put back to an earlier copy refuses what it once acknowledged. That is told
/// when the refusal answers a later Append; a delayed refusal proves nothing.
#[test]
fn rolled_back_directory() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.settle();
    cluster.crash(B);
    cluster.member(B).store.entries.truncate(1);
    cluster.start(B);
    cluster.run(100);
    let (matched, last) = (Index(2), Index(1));
    assert!(cluster.members[&A].events.contains(&Event::Reverted { node: B, matched, last }));
    assert_eq!(cluster.terms(B), [1, 1], "and it gets back what it lost");
}

/// A follower that refuses for want of an entry tells where it may agree, never beyond what it has.
#[test]
fn hint_is_inside_the_log() {
    for terms in [&[][..], &[1], &[1, 1, 2], &[1, 2, 3, 4, 5, 6]] {
        let mut cluster = Cluster::founded(Membership::of([A, B, C]), |_| {});
        cluster.put(B, 6, None, log(terms));
        cluster.start(B);
        cluster.hear(A, B, 9, append(1, (50, 8), Vec::new(), 0));
        let [Message::AppendReply(reply)] = cluster.sent(B)[..] else { panic!("no answer") };
        let AppendOutcome::Mismatch { prev, hint } = reply.outcome else { panic!("it matched") };
        assert_eq!((prev, hint), (Index(50), cluster.raft(B).last()));
    }
}

/// What was proposed and appended, and then lost with the office, is unknown to its caller, not
/// failed: the next leader may commit it.
#[test]
fn step_down_means_unknown() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.deliver_if(|flight| flight.to == B);
    cluster.flights.clear();
    cluster.isolate(&[A]);
    assert!(cluster.run_until(3_000, |c| c.raft(B).is_leader() && !c.raft(A).is_leader()));
    let position = Position::new(1, 2);
    let answer = cluster.answer(A, 1).unwrap().unwrap_err();
    assert_eq!(answer.position(), Some(position));
    cluster.run(500);
    assert_eq!(cluster.commands(C), ["x"], "and so it did");
    cluster.propose(A, 2, "never appended");
    assert_eq!(cluster.answer(A, 2).unwrap().unwrap_err().position(), None);
}

/// A caller is gone: nothing is answered to it, and what was appended stays in the log.
#[test]
fn dropped_caller() {
    let mut cluster = Cluster::new(&[1, 2, 3], |_| {});
    cluster.make_leader(A);
    cluster.propose(A, 1, "x");
    cluster.read(A, 2);
    cluster.read(B, 3);
    for (id, token) in [(A, 1), (A, 2), (B, 3)] {
        cluster.step(id, Input::Cancel { token: skiff_core::Token(token) });
    }
    cluster.run(500);
    assert_eq!(cluster.commands(B), ["x"]);
    assert_eq!(
        (cluster.answer(A, 1), cluster.answer(A, 2), cluster.answer(B, 3)),
        (None, None, None)
    );
    assert!(cluster.members[&A].reads.is_empty() && cluster.members[&B].reads.is_empty());
}

/// Two writes finish in the order in which they were given out, one at a time; what the machine gets
/// is in order and without a gap, whatever the lanes do meanwhile.
#[test]
fn lanes_keep_order() {
    let mut cluster = Cluster::new(&[1, 2], |c| c.cache_bytes = 40);
    cluster.make_leader(A);
    cluster.member(A).slow_disk = true;
    cluster.member(A).slow_machine = true;
    cluster.member(A).slow_loads = true;
    for token in 0..10 {
        cluster.propose(A, token, "x");
        cluster.settle();
        match token % 3 {
            0 => cluster.persist(A),
            1 => cluster.finish_apply(A),
            _ => {
                if let Some(wanted) = cluster.member(A).wanted.pop_front() {
                    let result = cluster.members[&A].store.read(wanted.from, wanted.to, usize::MAX);
                    cluster.step(A, Input::Loaded { load: wanted.load, result });
                }
            }
        }
        assert_eq!(cluster.state(A), StateName::Leader);
        let indices: Vec<u64> = cluster.members[&A].applied.iter().map(|e| e.index.0).collect();
        assert_eq!(indices, (1..=indices.len() as u64).collect::<Vec<_>>());
        let durable = cluster.raft(A).durable();
        assert!(indices.last().is_none_or(|last| *last <= durable.0));
    }
}
