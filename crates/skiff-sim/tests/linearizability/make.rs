//! Makes histories: of a true object, and such as are perhaps no longer of one.

use fastrand::Rng;
use skiff_sim::linearizability::{Act, Model, Observed, Register, Told};

/// What kind of histories of registers are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) clients: u64,
    pub(crate) ops: usize,
    pub(crate) keys: u64,
    /// Values are below this: the fewer, the more can be mistaken for each other.
    pub(crate) values: u64,
    /// In a hundred.
    pub(crate) unknown: u32,
    /// In a hundred: reads, and of the rest writes; half of what remains are cas, half additions.
    pub(crate) reads: u32,
    pub(crate) writes: u32,
}

/// An operation on its way, without its answer.
struct Underway<Op> {
    op: Op,
    invoked: u64,
    /// When it takes effect; `None` if never.
    effect: Option<u64>,
    returned: Option<u64>,
}

/// Gives operations to clients, each with one at a time, to take effect at some time between question
/// and answer, or, if there is no answer, at any time since or never.
fn underway<Op>(random: &mut Rng, clients: u64, ops: Vec<Op>, unknown: u32) -> Vec<Underway<Op>> {
    let clients = usize::try_from(clients).unwrap();
    let mut free = vec![0; clients];
    let end = 40 * u64::try_from(ops.len() / clients + 1).unwrap();
    let give = |op| {
        let client = random.usize(0..clients);
        let invoked = free[client] + random.u64(0..20);
        let mut effect = Some(invoked + random.u64(0..20));
        let mut returned = Some(effect.unwrap_or_default() + random.u64(0..20));
        free[client] = returned.unwrap_or_default() + 1;
        if random.u32(0..100) < unknown {
            returned = None;
            effect = match random.u32(0..3) {
                0 => None,
                1 => effect,
                _ => Some(invoked + random.u64(0..end)),
            };
        }
        Underway { op, invoked, effect, returned }
    };
    ops.into_iter().map(give).collect()
}

/// What was seen of operations if they took effect when they did. `answer` is the object.
pub(crate) fn history<Op, Ret>(
    random: &mut Rng,
    clients: u64,
    ops: Vec<Op>,
    unknown: u32,
    mut answer: impl FnMut(&Op) -> Ret,
) -> Vec<Observed<Op, Ret>> {
    let mut underway = underway(random, clients, ops, unknown);
    underway.sort_by_key(|op| op.effect.unwrap_or(u64::MAX));
    let mut seen: Vec<Observed<Op, Ret>> = underway
        .into_iter()
        .map(|one| {
            let ret = one.effect.map(|_| answer(&one.op));
            Observed { op: one.op, invoked: one.invoked, returned: one.returned.zip(ret) }
        })
        .collect();
    random.shuffle(&mut seen);
    seen
}

/// A history of registers that is linearizable.
pub(crate) fn registers(random: &mut Rng, kind: Kind) -> Vec<Observed<(u64, Act), Told>> {
    let ops = (0..kind.ops).map(|_| (random.u64(0..kind.keys), act(random, kind))).collect();
    let keys = usize::try_from(kind.keys).unwrap();
    let mut states = vec![None; keys];
    history(random, kind.clients, ops, kind.unknown, |op| {
        let state = &mut states[usize::try_from(op.0).unwrap()];
        let told = answer(*state, op.1);
        *state = Register.step(state, op, Some(&told)).unwrap();
        told
    })
}

fn act(random: &mut Rng, kind: Kind) -> Act {
    if random.u32(0..100) < kind.reads {
        Act::Read
    } else if random.u32(0..100) < kind.writes {
        Act::Write(random.u64(0..kind.values))
    } else if random.bool() {
        let expected = random.u64(0..=kind.values).checked_sub(1);
        Act::Cas { expected, new: random.u64(0..kind.values) }
    } else {
        Act::Add(random.u64(1..=kind.values.min(100)))
    }
}

fn answer(state: Option<u64>, act: Act) -> Told {
    match act {
        Act::Read => Told::Value(state),
        Act::Write(_) => Told::Written,
        Act::Cas { expected, .. } => Told::Swapped(state == expected),
        Act::Add(number) => Told::Sum(state.unwrap_or_default().wrapping_add(number)),
    }
}

/// Changes something that may or may not make a history wrong.
pub(crate) fn disturb<Op: Clone, Ret: Clone>(
    random: &mut Rng,
    history: &mut Vec<Observed<Op, Ret>>,
    mut other: impl FnMut(&mut Rng, &Ret) -> Ret,
) {
    let place = random.usize(0..history.len());
    let seen = &mut history[place];
    match (random.u32(0..8), &mut seen.returned) {
        (0..4, Some((_, ret))) => *ret = other(random, ret),
        (4, Some((at, _))) => *at = seen.invoked + random.u64(0..=*at - seen.invoked),
        (5, Some((at, _))) => seen.invoked = random.u64(seen.invoked..=*at),
        (6, _) => drop(history.remove(place)),
        (_, _) => {
            // Its question and answer come later.
            let late = random.u64(0..60);
            seen.invoked += late;
            if let Some((at, _)) = &mut seen.returned {
                *at += late;
            }
        }
    }
}

/// Another answer of a register.
pub(crate) fn other_told(random: &mut Rng, values: u64, told: &Told) -> Told {
    match told {
        Told::Value(_) => Told::Value(random.u64(0..=values).checked_sub(1)),
        Told::Written => Told::Written,
        Told::Swapped(done) => Told::Swapped(!done),
        Told::Sum(_) => Told::Sum(random.u64(0..=2 * values)),
    }
}
