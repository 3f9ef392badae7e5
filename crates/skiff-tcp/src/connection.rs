//! A connection as its user has it: over the links that carry it, one after another.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use skiff_transport::{Connection, Envelope, Inbox, NotSent, Signal, wire::WireError};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{
    counters::count,
    link::{Ended, Link, Receiver},
    transport::Shared,
};

/// The handle. Closes when dropped.
pub(crate) struct TcpConnection(pub(crate) Arc<State>);

/// What the handle and the connection's task share.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    /// Whom it leads to, for people.
    pub(crate) peer: String,
    pub(crate) stop: CancellationToken,
    link: Mutex<Option<Arc<Link>>>,
    inbox: Mutex<Option<oneshot::Sender<Inbox>>>,
}

impl State {
    /// With the way by which its inbox will come.
    pub(crate) fn new(shared: Arc<Shared>, peer: String) -> (Arc<Self>, oneshot::Receiver<Inbox>) {
        let (sender, receiver) = oneshot::channel();
        let stop = shared.stop.child_token();
        let inbox = Mutex::new(Some(sender));
        (Arc::new(Self { shared, peer, stop, link: Mutex::default(), inbox }), receiver)
    }

    fn link(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        // Nothing panics with this lock held.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on sends by `link`. False if it was closed meanwhile.
    pub(crate) fn attach(&self, link: Arc<Link>) -> bool {
        let mut place = self.link();
        let open = !self.stop.is_cancelled();
        if open {
            *place = Some(link);
        }
        open
    }

    /// Tells `inbox` of one link from its beginning to its end.
    pub(crate) async fn carry(self: &Arc<Self>, link: &Arc<Link>, inbox: &Inbox) {
        let to = Arc::new(Open { state: self.clone(), inbox: inbox.clone() });
        let (node, peer) = (self.shared.node(), &*self.peer);
        tracing::debug!(node, peer, "connection up");
        to.tell(Signal::Up);
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            ended = link.run(&to, &self.shared.settings) => Some(ended),
        };
        self.detach();
        if let Some(ended) = ended {
            tracing::debug!(node, peer, reason = %ended, "connection down");
            self.count(&ended);
            to.tell(Signal::Down(ended.to_string()));
        }
    }

    /// Ends the link there is, if any, whoever still holds it.
    pub(crate) fn detach(&self) {
        let link = self.link().take();
        if let Some(link) = link {
            link.shut();
        }
    }

    fn count(&self, ended: &Ended) {
        let tally = &self.shared.tally;
        let counter = match ended {
            Ended::Frame(_) | Ended::Envelope(_) => &tally.bad_frames,
            Ended::Silent => &tally.silent,
            Ended::Stalled => &tally.stalled,
            Ended::Io(_) | Ended::Broken => return,
        };
        count(counter);
        if self.shared.complaints.may(&self.peer) {
            let node = self.shared.node();
            tracing::warn!(node, peer = %self.peer, reason = %ended, "connection ended");
        }
    }
}

/// Tells an inbox, as long as the connection is not closed.
struct Open {
    state: Arc<State>,
    inbox: Inbox,
}

impl Receiver for Open {
    fn tell(&self, signal: Signal) {
        if !self.state.stop.is_cancelled() {
            self.inbox.tell(signal);
        }
    }

    fn unknown(&self, error: &WireError) {
        let State { shared, peer, .. } = &*self.state;
        shared.tally.unknown_envelopes.fetch_add(1, Ordering::Relaxed);
        if shared.complaints.may(peer) {
            let node = shared.node();
            tracing::warn!(node, %peer, reason = %error, "dropped what a later version may have sent");
        }
    }
}

impl Connection for TcpConnection {
    fn send(&self, envelope: Envelope) -> Result<(), NotSent> {
        if self.0.stop.is_cancelled() {
            return Err(NotSent::Down);
        }
        let link = self.0.link().clone().ok_or(NotSent::Down)?;
        let sent = link.send(&envelope, &self.0.shared.settings);
        if sent == Err(NotSent::TooLarge) && self.0.shared.complaints.may(&self.0.peer) {
            let limit = self.0.shared.settings.max_frame;
            let node = self.0.shared.node();
            tracing::error!(node, peer = %self.0.peer, limit, "an envelope is above the frame limit");
        }
        sent
    }

    fn listen(&self, to: Inbox) {
        let sender = self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // The task is gone if the connection is closed: then there is nothing to tell.
            let _ = sender.send(to);
        }
    }

    fn close(&self) {
        self.0.stop.cancel();
        self.0.detach();
    }
}

impl Drop for TcpConnection {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for TcpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpConnection").field("peer", &self.0.peer).finish_non_exhaustive()
    }
}
