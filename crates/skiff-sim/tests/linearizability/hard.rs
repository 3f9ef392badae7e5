//! Histories as long as a simulation makes them, and such as cannot be judged.

use fastrand::Rng;
use skiff_sim::linearizability::{Act, Observed, Register, Told, Verdict, check, check_within};

use super::{
    make::{Kind, registers},
    said::{add, lost_add, on, read, read_nothing, write},
};

/// Two thousand operations of twenty clients on eight keys.
const LONG: Kind =
    Kind { clients: 20, ops: 2_000, keys: 8, values: 1 << 40, unknown: 10, reads: 50, writes: 70 };

#[test]
fn long_histories_of_true_registers_are_linearizable() {
    for seed in 0..30 {
        let history = registers(&mut Rng::with_seed(seed), LONG);
        let verdict = check(&Register, &history);
        assert!(verdict.is_linearizable(), "seed {seed}: {verdict}");
    }
}

#[test]
fn one_stale_read_in_a_long_history_is_found() {
    let mut found = 0;
    for seed in 0..30 {
        let random = &mut Rng::with_seed(seed);
        let mut history = registers(random, LONG);
        // A read is told what one long before it was told.
        let mut reads: Vec<_> = (0..history.len())
            .filter(|op| history[*op].op == (1, Act::Read) && history[*op].returned.is_some())
            .collect();
        reads.sort_by_key(|op| history[*op].invoked);
        let (old, new) = (reads[reads.len() / 4], reads[reads.len() * 3 / 4]);
        let told = history[old].returned.as_ref().unwrap().1;
        history[new].returned.as_mut().unwrap().1 = told;
        let verdict = check(&Register, &history);
        let Verdict::Violation(violation) = verdict else { panic!("seed {seed}: {verdict}") };
        assert_eq!(violation.key, 1, "seed {seed}");
        found += u32::from(violation.culprit == new);
    }
    // Now and then another answer shows it first.
    assert!(found >= 20, "{found}");
}

/// Even numbers have no odd sum, but to know that all of them would have to be tried.
fn too_hard() -> Vec<Observed<(u64, Act), Told>> {
    let numbers = (0..40).map(|number| lost_add(1_000 + 2 * number, 0));
    numbers.chain([read(20_001, 10, 20)]).collect()
}

#[test]
fn what_is_too_hard_does_not_pass() {
    let verdict = check_within(&Register, &too_hard(), 1_000);
    assert_eq!(verdict, Verdict::TooHard { key: 1, states: 1_000 });
    assert!(!verdict.is_linearizable() && !verdict.is_violation());
    assert_eq!(verdict.to_string(), "key 1 is too hard to judge: 1000 states were not enough");
}

#[test]
fn a_violation_is_told_though_another_key_is_too_hard() {
    let mut history = too_hard();
    history.extend([on(2, write(1, 0, 10)), on(2, read_nothing(20, 30))]);
    let verdict = check_within(&Register, &history, 1_000);
    let Verdict::Violation(violation) = verdict else { panic!("{verdict}") };
    assert_eq!(violation.key, 2);
}

#[test]
fn a_good_key_does_not_hide_one_that_is_too_hard() {
    let mut history = too_hard();
    history.extend([on(0, write(1, 0, 10)), on(2, read_nothing(20, 30))]);
    let verdict = check_within(&Register, &history, 1_000);
    assert_eq!(verdict, Verdict::TooHard { key: 1, states: 1_000 });
}

/// Without rule 3 of the search there would be two to the power of forty ways.
#[test]
fn many_equal_unknown_operations_are_not_hard() {
    let mut history: Vec<_> = (0..40).map(|_| lost_add(1, 0)).collect();
    history.extend([add(1, 21, 10, 20), read(21, 30, 40)]);
    assert!(check_within(&Register, &history, 100).is_linearizable());
    history.push(read(42, 50, 60));
    assert!(check_within(&Register, &history, 100).is_violation());
}

/// Without rules 1 and 5 there would be twenty factorial orders.
#[test]
fn many_writes_at_once_are_not_hard() {
    let mut history: Vec<_> = (0..20).map(|value| write(value, 0, 100)).collect();
    history.push(read(7, 110, 120));
    assert!(check_within(&Register, &history, 100).is_linearizable());
    history.push(read(8, 130, 140));
    assert!(check_within(&Register, &history, 100).is_violation());
}

#[test]
fn the_same_history_gives_the_same_verdict_word_for_word() {
    let mut history = registers(&mut Rng::with_seed(3), LONG);
    history.push(on(5, read(1, 0, 1)));
    assert_eq!(check(&Register, &history), check(&Register, &history));
    assert!(check(&Register, &history).is_violation());
}
