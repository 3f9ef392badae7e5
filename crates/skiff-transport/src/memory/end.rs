//! One end of a connection in memory: what it is connected to, and what it has yet to be told.

use std::sync::{Arc, Mutex};

use super::losses::Losses;
use crate::{
    envelope::Envelope,
    pending::{self, HasPending, Leftover, Pending},
    transport::{Inbox, NotSent, Signal},
};

/// One end of a connection. It outlives the wires that connect it, one after another.
#[derive(Default)]
pub(super) struct End {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: Pending,
    wire: Option<Wire>,
}

impl HasPending for State {
    fn pending(&mut self) -> &mut Pending {
        &mut self.pending
    }
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

/// What is left of a closed end, to be dropped with no lock held.
#[must_use]
pub(super) struct Closed {
    pub(super) wire: Option<u64>,
    _leftover: Leftover,
}

impl End {
    /// Sends `envelope` to the other end, where at most `limit` may wait.
    pub(super) fn send(&self, envelope: Envelope, limit: usize) -> Result<(), NotSent> {
        let wire = pending::lock(&self.state).wire.clone().ok_or(NotSent::Down)?;
        if wire.losses.takes(&envelope) {
            return Ok(());
        }
        wire.other.receive(wire.id, envelope, limit)
    }

    fn receive(&self, wire: u64, envelope: Envelope, limit: usize) -> Result<(), NotSent> {
        let mut state = pending::lock(&self.state);
        if state.wire_id() != Some(wire) {
            return Err(NotSent::Down);
        }
        if state.pending.len() >= limit {
            return Err(NotSent::Full);
        }
        state.pending.put(Signal::Received(envelope));
        pending::tell(&self.state, state);
        Ok(())
    }

    pub(super) fn listen(&self, to: Inbox) {
        let mut state = pending::lock(&self.state);
        state.pending.listen(to);
        pending::tell(&self.state, state);
    }

    /// Connects it. To be [told](Self::tell).
    pub(super) fn connect(&self, wire: Wire) {
        let mut state = pending::lock(&self.state);
        state.wire = Some(wire);
        state.pending.put(Signal::Up);
    }

    /// Ends its wire, if it is still this one. To be [told](Self::tell).
    pub(super) fn disconnect(&self, wire: u64, reason: &str) {
        let mut state = pending::lock(&self.state);
        if state.wire_id() == Some(wire) {
            state.wire = None;
            state.pending.put(Signal::Down(reason.to_owned()));
        }
    }

    /// Closes it for good. The wire it had is the caller's to end at the other end.
    pub(super) fn close(&self) -> Closed {
        let mut state = pending::lock(&self.state);
        let wire = state.wire.take().map(|wire| wire.id);
        Closed { wire, _leftover: state.pending.close() }
    }

    pub(super) fn is_free(&self) -> bool {
        let state = pending::lock(&self.state);
        !state.pending.is_closed() && state.wire.is_none()
    }

    /// Tells what waits. Called with no lock held.
    pub(super) fn tell(&self) {
        pending::tell(&self.state, pending::lock(&self.state));
    }
}

impl State {
    fn wire_id(&self) -> Option<u64> {
        self.wire.as_ref().map(|wire| wire.id)
    }
}
