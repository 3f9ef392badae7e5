//! What the search rests on: that states taken for the same have the same future.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bounds, UNLIMITED, member::Setup, memo::Memo, state::State};

/// The numbers of all states that one step leads to.
fn next(state: &State, setup: &Setup, memo: &mut Memo) -> (BTreeSet<u64>, Vec<State>) {
    let states: Vec<State> = state
        .steps(&setup.bounds)
        .into_iter()
        .filter_map(|step| state.take(step, setup, memo).unwrap())
        .collect();
    (states.iter().map(State::print).collect(), states)
}

/// Looks at so many states of these bounds, and compares what each can lead to with what all others
/// that have its number can lead to. How many were compared.
fn compare(bounds: Bounds, states_max: usize) -> usize {
    let (setup, mut memo) = (Setup::new(bounds), Memo::default());
    let mut known: BTreeMap<u64, (BTreeSet<u64>, State)> = BTreeMap::new();
    let mut compared = 0;
    let mut level = vec![State::first(&setup).unwrap()];
    while !level.is_empty() && known.len() < states_max {
        let mut deeper = Vec::new();
        for state in level {
            let (prints, states) = next(&state, &setup, &mut memo);
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

#[test]
fn one_number_has_one_future_in_elections() {
    let bounds = Bounds { max_term: 3, max_crashes: 1, max_slow_writes: 1, ..Bounds::calm() };
    assert!(compare(bounds, 20_000) > 1_000);
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
    assert!(compare(bounds, 20_000) > 1_000);
}

#[test]
fn one_number_has_one_future_with_slow_disks() {
    let bounds =
        Bounds { max_term: 2, max_slow_writes: UNLIMITED, max_crashes: 1, ..Bounds::calm() };
    assert!(compare(bounds, 20_000) > 1_000);
}

#[test]
fn one_number_has_one_future_with_all_rules() {
    let options = skiff_replica::core::Options::default();
    let bounds = Bounds {
        options,
        max_term: 2,
        max_timeouts: 4,
        max_commands: 1,
        max_heartbeats: 1,
        ..Bounds::calm()
    };
    assert!(compare(bounds, 20_000) > 1_000);
}
