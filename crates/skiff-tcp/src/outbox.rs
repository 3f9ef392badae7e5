//! What waits to be sent on one socket.
//!
//! A sender leaves its bytes here and wakes the writer, a task of the same runtime that runs as soon
//! as the sender's own pauses: no other thread has to wake up for it. It takes all that waits at
//! once. (That a sender writes to the socket itself was tried: no quicker with one caller, and four
//! times slower with many.)

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::BytesMut;
use skiff_transport::{Envelope, NotSent};
use tokio::sync::Notify;

use crate::{frame, settings::Settings, socket::Socket};

/// A buffer that has grown above this is not kept.
const KEPT: usize = 1 << 20;

/// The bytes that wait to be sent on one socket.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: BytesMut,
    /// Bytes that the writer has taken and not written yet.
    writing: usize,
    /// The writer will look here again without being woken.
    busy: bool,
    /// All bytes that went out.
    written: u64,
    /// Nothing more is taken.
    closed: bool,
}

impl State {
    fn unsent(&self) -> usize {
        self.waiting.len() + self.writing
    }
}

/// How far an outbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) unsent: usize,
    pub(crate) written: u64,
}

impl Outbox {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics with this lock held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `envelope`, to be written. One of any allowed size is taken if nothing waits.
    pub(crate) fn send(&self, envelope: &Envelope, settings: &Settings) -> Result<(), NotSent> {
        let mut state = self.state();
        if state.closed {
            return Err(NotSent::Down);
        }
        let unsent = state.unsent();
        if unsent >= settings.queue {
            return Err(NotSent::Full);
        }
        let before = state.waiting.len();
        if !frame::put_envelope(envelope, settings.max_frame, &mut state.waiting) {
            return Err(NotSent::TooLarge);
        }
        if unsent > 0 && state.unsent() > settings.queue {
            state.waiting.truncate(before);
            return Err(NotSent::Full);
        }
        self.wake(state);
        Ok(())
    }

    /// A sign of life, unless something is on its way anyhow.
    pub(crate) fn ping(&self) {
        let mut state = self.state();
        if state.unsent() == 0 && !state.closed {
            frame::put_ping(&mut state.waiting);
            self.wake(state);
        }
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let asleep = !std::mem::replace(&mut state.busy, true);
        drop(state);
        if asleep {
            self.wake.notify_one();
        }
    }

    /// Writes all that comes to wait here, until the socket fails.
    pub(crate) async fn write_to(&self, socket: &Socket) -> io::Error {
        let mut spare = BytesMut::new();
        loop {
            // One busy connection does not keep a worker from the others.
            tokio::task::coop::consume_budget().await;
            let batch = match self.take(spare) {
                Ok(batch) => batch,
                Err(empty) => {
                    spare = empty;
                    self.wake.notified().await;
                    continue;
                }
            };
            let mut done = 0;
            while done < batch.len() {
                match socket.try_write(&batch[done..]) {
                    Ok(written) => {
                        done += written;
                        self.wrote(written);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if let Err(error) = socket.writable().await {
                            return error;
                        }
                    }
                    Err(error) => return error,
                }
            }
            spare = batch;
        }
    }

    /// All that waits, with `spare` in its place; or `spare` back if nothing does. From then on
    /// whoever puts something here wakes the writer: under this lock, so that none is missed.
    fn take(&self, mut spare: BytesMut) -> Result<BytesMut, BytesMut> {
        spare.clear();
        if spare.capacity() > KEPT {
            spare = BytesMut::new();
        }
        let mut state = self.state();
        state.busy = !state.waiting.is_empty();
        if !state.busy {
            return Err(spare);
        }
        state.writing = state.waiting.len();
        Ok(std::mem::replace(&mut state.waiting, spare))
    }

    fn wrote(&self, bytes: usize) {
        let mut state = self.state();
        state.writing -= bytes;
        state.written += bytes as u64;
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = self.state();
        Progress { unsent: state.unsent(), written: state.written }
    }

    /// Writes what goes at once, before the socket is closed. False if the writer is at it: then
    /// the socket is to be left to it.
    pub(crate) fn last_words(&self, socket: &Socket) -> bool {
        let mut state = self.state();
        state.closed = true;
        let left = state.writing == 0;
        if left && !state.waiting.is_empty() {
            // What does not go at once is lost, as anything may be that was only queued. It must
            // not be there for the writer to send a second time.
            let waiting = std::mem::take(&mut state.waiting);
            let _ = socket.try_write(&waiting);
        }
        left
    }
}
