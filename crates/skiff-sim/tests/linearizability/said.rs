//! Short words for what clients saw of register 1.

use skiff_sim::linearizability::{Act, Observed, Register, Told, check};

pub(crate) type Seen = Observed<(u64, Act), Told>;

pub(crate) fn read(value: u64, from: u64, to: u64) -> Seen {
    Observed::answered((1, Act::Read), from, to, Told::Value(Some(value)))
}

pub(crate) fn read_nothing(from: u64, to: u64) -> Seen {
    Observed::answered((1, Act::Read), from, to, Told::Value(None))
}

pub(crate) fn lost_read(from: u64) -> Seen {
    Observed::unknown((1, Act::Read), from)
}

pub(crate) fn write(value: u64, from: u64, to: u64) -> Seen {
    Observed::answered((1, Act::Write(value)), from, to, Told::Written)
}

pub(crate) fn lost_write(value: u64, from: u64) -> Seen {
    Observed::unknown((1, Act::Write(value)), from)
}

pub(crate) fn cas(expected: u64, new: u64, done: bool, from: u64, to: u64) -> Seen {
    let act = Act::Cas { expected: Some(expected), new };
    Observed::answered((1, act), from, to, Told::Swapped(done))
}

pub(crate) fn create(new: u64, done: bool, from: u64, to: u64) -> Seen {
    let act = Act::Cas { expected: None, new };
    Observed::answered((1, act), from, to, Told::Swapped(done))
}

pub(crate) fn lost_cas(expected: u64, new: u64, from: u64) -> Seen {
    Observed::unknown((1, Act::Cas { expected: Some(expected), new }), from)
}

pub(crate) fn add(number: u64, sum: u64, from: u64, to: u64) -> Seen {
    Observed::answered((1, Act::Add(number)), from, to, Told::Sum(sum))
}

pub(crate) fn lost_add(number: u64, from: u64) -> Seen {
    Observed::unknown((1, Act::Add(number)), from)
}

/// The same on another key.
pub(crate) fn on(key: u64, mut seen: Seen) -> Seen {
    seen.op.0 = key;
    seen
}

#[track_caller]
pub(crate) fn assert_good(history: &[Seen]) {
    let verdict = check(&Register, history);
    assert!(verdict.is_linearizable(), "{verdict}");
}

/// The verdict must be that the answer of the operation at this place cannot be explained.
#[track_caller]
pub(crate) fn assert_bad(culprit: usize, history: &[Seen]) {
    let verdict = check(&Register, history);
    let skiff_sim::linearizability::Verdict::Violation(violation) = &verdict else {
        panic!("{verdict}");
    };
    assert_eq!(violation.culprit, culprit, "{violation}");
}
