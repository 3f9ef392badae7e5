//! The original's shape of a connection: calls with one answer each.

use std::{fmt, sync::Arc};

use crate::{envelope::Envelope, transport::TransportError};

/// A connection in the shape of 2014: `invoke` calls the other side, which answers.
pub trait CallConnection: Send + Sync {
    /// Calls the other side and hands its answer to `reply`, once. Never blocks.
    fn invoke(&self, call: Call, reply: Reply);

    /// From now on hands the other side's calls to `to`. Called once.
    fn listen(&self, to: Calls);

    /// Closes it for good. Idempotent.
    fn close(&self);
}

/// One call: what is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is said.
    pub envelope: Envelope,
}

/// The answer to a [`Call`]: what the other side says in return, or why it says nothing.
pub type CallReply = Result<Option<Envelope>, TransportError>;

/// Takes the answer to one call.
pub struct Reply(Box<dyn FnOnce(CallReply) + Send>);

impl Reply {
    /// Calls `take` with the answer.
    pub fn new(take: impl FnOnce(CallReply) + Send + 'static) -> Self {
        Self(Box::new(take))
    }

    /// Tells the answer.
    pub fn tell(self, reply: CallReply) {
        (self.0)(reply);
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// Takes the calls of the other side, each with the way to answer it. Cheap to clone.
#[derive(Clone)]
pub struct Calls(Arc<dyn Fn(Call, Reply) + Send + Sync>);

impl Calls {
    /// Calls `take` for each call. It must not block.
    pub fn new(take: impl Fn(Call, Reply) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Hands over one call.
    pub fn tell(&self, call: Call, reply: Reply) {
        (self.0)(call, reply);
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls")
    }
}
