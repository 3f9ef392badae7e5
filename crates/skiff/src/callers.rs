//! Who waits for an answer. Calls are numbered in the order they come and mostly answered in that
//! order, so they stand in a queue.

use std::collections::{BTreeMap, VecDeque};

use skiff_replica::{StateMachine, Token};

use crate::inbox::{CommandReply, OrderReply, ReadReply, SessionReply};

/// So many places of callers that are gone may stay in the queue.
const IDLE: usize = 1024;

/// Someone who waits.
pub(crate) enum Caller<M: StateMachine> {
    Command(CommandReply<M>),
    Session(SessionReply),
    Read(ReadReply),
    Order(OrderReply),
}

pub(crate) struct Callers<M: StateMachine> {
    /// The number of the first in the queue.
    first: u64,
    queue: VecDeque<Option<Caller<M>>>,
    /// Those before the first that wait so long that the queue would grow behind them.
    stragglers: BTreeMap<u64, Caller<M>>,
    /// How many wait in the queue.
    waiting: usize,
}

impl<M: StateMachine> Callers<M> {
    pub(crate) const fn new() -> Self {
        Self { first: 1, queue: VecDeque::new(), stragglers: BTreeMap::new(), waiting: 0 }
    }

    /// Puts a caller at the end and numbers it.
    pub(crate) fn enter(&mut self, caller: Caller<M>) -> Token {
        self.queue.push_back(Some(caller));
        self.waiting += 1;
        Token(self.first + self.queue.len() as u64 - 1)
    }

    /// Takes a caller out, if it still waits.
    pub(crate) fn leave(&mut self, token: Token) -> Option<Caller<M>> {
        let Some(place) = token.0.checked_sub(self.first) else {
            return self.stragglers.remove(&token.0);
        };
        let caller = self.queue.get_mut(usize::try_from(place).ok()?)?.take()?;
        self.waiting -= 1;
        while self.queue.front().is_some_and(Option::is_none)
            || self.queue.len() > IDLE + 4 * self.waiting
        {
            self.pass_front();
        }
        Some(caller)
    }

    /// Takes the front out of the queue, but not out of those who wait.
    fn pass_front(&mut self) {
        if let Some(Some(caller)) = self.queue.pop_front() {
            self.waiting -= 1;
            self.stragglers.insert(self.first, caller);
        }
        self.first += 1;
    }
}

#[cfg(test)]
mod tests {
    use skiff_replica::KeepsNothing;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn one_that_waits_long_does_not_keep_the_places_of_others() {
        let mut callers = Callers::<KeepsNothing>::new();
        let enter = |callers: &mut Callers<KeepsNothing>| {
            let (reply, answer) = oneshot::channel();
            (callers.enter(Caller::Read(reply)), answer)
        };
        let (long, mut answer) = enter(&mut callers);
        assert_eq!(long, Token(1));
        for number in 2..100_000 {
            let (token, _answer) = enter(&mut callers);
            assert_eq!(token, Token(number));
            assert!(callers.leave(token).is_some());
            assert!(callers.leave(token).is_none());
        }
        assert!(callers.queue.len() <= 2 * IDLE, "{} places are kept", callers.queue.len());
        let Some(Caller::Read(reply)) = callers.leave(long) else { panic!("it still waits") };
        assert!(callers.leave(long).is_none());
        assert!(reply.send(Ok(())).is_ok());
        assert_eq!(answer.try_recv(), Ok(Ok(())));
        let (token, _answer) = enter(&mut callers);
        assert_eq!(token, Token(100_000));
    }
}
