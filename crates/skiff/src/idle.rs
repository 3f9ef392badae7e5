//! A node that is put together and not started, and how it starts.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use skiff_replica::{
    Applier, Event, Input, Opened, Replica, Settings, Snapshots, Start, State,
    core::{Config, NodeId},
    storage::{MemoryPersistence, Opening, Persistence, Store, StoreError},
    transport::{Accepted, Local, MemoryTransport, Transport},
};
use skiff_tcp::TcpTransport;
use skiff_wal::DiskPersistence;
use tokio::sync::{RwLock, broadcast, mpsc, watch};
use tracing::Instrument;

use crate::{
    builder::Builder,
    callers::Callers,
    clock::{Clock, nanos},
    driver::Driver,
    error::StartError,
    events::{BACKLOG, Events},
    inbox::{Mailbox, Note},
    machine_task::MachineTask,
    meters::Meters,
    node::{Node, Shared},
    options::Options,
    snapshot_task::SnapshotTask,
    status::Status,
};

/// A node that is put together and not started (the original's state `idle`). Whatever is
/// subscribed to here hears the node's story from its first word.
pub struct Idle<M: Snapshots> {
    builder: Builder<M>,
    events: broadcast::Sender<Event>,
    joined: Vec<String>,
}

impl<M: Snapshots> fmt::Debug for Idle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("builder", &self.builder).finish_non_exhaustive()
    }
}

impl<M: Snapshots> Idle<M> {
    pub(crate) fn new(builder: Builder<M>) -> Self {
        Self { builder, events: broadcast::channel(BACKLOG).0, joined: Vec::new() }
    }

    /// The settings.
    pub const fn options(&self) -> &Options {
        &self.builder.options
    }

    /// The state: idle.
    #[must_use]
    pub const fn state(&self) -> State {
        State::Idle
    }

    /// Everything the node will tell from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.events.subscribe())
    }

    /// Names a peer to form a cluster with, as [`Node::join`] does.
    pub fn join(&mut self, peer: impl Into<String>) -> &mut Self {
        self.joined.push(peer.into());
        self
    }

    /// Opens the data, begins to listen, and sets the node going. Returns as soon as it runs;
    /// whether it is a member of a cluster is another matter: [`Node::ready`].
    ///
    /// # Errors
    ///
    /// If the data cannot be opened or is somebody else's, if the address cannot be listened on, or
    /// outside of a tokio runtime.
    pub async fn start(self) -> Result<Node<M>, StartError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(StartError::NoRuntime);
        }
        let Self { builder, events, joined } = self;
        let Builder { options, machine, transport, persistence, query } = builder;
        let lone = transport.is_none()
            && options.listen.is_none()
            && persistence.is_none()
            && options.data_dir.is_none();
        let (store, start) = open(&options, persistence).await?;
        // Only now: until here its files may be another node's, or have been set aside.
        let machine = machine.machine().await?;
        let identity = store.identity.clone();
        let transport = match transport {
            Some(transport) => transport,
            None => own_transport(&options)?,
        };
        let (mailbox, inbox) = Mailbox::<M>::new(options.max_queue_bytes);
        let address = listen(&options, &identity, &*transport, &mailbox)?;

        let applier = Applier::new(machine);
        let start = Start { machine: applier.machine().opened_at(), ..start };
        let mut settings = Settings::new::<M>(core_config(&options)?, random()?, random_u128()?);
        settings.address = address.unwrap_or_default();
        settings.lone = lone;
        settings.learner = options.learner;
        settings.named = options.id.is_some();
        settings.forward = options.forward_commands;
        settings.adopt_state = options.adopt_state;
        settings.waiting_bytes = options.max_queue_bytes;
        settings.reserve_bytes = options.disk_reserve_bytes;
        settings.sessions_max = options.max_sessions;
        settings.sessions_bytes = options.max_session_bytes;
        settings.snapshots.entries = options.snapshot_after_entries;
        settings.snapshots.bytes = options.snapshot_after_bytes;
        settings.snapshots.rate = options.snapshot_rate;
        settings.marks.entries = options.checkpoint_after_entries;
        settings.marks.bytes = options.checkpoint_after_bytes;
        settings.marks.idle = nanos(options.checkpoint_when_idle);
        let clock = Clock::start();
        let mut replica = match Replica::new(clock.now(), settings, start) {
            Ok(replica) => replica,
            Err(error) => {
                transport.shutdown();
                return Err(error.into());
            }
        };
        for input in first_inputs(&options, joined) {
            replica.step(clock.now(), input);
        }

        let meters = Meters::new(&identity.name);
        let machine = Arc::new(RwLock::new(applier));
        let (work, works) = mpsc::unbounded_channel();
        let snapshot_task = SnapshotTask::spawn(Arc::clone(&store.snapshots), mailbox.clone());
        let machine_task = MachineTask {
            machine: Arc::clone(&machine),
            mailbox: mailbox.clone(),
            events: events.clone(),
            query,
            done: meters.local.done.clone(),
            took: meters.apply.clone(),
            sessions: meters.of_sessions(),
            store: Arc::clone(&store.snapshots),
            snapshots: snapshot_task.work.clone(),
        };
        let machine_end = machine_task.spawn(works);
        let (status, watched) = watch::channel(Status::from(replica.status()));
        let calls = meters.local.clone();
        let driver = Driver {
            replica,
            clock,
            mailbox: mailbox.clone(),
            log: store.log,
            snapshots: store.snapshots,
            snapshot_task,
            transport,
            machine: work,
            machine_end,
            events: events.clone(),
            status,
            callers: Callers::new(),
            in_machine: VecDeque::new(),
            links: HashMap::new(),
            accepted: 0,
            now: clock.now(),
            ticked_at: clock.now(),
            looked_at: None,
            is_looking: false,
            told_at: clock.now(),
            meters,
            ended: None,
        };
        let (end, ended) = watch::channel(None);
        let span = tracing::info_span!("node", name = identity.name);
        let run = async move {
            // Whoever waits learns of the end also if the task is dropped or panics.
            let result = driver.run(inbox).await;
            end.send_replace(Some(result));
        };
        tokio::spawn(run.instrument(span));
        Ok(Node::new(Shared {
            name: identity.name,
            options,
            clock,
            mailbox,
            calls,
            machine,
            events: events.downgrade(),
            status: watched,
            ended,
        }))
    }
}

/// Opens the store and reads what it holds. May block, so elsewhere.
async fn open(
    options: &Options,
    persistence: Option<Arc<dyn Persistence>>,
) -> Result<(Store, Start), StartError> {
    let persistence = persistence.unwrap_or_else(|| match &options.data_dir {
        Some(dir) => Arc::new(DiskPersistence::new(dir)),
        None => Arc::new(MemoryPersistence::new()),
    });
    let opening = Opening {
        cluster: options.cluster.clone(),
        name: options.id.clone(),
        fresh_name: options.id_generator.make(),
        fresh_node: NodeId(random_u128()?),
        on_lost_data: options.on_lost_data,
        rejoin: options.rejoin,
    };
    let opened = tokio::task::spawn_blocking(move || {
        let mut store = persistence.open(&opening)?;
        let recovered = store.log.load()?;
        let start = Start::of(store.identity.clone(), recovered, &*store.snapshots, Opened::Empty)?;
        Ok::<_, StoreError>((store, start))
    });
    Ok(opened.await.map_err(|error| StoreError::Other(format!("opening panicked: {error}")))??)
}

fn own_transport(options: &Options) -> Result<Arc<dyn Transport>, StartError> {
    if options.listen.is_some() {
        let mut tcp = TcpTransport::builder().insecure(options.insecure);
        if let Some(address) = &options.advertise {
            tcp = tcp.advertise(address);
        }
        Ok(Arc::new(tcp.build()?))
    } else {
        Ok(Arc::new(MemoryTransport::default()))
    }
}

fn listen<M: Snapshots>(
    options: &Options,
    identity: &skiff_replica::storage::Identity,
    transport: &dyn Transport,
    mailbox: &Mailbox<M>,
) -> Result<Option<String>, StartError> {
    let local = Local {
        cluster: options.cluster.clone(),
        name: identity.name.clone(),
        node: identity.node,
        listen: options.listen.clone(),
    };
    let mailbox = mailbox.clone();
    let accepted = Accepted::new(move |connection| mailbox.put(Note::Accepted(connection)));
    Ok(transport.open(local, accepted)?)
}

/// What the user has said already.
fn first_inputs(options: &Options, joined: Vec<String>) -> Vec<Input> {
    let named = options.peers.clone().unwrap_or_default();
    let mut inputs: Vec<Input> =
        named.into_iter().chain(joined).map(|address| Input::Join { address }).collect();
    if options.peers.is_some() {
        inputs.push(Input::CloseList);
    }
    if options.bootstrap {
        inputs.push(Input::Bootstrap);
    }
    inputs
}

fn core_config(options: &Options) -> Result<Config, StartError> {
    // The replica puts in the id that belongs to the store.
    let mut config = Config::new(NodeId(0));
    config.heartbeat_interval = nanos(options.heartbeat_interval);
    config.min_election_timeout = nanos(options.min_election_timeout);
    config.max_election_timeout = nanos(options.max_election_timeout);
    config.command_bytes = options.max_command_bytes;
    config.uncommitted_bytes = options.max_queue_bytes;
    config.keep_entries = options.log_keep_entries;
    config.keep_bytes = options.log_keep_bytes;
    // Two runs must never draw the same names for their reads.
    config.seed = random()?;
    Ok(config)
}

fn random() -> Result<u64, StartError> {
    getrandom::u64().map_err(no_randomness)
}

fn random_u128() -> Result<u128, StartError> {
    Ok(u128::from(random()?) << 64 | u128::from(random()?))
}

fn no_randomness(error: getrandom::Error) -> StartError {
    StoreError::Other(format!("the system gives no random numbers: {error}")).into()
}
