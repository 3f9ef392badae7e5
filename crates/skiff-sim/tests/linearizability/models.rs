//! Models to judge with.

use std::collections::VecDeque;

use skiff_sim::linearizability::{Act, Leads, Leaves, Model, Needs, Register, Told};

/// The register, which promises only some of what it could.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blunt {
    pub(crate) needs: bool,
    pub(crate) leaves: bool,
    pub(crate) leads: bool,
}

impl Model for Blunt {
    type Key = u64;
    type State = Option<u64>;
    type Op = (u64, Act);
    type Ret = Told;

    fn key(&self, op: &(u64, Act)) -> u64 {
        Register.key(op)
    }

    fn init(&self, key: &u64) -> Option<u64> {
        Register.init(key)
    }

    fn step(
        &self,
        state: &Option<u64>,
        op: &(u64, Act),
        told: Option<&Told>,
    ) -> Option<Option<u64>> {
        Register.step(state, op, told)
    }

    fn needs(&self, op: &(u64, Act), told: Option<&Told>) -> Needs<Option<u64>> {
        if self.needs { Register.needs(op, told) } else { Needs::Something }
    }

    fn leaves(&self, op: &(u64, Act), told: Option<&Told>) -> Leaves<Option<u64>> {
        if self.leaves { Register.leaves(op, told) } else { Leaves::Something }
    }

    fn leads<'a>(&'a self, through: &[&'a (u64, Act)]) -> Leads<'a, Option<u64>> {
        if self.leads && self.leaves { Register.leads(through) } else { Box::new(|_, _| true) }
    }
}

/// A queue that holds few items: what it answers depends on much more than what came last.
#[derive(Debug)]
pub(crate) struct Queue;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Push(u8),
    /// Takes the first. Cannot be done to an empty queue, and waits until it is not.
    Take,
    Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Pushed(bool),
    Item(u8),
    Length(usize),
}

const ROOM: usize = 3;

impl Model for Queue {
    type Key = ();
    type State = VecDeque<u8>;
    type Op = Ask;
    type Ret = Got;

    fn key(&self, _: &Ask) {}

    fn init(&self, (): &()) -> VecDeque<u8> {
        VecDeque::new()
    }

    fn step(&self, state: &VecDeque<u8>, ask: &Ask, got: Option<&Got>) -> Option<VecDeque<u8>> {
        let mut after = state.clone();
        let answer = match ask {
            Ask::Push(_) if state.len() == ROOM => Got::Pushed(false),
            Ask::Push(item) => {
                after.push_back(*item);
                Got::Pushed(true)
            }
            Ask::Take => Got::Item(after.pop_front()?),
            Ask::Length => Got::Length(state.len()),
        };
        got.is_none_or(|got| *got == answer).then_some(after)
    }
}
