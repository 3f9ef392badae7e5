//! The workload of the library itself: a few registers that are written, compared and read.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use skiff_replica::{At, Raw, StateMachine};

use crate::{
    linearizability::{self, Act, Observed, Register, Told, Verdict},
    random::stream,
    workload::{Operation, Workload},
};

/// How many registers there are.
const KEYS: u64 = 6;

/// The registers: numbers by key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cells {
    cells: BTreeMap<u64, u64>,
    /// How many commands were applied: what a lost or doubled one changes for good.
    count: u64,
}

/// Registers that are written, added to, compared and read, and whose history is judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers;

/// The key and the act of a command's number.
fn command_of(seed: u64) -> (u64, Act) {
    let random = &mut stream(seed, 20);
    let key = random.u64(0..KEYS);
    let act = match random.u32(0..10) {
        0..4 => Act::Write(random.u64(1 << 8..1 << 40)),
        // Now and then one that is expected somewhere.
        4 | 5 => Act::Write(random.u64(0..4)),
        6 | 7 => Act::Add(random.u64(1..100)),
        8 => Act::Cas { expected: Some(random.u64(0..4)), new: random.u64(1 << 8..1 << 40) },
        _ => Act::Cas { expected: None, new: random.u64(1 << 8..1 << 40) },
    };
    (key, act)
}

/// The key that a read of this number looks at.
fn read_of(seed: u64) -> u64 {
    stream(seed, 21).u64(0..KEYS)
}

impl Cells {
    fn act(&mut self, key: u64, act: Act) -> Told {
        let before = self.cells.get(&key).copied();
        let (after, told) = match act {
            Act::Read => return Told::Value(before),
            Act::Write(value) => (value, Told::Written),
            Act::Cas { expected, new } if expected == before => (new, Told::Swapped(true)),
            Act::Cas { .. } => return Told::Swapped(false),
            Act::Add(by) => {
                let sum = before.unwrap_or_default().wrapping_add(by);
                (sum, Told::Sum(sum))
            }
        };
        self.cells.insert(key, after);
        told
    }
}

impl StateMachine for Cells {
    type Command = Raw;
    type Response = Raw;

    /// The response tells also where and when this is: all nodes must tell a machine the same.
    fn apply(&mut self, command: Raw, at: At) -> Raw {
        self.count += 1;
        let Some(seed) = command.0.first_chunk::<8>() else { return Raw::from("not a command") };
        let (key, act) = command_of(u64::from_le_bytes(*seed));
        let mut response = BytesMut::with_capacity(56);
        put(&mut response, self.act(key, act));
        for number in [self.count, at.index.0, at.term.0, at.time.0, at.random] {
            response.put_u64_le(number);
        }
        Raw(response.freeze())
    }
}

fn put(out: &mut BytesMut, told: Told) {
    let (kind, number) = match told {
        Told::Value(None) => (0, 0),
        Told::Value(Some(value)) => (1, value),
        Told::Written => (2, 0),
        Told::Swapped(done) => (3, u64::from(done)),
        Told::Sum(sum) => (4, sum),
    };
    out.put_u8(kind);
    out.put_u64_le(number);
}

fn told(answer: &Bytes) -> Option<Told> {
    let mut from = &answer[..];
    let kind = from.try_get_u8().ok()?;
    let number = from.try_get_u64_le().ok()?;
    match kind {
        0 => Some(Told::Value(None)),
        1 => Some(Told::Value(Some(number))),
        2 => Some(Told::Written),
        3 => Some(Told::Swapped(number == 1)),
        4 => Some(Told::Sum(number)),
        _ => None,
    }
}

/// An operation as the model knows it.
fn observed(operation: &Operation) -> Result<Observed<(u64, Act), Told>, String> {
    let op = if operation.read {
        (read_of(operation.seed), Act::Read)
    } else {
        command_of(operation.seed)
    };
    let returned = match (&operation.answer, operation.returned) {
        (Some(answer), Some(at)) => {
            let told =
                told(answer).ok_or_else(|| format!("{op:?} got no answer but {answer:?}"))?;
            Some((at, told))
        }
        _ => None,
    };
    Ok(Observed { op, invoked: operation.invoked, returned })
}

/// Whether the places at which the simulation saw things take effect show that all is well. If they do
/// not, the history is judged without them.
fn shows_itself(history: &[Operation], observed: &[Observed<(u64, Act), Told>]) -> bool {
    if history.iter().any(|one| one.answer.is_some() && one.place.is_none()) {
        return false;
    }
    let mut order: Vec<usize> =
        (0..history.len()).filter(|n| history[*n].place.is_some()).collect();
    order.sort_by_key(|number| (history[*number].place, history[*number].invoked));
    linearizability::is_witness(&Register, order.into_iter().map(|number| &observed[number]))
}

impl Workload for Registers {
    type Machine = Cells;

    fn machine(&self) -> Cells {
        Cells::default()
    }

    fn is_canonical(&self) -> bool {
        true
    }

    fn command(&self, seed: u64) -> Bytes {
        Bytes::copy_from_slice(&seed.to_le_bytes())
    }

    fn read(&self, seed: u64, machine: &Cells) -> Bytes {
        let mut answer = BytesMut::with_capacity(9);
        put(&mut answer, Told::Value(machine.cells.get(&read_of(seed)).copied()));
        answer.freeze()
    }

    fn judge(&self, history: &[Operation]) -> Result<(), String> {
        let observed: Vec<_> = history.iter().map(observed).collect::<Result<_, _>>()?;
        if shows_itself(history, &observed) {
            return Ok(());
        }
        match linearizability::check(&Register, &observed) {
            Verdict::Linearizable => Ok(()),
            Verdict::Violation(violation) => Err(violation.to_string()),
            Verdict::TooHard { key, states } => {
                Err(format!("the history of key {key} is not judged after {states} states"))
            }
        }
    }

    fn describe(&self, bytes: &Bytes) -> String {
        match bytes.first_chunk::<8>() {
            Some(seed) => format!("{:?}", command_of(u64::from_le_bytes(*seed))),
            None => "not a command".to_owned(),
        }
    }
}
