//! The judge against the slow ones, on thousands of histories.

use std::fmt::Debug;

use fastrand::Rng;
use skiff_sim::linearizability::{Model, Observed, Register, Verdict, check};

use super::{
    make::{Kind, disturb, history, other_told, registers},
    models::{Ask, Blunt, Got, Queue},
    said::Seen,
    slow::{by_all_orders, by_trying, fits},
};

/// How many histories were of each kind.
#[derive(Debug, Default)]
struct Count {
    good: u32,
    bad: u32,
}

impl Count {
    fn add(&mut self, good: bool) {
        *if good { &mut self.good } else { &mut self.bad } += 1;
    }

    #[track_caller]
    fn assert_both(&self, at_least: u32) {
        assert!(self.good >= at_least && self.bad >= at_least, "{self:?}");
    }
}

fn kind_of(random: &mut Rng, ops: usize) -> Kind {
    Kind {
        clients: random.u64(2..=4),
        ops,
        keys: 1,
        values: random.u64(2..=4),
        unknown: *random.choice(&[0, 20, 50, 70]).unwrap(),
        reads: *random.choice(&[30, 50, 70]).unwrap(),
        writes: *random.choice(&[0, 40, 80, 100]).unwrap(),
    }
}

fn maybe_wrong(random: &mut Rng, ops: usize) -> Vec<Seen> {
    let kind = kind_of(random, ops);
    let mut history = registers(random, kind);
    for _ in 0..random.usize(0..=6) {
        if history.len() > 1 {
            disturb(random, &mut history, |random, told| other_told(random, kind.values, told));
        }
    }
    history
}

/// The history as it was known right after an operation was answered.
fn cut<Op: Clone, Ret: Clone>(
    history: &[Observed<Op, Ret>],
    end: (u64, usize),
) -> Vec<(usize, Observed<Op, Ret>)> {
    let begun = history.iter().cloned().enumerate().filter(|(_, seen)| seen.invoked <= end.0);
    let known = begun.map(|(place, mut seen)| {
        seen.returned = seen.returned.filter(|(at, _)| (*at, place) <= end);
        (place, seen)
    });
    known.collect()
}

/// A violation must name the first answer that has no explanation, and an order until then that fits.
fn check_violation<M: Model>(
    model: &M,
    history: &[Observed<M::Op, M::Ret>],
    verdict: &Verdict<M::Key>,
    slow: impl Fn(&[Observed<M::Op, M::Ret>]) -> bool,
) where
    M::Op: Clone,
    M::Ret: Clone,
{
    let Verdict::Violation(violation) = verdict else { panic!("{verdict}") };
    let (at, _) = history[violation.culprit].returned.as_ref().unwrap();
    let until = cut(history, (*at, violation.culprit));
    let seen: Vec<_> = until.iter().map(|(_, seen)| seen.clone()).collect();
    assert!(!slow(&seen), "there is an order with the culprit\n{violation}");

    let mut before = until;
    for (place, seen) in &mut before {
        if *place == violation.culprit {
            seen.returned = None;
        }
    }
    let place_of = |op: &usize| before.iter().position(|(place, _)| place == op).unwrap();
    let order: Vec<usize> = violation.order.iter().map(place_of).collect();
    let answered =
        before.iter().filter(|(_, seen)| seen.returned.is_some()).map(|(place, _)| place);
    for op in answered {
        assert!(violation.order.contains(op), "#{op} is not in the order\n{violation}");
    }
    for (place, _) in &before {
        let (placed, unplaced) =
            (violation.order.contains(place), violation.unplaced.contains(place));
        assert!(placed != unplaced || *place == violation.culprit, "#{place}\n{violation}");
    }
    let seen: Vec<_> = before.into_iter().map(|(_, seen)| seen).collect();
    assert!(fits(model, &seen, &order), "the order does not fit\n{violation}");
}

/// Compares the verdict with the truth.
fn compare<M: Model>(
    model: &M,
    seed: u64,
    history: &[Observed<M::Op, M::Ret>],
    slow: impl Fn(&[Observed<M::Op, M::Ret>]) -> bool,
) -> bool
where
    M::Op: Clone,
    M::Ret: Clone,
{
    let truth = slow(history);
    let verdict = check(model, history);
    assert_eq!(
        (verdict.is_linearizable(), verdict.is_violation()),
        (truth, !truth),
        "seed {seed}: {history:#?}\n{verdict}"
    );
    if !truth {
        check_violation(model, history, &verdict, slow);
    }
    truth
}

#[test]
fn same_verdict_as_all_orders_on_tiny_histories() {
    let mut count = Count::default();
    for seed in 0..6_000 {
        let random = &mut Rng::with_seed(seed);
        let ops = random.usize(2..=6);
        let history = maybe_wrong(random, ops);
        let slow = |history: &[Seen]| by_all_orders(&Register, history);
        count.add(compare(&Register, seed, &history, slow));
    }
    count.assert_both(1_500);
}

#[test]
fn same_verdict_as_plain_search_on_small_histories() {
    let mut count = Count::default();
    for seed in 0..6_000 {
        let random = &mut Rng::with_seed(seed);
        let ops = random.usize(7..=10);
        let history = maybe_wrong(random, ops);
        let slow = |history: &[Seen]| by_trying(&Register, history);
        count.add(compare(&Register, seed, &history, slow));
    }
    count.assert_both(1_500);
}

/// Whether the slow ways agree with each other.
#[test]
fn plain_search_agrees_with_all_orders() {
    let mut count = Count::default();
    for seed in 0..3_000 {
        let random = &mut Rng::with_seed(seed);
        let ops = random.usize(2..=6);
        let history = maybe_wrong(random, ops);
        let truth = by_all_orders(&Register, &history);
        assert_eq!(truth, by_trying(&Register, &history), "seed {seed}");
        count.add(truth);
    }
    count.assert_both(750);
}

#[test]
fn same_verdict_whatever_the_model_promises() {
    let mut count = Count::default();
    for seed in 0..8_000 {
        let random = &mut Rng::with_seed(seed);
        let ops = random.usize(2..=9);
        let history = maybe_wrong(random, ops);
        let model = Blunt { needs: seed & 1 != 0, leaves: seed & 2 != 0, leads: seed & 4 != 0 };
        let slow = |history: &[Seen]| by_trying(&model, history);
        count.add(compare(&model, seed, &history, slow));
    }
    count.assert_both(2_000);
}

#[test]
fn same_verdict_on_queues() {
    let mut count = Count::default();
    for seed in 0..6_000 {
        let random = &mut Rng::with_seed(seed);
        let history = queue_history(random);
        let slow = |history: &[_]| by_trying(&Queue, history);
        count.add(compare(&Queue, seed, &history, slow));
    }
    count.assert_both(1_000);
}

fn queue_history(random: &mut Rng) -> Vec<Observed<Ask, Got>> {
    let ask = |random: &mut Rng| match random.u32(0..5) {
        0..3 => Ask::Push(random.u8(0..3)),
        3 => Ask::Take,
        _ => Ask::Length,
    };
    let ops = (0..random.usize(2..=9)).map(|_| ask(random)).collect();
    let unknown = *random.choice(&[0, 20, 50]).unwrap();
    let mut state = Queue.init(&());
    let mut history = history(random, 3, ops, unknown, |ask| {
        let got = match ask {
            Ask::Push(_) => Got::Pushed(state.len() < 3),
            // From an empty queue it gets what is not there.
            Ask::Take => Got::Item(state.front().copied().unwrap_or(9)),
            Ask::Length => Got::Length(state.len()),
        };
        state = Queue.step(&state, ask, Some(&got)).unwrap_or_else(|| state.clone());
        got
    });
    // Nobody can have been told what is not there: those are still waiting.
    for seen in &mut history {
        seen.returned = seen.returned.take_if(|(_, got)| *got != Got::Item(9));
    }
    if random.bool() {
        disturb(random, &mut history, |random, got| match got {
            Got::Pushed(done) => Got::Pushed(!done),
            Got::Item(_) => Got::Item(random.u8(0..3)),
            Got::Length(_) => Got::Length(random.usize(0..=3)),
        });
    }
    history
}
