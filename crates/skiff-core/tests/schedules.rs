//! Schedules that made nodes hang, flood or stop in drafts of the core, found by review. Each once
//! failed.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

mod common;

use bytes::Bytes;
use common::{Cluster, Flight, MS};
use skiff_core::{
    Append, Config, Entry, Event, Fatal, HardState, Index, Input, Instant, LogTime, Membership,
    Message, NodeId, Options, Output, Payload, Position, Raft, Recovered, Round, Term, Token,
};
use std::collections::BTreeSet;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

fn entry(term: u64, index: u64) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        time: LogTime(0),
        payload: Payload::Command(Bytes::from(format!("{index}/t{term}"))),
    }
}
fn append(seq: u64, round: u64, prev: Position, entries: Vec<Entry>, commit: u64) -> Message {
    Message::Append(Append { seq, round: Round(round), prev, entries, commit: Index(commit) })
}
fn put(c: &mut Cluster, id: NodeId, hard: HardState, entries: Vec<Entry>) {
    let m = c.members.get_mut(&id).unwrap();
    m.store.hard = hard;
    m.store.entries = entries;
}
fn hs(t: u64) -> HardState {
    HardState { term: Term(t), vote: None }
}
fn founded(ids: &[u128], f: impl Fn(&mut Config)) -> Cluster {
    Cluster::founded(Membership::of(ids.iter().map(|i| NodeId(*i))), f)
}

/// peer re-added in the same term: seq restarts at 0 at the leader, not at the follower.
#[test]
fn readded_peer_is_heard_again() {
    let mut c = Cluster::new(&[1, 2], |k| {
        k.options = Options::foreign();
    });
    c.make_leader(A);
    c.settle();
    for t in 1..=2000 {
        c.propose(A, t, "x");
        c.settle();
    }
    let two = c.membership.clone();
    c.step(A, Input::SetMembership { membership: Membership::of([A]) });
    c.settle();
    c.step(A, Input::SetMembership { membership: two });
    c.settle();
    c.propose(A, 9999, "after");
    c.settle();
    c.run(20_000); // 20 s of virtual time, nothing lost
    assert!(c.answer(A, 9999).is_some(), "20 s later: not committed, B alive and answering");
}

/// verified-but-undurable entries untracked after Unreachable; follower crashes; idle cluster hangs.
#[test]
fn verified_and_lost_is_sent_again() {
    let mut c = Cluster::new(&[1, 2, 3], |_| {});
    c.make_leader(A);
    c.settle();
    c.propose(A, 1, "one");
    c.settle();
    c.crash(C); // third is down for good
    c.member(B).slow_disk = true;
    c.propose(A, 2, "two");
    c.deliver_if(|f| f.to == B); // B verified it, its write is pending
    c.deliver_if(|f| f.to == A);
    c.flights.clear();
    // the connection closes for a moment (hint of the transport) and is up again
    c.step(A, Input::Unreachable { node: B });
    // a heartbeat is answered: last = 'two', matched = base
    c.time_out(A);
    c.settle_if(|f| f.to == A || f.to == B);
    // B loses power before its write is done, and is back at once
    c.crash(B);
    c.member(B).slow_disk = false;
    c.start(B);
    c.drain(B);
    let ok = c.run_until(30_000, |c| c.answer(A, 2).is_some() || !c.raft(A).is_leader());
    assert!(ok, "30 s later: B answers every heartbeat, entry 2 is never resent");
}

/// a read confirmed while its index is not committed hangs when the leader is deposed.
#[test]
fn confirmed_read_is_answered_after_a_deposition() {
    let mut c = founded(&[1, 2, 3], |_| {});
    put(&mut c, A, hs(1), (1..=9).map(|i| entry(1, i)).collect());
    put(&mut c, B, hs(1), (1..=3).map(|i| entry(1, i)).collect());
    put(&mut c, C, hs(1), (1..=3).map(|i| entry(1, i)).collect());
    c.start_all();
    for id in [A, B, C] {
        c.drain(id);
    }
    let light = |f: &Flight| !matches!(&f.message, Message::Append(a) if !a.entries.is_empty() );
    for _ in 0..20 {
        if c.raft(A).is_leader() {
            break;
        }
        c.time_out(A);
        c.settle_if(light);
    }
    assert!(c.raft(A).is_leader());
    c.settle_if(light);
    c.time_out(A);
    c.settle_if(light);
    assert_eq!(c.raft(B).leader(), Some(A));
    c.read(A, 7);
    c.read(B, 8);
    c.settle_if(light);
    // heartbeats get through, Appends with entries do not
    for _ in 0..2 {
        c.time_out(A);
        c.settle_if(light);
    }
    c.isolate(&[A]);
    assert!(c.run_until(10_000, |c| matches!(c.leader(), Some(l) if l != A)));
    c.heal();
    c.run(30_000);
    for id in [A, B, C] {
        println!("{id} {:?}", c.raft(id).status());
    }
    let a = c.members[&A].reads.contains_key(&Token(7)) || c.answer(A, 7).is_some();
    let b = c.members[&B].reads.contains_key(&Token(8)) || c.answer(B, 8).is_some();
    assert!(a && b, "a read hangs for ever on an idle, healthy cluster");
}

/// probe/mismatch ping-pong at network speed at the leader's base.
#[test]
fn probing_at_the_base_ends() {
    let mut c = founded(&[1, 2, 3], |_| {});
    // A: snapshot at 10/t3. B: 1..10 of t2, nothing known committed.
    put(&mut c, A, hs(3), vec![entry(3, 11)]);
    c.member(A).store.base = Position::new(3, 10);
    put(&mut c, B, hs(3), (1..=10).map(|i| entry(2, i)).collect());
    put(&mut c, C, hs(3), (1..=10).map(|i| entry(2, i)).collect());
    c.start_all();
    for id in [A, B, C] {
        c.drain(id);
    }
    let mut n = 0;
    for _ in 0..20 {
        if c.raft(A).is_leader() {
            break;
        }
        c.time_out(A);
        for _ in 0..4 {
            c.deliver_if(|_| true);
        }
    }
    assert!(c.raft(A).is_leader());
    while !c.flights.is_empty() && n < 10_000 {
        n += c.flights.len();
        c.deliver_if(|_| true);
    }
    assert!(n < 200, "endless probing: {n} messages without any time passing");
}

/// reverted peer, old entries must be loaded, slow load, idle cluster.
fn reverted(slow_loads: bool) -> bool {
    let mut c = Cluster::new(&[1, 2, 3], |k| {
        k.cache_bytes = 0;
    });
    c.make_leader(A);
    for t in 1..=9 {
        c.propose(A, t, "x");
        c.settle();
    }
    c.time_out(A);
    c.settle();
    c.crash(C);
    c.member(C).store.entries.truncate(3); // rolled back
    c.member(C).applied.clear();
    c.start(C);
    c.drain(C);
    c.member(A).slow_loads = slow_loads;
    // loads take 60 ms each: answered after the next heartbeat
    let end = c.now.after(30_000 * MS);
    let mut due: Vec<(Instant, common::member::Wanted)> = vec![];
    while c.now < end {
        c.settle();
        let now = c.now;
        let ws: Vec<_> = c.member(A).wanted.drain(..).collect();
        for w in ws {
            due.push((now.after(60 * MS), w));
        }
        if let Some(at) = due.iter().position(|d| d.0 <= now) {
            let (_, w) = due.remove(at);
            let result = c.members[&A].store.read(w.from, w.to, w.bytes_max);
            c.step(A, Input::Loaded { load: w.load, result });
            continue;
        }
        c.wait();
    }
    c.raft(C).last() == c.raft(A).last()
}
#[test]
fn reverted_peer_heals() {
    assert!(reverted(false));
}
#[test]
fn reverted_peer_heals_with_slow_loads() {
    assert!(reverted(true), "30 s idle: not healed");
}

/// reverted, then the connection flaps once.
#[test]
fn reverted_peer_heals_over_a_broken_connection() {
    let mut c = Cluster::new(&[1, 2, 3], |_| {});
    c.make_leader(A);
    for t in 1..=9 {
        c.propose(A, t, "x");
        c.settle();
    }
    c.time_out(A);
    c.settle();
    c.crash(C);
    c.member(C).store.entries.truncate(3);
    c.member(C).applied.clear();
    c.start(C);
    c.drain(C);
    // heartbeat -> refusal -> Reverted, the resend is lost with the connection
    c.time_out(A);
    c.deliver_if(|f| f.to == C);
    c.deliver_if(|f| f.to == A);
    assert!(c.members[&A].events.iter().any(|e| matches!(e, Event::Reverted { .. })));
    c.flights.clear();
    c.step(A, Input::Unreachable { node: C });
    c.run(30_000);
    assert_eq!(c.raft(C).last(), c.raft(A).last(), "30 s idle: not healed");
}

/// stale Matched after Reverted: invariant broken -> the healthy leader stops.
#[test]
fn late_match_of_a_reverted_peer_is_nothing() {
    let mut c = Cluster::new(&[1, 2, 3], |_| {});
    c.may_stop = true;
    c.make_leader(A);
    for t in 1..=9 {
        c.propose(A, t, "x");
        c.settle();
    }
    // an answer of C to a heartbeat is delayed
    c.time_out(A);
    c.deliver_if(|f| f.to == C);
    let late: Vec<Flight> =
        std::mem::take(&mut c.flights).into_iter().filter(|f| f.from == C).collect();
    c.crash(C);
    c.member(C).store.entries.truncate(3);
    c.member(C).applied.clear();
    c.start(C);
    c.drain(C);
    c.cut_between(&[A], &[B]); // more entries at A, not committed
    c.cut_between(&[A], &[C]);
    c.propose(A, 10, "y");
    c.cut.clear();
    c.flights.clear();
    c.time_out(A);
    c.deliver_if(|f| f.to == C);
    c.deliver_if(|f| f.to == A);
    c.propose(A, 11, "z");
    for f in late {
        c.deliver(f);
    }
    assert_eq!(c.members[&A].stopped, None);
}

/// rolled back directory that is not shorter than what had matched.
#[test]
fn rolled_back_peer_with_a_longer_tail_heals() {
    let mut c = founded(&[1, 2, 3], |_| {});
    let log: Vec<Entry> = (1..=3).map(|i| entry(1, i)).collect();
    for id in [A, B, C] {
        put(&mut c, id, hs(1), log.clone());
    }
    c.start_all();
    for id in [A, B, C] {
        c.drain(id);
    }
    c.make_leader(A);
    for t in 1..=5 {
        c.propose(A, t, "x");
        c.settle();
    }
    c.crash(C);
    // the copy: 12 entries, 4.. of term 1 never committed
    put(&mut c, C, hs(1), (1..=12).map(|i| entry(1, i)).collect());
    c.member(C).applied.clear();
    c.start(C);
    c.drain(C);
    for t in 20..=25 {
        c.propose(A, t, "y");
        c.settle();
    }
    c.run(30_000);
    assert_eq!(c.raft(C).last(), c.raft(A).last(), "C never healed nor reported");
}

/// term u64::MAX
#[test]
fn no_vote_twice_in_the_last_term() {
    let mut config = Config::new(B);
    config.options = Options::foreign();
    let rec = Recovered {
        membership: Membership::of([A, B, C]),
        hard_state: hs(1),
        ..Recovered::default()
    };
    let mut r = Raft::new(Instant(0), config, rec).unwrap();
    let mut voted = vec![];
    let mut stop = None;
    let drain = |r: &mut Raft,
                 now: Instant,
                 voted: &mut Vec<(Term, NodeId)>,
                 stop: &mut Option<Fatal>| {
        while let Some(o) = r.poll() {
            match o {
                Output::Persist(w) => {
                    println!("persist {:?}", w.hard_state);
                    r.step(now, Input::Persisted { write: w.id });
                }
                Output::Send { to, term, message: Message::VoteReply { granted: true } } => {
                    voted.push((term, to))
                }
                Output::Send { term, message: Message::Vote { .. }, .. } => voted.push((term, B)),
                Output::Stop(f) => *stop = Some(f),
                _ => {}
            }
        }
    };
    r.step(
        Instant(1),
        Input::Message {
            from: A,
            term: Term(u64::MAX),
            message: Message::Vote { last: Position::new(1, 5), transfer: false },
        },
    );
    drain(&mut r, Instant(1), &mut voted, &mut stop);
    let at = r.deadline().unwrap();
    r.step(at, Input::Timeout);
    drain(&mut r, at, &mut voted, &mut stop);
    let who: BTreeSet<NodeId> =
        voted.iter().filter(|v| v.0 == Term(u64::MAX)).map(|v| v.1).collect();
    assert!(who.len() <= 1, "two votes in one term: {who:?}");
    assert_eq!(stop, None, "stopped by a message");
}
/// promises while the disk is stuck
#[test]
fn promises_do_not_pile_up_behind_a_stuck_disk() {
    let rec = Recovered {
        membership: Membership::of([A, B, C]),
        hard_state: hs(1),
        ..Recovered::default()
    };
    let mut r = Raft::new(Instant(0), Config::new(B), rec).unwrap();
    r.step(
        Instant(1),
        Input::Message { from: A, term: Term(5), message: append(1, 1, Position::ZERO, vec![], 0) },
    );
    let mut w = None;
    while let Some(o) = r.poll() {
        if let Output::Persist(x) = o {
            w = Some(x.id)
        }
    }
    let n = 20_000;
    for i in 0..n {
        r.step(
            Instant(2),
            Input::Message {
                from: C,
                term: Term(4),
                message: match i % 3 {
                    0 => append(i, i, Position::ZERO, vec![], 0),
                    1 => Message::PreVote { campaign: Term(5), last: Position::ZERO },
                    _ => Message::ReadIndex { batch: i },
                },
            },
        );
        while r.poll().is_some() {}
    }
    r.step(Instant(3), Input::Persisted { write: w.unwrap() });
    let mut sent = 0;
    while let Some(o) = r.poll() {
        if let Output::Send { .. } = o {
            sent += 1
        }
    }
    assert!(sent < 100, "{sent} promises were queued for one peer");
}

/// flood to a silent peer
#[test]
fn silent_peer_is_not_flooded() {
    let mut c = Cluster::new(&[1, 2, 3], |_| {});
    c.make_leader(A);
    c.settle();
    let mut to_c = 0;
    let n = 5_000;
    for t in 1..=n {
        c.propose(A, t, "x");
        while !c.flights.is_empty() {
            for f in std::mem::take(&mut c.flights) {
                if f.to == C {
                    to_c += 1;
                    continue;
                }
                c.deliver(f);
            }
        }
    }
    // and after Unreachable, reads
    c.step(A, Input::Unreachable { node: C });
    let mut reads = 0;
    for t in 0..1000 {
        c.read(A, 100_000 + t);
        while !c.flights.is_empty() {
            for f in std::mem::take(&mut c.flights) {
                if f.to == C {
                    reads += 1;
                    continue;
                }
                c.deliver(f);
            }
        }
    }
    assert!(to_c < 200 && reads < 200);
}

/// connection flap before the first acknowledgement: whole log again
#[test]
fn flap_before_the_first_answer_resends_little() {
    let mut c = founded(&[1, 2, 3], |_| {});
    let log: Vec<Entry> = (1..=5_000).map(|i| entry(1, i)).collect();
    for id in [A, B, C] {
        put(&mut c, id, hs(1), log.clone());
    }
    c.start_all();
    for id in [A, B, C] {
        c.drain(id);
    }
    let no_append = |f: &Flight| !matches!(&f.message, Message::Append(_));
    for _ in 0..20 {
        if c.raft(A).is_leader() {
            break;
        }
        c.time_out(A);
        c.settle_if(no_append);
    }
    assert!(c.raft(A).is_leader());
    c.step(A, Input::Unreachable { node: C });
    let mut entries = 0;
    for _ in 0..10 {
        while !c.flights.is_empty() {
            for f in std::mem::take(&mut c.flights) {
                if f.to == C
                    && let Message::Append(a) = &f.message
                {
                    entries += a.entries.len();
                }
                c.deliver(f);
            }
        }
        c.time_out(A);
    }
    assert!(entries < 10);
}
/// the same with a compacted leader: NeedsSnapshot for one that lacks nothing
#[test]
fn flap_before_the_first_answer_needs_no_snapshot() {
    let mut c = founded(&[1, 2, 3], |_| {});
    put(&mut c, A, hs(1), vec![entry(1, 11), entry(1, 12)]);
    c.member(A).store.base = Position::new(1, 10);
    for id in [B, C] {
        put(&mut c, id, hs(1), (1..=12).map(|i| entry(1, i)).collect());
    }
    c.start_all();
    for id in [A, B, C] {
        c.drain(id);
    }
    let no_append = |f: &Flight| !matches!(&f.message, Message::Append(_));
    for _ in 0..20 {
        if c.raft(A).is_leader() {
            break;
        }
        c.time_out(A);
        c.settle_if(no_append);
    }
    assert!(c.raft(A).is_leader());
    c.step(A, Input::Unreachable { node: B });
    c.step(A, Input::Unreachable { node: C });
    c.run(30_000);
    assert!(
        c.raft(A).committed() > Index(12),
        "B and C hold all that A holds; nothing commits in 30 s"
    );
}

/// SetMembership to fewer while a read waits
#[test]
fn read_ends_when_the_membership_shrinks() {
    let mut c = Cluster::new(&[1, 2], |k| k.options = Options::foreign());
    c.make_leader(A);
    c.settle();
    c.propose(A, 1, "x");
    c.settle();
    c.crash(B);
    c.read(A, 5);
    c.step(A, Input::SetMembership { membership: Membership::of([A]) });
    c.run(10_000);
    assert!(c.members[&A].reads.contains_key(&Token(5)), "single voter, read not answered in 10 s");
}

/// an Append whose prev lies in the committed part with a false term
#[test]
fn false_term_of_a_committed_entry_stops_the_node() {
    let mut c = founded(&[1, 2, 3], |_| {});
    c.may_stop = true;
    for id in [A, B, C] {
        put(&mut c, id, hs(3), (1..=5).map(|i| entry(3, i)).collect());
    }
    c.member(B).durable_machine = true;
    c.member(B).applied = (1..=5).map(|i| entry(3, i)).collect();
    c.start(B);
    c.drain(B);
    c.step(
        B,
        Input::Message {
            from: A,
            term: Term(3),
            message: append(1, 1, Position::new(1, 5), vec![entry(1, 6)], 5),
        },
    );
    c.crash(B);
    let again = c.try_start(B);
    assert!(again.is_ok(), "B cannot start again: {again:?}");
}

/// overflow in config
#[test]
fn absurd_heartbeat_does_not_overflow() {
    let rec = Recovered {
        membership: Membership::of([A, B, C]),
        hard_state: hs(1),
        ..Recovered::default()
    };
    let mut cfg = Config::new(B);
    cfg.heartbeat_interval = u64::MAX - 2;
    cfg.min_election_timeout = u64::MAX - 1;
    cfg.max_election_timeout = u64::MAX;
    let mut r = Raft::new(Instant(0), cfg, rec).unwrap();
    r.step(
        Instant(1),
        Input::Message { from: A, term: Term(5), message: append(1, 1, Position::ZERO, vec![], 0) },
    );
    r.step(Instant(1), Input::Read { token: Token(1) });
    while let Some(o) = r.poll() {
        if let Output::Persist(w) = o {
            r.step(Instant(1), Input::Persisted { write: w.id });
        }
    }
    r.step(
        Instant(2),
        Input::Message { from: A, term: Term(5), message: append(2, 2, Position::ZERO, vec![], 0) },
    );
}

/// a store that gives more than was asked
#[test]
fn more_than_was_asked_for_is_not_applied() {
    let rec = Recovered {
        membership: Membership::of([A, B, C]),
        hard_state: hs(1),
        last: Position::new(1, 9),
        terms: vec![(Index(1), Term(1))],
        ..Recovered::default()
    };
    let mut r = Raft::new(Instant(0), Config::new(B), rec).unwrap();
    r.step(
        Instant(1),
        Input::Message {
            from: A,
            term: Term(1),
            message: append(1, 1, Position::new(1, 5), vec![], 5),
        },
    );
    let mut applied = 0;
    while let Some(o) = r.poll() {
        match o {
            Output::Load { load, from, to, .. } => {
                println!("load {from}..{to}");
                r.step(
                    Instant(1),
                    Input::Loaded { load, result: Ok((from.0..=9).map(|i| entry(1, i)).collect()) },
                );
            }
            Output::Apply(a) => applied = a.entries.last().unwrap().index.0,
            Output::Stop(f) => println!("stop {f:?}"),
            _ => {}
        }
    }
    assert!(applied <= 5, "applied {applied}, committed 5");
}

/// a leader that contradicts itself in one term (a hostile or foreign one)
#[test]
fn leader_that_contradicts_itself_is_ignored() {
    let rec = Recovered {
        membership: Membership::of([A, B, C]),
        hard_state: hs(3),
        ..Recovered::default()
    };
    let mut r = Raft::new(Instant(0), Config::new(B), rec).unwrap();
    let mut out = vec![];
    for m in [
        append(1, 1, Position::ZERO, (1..=4).map(|i| entry(2, i)).collect(), 0),
        append(2, 2, Position::ZERO, vec![entry(1, 1)], 0),
    ] {
        r.step(Instant(1), Input::Message { from: A, term: Term(3), message: m });
        while let Some(o) = r.poll() {
            match o {
                Output::Persist(w) => r.step(Instant(1), Input::Persisted { write: w.id }),
                Output::Send { message: Message::AppendReply(reply), .. } => {
                    println!("{reply:?}, log ends at {:?}", r.last())
                }
                Output::Stop(f) => out.push(f),
                _ => {}
            }
        }
    }
    assert!(
        !matches!(out.first(), Some(Fatal::Broken(_))),
        "a message is told to be our bug: {out:?}"
    );
}
