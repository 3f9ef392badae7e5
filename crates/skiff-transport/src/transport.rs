//! The traits a provider of transport implements. Nothing here is async: a provider calls back.

use std::{fmt, sync::Arc};

use skiff_core::{Instant, NodeId};
use thiserror::Error;

use crate::envelope::Envelope;

/// Who a transport is opened for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// The cluster's name.
    pub cluster: String,
    /// The node's name.
    pub name: String,
    /// The node's incarnation.
    pub node: NodeId,
    /// Where to listen, in the transport's own notation; `None` if the node is not to be reached.
    pub listen: Option<String>,
}

/// A network between nodes (the original's transport provider).
pub trait Transport: Send + Sync {
    /// Called once at start. A transport that can be reached begins to listen here, hands every
    /// connection that others open to `accepted`, and returns the address others can dial.
    ///
    /// Leaving it out gives the original's shape: calls arrive on the connections made by
    /// [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// If it cannot listen; the text names the address.
    fn open(&self, local: Local, accepted: Accepted) -> Result<Option<String>, TransportError> {
        let _ = (local, accepted);
        Ok(None)
    }

    /// A connection to `address`. Returns at once: the connection establishes itself in the
    /// background, again and again until it is closed, and tells so by [`Signal::Up`] and
    /// [`Signal::Down`].
    ///
    /// # Errors
    ///
    /// If `address` can never be one.
    fn connect(&self, address: &str) -> Result<Arc<dyn Connection>, TransportError>;

    /// Stops listening and closes every connection. Called once at the end; does not block.
    fn shutdown(&self) {}

    /// What it has counted since it was made, each with a word for it: connections that came up, those that
    /// were refused, and the like. The words stay the same.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Tells the time, at least once a heartbeat interval, to transports without a clock of their
    /// own. It does not go back.
    fn tick(&self, now: Instant) {
        let _ = now;
    }
}

/// One connection to another node: one way, no answers, in order as long as it holds.
pub trait Connection: Send + Sync {
    /// Sends `envelope`, or queues it within the connection's own limit. Never blocks. What was
    /// accepted may still be lost.
    ///
    /// # Errors
    ///
    /// [`NotSent::Full`] if the queue is at its limit, [`NotSent::Down`] if there is no connection
    /// now, [`NotSent::TooLarge`] if it will never be taken. The envelope is dropped.
    fn send(&self, envelope: Envelope) -> Result<(), NotSent>;

    /// From now on tells `to` what arrives and how the connection fares. Called once. If the
    /// connection is up already, [`Signal::Up`] is told at once.
    fn listen(&self, to: Inbox);

    /// Closes it for good. Idempotent; nothing is told afterwards, but what another thread is
    /// telling at this moment. Dropping the last handle closes it too.
    fn close(&self);
}

/// What a connection tells. [`Up`](Self::Up) and [`Down`](Self::Down) take turns, and everything
/// received lies between them.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// The connection is there, for the first time or again. Nothing sent before is on its way.
    Up,
    /// The other side sent this.
    Received(Envelope),
    /// The connection is gone, with the reason. One made by [`Transport::connect`] tries again by
    /// itself; an accepted one is over.
    Down(String),
}

/// Where a connection tells its [`Signal`]s. Cheap to clone.
#[derive(Clone)]
pub struct Inbox(Arc<dyn Fn(Signal) + Send + Sync>);

impl Inbox {
    /// An inbox that calls `take` for each signal. It must not block.
    pub fn new(take: impl Fn(Signal) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Tells one signal.
    pub fn tell(&self, signal: Signal) {
        (self.0)(signal);
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox")
    }
}

/// Where a transport hands over the connections that others opened. Cheap to clone.
#[derive(Clone)]
pub struct Accepted(Arc<dyn Fn(Arc<dyn Connection>) + Send + Sync>);

impl Accepted {
    /// Calls `take` for each connection. It must not block.
    pub fn new(take: impl Fn(Arc<dyn Connection>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Hands one over.
    pub fn accept(&self, connection: Arc<dyn Connection>) {
        (self.0)(connection);
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accepted")
    }
}

/// Why an envelope was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotSent {
    /// The queue is at its limit: the other side takes nothing.
    #[error("the send queue is full")]
    Full,
    /// There is no connection now.
    #[error("not connected")]
    Down,
    /// It is above the transport's limit for one envelope, and will be each time.
    #[error("too large for one envelope of this transport")]
    TooLarge,
}

/// What can go wrong with a transport as a whole.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// It cannot listen.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// Why, and what to do.
        reason: String,
    },
    /// This is not an address.
    #[error("`{address}` is not an address: {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no transport, or it is closed.
    #[error("no transport: {0}")]
    Closed(&'static str),
    /// A provider's own failure.
    #[error("{0}")]
    Other(String),
}
