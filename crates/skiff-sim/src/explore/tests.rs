//! What the search rests on: that states taken for the same have the same future.

use std::collections::{BTreeMap, BTreeSet};

use skiff_replica::core::Options;

use super::{Bounds, UNLIMITED, member::Setup, memo::Memo, state::State};

/// So many states are compared. More have been, by hand: tens of times as many.
const STATES: usize = 3_000;

/// The numbers of all states that one step leads to. With nothing remembered: what was remembered would
/// be found by the number of a node, and so be the same for all that have it.
fn next(state: &State, setup: &Setup) -> (BTreeSet<u64>, Vec<State>) {
    let states: Vec<State> = state
        .steps(&setup.bounds)
        .into_iter()
        .filter_map(|step| state.take(step, setup, &mut Memo::default()).unwrap())
        .collect();
    (states.iter().map(State::print).collect(), states)
}

/// Looks at so many states of these bounds, and compares what each can lead to with what all others
/// that have its number can lead to. How many were compared.
fn compare(bounds: Bounds, states_max: usize) -> usize {
    let setup = Setup::new(bounds);
    let mut known: BTreeMap<u64, (BTreeSet<u64>, State)> = BTreeMap::new();
    let mut compared = 0;
    let mut level = vec![State::first(&setup).unwrap()];
    while !level.is_empty() && known.len() < states_max {
        let mut deeper = Vec::new();
        for state in level {
            let (prints, states) = next(&state, &setup);
            match known.get(&state.print()) {
                Some(others) => {
                    compared += 1;
                    assert_eq!(prints, others.0, "{state:#?} {:#?}", others.1);
                }
                None => {
                    known.insert(state.print(), (prints, state));
                    deeper.extend(states);
                }
            }
        }
        level = deeper;
    }
    compared
}

/// Two terms, and what goes with them.
fn two_terms() -> Bounds {
    Bounds { max_term: 2, max_timeouts: 3, max_commands: 1, max_reads: 1, ..Bounds::calm() }
}

#[test]
fn one_number_has_one_future_in_elections() {
    let bounds = Bounds { max_term: 3, max_crashes: 1, max_slow_writes: 1, ..Bounds::calm() };
    assert!(compare(bounds, STATES) > 1_000);
}

#[test]
fn one_number_has_one_future_in_replication() {
    let bounds = Bounds {
        max_commands: 2,
        max_messages: 2,
        max_heartbeats: 1,
        max_duplicates: 1,
        max_disconnects: 1,
        ..Bounds::calm()
    };
    assert!(compare(bounds, STATES) > 1_000);
}

#[test]
fn one_number_has_one_future_with_slow_disks() {
    let bounds = Bounds { max_slow_writes: UNLIMITED, max_crashes: 1, ..two_terms() };
    assert!(compare(bounds, STATES) > 1_000);
}

#[test]
fn one_number_has_one_future_with_entries_one_by_one() {
    let bounds = Bounds { one_by_one: true, max_heartbeats: 2, max_messages: 2, ..two_terms() };
    assert!(compare(bounds, STATES) > 1_000);
}

#[test]
fn one_number_has_one_future_with_all_rules() {
    let options = Options::default();
    let bounds = Bounds { options, max_timeouts: 4, max_heartbeats: 1, ..two_terms() };
    assert!(compare(bounds, STATES) > 1_000);
}

#[test]
fn one_number_has_one_future_with_all_rules_and_slow_disks() {
    let options = Options::default();
    let bounds = Bounds { options, max_slow_writes: UNLIMITED, max_disconnects: 1, ..two_terms() };
    assert!(compare(bounds, STATES) > 1_000);
}
