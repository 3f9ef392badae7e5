//! The handle to a running node.

use std::{fmt, sync::Arc, time::Duration};

use skiff_replica::{
    Applier, Call, CommandError, Encoded, EntryPosition, Event, Fate, Input, KeepsNothing, Leader,
    NoSnapshot, Outcome, ReadError, Refused, SnapshotError, Snapshots, Taken, TransferError,
    transport::Consistency,
};
use tokio::{
    sync::{RwLock, broadcast, oneshot, watch},
    time::timeout_at,
};

use crate::{
    builder::Builder,
    clock::Clock,
    ending::stop_timeout,
    error::NodeError,
    events::Events,
    inbox::{Mailbox, Note},
    meters::Calls,
    options::Options,
    session::Session,
    status::{PeerStatus, Status},
};

/// One node of a cluster (the original's `Node`): a cheap handle, to be cloned at will. When the
/// last one is dropped, the node stops.
pub struct Node<M: Snapshots = KeepsNothing> {
    shared: Arc<Shared<M>>,
}

/// What all handles of a node share.
pub(crate) struct Shared<M: Snapshots> {
    pub(crate) name: String,
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Mailbox<M>,
    pub(crate) calls: Calls,
    pub(crate) machine: Arc<RwLock<Applier<M>>>,
    pub(crate) events: broadcast::WeakSender<Event>,
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) ended: watch::Receiver<Option<Result<(), NodeError>>>,
}

impl<M: Snapshots> Drop for Shared<M> {
    fn drop(&mut self) {
        self.mailbox.input(Input::Stop);
    }
}

impl<M: Snapshots> Clone for Node<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M: Snapshots> fmt::Debug for Node<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.shared.name).finish_non_exhaustive()
    }
}

impl Node {
    /// Begins to put a node together.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl<M: Snapshots> Node<M> {
    pub(crate) fn new(shared: Shared<M>) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The node's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.name
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.shared.options.cluster
    }

    /// The settings it was started with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Where others can dial it, if they can.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        let address = self.shared.status.borrow().address.clone();
        (!address.is_empty()).then_some(address)
    }

    /// `idle`, `follower`, `candidate` or `leader` (the original's `state.name`).
    #[doc(alias = "state.name")]
    #[must_use]
    pub fn state(&self) -> String {
        self.shared.status.borrow().state.clone()
    }

    /// The current term (the original's `currentTerm()`).
    #[doc(alias = "currentTerm")]
    #[must_use]
    pub fn term(&self) -> u64 {
        self.shared.status.borrow().term
    }

    /// Who leads, if known.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        let status = self.shared.status.borrow();
        let name = status.leader.clone()?;
        Some(Leader { name, address: status.leader_address.clone().unwrap_or_default() })
    }

    /// All others this node knows of.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared.status.borrow().peers.clone()
    }

    /// Names a peer to form a cluster with. Returns at once. Each node of a new cluster must be told
    /// of all others, before its list closes: ten of the longest election timeouts after the last
    /// peer was named. On a member this only gives an address.
    pub fn join(&self, peer: impl Into<String>) {
        self.shared.mailbox.input(Input::Join { address: peer.into() });
    }

    /// Waits until this node is a member of a cluster and knows its leader. Waits for as long as it
    /// takes: forming a cluster waits for people to start the other nodes. For whom it waits is in
    /// [`Status::waiting_for`] and in the events. [`ready_within`](Self::ready_within) gives up.
    ///
    /// # Errors
    ///
    /// If the node stops before.
    pub async fn ready(&self) -> Result<(), NodeError> {
        let mut status = self.shared.status.clone();
        let ready = tokio::select! {
            biased;
            ready = status.wait_for(Status::is_ready) => ready.is_ok(),
            _ = self.stopped() => false,
        };
        if ready {
            return Ok(());
        }
        Err(self.stopped().await.err().unwrap_or(NodeError::Gone))
    }

    /// As [`ready`](Self::ready), for at most this long.
    ///
    /// # Errors
    ///
    /// [`NodeError::NotReady`] says for whom it waits; the node goes on trying. Otherwise as
    /// [`ready`](Self::ready).
    pub async fn ready_within(&self, timeout: Duration) -> Result<(), NodeError> {
        match tokio::time::timeout(timeout, self.ready()).await {
            Ok(ready) => ready,
            Err(_) => {
                let waiting_for = self.status().await.waiting_for;
                Err(NodeError::NotReady { timeout, waiting_for })
            }
        }
    }

    /// Has a command replicated and applied, and returns the machine's response. When it returns
    /// `Ok`, the command is durable on a majority and survives whatever a majority survives.
    ///
    /// Takes at most the [command timeout](crate::Options::command_timeout). If the future is
    /// dropped the command may still take effect.
    ///
    /// # Errors
    ///
    /// Each says what is known of the command's effect: [`CommandError::outcome`]. On the wrong node
    /// it is [`CommandError::NotLeader`], with the leader, unless commands are
    /// [forwarded](crate::Builder::forward_commands).
    #[doc(alias = "ENOTLEADER")]
    pub async fn command(
        &self,
        command: impl Into<M::Command>,
    ) -> Result<M::Response, CommandError> {
        self.command_within(command, self.shared.options.command_timeout).await
    }

    /// As [`command`](Self::command), within another time.
    ///
    /// # Errors
    ///
    /// As [`command`](Self::command).
    pub async fn command_within(
        &self,
        command: impl Into<M::Command>,
        timeout: Duration,
    ) -> Result<M::Response, CommandError> {
        let command = command.into().encode().map_err(|error| CommandError::Undecodable {
            reason: error.to_string(),
            outcome: Outcome::NotApplied,
        })?;
        let (reply, answer) = oneshot::channel();
        let deadline = self.shared.clock.after(timeout);
        let put = self.shared.mailbox.command(command, deadline, reply);
        put.inspect_err(|error| self.shared.calls.refused(error.outcome()))?;
        answer.await.unwrap_or_else(|_| {
            // The node's task is gone with all it knew.
            Err(CommandError::Stopped { outcome: Outcome::Unknown, position: None })
        })
    }

    /// Begins a session: commands in it are executed once, however often they are tried.
    ///
    /// # Errors
    ///
    /// As [`command`](Self::command). With as many sessions as may be it is
    /// [`CommandError::SessionsFull`].
    pub async fn session(&self) -> Result<Session<M>, CommandError> {
        Session::begin(self.clone()).await
    }

    pub(crate) fn shared(&self) -> &Shared<M> {
        &self.shared
    }

    /// Reads the machine, as fresh as `consistency` says: `read` sees its state and nothing else,
    /// not half of a batch of commands. It should be quick: no command is applied meanwhile.
    ///
    /// [`Consistency::Linearizable`] sees everything that was acknowledged to anyone before this
    /// was called; it asks a majority, by way of the leader. [`Consistency::Local`] sees what this
    /// node has applied so far, at once. Takes at most the
    /// [command timeout](crate::Options::command_timeout).
    ///
    /// # Errors
    ///
    /// If no leader is known or a majority does not answer. A read has no effect and can always be
    /// tried again.
    pub async fn read<T>(
        &self,
        consistency: Consistency,
        read: impl FnOnce(&M) -> T,
    ) -> Result<T, ReadError> {
        let deadline = self.shared.clock.after(self.shared.options.command_timeout);
        if consistency != Consistency::Local {
            let (reply, ready) = oneshot::channel();
            self.shared.mailbox.put(Note::Read { consistency, deadline, reply });
            ready.await.unwrap_or(Err(ReadError::Stopped))?;
        }
        // A machine that is slow at applying is waited for no longer.
        let until = self.shared.clock.runtime_instant(deadline);
        let machine = timeout_at(until, self.shared.machine.read()).await;
        let machine = machine.map_err(|_| ReadError::Timeout)?;
        match machine.failed() {
            None => Ok(read(machine.machine())),
            // What it holds may be half of a command.
            Some(_) => Err(ReadError::Stopped),
        }
    }

    /// How the node stands right now. After its end: how it last stood.
    pub async fn status(&self) -> Status {
        let (reply, status) = oneshot::channel();
        self.shared.mailbox.put(Note::Status(reply));
        match status.await {
            Ok(status) => status,
            Err(_) => self.shared.status.borrow().clone(),
        }
    }

    /// How the node stands, to be watched: the present state at once, then each change of state,
    /// leader or peers as it comes, and the log's progress every 50 ms.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.shared.status.clone()
    }

    /// Everything the node tells from now on. What came before the subscription is in
    /// [`status`](Self::status); to hear it all, subscribe to an [`Idle`](crate::Idle) node.
    #[must_use]
    pub fn events(&self) -> Events {
        let closed = || broadcast::channel(1).1;
        let receiver =
            self.shared.events.upgrade().map_or_else(closed, |events| events.subscribe());
        Events::new(receiver)
    }

    /// Lets another node lead: the one of this name, or whoever is best up to date. Returns once it
    /// does. Commands wait meanwhile, and then go the way of all commands given to a node that does not
    /// lead; if nobody has taken over after the longest election timeout, this node goes on leading.
    ///
    /// Only the leader can hand over. If the node of this name leads already, nothing is done.
    ///
    /// # Errors
    ///
    /// What stood in the way; [`TransferError::NotLeader`] says whom to ask instead.
    pub async fn transfer_leadership(&self, to: Option<&str>) -> Result<(), TransferError> {
        let to = to.map(str::to_owned);
        self.order(Call::Transfer(to), self.options().command_timeout)
            .await
            .map(drop)
            .map_err(Into::into)
    }

    /// Says what became of a command whose outcome was [unknown](Outcome::Unknown), if its error
    /// [knew its place](CommandError::position). Any node can be asked, now or years later: it answers
    /// from what it knows itself. While a majority is up, what is [undecided](Fate::Undecided) is decided
    /// as soon as a leader has committed anything.
    ///
    /// # Errors
    ///
    /// If the node stops.
    ///
    /// # Example
    ///
    /// ```
    /// # use skiff::{CommandError, Fate, Node};
    /// # async fn told(node: Node, error: CommandError) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(position) = error.position() {
    ///     match node.outcome(position).await? {
    ///         Fate::Applied => println!("it took effect"),
    ///         Fate::Never => println!("it had no effect: try again"),
    ///         fate => println!("{fate}: ask again later"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn outcome(&self, position: EntryPosition) -> Result<Fate, CommandError> {
        let word = self.order(Call::Fate(position), self.options().command_timeout).await?;
        fate_from(&word)
    }

    /// Takes a snapshot of all that this node has applied, and waits until it is durable. If nothing was
    /// applied since the newest one, that is what is told; one that is being taken is waited for, and another
    /// is taken if it does not hold all. Only one is taken at a time, and never while the file of an older one
    /// that is on its way to another node would have to go.
    ///
    /// Waits for at most the [change timeout](crate::Options::change_timeout); the snapshot is taken all the
    /// same.
    ///
    /// # Errors
    ///
    /// If the node is no member of a cluster, or if the snapshot could not be written: then the data is as it
    /// was.
    pub async fn snapshot(&self) -> Result<Taken, SnapshotError> {
        let bytes = self.order(Call::Snapshot, self.options().change_timeout).await?;
        taken_from(&bytes)
    }

    /// Has the node itself do something.
    pub(crate) async fn order(
        &self,
        call: Call,
        timeout: Duration,
    ) -> Result<bytes::Bytes, Refused> {
        let deadline = self.shared.clock.after(timeout);
        let (reply, answer) = oneshot::channel();
        self.shared.mailbox.put(Note::Order { call, deadline, reply });
        let gone = Refused::Stopped { outcome: Outcome::Unknown, position: None };
        answer.await.unwrap_or(Err(gone))
    }

    /// Stops the node and waits for its end. First others are enabled to do without it: if it leads it hands
    /// leadership over, what is under way is brought to its end, and clients are told to ask others. That
    /// takes moments while the others are well, and at most five of the longest election timeouts. Then it
    /// closes its files, which is waited for for ten seconds at most. A machine that is durable by itself makes
    /// its last mark, and has thirty more for that; if it takes longer nothing is lost, but the next start
    /// applies again what came since the mark before. Every waiting call is answered. Stopping a stopped node
    /// is harmless.
    ///
    /// # Errors
    ///
    /// If the node ended or ends for another reason, or does not end in time.
    pub async fn stop(&self) -> Result<(), NodeError> {
        self.shared.mailbox.input(Input::Leave);
        let timeout = stop_timeout(&self.shared.options, M::KEEPS_MARKS);
        match tokio::time::timeout(timeout, self.stopped()).await {
            Ok(ended) => ended,
            Err(_) => Err(NodeError::StopTimeout(timeout)),
        }
    }

    /// Waits until the node has stopped.
    ///
    /// # Errors
    ///
    /// Why it stopped, unless it was asked to.
    pub async fn stopped(&self) -> Result<(), NodeError> {
        let mut ended = self.shared.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().unwrap_or(Err(NodeError::Gone)),
            Err(_) => Err(NodeError::Gone),
        }
    }
}

/// What a node said of a snapshot.
pub(crate) fn taken_from(bytes: &[u8]) -> Result<Taken, SnapshotError> {
    Taken::decode(bytes).map_err(|error| SnapshotError::Refused {
        why: NoSnapshot::Failed,
        message: format!("the node's answer makes no sense: {error}"),
    })
}

/// What a node said of an entry.
pub(crate) fn fate_from(word: &[u8]) -> Result<Fate, CommandError> {
    let fate = String::from_utf8_lossy(word).parse::<Fate>();
    fate.map_err(|error| CommandError::Undecodable {
        reason: error.to_string(),
        outcome: Outcome::NotApplied,
    })
}
