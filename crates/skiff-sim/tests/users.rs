//! What a user's state machine is told: a sound one passes, and each kind of unsound one is found, by
//! name.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use skiff_replica::{At, StateMachine};
use skiff_sim::{Cause, Check, Dice, Finding};

fn number(dice: &mut Dice) -> u64 {
    dice.below(50)
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Sum {
    sum: u64,
}

impl StateMachine for Sum {
    type Command = u64;
    type Response = u64;

    fn apply(&mut self, by: u64, _: At) -> u64 {
        self.sum = self.sum.wrapping_add(by);
        self.sum
    }
}

#[test]
fn a_sound_machine_passes() {
    let passed = Check::new(Sum::default, number).seeds(20).run().unwrap();
    assert_eq!((passed.seeds, passed.failed.len()), (20, 0));
    assert!(passed.reached.commands_answered > 100, "{:?}", passed.reached);
    assert!(passed.reached.power_cuts > 0 && passed.reached.leaders_replaced > 0);
}

/// Reads its commands' time and random number, as it should.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Drawn {
    drawn: BTreeMap<u64, u64>,
}

impl StateMachine for Drawn {
    type Command = u64;
    type Response = u64;

    fn apply(&mut self, key: u64, at: At) -> u64 {
        let value = at.random ^ at.time.0;
        *self.drawn.entry(key).or_insert(value)
    }
}

#[test]
fn the_time_and_the_random_number_of_the_log_are_sound() {
    assert!(Check::new(Drawn::default, number).seeds(20).run().is_ok());
}

/// Keeps a hash map, and never looks at its order.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Counted {
    counts: HashMap<u64, u64>,
}

impl StateMachine for Counted {
    type Command = u64;
    type Response = u64;

    fn apply(&mut self, key: u64, _: At) -> u64 {
        let count = self.counts.entry(key).or_default();
        *count += 1;
        *count
    }
}

#[test]
fn a_hash_map_whose_order_nobody_sees_is_sound() {
    assert!(Check::new(Counted::default, number).seeds(20).run().is_ok());
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Listed {
    seen: HashSet<u64>,
}

impl StateMachine for Listed {
    type Command = u64;
    type Response = Vec<u64>;

    fn apply(&mut self, key: u64, _: At) -> Vec<u64> {
        self.seen.insert(key);
        self.seen.iter().copied().collect()
    }
}

#[test]
fn a_machine_that_iterates_a_hash_map_is_found() {
    let found = Check::new(Listed::default, number).run().unwrap_err();
    assert!(matches!(found, Finding::NotDeterministic { cause: Cause::Order, .. }), "{found}");
    assert!(found.to_string().contains("does it iterate a hash map?"), "{found}");
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Timed {
    nanos: u128,
}

impl StateMachine for Timed {
    type Command = u64;
    type Response = ();

    fn apply(&mut self, _: u64, _: At) {
        use std::time::{SystemTime, UNIX_EPOCH};
        let begun = Instant::now();
        // Two machines in one process must not read the same tick of the clock.
        while begun.elapsed().is_zero() {}
        self.nanos += SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    }
}

#[test]
fn a_machine_that_reads_the_clock_is_found() {
    let found = Check::new(Timed::default, number).run().unwrap_err();
    assert!(matches!(found, Finding::StatesDiffer { .. }), "{found}");
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Forgetful {
    sum: u64,
    #[serde(skip)]
    largest: u64,
}

impl StateMachine for Forgetful {
    type Command = u64;
    type Response = u64;

    fn apply(&mut self, by: u64, _: At) -> u64 {
        self.sum += by;
        self.largest = self.largest.max(by);
        self.largest
    }
}

#[test]
fn a_snapshot_that_forgets_a_field_is_found() {
    let found = Check::new(Forgetful::default, number).run().unwrap_err();
    assert!(matches!(found, Finding::SnapshotForgets { .. }), "{found}");
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Brittle {
    count: u64,
}

impl StateMachine for Brittle {
    type Command = u64;
    type Response = u64;

    fn apply(&mut self, by: u64, _: At) -> u64 {
        self.count += 1;
        assert!(by != 49, "forty-nine is more than I can bear");
        self.count
    }
}

#[test]
fn a_machine_that_panics_is_found_with_its_words() {
    let found = Check::new(Brittle::default, number).run().unwrap_err();
    assert!(matches!(found, Finding::Fails { .. }), "{found}");
    assert!(found.to_string().contains("more than I can bear"), "{found}");
}

/// Sound until it was told more than a lone test tells it: only a cluster shows it.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Late {
    terms: HashSet<u64>,
}

impl StateMachine for Late {
    type Command = u64;
    type Response = Vec<u64>;

    fn apply(&mut self, _: u64, at: At) -> Vec<u64> {
        // Its own terms are all there is in the beginning.
        self.terms.insert(at.term.0);
        if self.terms.len() > 2 { self.terms.iter().copied().collect() } else { Vec::new() }
    }
}

#[test]
fn what_only_a_cluster_shows_is_found_with_its_seed() {
    let check = Check::new(Late::default, number);
    let found = check.run().unwrap_err();
    let Finding::InCluster { seed, failure } = found else { panic!("{found}") };
    assert_eq!(failure.judge, "state_machine_safety", "{failure}");
    let mut lines = 0;
    check.trace(seed, |_| lines += 1);
    assert!(lines > 100);
}
