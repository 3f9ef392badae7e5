//! The story a node tells (the original's events).

use skiff_replica::Event;
use tokio::sync::broadcast;

/// How many events a listener may be behind before it misses some.
pub(crate) const BACKLOG: usize = 4096;

/// A listener's view of a node's events, from [`Node::events`](crate::Node::events) or
/// [`Idle::events`](crate::Idle::events).
///
/// It never slows the node down: one that is too slow misses events, and is told how many by
/// [`Event::Lagged`].
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    pub(crate) const fn new(receiver: broadcast::Receiver<Event>) -> Self {
        Self(receiver)
    }

    /// The next event; `None` once the node has stopped and all was heard.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Event::Lagged(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
