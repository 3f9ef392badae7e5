//! Who waits for an answer. Calls are numbered in the order they come and mostly answered in that
//! order, so they stand in a queue.

use std::collections::VecDeque;

use skiff_replica::{StateMachine, Token};

use crate::inbox::{CommandReply, ReadReply};

/// Someone who waits.
pub(crate) enum Caller<M: StateMachine> {
    Command(CommandReply<M>),
    Read(ReadReply),
}

pub(crate) struct Callers<M: StateMachine> {
    /// The number of the first in the queue.
    first: u64,
    waiting: VecDeque<Option<Caller<M>>>,
}

impl<M: StateMachine> Callers<M> {
    pub(crate) const fn new() -> Self {
        Self { first: 1, waiting: VecDeque::new() }
    }

    /// Puts a caller at the end and numbers it.
    pub(crate) fn enter(&mut self, caller: Caller<M>) -> Token {
        self.waiting.push_back(Some(caller));
        Token(self.first + self.waiting.len() as u64 - 1)
    }

    /// Takes a caller out, if it still waits.
    pub(crate) fn leave(&mut self, token: Token) -> Option<Caller<M>> {
        let place = usize::try_from(token.0.checked_sub(self.first)?).ok()?;
        let caller = self.waiting.get_mut(place)?.take();
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.first += 1;
        }
        caller
    }
}
