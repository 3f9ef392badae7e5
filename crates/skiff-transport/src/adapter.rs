//! Makes a transport of connections in the original's shape.
//!
//! What is sent becomes calls, and the answers to calls are received. The rules:
//!
//! - A vote, pre-vote, append or read index is a call that waits for its answer. An answer names
//!   what it answers: an `AppendReply` carries the highest number received and answers all calls up
//!   to it.
//! - Everything else is a call that is answered with nothing as soon as it has arrived: also a
//!   request, as a command may take longer than a call may; its answer is a call of its own. So is
//!   an answer that no call waits for any more. Nothing is lost because a call is over.
//! - A call that nobody answers gets the answer *nothing* after half the timeout, at the side that
//!   was called. If not even that comes within the timeout, or the answer is an error, the other
//!   side is not there: the connection is down, everything on it is forgotten, and it is tried
//!   again after a while, or as soon as the other side calls.
//! - A late answer, to a call that is forgotten, is dropped. A second answer cannot be given.
//!
//! Time is told by [`Transport::tick`]; there is no thread and no timer.

mod kind;
mod peer;

use std::{
    fmt,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use skiff_core::Instant;

use self::peer::Peer;
use crate::{
    call::CallConnection,
    envelope::Envelope,
    pending::lock,
    transport::{Accepted, Connection, Inbox, Local, NotSent, Transport, TransportError},
};

/// A network in the original's shape: it connects, and calls arrive on the connections made here.
pub trait CallTransport: Send + Sync {
    /// Called once at start with who the node is. Returns the address that others know it by.
    ///
    /// # Errors
    ///
    /// If nothing can be had from this network; the text says what to do.
    fn open(&self, local: &Local) -> Result<Option<String>, TransportError> {
        let _ = local;
        Ok(None)
    }

    /// A connection to `address`. The other side need not be there yet.
    ///
    /// # Errors
    ///
    /// If `address` can never be one.
    fn connect(&self, address: &str) -> Result<Arc<dyn CallConnection>, TransportError>;

    /// Called once at the end, when all connections are closed.
    fn shutdown(&self) {}
}

/// What can be set.
#[derive(Clone, Copy, Debug)]
struct Settings {
    timeout: Duration,
    outstanding: usize,
    queue: usize,
}

/// Makes a [`Transport`] of a [`CallTransport`].
pub struct CallAdapter {
    provider: Box<dyn CallTransport>,
    settings: Settings,
    /// `None` once it is shut down.
    peers: Mutex<Option<Vec<Weak<Peer>>>>,
}

impl CallAdapter {
    /// An adapter of `provider`. Calls time out after 500 ms, and 256 may be outstanding on a
    /// connection.
    #[must_use]
    pub fn new(provider: impl CallTransport + 'static) -> Self {
        let timeout = Duration::from_millis(500);
        let settings = Settings { timeout, outstanding: 256, queue: 1024 };
        Self { provider: Box::new(provider), settings, peers: Mutex::new(Some(Vec::new())) }
    }

    /// How long a call may take before the other side counts as gone.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How many calls may be outstanding on a connection; others wait. Providers without names for
    /// their calls need 1.
    #[must_use]
    pub const fn outstanding(mut self, calls: usize) -> Self {
        self.settings.outstanding = if calls == 0 { 1 } else { calls };
        self
    }

    /// How many envelopes may wait for a call to end before they are refused.
    #[must_use]
    pub const fn queue(mut self, envelopes: usize) -> Self {
        self.settings.queue = envelopes;
        self
    }
}

impl Transport for CallAdapter {
    fn open(&self, local: Local, _: Accepted) -> Result<Option<String>, TransportError> {
        self.provider.open(&local)
    }

    fn connect(&self, address: &str) -> Result<Arc<dyn Connection>, TransportError> {
        if lock(&self.peers).is_none() {
            return Err(TransportError::Closed("it is shut down"));
        }
        let peer = Peer::new(self.provider.connect(address)?, self.settings);
        let mut peers = lock(&self.peers);
        let Some(known) = &mut *peers else {
            drop(peers);
            peer.close();
            return Err(TransportError::Closed("it is shut down"));
        };
        known.push(Arc::downgrade(&peer));
        Ok(Arc::new(CallPeer(peer)))
    }

    fn shutdown(&self) {
        let peers = lock(&self.peers).take();
        let Some(peers) = peers else { return };
        peers.iter().filter_map(Weak::upgrade).for_each(|peer| peer.close());
        self.provider.shutdown();
    }

    fn tick(&self, now: Instant) {
        let peers = match &mut *lock(&self.peers) {
            Some(peers) => {
                peers.retain(|peer| peer.strong_count() > 0);
                peers.clone()
            }
            None => return,
        };
        peers.iter().filter_map(Weak::upgrade).for_each(|peer| peer.tick(now));
    }
}

impl Drop for CallAdapter {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for CallAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallAdapter").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The handle of a connection.
struct CallPeer(Arc<Peer>);

impl Connection for CallPeer {
    fn send(&self, envelope: Envelope) -> Result<(), NotSent> {
        self.0.send(envelope)
    }

    fn listen(&self, to: Inbox) {
        self.0.listen(to);
    }

    fn close(&self) {
        self.0.close();
    }
}

impl Drop for CallPeer {
    fn drop(&mut self) {
        self.close();
    }
}
