//! Entries, term and vote.

use std::sync::mpsc;

use bytes::Bytes;
use skiff_core::{Entry, HardState, Index, LogTime, NodeId, Payload, Position, Term, Write};

use super::steps::{
    append, begin_after, command, commands, entry, members, must, must_fail, open, put, read,
    try_put,
};
use crate::{
    error::StoreError,
    store::{Done, Persistence, Written},
};

/// Every kind of entry, empty and large ones, comes back as it was.
pub fn entries_come_back_as_they_were_written(place: &dyn Persistence) {
    let large: Vec<u8> = (0..40_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let entries = vec![
        entry(1, 1, Payload::Noop),
        entry(1, 2, Payload::Command(Bytes::from_static(b"small"))),
        entry(1, 3, Payload::Command(Bytes::new())),
        entry(2, 4, Payload::Membership(Box::new(members(&[1, 2, u128::MAX])))),
        entry(2, 5, Payload::Command(Bytes::from(large))),
        entry(7, 6, Payload::Unknown { kind: 4_711, body: Bytes::from_static(b"future") }),
        Entry { time: LogTime(u64::MAX), ..entry(7, 7, Payload::Noop) },
    ];
    let (mut store, _) = open(place);
    put(&mut store, append(entries.clone()));
    assert_eq!(read(&store, 1, 8), entries);
    for at in &entries {
        assert_eq!(read(&store, at.index.0, at.index.0 + 1), std::slice::from_ref(at));
    }
}

/// A reader sees what became durable after it was made, and after the store is gone it may fail but
/// never gives anything wrong.
pub fn a_reader_sees_later_writes(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    let reader = store.log.reader();
    for index in 1..20 {
        put(&mut store, append(vec![command(1, index)]));
        let read = must("reading", reader.read(Index(1), Index(index + 1), usize::MAX));
        assert_eq!(read, commands(1, 1, index + 1));
    }
    drop(store);
    if let Ok(read) = reader.read(Index(1), Index(20), usize::MAX) {
        assert_eq!(read, commands(1, 1, 20));
    }
}

/// A read stops before its upper end and before too many bytes, but gives at least one entry; it
/// also stops where the log ends.
pub fn a_read_ends_before_its_limits(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    put(&mut store, append(commands(1, 1, 11)));
    let reader = store.log.reader();
    let each = command(1, 1).size();
    for (to, bytes_max, count) in [
        (11, usize::MAX, 10),
        (99, usize::MAX, 10),
        (4, usize::MAX, 3),
        (2, usize::MAX, 1),
        (11, 3 * each, 3),
        (11, 3 * each + 1, 3),
        (11, 3 * each - 1, 2),
        (11, each, 1),
        (11, 1, 1),
        (11, 0, 1),
    ] {
        let read = must("reading", reader.read(Index(1), Index(to), bytes_max));
        assert_eq!(read, commands(1, 1, count + 1), "up to {to} and {bytes_max} bytes");
    }
}

/// Entries that are gone and entries that are not there yet are told apart.
pub fn entries_outside_of_the_log_are_refused(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    let reader = store.log.reader();
    let read = |from: u64| reader.read(Index(from), Index(from + 1), usize::MAX);
    let is_missing = |index: u64| {
        let error = must_fail("reading beyond the end", read(index));
        let expected = matches!(error, StoreError::Missing { index: found } if found.0 == index);
        assert!(expected, "reading {index} failed with: {error}");
    };
    is_missing(1);
    put(&mut store, Write { entries: commands(2, 11, 14), ..begin_after(2, 10) });
    for index in [1, 10] {
        let error = must_fail("reading what is compacted", read(index));
        let expected = matches!(error, StoreError::Compacted { index: found } if found.0 == index);
        assert!(expected, "reading {index} failed with: {error}");
    }
    is_missing(14);
    is_missing(u64::MAX - 1);
    assert_eq!(must("reading", read(13)), [command(2, 13)]);
}

/// Truncation drops the end and only the end; what is appended afterwards takes its place.
pub fn truncation_drops_the_end(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    put(&mut store, append(commands(1, 1, 11)));
    let cut = |from: u64, entries: Vec<Entry>| Write {
        truncate_from: Some(Index(from)),
        ..append(entries)
    };
    put(&mut store, cut(8, commands(2, 8, 10)));
    put(&mut store, cut(9, Vec::new()));
    put(&mut store, append(vec![command(3, 9)]));
    put(&mut store, cut(10, commands(4, 10, 12)));
    let mut expected = commands(1, 1, 8);
    expected.extend([command(2, 8), command(3, 9), command(4, 10), command(4, 11)]);
    assert_eq!(read(&store, 1, 12), expected);
    drop(store);
    let (mut store, recovered) = open(place);
    assert_eq!(recovered.last, Position::new(4, 11));
    assert_eq!(read(&store, 1, 12), expected);
    put(&mut store, cut(1, Vec::new()));
    drop(store);
    let (_, recovered) = open(place);
    assert_eq!((recovered.base, recovered.last), (Position::ZERO, Position::ZERO));
    assert!(recovered.terms.is_empty());
}

/// `begin_after` drops everything, also in the middle of the log or far behind its end, and a later
/// write goes on from there.
pub fn a_log_can_begin_anew(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    put(&mut store, begin_after(1, 1));
    put(&mut store, append(commands(1, 2, 30)));
    for (term, index) in [(3, 100), (4, 50), (4, 52)] {
        put(&mut store, Write { entries: vec![command(9, index + 1)], ..begin_after(term, index) });
        put(&mut store, append(commands(9, index + 2, index + 5)));
        assert_eq!(read(&store, index + 1, index + 9), commands(9, index + 1, index + 5));
        drop(store);
        let (again, recovered) = open(place);
        store = again;
        assert_eq!(recovered.base, Position::new(term, index));
        assert_eq!(recovered.last, Position::new(9, index + 4));
        assert_eq!(recovered.terms, [(Index(index + 1), Term(9))]);
        assert_eq!(read(&store, index + 1, index + 9), commands(9, index + 1, index + 5));
    }
}

/// Entries that were compacted are gone, for good, and the others stay; with the last of them gone the log
/// goes on after it.
pub fn a_log_is_compacted(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    put(&mut store, append(commands(1, 1, 20)));
    put(&mut store, append(commands(3, 20, 40)));
    let compact = |term, index| {
        let hard_state = HardState { term: Term(3), vote: None };
        let compact_to = Some(Position::new(term, index));
        Write { hard_state, compact_to, ..Write::default() }
    };
    let mut last = 39;
    for (term, index) in [(1, 5), (1, 5), (1, 19), (3, 30), (3, 43), (3, 44)] {
        put(&mut store, Write { entries: commands(3, last + 1, last + 2), ..compact(term, index) });
        last += 1;
        for _ in 0..2 {
            let refused = must_fail(
                "reading what is compacted",
                store.log.reader().read(Index(index), Index(index + 1), 1),
            );
            assert!(matches!(refused, StoreError::Compacted { .. }), "{refused}");
            if index < last {
                let kept = read(&store, index + 1, last + 1);
                assert_eq!(kept.len() as u64, last - index);
                assert_eq!(kept.last(), Some(&command(3, last)));
            }
            drop(store);
            let (again, recovered) = open(place);
            store = again;
            assert_eq!(recovered.base, Position::new(term, index));
            assert_eq!(recovered.last, Position::new(3, last));
            let known = (index + 1..=last).map(|at| recovered.term_at(Index(at)));
            assert!(known.eq((index + 1..=last).map(|at| Some(Term(if at < 20 { 1 } else { 3 })))));
        }
    }
    let beyond = try_put(&mut store, compact(3, last + 1));
    assert!(matches!(beyond, Err(StoreError::Misuse(_))), "the log was compacted beyond its end");
}

/// Term and vote are replaced by each write, whatever else it holds.
pub fn hard_state_is_replaced(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    let states = [
        HardState { term: Term(1), vote: None },
        HardState { term: Term(1), vote: Some(NodeId(u128::MAX)) },
        HardState { term: Term(u64::MAX >> 1), vote: None },
        HardState { term: Term(u64::MAX >> 1), vote: Some(NodeId(0)) },
    ];
    for (index, hard_state) in (1..).zip(states) {
        let entries = vec![command(1, index)];
        put(&mut store, Write { hard_state, ..append(entries) });
        put(&mut store, Write { hard_state, ..Write::default() });
        drop(store);
        let (again, recovered) = open(place);
        store = again;
        assert_eq!(recovered.hard_state, hard_state);
        assert_eq!(recovered.last, Position::new(1, index));
    }
}

/// Each accepted write calls `done` exactly once, or none at all if it was done at once, in order;
/// and a reader sees the entries by then.
pub fn done_is_called_once_for_each_write_in_order(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    let (tell, told) = mpsc::channel();
    let mut expected = Vec::new();
    for index in 1..200 {
        let (tell, reader) = (tell.clone(), store.log.reader());
        let done = Done::new(move |result| {
            let read = reader.read(Index(index), Index(index + 1), 0);
            tell.send((index, result.is_ok(), read.is_ok())).unwrap_or_default();
        });
        let write = append(vec![command(1, index)]);
        if must("a write", store.log.write(write, done)) == Written::Later {
            expected.push((index, true, true));
        }
    }
    drop(tell);
    assert_eq!(told.iter().collect::<Vec<_>>(), expected, "(write, its result, readable)");
    assert_eq!(read(&store, 1, 200), commands(1, 1, 200));
}

/// Dropping the store and opening it again changes nothing.
pub fn reopening_gives_the_same(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    put(&mut store, append(commands(1, 1, 50)));
    for index in 50..60 {
        put(&mut store, append(vec![command(2, index)]));
    }
    drop(store);
    let (store, first) = open(place);
    assert_eq!(first.last, Position::new(2, 59));
    assert_eq!(first.last_time, LogTime(59_000));
    assert_eq!(first.hard_state, HardState { term: Term(2), vote: None });
    let entries = read(&store, 1, 60);
    drop(store);
    for _ in 0..3 {
        let (store, again) = open(place);
        assert_eq!((again.base, again.last), (first.base, first.last));
        assert_eq!((&again.terms, again.last_time), (&first.terms, first.last_time));
        assert_eq!(read(&store, 1, 60), entries);
    }
}

/// A longer log, written in batches of many sizes, is there after reopening and can be read from
/// anywhere.
pub fn many_entries_survive(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    let (mut next, mut size) = (1, 1);
    while next < 3_000 {
        put(&mut store, append(commands(1 + next / 1_000, next, next + size)));
        (next, size) = (next + size, size * 7 % 97);
    }
    drop(store);
    let (store, recovered) = open(place);
    assert_eq!(recovered.last.index, Index(next - 1));
    let all = read(&store, 1, next);
    assert_eq!(all.len() as u64, next - 1);
    for (index, found) in (1..).zip(&all) {
        assert_eq!(*found, command(found.term.0, index));
    }
    for from in (1..next).step_by(101) {
        let read = read(&store, from, from + 3);
        assert!(all[clamp(from - 1)..].starts_with(&read) && !read.is_empty(), "from {from}");
    }
}

/// Entries that do not follow what is there are refused, and the refusal changes nothing.
pub fn a_write_that_leaves_a_gap_is_refused(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    put(&mut store, Write { entries: commands(2, 11, 14), ..begin_after(2, 10) });
    let wrong = [
        append(vec![command(2, 15)]),
        append(vec![command(2, 13)]),
        append(vec![command(2, 14), command(2, 16)]),
        Write { truncate_from: Some(Index(10)), ..append(Vec::new()) },
        Write { truncate_from: Some(Index(12)), ..append(vec![command(2, 14)]) },
    ];
    for write in wrong {
        let told = format!("{write:?}");
        let error = must_fail(&told, try_put(&mut store, write));
        assert!(matches!(error, StoreError::Misuse(_)), "{told} failed with: {error}");
    }
    put(&mut store, append(vec![command(2, 14)]));
    assert_eq!(read(&store, 11, 15), commands(2, 11, 15));
}

/// Opening tells which terms occur where, and all membership entries.
pub fn term_history_and_memberships_are_recovered(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    let mut entries = commands(3, 6, 10);
    entries.push(entry(3, 10, Payload::Membership(Box::new(members(&[1])))));
    entries.extend(commands(4, 11, 12));
    entries.push(entry(9, 12, Payload::Membership(Box::new(members(&[1, 2])))));
    put(&mut store, Write { entries, ..begin_after(3, 5) });
    drop(store);
    let (_, recovered) = open(place);
    let terms = [(Index(6), Term(3)), (Index(11), Term(4)), (Index(12), Term(9))];
    assert_eq!(recovered.terms, terms);
    let memberships = [(Index(10), members(&[1])), (Index(12), members(&[1, 2]))];
    assert_eq!(recovered.memberships, memberships);
    assert_eq!(recovered.last_time, LogTime(12_000));
}

/// Terms and memberships of entries that were cut off are not told any more, and the time of the
/// last entry is that of the one that is last now.
pub fn truncation_rolls_back_terms_and_memberships(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    let mut entries = commands(1, 1, 3);
    entries.push(entry(1, 3, Payload::Membership(Box::new(members(&[1])))));
    entries.push(entry(2, 4, Payload::Membership(Box::new(members(&[1, 2])))));
    entries.extend(commands(2, 5, 8));
    put(&mut store, append(entries));
    let hard_state = HardState { term: Term(5), vote: None };
    put(&mut store, Write { hard_state, truncate_from: Some(Index(4)), ..Write::default() });
    drop(store);
    let (_, recovered) = open(place);
    assert_eq!(recovered.terms, [(Index(1), Term(1))]);
    assert_eq!(recovered.memberships, [(Index(3), members(&[1]))]);
    assert_eq!(recovered.last, Position::new(1, 3));
    assert_eq!(recovered.last_time, LogTime(3_000));
    assert_eq!(recovered.hard_state, hard_state);
}

fn clamp(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
