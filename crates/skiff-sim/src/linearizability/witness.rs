//! Judging a history with an order at hand: no search, only a look.

use std::collections::BTreeMap;

use super::model::{Model, Observed};

/// Whether these operations, in this order, show that a history is linearizable: each answer is what
/// the model gives at its place, and none comes after one that was asked for only after it was
/// answered. All answered operations of the history must be among them; those of unknown outcome may
/// be left out. `false` says only that this order shows nothing.
pub fn is_witness<'h, M: Model>(
    model: &M,
    order: impl IntoIterator<Item = &'h Observed<M::Op, M::Ret>>,
) -> bool
where
    M::Op: 'h,
    M::Ret: 'h,
{
    let mut states = BTreeMap::new();
    let mut asked_latest = 0;
    order.into_iter().all(|one| {
        let key = model.key(&one.op);
        let state = states.entry(key).or_insert_with_key(|key| model.init(key));
        let after = model.step(state, &one.op, one.returned.as_ref().map(|(_, ret)| ret));
        let in_time = one.returned.as_ref().is_none_or(|(at, _)| *at >= asked_latest);
        asked_latest = asked_latest.max(one.invoked);
        match after {
            Some(after) => {
                *state = after;
                in_time
            }
            None => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linearizability::{Act, Register, Told};

    #[test]
    fn an_order_shows_it_or_not() {
        let write = Observed::answered((0, Act::Write(1)), 0, 10, Told::Written);
        let read = Observed::answered((0, Act::Read), 5, 7, Told::Value(Some(1)));
        let early = Observed::answered((0, Act::Read), 1, 2, Told::Value(None));
        let late = Observed::answered((0, Act::Read), 20, 21, Told::Value(None));
        assert!(is_witness(&Register, [&early, &write, &read]));
        assert!(!is_witness(&Register, [&early, &read, &write]), "read before it was written");
        assert!(!is_witness(&Register, [&late, &write]), "asked for after the write was answered");
        assert!(!is_witness(&Register, [&write, &early]), "answered what was not there any more");
    }

    #[test]
    fn time_counts_across_keys_too() {
        let first = Observed::answered((0, Act::Write(1)), 0, 10, Told::Written);
        let second = Observed::answered((1, Act::Write(1)), 11, 12, Told::Written);
        assert!(is_witness(&Register, [&first, &second]));
        assert!(!is_witness(&Register, [&second, &first]));
    }
}
