//! One end of a connection in memory: what it is connected to, and what it has yet to be told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::losses::Losses;
use crate::{
    envelope::Envelope,
    transport::{Inbox, NotSent, Signal},
};

/// One end of a connection. It outlives the wires that connect it, one after another.
///
/// Signals are told by whoever finds that nobody is telling, with no lock held: an inbox may send
/// and close as it likes. They are told one at a time, in the order in which they were put here.
#[derive(Default)]
pub(super) struct End {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inbox: Option<Inbox>,
    waiting: VecDeque<Signal>,
    /// Somebody is telling, and will tell what is put here meanwhile.
    telling: bool,
    closed: bool,
    wire: Option<Wire>,
}

/// Where the other end is, as long as it is.
#[derive(Clone)]
pub(super) struct Wire {
    /// Never used twice in a network: what is sent on an old wire never arrives by a new one.
    pub(super) id: u64,
    pub(super) other: Arc<End>,
    /// What gets lost on the way there.
    pub(super) losses: Arc<Losses>,
}

impl End {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics with this lock held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends `envelope` to the other end, where at most `limit` may wait.
    pub(super) fn send(&self, envelope: Envelope, limit: usize) -> Result<(), NotSent> {
        let wire = self.state().wire.clone().ok_or(NotSent::Down)?;
        if wire.losses.takes(&envelope) {
            return Ok(());
        }
        wire.other.receive(wire.id, envelope, limit)
    }

    fn receive(&self, wire: u64, envelope: Envelope, limit: usize) -> Result<(), NotSent> {
        let mut state = self.state();
        if state.wire_id() != Some(wire) {
            return Err(NotSent::Down);
        }
        if state.waiting.len() >= limit {
            return Err(NotSent::Full);
        }
        state.waiting.push_back(Signal::Received(envelope));
        self.tell(state);
        Ok(())
    }

    pub(super) fn listen(&self, to: Inbox) {
        let mut state = self.state();
        if !state.closed {
            state.inbox = Some(to);
            self.tell(state);
        }
    }

    /// Connects it, unless it is closed or connected already. To be [told](Self::tell_waiting).
    pub(super) fn connect(&self, wire: Wire) -> bool {
        let mut state = self.state();
        let free = !state.closed && state.wire.is_none();
        if free {
            state.wire = Some(wire);
            state.waiting.push_back(Signal::Up);
        }
        free
    }

    /// Ends its wire, if it is still this one. To be [told](Self::tell_waiting).
    pub(super) fn disconnect(&self, wire: u64, reason: &str) {
        let mut state = self.state();
        if state.wire_id() == Some(wire) {
            state.wire = None;
            state.waiting.push_back(Signal::Down(reason.to_owned()));
        }
    }

    /// Closes it for good. The wire it had is the caller's to end at the other end.
    pub(super) fn close(&self) -> Closed {
        let mut state = self.state();
        state.closed = true;
        Closed {
            wire: state.wire.take().map(|wire| wire.id),
            _inbox: state.inbox.take(),
            _waiting: std::mem::take(&mut state.waiting),
        }
    }

    pub(super) fn is_free(&self) -> bool {
        let state = self.state();
        !state.closed && state.wire.is_none()
    }

    /// Tells what waits. Called with no lock held.
    pub(super) fn tell_waiting(&self) {
        self.tell(self.state());
    }

    fn tell<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        if state.telling {
            return;
        }
        while let Some(inbox) = state.inbox.clone() {
            let Some(signal) = state.waiting.pop_front() else { break };
            state.telling = true;
            drop(state);
            let told = Told(self);
            inbox.tell(signal);
            drop(inbox);
            state = told.state();
        }
        state.telling = false;
    }
}

/// What is left of a closed end. An inbox may own what runs code of others as it is dropped: to be
/// dropped with no lock held.
#[must_use]
pub(super) struct Closed {
    pub(super) wire: Option<u64>,
    _inbox: Option<Inbox>,
    _waiting: VecDeque<Signal>,
}

impl State {
    fn wire_id(&self) -> Option<u64> {
        self.wire.as_ref().map(|wire| wire.id)
    }
}

/// Lets the next one tell, should an inbox panic.
struct Told<'a>(&'a End);

impl<'a> Told<'a> {
    fn state(self) -> MutexGuard<'a, State> {
        let end = self.0;
        std::mem::forget(self);
        end.state()
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.state().telling = false;
    }
}
