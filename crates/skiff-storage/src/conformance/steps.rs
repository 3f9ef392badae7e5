//! The steps the properties are made of.

use std::{fmt::Debug, sync::mpsc};

use bytes::Bytes;
use skiff_core::{
    Entry, HardState, Index, LogTime, Membership, NodeId, Payload, Position, Term, Write,
};

use crate::{
    error::StoreError,
    identity::{OnLostData, Opening},
    recovered::Recovered,
    store::{Done, Persistence, Store, Written},
};

pub(super) fn opening() -> Opening {
    Opening {
        cluster: "conformance".to_owned(),
        name: Some("a".to_owned()),
        fresh_name: "unused".to_owned(),
        fresh_node: NodeId(0x0123_4567_89ab_cdef),
        on_lost_data: OnLostData::Refuse,
        rejoin: false,
    }
}

#[track_caller]
pub(super) fn must<T>(what: &str, result: Result<T, StoreError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what} failed: {error}"),
    }
}

#[track_caller]
pub(super) fn must_fail<T: Debug>(what: &str, result: Result<T, StoreError>) -> StoreError {
    match result {
        Ok(value) => panic!("{what} did not fail but gave {value:?}"),
        Err(error) => error,
    }
}

#[track_caller]
pub(super) fn open(place: &dyn Persistence) -> (Store, Recovered) {
    let mut store = must("opening", place.open(&opening()));
    let recovered = must("loading", store.log.load());
    (store, recovered)
}

/// Writes and waits until it is durable.
#[track_caller]
pub(super) fn put(store: &mut Store, write: Write) {
    must("a write", try_put(store, write));
}

pub(super) fn try_put(store: &mut Store, write: Write) -> Result<(), StoreError> {
    let (tell, told) = mpsc::channel();
    let done = Done::new(move |result| tell.send(result).unwrap_or_default());
    match store.log.write(write, done)? {
        Written::Done => {
            assert!(told.try_recv().is_err(), "a write that was done at once also called `done`");
            Ok(())
        }
        Written::Later => match told.recv() {
            Ok(result) => result,
            Err(_) => panic!("`done` of a write that was to finish later was dropped uncalled"),
        },
    }
}

#[track_caller]
pub(super) fn read(store: &Store, from: u64, to: u64) -> Vec<Entry> {
    must("reading", store.log.reader().read(Index(from), Index(to), usize::MAX))
}

pub(super) fn entry(term: u64, index: u64, payload: Payload) -> Entry {
    Entry { term: Term(term), index: Index(index), time: LogTime(1_000 * index), payload }
}

pub(super) fn command(term: u64, index: u64) -> Entry {
    let text = format!("command {index} of term {term}");
    entry(term, index, Payload::Command(Bytes::from(text)))
}

/// The commands from `from` up to but not including `to`.
pub(super) fn commands(term: u64, from: u64, to: u64) -> Vec<Entry> {
    (from..to).map(|index| command(term, index)).collect()
}

pub(super) fn append(entries: Vec<Entry>) -> Write {
    let term = entries.last().map_or(Term::ZERO, |entry| entry.term);
    Write { hard_state: HardState { term, vote: None }, entries, ..Write::default() }
}

pub(super) fn begin_after(term: u64, index: u64) -> Write {
    let hard_state = HardState { term: Term(term), vote: None };
    Write { hard_state, begin_after: Some(Position::new(term, index)), ..Write::default() }
}

pub(super) fn members(ids: &[u128]) -> Membership {
    let mut membership = Membership::of(ids.iter().copied().map(NodeId));
    for (id, node) in &mut membership.nodes {
        node.name = format!("node {id}");
        node.address = "127.0.0.1:1".to_owned();
    }
    membership
}
