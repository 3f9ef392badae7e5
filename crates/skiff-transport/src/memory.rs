//! A network within one process. Nothing is serialised and no task or thread runs: whoever sends an
//! envelope puts it into the other side's inbox.

mod end;
mod losses;
mod topology;

use std::{
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use skiff_core::Instant;

use self::{
    end::End,
    topology::{Owner, Told, Topology},
};
use crate::{
    envelope::Envelope,
    transport::{Accepted, Connection, Inbox, Local, NotSent, Transport, TransportError},
};

/// How many envelopes may wait at one end of a connection, unless told otherwise.
const LIMIT: usize = 16_384;

/// The network of those who name none.
static DEFAULT: LazyLock<MemoryNetwork> = LazyLock::new(MemoryNetwork::new);

/// A network within this process: nodes on the same one reach each other by address, any string.
///
/// It can be made to fail, for tests: [`cut`](Self::cut) and [`lose`](Self::lose). A node is named
/// there by the address it listens at.
#[derive(Clone)]
pub struct MemoryNetwork {
    topology: Arc<Mutex<Topology>>,
    limit: usize,
}

impl Default for MemoryNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryNetwork {
    /// A network with nobody on it.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(LIMIT)
    }

    /// A network where at most `limit` envelopes wait at one end of a connection.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { topology: Arc::default(), limit }
    }

    /// A transport on this network, for one node.
    #[must_use]
    pub fn transport(&self) -> MemoryTransport {
        let owner = self.change(Topology::new_owner);
        MemoryTransport { network: self.clone(), owner }
    }

    /// Ends every connection between the nodes `a` and `b`, and lets no new one come up.
    pub fn cut(&self, a: &str, b: &str) {
        self.tell(self.change(|topology| topology.cut(a, b)));
    }

    /// Undoes [`cut`](Self::cut): what is dialled comes up at once.
    pub fn heal(&self, a: &str, b: &str) {
        self.tell(self.change(|topology| topology.heal(a, b)));
    }

    /// Loses what `from` sends to `to`, silently, as far as `rule` says so. Replaces an earlier
    /// rule for the two.
    pub fn lose(
        &self,
        from: &str,
        to: &str,
        rule: impl Fn(&Envelope) -> bool + Send + Sync + 'static,
    ) {
        self.change(|topology| topology.losses(from, to)).set(Some(Arc::new(rule)));
    }

    /// Undoes [`lose`](Self::lose).
    pub fn lose_nothing(&self, from: &str, to: &str) {
        self.change(|topology| topology.losses(from, to)).set(None);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Topology) -> T) -> T {
        // Nothing panics with this lock held.
        change(&mut self.topology.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does what a change left to do. No lock is held.
    fn tell(&self, mut told: Told) {
        for (accepted, end) in told.accepted.drain(..) {
            accepted.accept(Arc::new(MemoryConnection { network: self.clone(), end }));
        }
        told.ends.iter().for_each(|end| end.tell());
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNetwork").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// One node's access to a [`MemoryNetwork`].
///
/// A connection comes up as soon as both sides are there. One that the other side has closed is
/// dialled again at the next [`tick`](Transport::tick). Without an address to listen at, a node
/// listens at its name.
#[derive(Debug)]
pub struct MemoryTransport {
    network: MemoryNetwork,
    owner: Owner,
}

impl Default for MemoryTransport {
    /// On the network that all of this process share who name none.
    fn default() -> Self {
        DEFAULT.transport()
    }
}

impl Transport for MemoryTransport {
    fn open(&self, local: Local, accepted: Accepted) -> Result<Option<String>, TransportError> {
        let address = local.listen.unwrap_or(local.name);
        let told = self.network.change(|topology| {
            let free = topology.listen(self.owner, &address, accepted);
            free.then(|| topology.establish())
        });
        let Some(told) = told else {
            let reason = "another node of this process listens there: give each its own name, or a \
                          `MemoryNetwork` to each cluster";
            return Err(TransportError::Listen { address, reason: reason.to_owned() });
        };
        self.network.tell(told);
        Ok(Some(address))
    }

    fn connect(&self, address: &str) -> Result<Arc<dyn Connection>, TransportError> {
        let end = Arc::new(End::default());
        let told = self.network.change(|topology| {
            let lives = topology.dial(self.owner, address, end.clone());
            lives.then(|| topology.establish())
        });
        self.network.tell(told.ok_or(TransportError::Closed("it is shut down"))?);
        Ok(Arc::new(MemoryConnection { network: self.network.clone(), end }))
    }

    fn shutdown(&self) {
        self.network.tell(self.network.change(|topology| topology.remove(self.owner)));
    }

    fn tick(&self, _: Instant) {
        self.network.tell(self.network.change(Topology::establish));
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The handle of one end.
struct MemoryConnection {
    network: MemoryNetwork,
    end: Arc<End>,
}

impl Connection for MemoryConnection {
    fn send(&self, envelope: Envelope) -> Result<(), NotSent> {
        self.end.send(envelope, self.network.limit)
    }

    fn listen(&self, to: Inbox) {
        self.end.listen(to);
    }

    fn close(&self) {
        self.network.tell(self.network.change(|topology| topology.close(&self.end)));
    }
}

impl Drop for MemoryConnection {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for MemoryConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryConnection")
    }
}
