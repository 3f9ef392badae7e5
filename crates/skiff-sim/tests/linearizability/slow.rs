//! Two ways to decide that are slow and plain.

use skiff_sim::linearizability::{Model, Observed};

/// Tries every choice of the operations of unknown outcome, in every order.
pub(crate) fn by_all_orders<M: Model>(model: &M, history: &[Observed<M::Op, M::Ret>]) -> bool {
    let unknown: Vec<usize> =
        (0..history.len()).filter(|op| history[*op].returned.is_none()).collect();
    (0_u32..1 << unknown.len()).any(|choice| {
        let is_in = |op: &usize| {
            unknown.iter().position(|one| one == op).is_none_or(|bit| choice >> bit & 1 == 1)
        };
        let mut order: Vec<usize> = (0..history.len()).filter(is_in).collect();
        loop {
            if fits(model, history, &order) {
                return true;
            }
            if !next_order(&mut order) {
                return false;
            }
        }
    })
}

/// The next order of different numbers, as in a dictionary.
fn next_order(order: &mut [usize]) -> bool {
    let Some(pivot) = (1..order.len()).rev().find(|at| order[at - 1] < order[*at]) else {
        return false;
    };
    let last = (pivot..order.len()).rev().find(|at| order[*at] > order[pivot - 1]).unwrap();
    order.swap(pivot - 1, last);
    order[pivot..].reverse();
    true
}

/// Whether operations on one key, in this order, respect time and give the answers that were given.
pub(crate) fn fits<M: Model>(
    model: &M,
    history: &[Observed<M::Op, M::Ret>],
    order: &[usize],
) -> bool {
    let Some(first) = history.first() else { return true };
    let mut state = model.init(&model.key(&first.op));
    let mut begun = 0;
    for op in order.iter().map(|op| &history[*op]) {
        // Something that stands before it was asked for after it was answered.
        if op.returned.as_ref().is_some_and(|(at, _)| *at < begun) {
            return false;
        }
        begun = begun.max(op.invoked);
        let ret = op.returned.as_ref().map(|(_, ret)| ret);
        let Some(after) = model.step(&state, &op.op, ret) else { return false };
        state = after;
    }
    true
}

/// Extends an order one by one by whatever fits, and remembers nothing: for somewhat longer histories.
pub(crate) fn by_trying<M: Model>(model: &M, history: &[Observed<M::Op, M::Ret>]) -> bool {
    let Some(first) = history.first() else { return true };
    let state = model.init(&model.key(&first.op));
    extend(model, history, &mut vec![false; history.len()], &state)
}

fn extend<M: Model>(
    model: &M,
    history: &[Observed<M::Op, M::Ret>],
    placed: &mut [bool],
    state: &M::State,
) -> bool {
    let left =
        || history.iter().zip(&*placed).filter(|(_, placed)| !**placed).map(|(seen, _)| seen);
    let ends = left().filter_map(|seen| seen.returned.as_ref().map(|(at, _)| *at));
    let Some(end) = ends.min() else { return true };
    (0..history.len()).any(|op| {
        let seen = &history[op];
        if placed[op] || seen.invoked > end {
            return false;
        }
        let ret = seen.returned.as_ref().map(|(_, ret)| ret);
        let Some(after) = model.step(state, &seen.op, ret) else { return false };
        placed[op] = true;
        let found = extend(model, history, placed, &after);
        placed[op] = false;
        found
    })
}
