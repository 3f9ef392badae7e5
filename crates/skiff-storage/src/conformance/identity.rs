//! Whose data it is.

use super::steps::{append, commands, must, must_fail, open, opening, put, read};
use crate::{
    error::StoreError,
    identity::{Identity, InstanceId, Opening, Standing},
    recovered::Recovered,
    store::Persistence,
};

/// A place that never held anything becomes a new store, named as its user wants or else as
/// proposed.
pub fn a_fresh_place_becomes_a_new_store(place: &dyn Persistence) {
    let (store, recovered) = open(place);
    assert_eq!(store.identity, opening().fresh(), "the identity of a new store");
    let found = Recovered { remarks: Vec::new(), ..recovered };
    assert_eq!(found, Recovered::default(), "what a new store holds");
    assert!(must("asking for a snapshot", store.snapshots.newest()).is_none());
}

/// The boot counter says how often the store was opened; everything else stays as it was drawn.
pub fn the_boot_counter_rises_with_each_opening(place: &dyn Persistence) {
    let first = open(place).0.identity;
    for boot in 2..5 {
        let again = Opening { name: None, fresh_node: skiff_core::NodeId(99), ..opening() };
        let store = must("opening again", place.open(&again));
        assert_eq!(store.identity, Identity { boot, ..first.clone() }, "identity at boot {boot}");
    }
}

/// One opening at a time; any part of the store keeps it open.
pub fn a_second_opening_is_refused_while_the_first_lives(place: &dyn Persistence) {
    let (store, _) = open(place);
    let is_locked = |what: &str| {
        let error = must_fail(what, place.open(&opening()));
        assert!(matches!(error, StoreError::Locked { .. }), "{what} failed with: {error}");
    };
    is_locked("a second opening");
    drop(store.log);
    is_locked("an opening while the snapshots are in use");
    drop(store.snapshots);
    drop(open(place));
}

/// A store of another cluster or of a node of another name is refused, and both are named. The
/// refusal changes nothing.
pub fn somebody_elses_store_is_refused(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    put(&mut store, append(commands(1, 1, 4)));
    drop(store);
    let cluster = Opening { cluster: "another".to_owned(), ..opening() };
    let name = Opening { name: Some("b".to_owned()), ..opening() };
    for (foreign, expected) in
        [(cluster, ("cluster", "conformance", "another")), (name, ("node", "a", "b"))]
    {
        let error = must_fail("opening a foreign store", place.open(&foreign));
        let StoreError::Foreign { what, found, wanted } = &error else {
            panic!("opening a foreign store failed with: {error}");
        };
        assert_eq!((*what, found.as_str(), wanted.as_str()), expected);
    }
    let (store, _) = open(place);
    assert_eq!(read(&store, 1, 4), commands(1, 1, 4));
}

/// A new identity replaces the old one and is there at the next opening.
pub fn identity_is_replaced_and_kept(place: &dyn Persistence) {
    let (mut store, _) = open(place);
    put(&mut store, super::steps::begin_after(1, 1));
    let snapshot = super::snapshots::genesis();
    must("saving the genesis", store.snapshots.save(&snapshot, b"genesis"));
    for standing in [Standing::Member, Standing::Removed, Standing::Member] {
        let instance = Some(InstanceId(0xfeed));
        let wanted = Identity { standing, instance, ..store.identity.clone() };
        must("identifying", store.log.identify(&wanted));
        drop(store);
        store = open(place).0;
        assert_eq!(store.identity, Identity { boot: wanted.boot + 1, ..wanted });
    }
}
