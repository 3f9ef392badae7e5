//! Signals on their way to an inbox.
//!
//! They are told by whoever finds that nobody is telling, with no lock held, so that an inbox may
//! send and close as it likes; and one at a time, in the order in which they were put here.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::transport::{Inbox, Signal};

/// The signals that an inbox has yet to be told. Part of a state behind a lock.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    inbox: Option<Inbox>,
    waiting: VecDeque<Signal>,
    /// Somebody is telling, and will tell what is put here meanwhile.
    telling: bool,
    closed: bool,
}

/// A state that has signals to tell.
pub(crate) trait HasPending {
    fn pending(&mut self) -> &mut Pending;
}

impl Pending {
    pub(crate) fn listen(&mut self, to: Inbox) {
        if !self.closed {
            self.inbox = Some(to);
        }
    }

    /// To be told by [`tell`] once the lock may be released.
    pub(crate) fn put(&mut self, signal: Signal) {
        if !self.closed {
            self.waiting.push_back(signal);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// From now on nothing is told. What is left may run code of others as it is dropped: to be
    /// dropped with no lock held.
    #[must_use]
    pub(crate) fn close(&mut self) -> Leftover {
        self.closed = true;
        Leftover { _inbox: self.inbox.take(), _waiting: mem::take(&mut self.waiting) }
    }
}

/// What a closed [`Pending`] held.
#[derive(Debug)]
pub(crate) struct Leftover {
    _inbox: Option<Inbox>,
    _waiting: VecDeque<Signal>,
}

/// Locks a state. Nothing may panic with such a lock held.
pub(crate) fn lock<S>(state: &Mutex<S>) -> MutexGuard<'_, S> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells what waits, unless somebody is at it.
pub(crate) fn tell<'a, S: HasPending>(of: &'a Mutex<S>, mut state: MutexGuard<'a, S>) {
    if state.pending().telling {
        return;
    }
    while let Some(inbox) = state.pending().inbox.clone() {
        let Some(signal) = state.pending().waiting.pop_front() else { break };
        state.pending().telling = true;
        drop(state);
        let unwound = Unwound(of);
        inbox.tell(signal);
        drop(inbox);
        mem::forget(unwound);
        state = lock(of);
    }
    state.pending().telling = false;
}

/// Lets the next one tell, should an inbox panic.
struct Unwound<'a, S: HasPending>(&'a Mutex<S>);

impl<S: HasPending> Drop for Unwound<'_, S> {
    fn drop(&mut self) {
        lock(self.0).pending().telling = false;
    }
}
