//! How a node is put together.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use skiff_replica::{
    Applier, KeepsNothing, MachineError, Queries, Snapshots,
    storage::{OnLostData, Persistence},
    transport::Transport,
};

use crate::{
    error::StartError,
    idle::Idle,
    machine_source::MachineSource,
    machine_task::QueryFn,
    node::Node,
    options::{IdGenerator, Options, OptionsError},
};

/// Puts a node together, from [`Node::builder`].
///
/// With nothing set it works: a name of its own, everything in memory, a transport within the
/// process, a cluster of one.
pub struct Builder<M: Snapshots = KeepsNothing> {
    pub(crate) options: Options,
    pub(crate) machine: MachineSource<M>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) persistence: Option<Arc<dyn Persistence>>,
    pub(crate) query: Option<QueryFn<M>>,
}

impl<M: Snapshots> fmt::Debug for Builder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            options: Options::default(),
            machine: MachineSource::Ready(KeepsNothing),
            transport: None,
            persistence: None,
            query: None,
        }
    }
}

impl<M: Snapshots> Builder<M> {
    /// The state machine to replicate. Default: [`KeepsNothing`], which answers each command with
    /// its index.
    #[must_use]
    pub fn state_machine<N: Snapshots>(self, machine: N) -> Builder<N> {
        self.with_machine(MachineSource::Ready(machine))
    }

    /// A state machine that is opened by `open` once the node has its data directory for itself: for one that
    /// keeps its own files in there, under names that begin with `machine-`. The directory is locked by then,
    /// and if the node [begins anew](Self::rejoin) the machine's old files are set aside with all others, so
    /// that it is opened empty. `open` may block; its error is [`StartError::Machine`].
    #[must_use]
    pub fn state_machine_with<N: Snapshots>(
        self,
        open: impl FnOnce() -> Result<N, MachineError> + Send + 'static,
    ) -> Builder<N> {
        self.with_machine(MachineSource::Opened(Box::new(open)))
    }

    fn with_machine<N: Snapshots>(self, machine: MachineSource<N>) -> Builder<N> {
        let Self { options, transport, persistence, .. } = self;
        Builder { options, machine, transport, persistence, query: None }
    }

    /// Lets clients and other nodes put the machine's [`Queries`] to it.
    #[must_use]
    pub fn answer_queries(mut self) -> Self
    where
        M: Queries,
    {
        self.query = Some(Applier::query);
        self
    }

    /// The node's name: unique in its cluster, and kept with its data. Default: one is made.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.options.id = Some(id.into());
        self
    }

    /// The cluster's name. Nodes of other clusters are turned away. Default: `skiff`.
    #[must_use]
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.options.cluster = cluster.into();
        self
    }

    /// How a name is made if none is given. Default: a cuid2.
    #[doc(alias = "uuid")]
    #[must_use]
    pub fn id_generator(mut self, make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.options.id_generator = IdGenerator::new(make);
        self
    }

    /// The network to others. Default: one within the process, where a node listens at its name.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Talks TCP, and listens here: `127.0.0.1:7001`, or port 0 for any. Listening off loopback
    /// needs [`insecure`](Self::insecure) until there is TLS.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.options.listen = Some(address.into());
        self
    }

    /// The address at which others reach this node, where it is not the one it
    /// [listens](Self::listen) at: behind a proxy, or in a container. It is what the members know this
    /// node by. Default: the address it listens at.
    #[must_use]
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.options.advertise = Some(address.into());
        self
    }

    /// Allows listening where others than this machine can connect, unencrypted and
    /// unauthenticated.
    #[must_use]
    pub const fn insecure(mut self, insecure: bool) -> Self {
        self.options.insecure = insecure;
        self
    }

    /// Where to keep the log, the term, the vote and the name. Default: in memory.
    #[must_use]
    pub fn persistence(mut self, persistence: impl Persistence + 'static) -> Self {
        self.persistence = Some(Arc::new(persistence));
        self
    }

    /// Keeps the data in this directory, durably: what was acknowledged survives a crash. Each node
    /// needs a directory of its own; it is made if it is not there.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.data_dir = Some(path.into());
        self
    }

    /// Whom to form a cluster with: these and nobody else. The own address may be among them. All
    /// must be up together once; from then on a majority is enough.
    #[must_use]
    pub fn peers<P: Into<String>>(mut self, peers: impl IntoIterator<Item = P>) -> Self {
        self.options.peers = Some(peers.into_iter().map(Into::into).collect());
        self
    }

    /// Founds a cluster of one, unless the node is a member already.
    #[must_use]
    pub const fn bootstrap(mut self) -> Self {
        self.options.bootstrap = true;
        self
    }

    /// Lets a machine that is not empty begin a new cluster with what it holds.
    #[must_use]
    pub const fn adopt_state(mut self) -> Self {
        self.options.adopt_state = true;
        self
    }

    /// What the node does if damage has taken entries from its log: by default it abstains and gets them
    /// back from the other members; or it does not start, and its data is left as it is.
    #[must_use]
    pub const fn on_lost_data(mut self, what: OnLostData) -> Self {
        self.options.on_lost_data = what;
        self
    }

    /// How often a leader gives a sign of life. Default: 50 ms.
    #[doc(alias = "heartbeatInterval")]
    #[must_use]
    pub const fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.options.heartbeat_interval = interval;
        self
    }

    /// The shortest time without a leader after which a node campaigns. Default: 150 ms.
    #[doc(alias = "minElectionTimeout")]
    #[must_use]
    pub const fn min_election_timeout(mut self, timeout: Duration) -> Self {
        self.options.min_election_timeout = timeout;
        self
    }

    /// The longest such time. Default: 300 ms.
    #[doc(alias = "maxElectionTimeout")]
    #[must_use]
    pub const fn max_election_timeout(mut self, timeout: Duration) -> Self {
        self.options.max_election_timeout = timeout;
        self
    }

    /// How long a command or a read may take before its caller gets an answer. Default: 3 s.
    #[must_use]
    pub const fn command_timeout(mut self, timeout: Duration) -> Self {
        self.options.command_timeout = timeout;
        self
    }

    /// How long a [session](Node::session) lives without being used. It is counted in the log's time, which
    /// stands still while nobody leads. At most a day. Default: an hour.
    #[must_use]
    pub const fn session_timeout(mut self, timeout: Duration) -> Self {
        self.options.session_timeout = timeout;
        self
    }

    /// How many sessions there may be at the same time. What the leader has counts for all; with as many
    /// as may be, new ones are refused. Default: 65,536.
    #[must_use]
    pub const fn max_sessions(mut self, count: u64) -> Self {
        self.options.max_sessions = count;
        self
    }

    /// How many bytes of responses are kept for sessions. What the leader has counts for all; with as many
    /// as may be, commands of sessions are refused. Default: 64 MiB.
    #[must_use]
    pub const fn max_session_bytes(mut self, bytes: u64) -> Self {
        self.options.max_session_bytes = bytes;
        self
    }

    /// How long a change of the members may take before its caller gets an answer. Default: 30 s.
    #[must_use]
    pub const fn change_timeout(mut self, timeout: Duration) -> Self {
        self.options.change_timeout = timeout;
        self
    }

    /// In a cluster that exists the node wants to be a learner: it receives the log, and is never made a
    /// voter.
    #[must_use]
    pub const fn learner(mut self) -> Self {
        self.options.learner = true;
        self
    }

    /// If the node was removed from its cluster, its data is set aside, never deleted, and it begins anew
    /// as a fresh node. Otherwise nothing is different.
    #[must_use]
    pub const fn rejoin(mut self) -> Self {
        self.options.rejoin = true;
        self
    }

    /// Whether a follower passes commands on to the leader and brings the response back. Default:
    /// no, it answers `ENOTLEADER` with the leader.
    #[must_use]
    pub const fn forward_commands(mut self, forward: bool) -> Self {
        self.options.forward_commands = forward;
        self
    }

    /// The largest command, in bytes. Default: 8 MiB.
    #[must_use]
    pub const fn max_command_bytes(mut self, bytes: usize) -> Self {
        self.options.max_command_bytes = bytes;
        self
    }

    /// How many bytes of commands may wait before callers are told `Busy`. Default: 64 MiB.
    #[must_use]
    pub const fn max_queue_bytes(mut self, bytes: usize) -> Self {
        self.options.max_queue_bytes = bytes;
        self
    }

    /// How much room on the disk is kept for what is promised already, in bytes, besides two files of
    /// the log: with less, a leader refuses commands, and goes on by itself when there is more. Default:
    /// 64 MiB; never more than a twentieth of the disk.
    #[must_use]
    pub const fn disk_reserve_bytes(mut self, bytes: u64) -> Self {
        self.options.disk_reserve_bytes = bytes;
        self
    }

    /// After how many entries a snapshot is taken, and after how many bytes of them, whichever comes first;
    /// `None` for either: that does not matter. With `None` for both, snapshots are only taken on request,
    /// and the log grows until then. Where the last snapshot has more bytes, as many are waited for, so that
    /// snapshots never cost more than the log. Default: 1,000,000 entries, 64 MiB.
    #[must_use]
    pub const fn snapshot_after(mut self, entries: Option<u64>, bytes: Option<u64>) -> Self {
        self.options.snapshot_after_entries = entries;
        self.options.snapshot_after_bytes = bytes;
        self
    }

    /// At most how many bytes of a snapshot are sent to one member in a second. Default: no limit.
    #[must_use]
    pub const fn snapshot_rate(mut self, bytes: u64) -> Self {
        self.options.snapshot_rate = Some(bytes);
        self
    }

    /// How much of the log is kept behind the newest snapshot, so that members that are a little behind
    /// need none: at most so many entries, and at most so many bytes. Default: 100,000 entries, 16 MiB.
    #[must_use]
    pub const fn log_keep(mut self, entries: u64, bytes: usize) -> Self {
        self.options.log_keep_entries = entries;
        self.options.log_keep_bytes = bytes;
        self
    }

    /// When a machine that is durable by itself makes its data durable ([`Snapshots::checkpoint`]): after
    /// so many entries, after so many bytes of them, and when nothing has come for so long. In between the
    /// log is what makes it durable, and what is applied again after a crash. Default: 65,536 entries,
    /// 16 MiB, a second. Machines that live in memory do nothing of it.
    #[must_use]
    pub const fn checkpoint_after(mut self, entries: u64, bytes: u64, idle: Duration) -> Self {
        self.options.checkpoint_after_entries = entries;
        self.options.checkpoint_after_bytes = bytes;
        self.options.checkpoint_when_idle = idle;
        self
    }

    /// A node that is put together and not started: to subscribe to, and to join peers with.
    ///
    /// # Errors
    ///
    /// If a setting cannot be, or two contradict each other.
    pub fn build(self) -> Result<Idle<M>, OptionsError> {
        self.options.validate()?;
        if self.transport.is_some() && self.options.listen.is_some() {
            return Err(OptionsError::Both("transport", "listen"));
        }
        if self.persistence.is_some() && self.options.data_dir.is_some() {
            return Err(OptionsError::Both("persistence", "data_dir"));
        }
        Ok(Idle::new(self))
    }

    /// [Builds](Self::build) the node and [starts](Idle::start) it.
    ///
    /// # Errors
    ///
    /// As those two.
    pub async fn start(self) -> Result<Node<M>, StartError> {
        self.build()?.start().await
    }
}
