//! What the model of registers promises, tried out on all operations and answers of few values.

use skiff_sim::linearizability::{Act, Leaves, Model, Needs, Register, Told};

type Op = (u64, Act);

const STATES: [Option<u64>; 6] = [None, Some(0), Some(1), Some(2), Some(3), Some(4)];

/// Every operation with every answer that few values allow.
fn all() -> Vec<(Op, Option<Told>)> {
    let values = || (0..3).map(Some).chain([None]);
    let mut all = vec![(Act::Read, None)];
    for value in values() {
        all.push((Act::Read, Some(Told::Value(value))));
        for new in 0..3 {
            let act = Act::Cas { expected: value, new };
            all.extend([true, false].map(|done| (act, Some(Told::Swapped(done)))));
            all.push((act, None));
        }
    }
    for value in 0..3 {
        all.extend([Some(Told::Written), None].map(|told| (Act::Write(value), told)));
        all.extend((0..4).map(|sum| (Act::Add(value), Some(Told::Sum(sum)))));
        all.push((Act::Add(value), None));
    }
    all.into_iter().map(|(act, told)| ((0, act), told)).collect()
}

#[test]
fn what_registers_need() {
    let mut promises = 0;
    for (op, told) in all() {
        let step = |state| Register.step(&state, &op, told.as_ref());
        match Register.needs(&op, told.as_ref()) {
            Needs::Nothing => {
                promises += 1;
                let first = step(None);
                assert!(first.is_some(), "{op:?} {told:?}");
                assert!(STATES.iter().all(|state| step(*state) == first), "{op:?} {told:?}");
            }
            Needs::Exactly(needed) => {
                promises += 1;
                for state in STATES.into_iter().filter(|state| *state != needed) {
                    let expected = told.is_none().then_some(state);
                    assert_eq!(step(state), expected, "{op:?} {told:?} {state:?}");
                }
            }
            Needs::Something => {}
        }
    }
    assert!(promises > 30, "{promises}");
}

#[test]
fn what_registers_leave() {
    let mut promises = 0;
    for (op, told) in all() {
        let leaves = Register.leaves(&op, told.as_ref());
        promises += u32::from(leaves != Leaves::Something);
        for state in STATES {
            let Some(after) = Register.step(&state, &op, told.as_ref()) else { continue };
            match leaves {
                Leaves::AsItWas => assert_eq!(after, state, "{op:?} {told:?}"),
                Leaves::Exactly(left) => {
                    let is_idle = told.is_none() && after == state;
                    assert!(is_idle || after == left, "{op:?} {told:?} {state:?} {after:?}");
                }
                Leaves::Something => {}
            }
        }
    }
    assert!(promises > 30, "{promises}");
}

#[test]
fn where_additions_lead() {
    let numbers = [0, 1, 4, u64::MAX - 2];
    for choice in 0_usize..16 {
        let chosen = (0..4).filter(|bit| choice >> bit & 1 == 1).map(|bit| numbers[bit]);
        let ops: Vec<Op> = chosen.map(|number| (0, Act::Add(number))).collect();
        let through: Vec<&Op> = ops.iter().collect();
        let leads = Register.leads(&through);
        for from in STATES {
            for part in 0_usize..1 << ops.len() {
                let some = (0..ops.len()).filter(|bit| part >> bit & 1 == 1);
                let to =
                    some.fold(from, |state, bit| Register.step(&state, &ops[bit], None).unwrap());
                assert!(to == from || leads(&from, &to), "{from:?} {ops:?} {to:?}");
            }
        }
    }
    let op = (0, Act::Add(5));
    let leads = Register.leads(&[&op]);
    assert!(!leads(&Some(1), &Some(7)) && !leads(&Some(1), &Some(0)) && !leads(&Some(1), &None));
}
