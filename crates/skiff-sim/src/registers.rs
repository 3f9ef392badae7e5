//! The workload of the library itself: a few registers that are written, compared and read.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use skiff_replica::{At, Raw, StateMachine};

use crate::{
    random::stream,
    workload::{Operation, Workload},
};

/// How many registers there are.
const KEYS: u8 = 6;

/// The registers: numbers by key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cells {
    cells: BTreeMap<u8, u64>,
    /// How many commands were applied: what a lost or doubled one changes for good.
    count: u64,
}

/// What is done to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Put(u64),
    Add(u64),
    /// Only if the number there is even.
    ReplaceEven(u64),
}

/// Registers that are written, added to, swapped and read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers;

impl Act {
    /// The key and the act of a command's number.
    fn of(seed: u64) -> (u8, Self) {
        let random = &mut stream(seed, 20);
        let key = random.u8(0..KEYS);
        let act = match random.u32(0..10) {
            0..6 => Self::Put(random.u64(1..1 << 40)),
            6..8 => Self::Add(random.u64(1..100)),
            _ => Self::ReplaceEven(random.u64(1..1 << 40)),
        };
        (key, act)
    }
}

impl Act {
    const fn after(self, before: u64) -> u64 {
        match self {
            Self::Put(value) => value,
            Self::Add(by) => before.wrapping_add(by),
            Self::ReplaceEven(value) if before.is_multiple_of(2) => value,
            Self::ReplaceEven(_) => before,
        }
    }
}

impl StateMachine for Cells {
    type Command = Raw;
    type Response = Raw;

    fn apply(&mut self, command: Raw, _: At) -> Raw {
        self.count += 1;
        let Some(seed) = command.0.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)) else {
            return Raw::from("not a command");
        };
        let (key, act) = Act::of(seed);
        let before = self.cells.get(&key).copied().unwrap_or_default();
        self.cells.insert(key, act.after(before));
        let mut response = BytesMut::with_capacity(16);
        response.put_u64_le(before);
        response.put_u64_le(self.count);
        Raw(response.freeze())
    }
}

impl Workload for Registers {
    type Machine = Cells;

    fn machine(&self) -> Cells {
        Cells::default()
    }

    fn command(&self, seed: u64) -> Bytes {
        Bytes::copy_from_slice(&seed.to_le_bytes())
    }

    fn read(&self, seed: u64, machine: &Cells) -> Bytes {
        let key = read_key(seed);
        let value = machine.cells.get(&key).copied().unwrap_or_default();
        Bytes::copy_from_slice(&value.to_le_bytes())
    }

    fn judge(&self, history: &[Operation]) -> Result<(), String> {
        let _ = history;
        Ok(())
    }
}

/// The key that a read of this number looks at.
fn read_key(seed: u64) -> u8 {
    stream(seed, 21).u8(0..KEYS)
}
