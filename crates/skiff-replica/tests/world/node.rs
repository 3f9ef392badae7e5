//! One node of a world: its settings, its store, and the jobs that concern nobody else.

use std::collections::BTreeSet;

use bytes::Bytes;
use skiff_core::{Config, LoadError, NodeId};
use skiff_replica::{
    Applier, Apply, Encoded, Event, Incoming, Input, Instant, Job, LinkId, Outcome, Refused,
    Replica, ReplicaError, Settings, Snapshots, Standing, Start, Token, is_remote, read_piece,
    restore_snapshot, write_snapshot,
};
use skiff_storage::{
    Done as WriteDone, MemoryPersistence, OnLostData, Opening, Persistence, Store, StoreError,
    Written,
};

use super::{
    MS,
    machine::{Counter, Disk},
};

/// How a node is set up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spec {
    pub(crate) peers: Vec<String>,
    pub(crate) closed: bool,
    pub(crate) bootstrap: bool,
    pub(crate) forward: bool,
    pub(crate) lone: bool,
    pub(crate) cluster: Option<String>,
    /// Whether it wants to be a learner.
    pub(crate) learner: bool,
    /// Whether it begins anew if it was removed.
    pub(crate) rejoin: bool,
    /// Where it says that it is, if that is not its own name.
    pub(crate) address: Option<String>,
    /// Another name than the one the world knows it by.
    pub(crate) name: Option<String>,
    pub(crate) crash: Option<Crash>,
    /// The machine's first state.
    pub(crate) history: Vec<i64>,
    pub(crate) fails_at: Option<i64>,
    /// Whether the machine keeps its data over crashes.
    pub(crate) durable: bool,
    /// How long a write takes.
    pub(crate) disk: u64,
    /// Whether there is no room on the disk: writes are refused.
    pub(crate) full: bool,
    /// How long the machine takes for a batch.
    pub(crate) machine: u64,
    pub(crate) command_bytes: Option<usize>,
    pub(crate) waiting_bytes: Option<usize>,
    pub(crate) remote_bytes: Option<usize>,
    /// A snapshot is taken after so many entries, and nothing of the log is kept behind it.
    pub(crate) snapshots: Option<u64>,
    /// A state above so many bytes does not travel in one envelope.
    pub(crate) genesis_bytes: Option<usize>,
}

/// When a node is to crash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    /// So many jobs are done before.
    pub(crate) jobs: usize,
    /// Whether the one after is done too.
    pub(crate) done: bool,
}

impl Spec {
    /// A closed list of the nodes of these names.
    pub(crate) fn peers(names: &[&str]) -> Self {
        let peers = names.iter().map(|name| format!("{name}:1")).collect();
        Self { peers, closed: true, ..Self::default() }
    }

    pub(crate) fn forwarding(mut self) -> Self {
        self.forward = true;
        self
    }

    pub(crate) fn joins(&self) -> Vec<Input> {
        self.peers.iter().map(|address| Input::Join { address: address.clone() }).collect()
    }
}

pub(crate) struct Node {
    name: String,
    pub(crate) spec: Spec,
    persistence: MemoryPersistence,
    /// What a durable machine keeps.
    pub(crate) kept: Disk,
    /// How often the directory was emptied.
    wiped: u128,
    /// Counts the runs, so that what was meant for an earlier one is not taken by a later.
    pub(crate) run: u64,
    pub(crate) running: Option<Running>,
    pub(crate) events: Vec<Event>,
    pub(crate) stopped: Option<Result<(), ReplicaError>>,
    pub(crate) closed: BTreeSet<LinkId>,
}

pub(crate) struct Running {
    pub(crate) replica: Replica,
    store: Store,
    pub(crate) applier: Applier<Counter>,
    pub(crate) tokens: u64,
    accepted: u64,
    woken_at: Option<Instant>,
    /// Whether the log was begun, in this run.
    begun: bool,
    incoming: Incoming,
    /// Whether the store says that the node is a member.
    pub(crate) is_member: bool,
}

/// What comes of a job.
pub(crate) enum Done {
    Input(Input),
    Answer(Token, i64),
    /// Of something of a session.
    Told(Token, Result<Bytes, Refused>),
}

impl Node {
    pub(crate) fn new(name: &str, spec: Spec) -> Self {
        Self {
            name: name.to_owned(),
            spec,
            persistence: MemoryPersistence::new(),
            kept: Disk::default(),
            wiped: 0,
            run: 0,
            running: None,
            events: Vec::new(),
            stopped: None,
            closed: BTreeSet::new(),
        }
    }

    /// A number that differs between the nodes, and between the directories of one.
    fn number(&self) -> u128 {
        let name: u128 = self.name.bytes().fold(7, |sum, byte| sum * 31 + u128::from(byte));
        name + (self.wiped << 64)
    }

    pub(crate) fn start(&mut self, now: Instant) -> Result<(), ReplicaError> {
        let name = self.spec.name.clone().unwrap_or_else(|| self.name.clone());
        let opening = Opening {
            cluster: self.spec.cluster.clone().unwrap_or_else(|| "orders".to_owned()),
            name: Some(name),
            fresh_name: String::new(),
            fresh_node: NodeId(
                self.number() + if self.spec.rejoin { u128::from(self.run) << 96 } else { 0 },
            ),
            on_lost_data: OnLostData::Mend,
            rejoin: self.spec.rejoin,
        };
        let mut store = self.persistence.open(&opening).expect("the store opens");
        let machine = self.machine();
        let (identity, log) = (store.identity.clone(), store.log.load().expect("the log loads"));
        let start = Start::of(identity, log, &*store.snapshots, machine.opened_at());
        let start = start.expect("the snapshot loads");
        let is_member = start.identity.standing == Standing::Member;
        self.run += 1;
        let replica = Replica::new(now, self.settings(), start)?;
        self.closed.clear();
        self.running = Some(Running {
            replica,
            store,
            applier: Applier::new(machine),
            tokens: 0,
            accepted: 0,
            woken_at: None,
            begun: false,
            incoming: Incoming::default(),
            is_member,
        });
        Ok(())
    }

    fn machine(&self) -> Counter {
        if self.spec.durable {
            return Counter::open(&self.kept);
        }
        let (history, fails_at) = (self.spec.history.clone(), self.spec.fails_at);
        Counter { value: history.iter().sum(), history, fails_at, disk: None }
    }

    fn settings(&self) -> Settings {
        let mut config = Config::new(NodeId::default());
        config.seed = u64::try_from(self.number() % 1000).expect("a small number");
        if let Some(bytes) = self.spec.command_bytes {
            config.command_bytes = bytes;
        }
        let instance = (self.number() << 8) + u128::from(self.run);
        let mut settings = Settings::new::<Counter>(config, self.run, instance);
        let address = self.spec.address.clone();
        settings.address = address.unwrap_or_else(|| format!("{}:1", self.name));
        settings.named = true;
        settings.learner = self.spec.learner;
        settings.forward = self.spec.forward;
        settings.lone = self.spec.lone;
        if let Some(bytes) = self.spec.genesis_bytes {
            settings.genesis_bytes = bytes;
        }
        if let Some(entries) = self.spec.snapshots {
            settings.snapshots.entries = Some(entries);
            settings.core.keep_entries = 0;
            settings.core.keep_bytes = 0;
        }
        if let Some(bytes) = self.spec.waiting_bytes {
            settings.waiting_bytes = bytes;
        }
        if let Some(bytes) = self.spec.remote_bytes {
            settings.remote_bytes = bytes;
        }
        settings
    }

    pub(crate) fn crash(&mut self) {
        self.running = None;
        self.run += 1;
    }

    pub(crate) fn wipe(&mut self) {
        self.roll_back();
        self.wiped += 1;
    }

    pub(crate) fn roll_back(&mut self) {
        self.persistence = MemoryPersistence::new();
        self.kept = Disk::default();
    }

    pub(crate) fn accept(&mut self) -> LinkId {
        let running = self.running.as_mut().expect("the node runs");
        running.accepted += 1;
        LinkId::Accepted(running.accepted)
    }

    /// When to wake it next, if that is not known already.
    pub(crate) fn wake_at(&mut self) -> Option<Instant> {
        let running = self.running.as_mut()?;
        let deadline = running.replica.deadline()?;
        let earlier = running.woken_at.is_none_or(|at| deadline < at);
        if earlier {
            running.woken_at = Some(deadline);
        }
        earlier.then_some(deadline)
    }

    /// Whether its time has come.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let Some(running) = &mut self.running else { return false };
        if running.woken_at.is_some_and(|at| at <= now) {
            running.woken_at = None;
        }
        true
    }

    /// Does a job of the disk or the machine, and tells what comes of it and after how long.
    pub(crate) fn work(&mut self, job: Job) -> Vec<(u64, Done)> {
        let full = self.spec.full;
        let (disk, machine) = (self.spec.disk.max(MS / 10), self.spec.machine.max(MS / 100));
        let running = self.running.as_mut().expect("the node runs");
        let Store { log, snapshots, .. } = &mut running.store;
        let words = |result: Result<(), StoreError>| result.map_err(|error| error.to_string());
        let (after, input) = match job {
            Job::Write(write) if full => {
                let (recoverable, reason) = (true, "no room at all".to_owned());
                (disk, Input::WriteFailed { write: write.id, recoverable, reason })
            }
            Job::Write(write) => {
                let id = write.id;
                running.begun |= write.begin_after.is_some();
                let written = log.write(write, WriteDone::new(|_| unreachable!("memory is done")));
                assert_eq!(written.expect("memory does not fail"), Written::Done);
                (disk, Input::Persisted { write: id })
            }
            Job::SaveSnapshot { meta, content } => {
                let result = words(snapshots.save(&meta, &content));
                (disk, Input::SnapshotSaved { result })
            }
            Job::Identify(identity) => {
                let held = snapshots.newest().expect("the snapshot loads");
                assert!(held.is_some(), "a member has a snapshot");
                let is_removed = identity.standing == Standing::Removed;
                assert!(running.begun || is_removed, "a member's log begins with its genesis");
                running.is_member = identity.standing == Standing::Member;
                (disk, Input::Identified { result: words(log.identify(&identity)) })
            }
            Job::Mend { prev, entries } => {
                let result = log.mend(prev, &entries).map_err(Into::into);
                (disk, Input::Mended { prev: Some(prev), result })
            }
            Job::EndWith { entry } => {
                let result = log.end_with(&entry).map_err(Into::into);
                (disk, Input::Mended { prev: None, result })
            }
            Job::Reload => {
                let result = log.load().map_err(Into::into);
                (disk, Input::Reloaded { result })
            }
            Job::Load { load, from, to, bytes_max } => {
                let read = log.reader().read(from, to, bytes_max);
                (disk, Input::Loaded { load, result: read.map_err(|_| LoadError::Failed) })
            }
            Job::Capture => {
                let result = running.applier.capture().map_err(|error| error.reason);
                (machine, Input::Captured { result })
            }
            Job::Restore { content, mark } => {
                let result = running.applier.restore(&content, *mark);
                (machine, Input::Restored { result: result.map_err(|error| error.reason) })
            }
            Job::RestoreSnapshot { position, node } => {
                let restored = restore_snapshot(&mut running.applier, &**snapshots, position, node);
                (machine, Input::Restored { result: restored.map_err(|error| error.reason) })
            }
            Job::Checkpoint { mark } => {
                let position = mark.position;
                let result = running.applier.checkpoint(*mark).map_err(|error| error.reason);
                (machine, Input::Checkpointed { position, result })
            }
            Job::TakeSnapshot { meta } => {
                let position = meta.position;
                let view = running.applier.view(position.index).expect("the machine gives a view");
                let result = write_snapshot(&**snapshots, &meta, view, &|| true);
                (disk, Input::SnapshotTaken { position, result })
            }
            Job::KeepPiece(piece) => {
                let upto = piece.offset + piece.bytes.len() as u64;
                let result = running.incoming.keep(&**snapshots, &piece);
                (disk, Input::PieceKept { position: piece.info.meta.position, upto, result })
            }
            Job::ForgetPieces => {
                running.incoming.forget();
                return Vec::new();
            }
            Job::ReadPiece { transfer, position, offset, bytes_max } => {
                let read = read_piece(&**snapshots, position, offset, bytes_max);
                let result = read.map_err(|error| error.to_string());
                (disk, Input::PieceRead { transfer, offset, result })
            }
            Job::Query { token, query } => {
                (machine, Input::Responded { token, result: running.applier.query(&query) })
            }
            Job::Describe { token } => {
                let result = Ok(running.replica.status().name.into());
                (machine, Input::Responded { token, result })
            }
            Job::Apply(apply) => return running.apply(&apply, machine),
            other => unreachable!("{other:?} concerns others"),
        };
        vec![(after, Done::Input(input))]
    }
}

impl Running {
    fn apply(&mut self, apply: &Apply, after: u64) -> Vec<(u64, Done)> {
        let mut responses = Vec::new();
        let index = match self.applier.apply(apply, &mut responses) {
            Ok(index) => index,
            Err(error) => {
                let input = Input::MachineFailed { index: error.index, reason: error.reason };
                return vec![(after, Done::Input(input))];
            }
        };
        let mut done: Vec<(u64, Done)> = Vec::new();
        for (token, response) in responses {
            done.push((
                after,
                if is_remote(token) {
                    let result = response.encode();
                    let outcome = Outcome::AppliedResponseLost;
                    let result = result
                        .map_err(|error| Refused::Undecodable { reason: error.reason, outcome });
                    Done::Input(Input::Responded { token, result })
                } else {
                    Done::Answer(token, response)
                },
            ));
        }
        for answer in self.applier.take_answers() {
            let Some(token) = answer.token else { continue };
            let result = answer.result;
            let remote = is_remote(token);
            done.push((
                after,
                if remote {
                    Done::Input(Input::Responded { token, result })
                } else {
                    Done::Told(token, result)
                },
            ));
        }
        done.push((after, Done::Input(Input::Applied { index })));
        done
    }
}
