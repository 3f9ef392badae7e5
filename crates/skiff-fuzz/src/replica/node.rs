//! The node with its store, its machine and its callers, and what must be true of all its jobs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use skiff_core::{Config, Fatal, HardState, LoadError, NodeId, Position, Raft, Term, Token, Write};
use skiff_kv::Kv;
use skiff_replica::{
    Applier, Call, Encoded, Incoming, Input, Instant, Job, LinkId, Replica, ReplicaError, Settings,
    Snapshots, Start, is_remote, read_piece, restore_snapshot, write_snapshot,
};
use skiff_storage::{
    Done, Identity, InstanceId, MemoryPersistence, OnLostData, Opening, Persistence, SnapshotMeta,
    Standing, Store,
};
use skiff_transport::{Ask, Body, Envelope, Refusal, Signal};

use super::{ME, strangers};
use crate::{said, source::Source, trace::trace};

pub(super) const CLUSTER: &str = "fuzz";
pub(super) const INSTANCE: InstanceId = InstanceId(0xbeef);
/// No input gives a node more to do at once than its links, its calls and its log account for.
const JOBS: usize = 1_000;
/// The bytes that others may have waiting.
const REMOTE: usize = 1_000;

pub(super) struct Node {
    replica: Replica,
    settings: Settings,
    now: Instant,
    persistence: MemoryPersistence,
    store: Store,
    applier: Applier<Kv>,
    incoming: Incoming,
    /// What the disk and the machine have still to do.
    disk: VecDeque<Job>,
    machine: VecDeque<Job>,
    /// The links that were made and not closed, and whether they are up.
    links: BTreeMap<LinkId, bool>,
    forwarded: Vec<u64>,
    last_token: u64,
    waiting: BTreeSet<Token>,
    stopped: bool,
}

impl Node {
    /// The first bytes choose in which situation the node begins.
    pub(super) fn begin(source: &mut Source<'_>) -> Self {
        let situation = source.pick(4);
        let settings = settings(situation, source);
        let persistence = MemoryPersistence::new();
        if situation == 3 {
            make_member(&persistence);
        }
        let (replica, store, applier) = start(&persistence, Instant(0), &settings)
            .unwrap_or_else(|error| panic!("a sound store does not start: {error}"));
        let mut node = Self {
            replica,
            settings,
            now: Instant(0),
            persistence,
            store,
            applier,
            incoming: Incoming::default(),
            disk: VecDeque::new(),
            machine: VecDeque::new(),
            links: BTreeMap::new(),
            forwarded: Vec::new(),
            last_token: 0,
            waiting: BTreeSet::new(),
            stopped: false,
        };
        node.drain();
        match situation {
            0 => {
                for id in 2..=3 {
                    node.step(Input::Join { address: said::address(NodeId(id)) });
                }
            }
            2 => node.step(Input::Bootstrap),
            _ => {}
        }
        node
    }

    pub(super) const fn is_over(&self) -> bool {
        self.stopped
    }

    pub(super) fn raft(&self) -> Option<&Raft> {
        self.replica.raft()
    }

    pub(super) fn dialled(&self) -> impl Iterator<Item = LinkId> {
        self.links.keys().filter(|link| matches!(link, LinkId::Dialled(_))).copied()
    }

    /// What a request of the node's was called, counted from the newest.
    pub(super) fn forwarded(&self, back: usize) -> Option<u64> {
        self.forwarded.iter().rev().nth(back).copied()
    }

    pub(super) fn step(&mut self, input: Input) {
        trace(&input);
        self.replica.step(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let log = self.raft().map_or(0, |raft| raft.last().index.0 - raft.status().base.index.0);
        let log = usize::try_from(log).unwrap_or(usize::MAX);
        let limit = JOBS + 4 * (self.links.len() + self.replica.status().waiting_calls + log);
        for count in 0.. {
            assert!(count < limit, "more than {limit} jobs at once");
            let Some(job) = self.replica.poll() else { return };
            let is_last_word = matches!(job, Job::Refuse { .. });
            assert!(!self.stopped || is_last_word, "stopped, and then: {job:?}");
            self.take(job);
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Connect { link, .. } => {
                let is_new = self.links.insert(link, false).is_none();
                assert!(is_new, "{link} is made twice");
            }
            Job::Send { link, envelope } => self.send(link, &envelope),
            Job::Close { link } => {
                assert!(self.links.remove(&link).is_some(), "{link} is closed, and not there");
            }
            Job::Write(_)
            | Job::SaveSnapshot { .. }
            | Job::Identify(_)
            | Job::Load { .. }
            | Job::KeepPiece(_)
            | Job::ForgetPieces
            | Job::ReadPiece { .. } => {
                self.disk.push_back(job);
            }
            Job::Mend { .. } | Job::EndWith { .. } | Job::Reload => {
                panic!("a store in memory has no holes: {job:?}");
            }
            Job::Capture
            | Job::Restore { .. }
            | Job::RestoreSnapshot { .. }
            | Job::TakeSnapshot { .. }
            | Job::Checkpoint { .. }
            | Job::Apply(_)
            | Job::Query { .. } => {
                self.machine.push_back(job);
            }
            Job::Describe { token } => {
                assert!(is_remote(token), "nobody here asks that way");
                self.machine.push_back(Job::Describe { token });
            }
            Job::ReadReady { token, .. } | Job::Respond { token, .. } => {
                self.answer(token);
            }
            Job::Refuse { token, reason } => {
                let refusal = Refusal::from(reason);
                assert!(!refusal.code.is_empty(), "refused without a reason");
                self.answer(token);
            }
            Job::Event(_) => {}
            Job::Stop(result) => {
                if let Err(ReplicaError::Core(Fatal::Broken(sentence))) = &result {
                    panic!("broken: {sentence}");
                }
                assert!(self.links.is_empty(), "stopped with links open: {:?}", self.links);
                self.stopped = true;
            }
        }
    }

    fn answer(&mut self, token: Token) {
        assert!(self.waiting.remove(&token), "{token} has its answer, or never asked");
    }

    fn send(&mut self, link: LinkId, envelope: &Envelope) {
        assert!(self.links.contains_key(&link), "sent on {link}, which is not there");
        assert_eq!(envelope.from, ME);
        if let Body::Request(request) = &envelope.body {
            let may = matches!(request.ask, Ask::Command(_) | Ask::Session(_) | Ask::Change(_));
            assert!(may, "only commands and changes are passed on");
            assert!(request.hops <= self.settings.hops_max, "passed on for ever");
            self.forwarded.push(request.id);
        }
    }

    /// A link tells something. One that was accepted begins with its first [`Signal::Up`].
    pub(super) fn signal(&mut self, link: LinkId, signal: Signal) {
        match &signal {
            Signal::Up if matches!(link, LinkId::Accepted(_)) => {
                self.links.insert(link, true);
            }
            Signal::Up | Signal::Down(_) => {
                let up = matches!(signal, Signal::Up);
                self.links.entry(link).and_modify(|is_up| *is_up = up);
            }
            Signal::Received(_) => {}
        }
        self.step(Input::Signal { link, signal });
    }

    /// The transport says so of links that it was asked for only.
    pub(super) fn connect_failed(&mut self, link: LinkId, reason: String) {
        if self.links.get(&link) == Some(&false) && matches!(link, LinkId::Dialled(_)) {
            self.links.remove(&link);
            self.step(Input::ConnectFailed { link, reason });
        }
    }

    /// The deadline has come. It is not due again and again.
    pub(super) fn due(&mut self) {
        for _ in 0..8 {
            let Some(deadline) = self.replica.deadline() else { return };
            let early = deadline > self.now;
            self.now = self.now.max(deadline);
            self.step(Input::Timeout);
            if early {
                return;
            }
        }
        assert!(self.replica.deadline().is_none_or(|at| at > self.now), "due for ever");
    }

    pub(super) fn pass(&mut self, nanos: u64) {
        self.now = self.now.after(nanos);
        self.step(Input::Timeout);
    }

    pub(super) fn call(&mut self, call: Call, within: u64) {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.waiting.insert(token);
        self.step(Input::Call { token, call, deadline: self.now.after(within) });
    }

    /// Who cancels gets no answer any more, except one that the machine is about to give.
    pub(super) fn cancel(&mut self, back: u64) {
        let token = Token(self.last_token.saturating_sub(back));
        if self.waiting.remove(&token) {
            self.step(Input::Cancel { token });
        }
    }

    /// The disk does the oldest of what it has to do, or fails at it.
    pub(super) fn work_disk(&mut self, source: &mut Source<'_>) {
        let Some(job) = self.disk.pop_front() else { return };
        let fails = source.byte() >= 245;
        let reason = || "the disk is full".to_owned();
        let words = |fails: bool| if fails { Err(reason()) } else { Ok(()) };
        let Store { log, snapshots, .. } = &mut self.store;
        let input = match job {
            Job::Write(Write { id, .. }) if fails => {
                let recoverable = source.flag();
                Input::WriteFailed { write: id, recoverable, reason: reason() }
            }
            Job::Write(write) => {
                let id = write.id;
                let written = log.write(write, Done::new(drop));
                assert!(written.is_ok(), "a write that does not fit: {written:?}");
                Input::Persisted { write: id }
            }
            Job::SaveSnapshot { meta, content } => {
                let saved = fails || snapshots.save(&meta, &content).is_ok();
                assert!(saved, "memory does not fail");
                Input::SnapshotSaved { result: words(fails) }
            }
            Job::Identify(identity) => {
                assert!(fails || log.identify(&identity).is_ok(), "memory does not fail");
                Input::Identified { result: words(fails) }
            }
            Job::Load { load, from, to, bytes_max } => {
                let read = log.reader().read(from, to, bytes_max);
                Input::Loaded { load, result: read.map_err(|_| LoadError::Truncated) }
            }
            Job::KeepPiece(piece) => {
                let upto = piece.offset + piece.bytes.len() as u64;
                let result = self.incoming.keep(&**snapshots, &piece);
                Input::PieceKept { position: piece.info.meta.position, upto, result }
            }
            Job::ForgetPieces => return self.incoming.forget(),
            Job::ReadPiece { transfer, position, offset, bytes_max } => {
                let read = read_piece(&**snapshots, position, offset, bytes_max);
                let result = read.map_err(|error| error.to_string());
                Input::PieceRead { transfer, offset, result }
            }
            other => panic!("no job of the disk: {other:?}"),
        };
        self.step(input);
    }

    /// The machine does the oldest of what it has to do.
    pub(super) fn work_machine(&mut self, source: &mut Source<'_>) {
        let Some(job) = self.machine.pop_front() else { return };
        let input = match job {
            Job::Capture if source.byte() >= 250 => Input::Captured { result: Err("no".into()) },
            Job::Capture => {
                Input::Captured { result: self.applier.capture().map_err(|error| error.reason) }
            }
            Job::Restore { content, mark } => {
                let result = self.applier.restore(&content, *mark);
                Input::Restored { result: result.map_err(|error| error.reason) }
            }
            Job::RestoreSnapshot { position, node } => {
                let store = &*self.store.snapshots;
                let restored = restore_snapshot(&mut self.applier, store, position, node);
                Input::Restored { result: restored.map_err(|error| error.reason) }
            }
            Job::Checkpoint { mark } => {
                let position = mark.position;
                let result = self.applier.checkpoint(*mark).map_err(|error| error.reason);
                Input::Checkpointed { position, result }
            }
            Job::TakeSnapshot { meta } => {
                let view = self.applier.view(meta.position.index);
                let view = view.unwrap_or_else(|error| panic!("no view: {error}"));
                let result = write_snapshot(&*self.store.snapshots, &meta, view, &|| true);
                Input::SnapshotTaken { position: meta.position, result }
            }
            Job::Query { token, query } => {
                Input::Responded { token, result: self.applier.query(&query) }
            }
            Job::Describe { token } => {
                let result = Ok(format!("{:?}", self.replica.status()).into());
                Input::Responded { token, result }
            }
            Job::Apply(apply) => return self.apply(&apply),
            other => panic!("no job of the machine: {other:?}"),
        };
        self.step(input);
    }

    fn apply(&mut self, apply: &skiff_core::Apply) {
        let mut responses = Vec::new();
        let index = match self.applier.apply(apply, &mut responses) {
            Ok(index) => index,
            Err(error) => {
                return self
                    .step(Input::MachineFailed { index: error.index, reason: error.reason });
            }
        };
        for (token, response) in responses {
            if is_remote(token) {
                let result = response.encode();
                let result = Ok(result.unwrap_or_else(|error| panic!("no response: {error}")));
                self.step(Input::Responded { token, result });
            } else {
                // Who cancelled, or whose time was up, is told nothing.
                self.waiting.remove(&token);
            }
        }
        self.step(Input::Applied { index });
    }

    /// The process ends, and begins again with what is durable. What was founded but not told to
    /// anybody may be founded anew.
    pub(super) fn restart(&mut self) {
        self.disk.clear();
        self.machine.clear();
        self.links.clear();
        self.waiting.clear();
        self.last_token = 0;
        self.settings.nonce += 1;
        // The store must be closed before it is opened again.
        let elsewhere = start(&MemoryPersistence::new(), self.now, &self.settings);
        let Ok((replica, store, applier)) = elsewhere else {
            panic!("a new node does not start");
        };
        (self.replica, self.store, self.applier) = (replica, store, applier);
        (self.replica, self.store, self.applier) =
            start(&self.persistence, self.now, &self.settings)
                .unwrap_or_else(|error| panic!("what was durable does not start: {error}"));
        self.drain();
    }

    /// All others go away; nobody is taken for connected then, and no call of theirs is kept. Then
    /// the node stops: everybody who waits has an answer, and nothing happens any more.
    pub(super) fn end(mut self) {
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.signal(link, Signal::Down("gone".to_owned()));
        }
        if !self.stopped {
            for peer in &self.replica.status().peers {
                assert!(!peer.connected, "{peer:?} is gone");
            }
            self.step(Input::Stop);
        }
        assert!(self.stopped, "told to stop, it goes on");
        assert!(self.waiting.is_empty(), "without an answer: {:?}", self.waiting);
        assert_eq!(self.replica.deadline(), None);
        self.call(Call::Command(Encoded::encode(&0_u8).unwrap_or_default()), 1 << 30);
        assert!(self.waiting.is_empty(), "a stopped node answers too");
        self.step(Input::Timeout);
    }
}

fn settings(situation: usize, source: &mut Source<'_>) -> Settings {
    let mut config = Config::new(ME);
    config.check_invariants = true;
    config.seed = u64::from(source.byte());
    let bits = source.byte();
    if bits & 1 == 1 {
        (config.cache_bytes, config.append_bytes, config.window_messages) = (80, 80, 2);
        (config.uncommitted_bytes, config.command_bytes) = (300, 200);
    }
    let mut settings = Settings::new::<Kv>(config, 1, INSTANCE.0);
    settings.address = said::address(ME);
    settings.lone = situation == 1;
    settings.forward = bits & 2 == 0;
    settings.remote_bytes = REMOTE;
    settings.waiting_bytes = REMOTE;
    settings
}

fn opening() -> Opening {
    Opening {
        cluster: CLUSTER.to_owned(),
        name: Some(said::name(ME)),
        fresh_name: String::new(),
        fresh_node: ME,
        on_lost_data: OnLostData::Mend,
        rejoin: false,
    }
}

/// Makes it the store of one of three members whose log holds nothing yet.
fn make_member(persistence: &MemoryPersistence) {
    let position = Position::new(1, 1);
    let meta = SnapshotMeta {
        instance: INSTANCE,
        position,
        membership: strangers::members(&[1, 2, 3]),
        machine_version: 0,
        codec: "msgpack-named".to_owned(),
        ..SnapshotMeta::default()
    };
    let hard_state = HardState { term: Term(1), vote: None };
    let begin = Write { hard_state, begin_after: Some(position), ..Write::default() };
    let made = || {
        let mut store = persistence.open(&opening())?;
        store.snapshots.save(&meta, &strangers::node_content())?;
        store.log.write(begin, Done::new(drop))?;
        store.log.identify(&Identity {
            standing: Standing::Member,
            instance: Some(INSTANCE),
            ..store.identity.clone()
        })
    };
    made().unwrap_or_else(|error| panic!("memory does not fail: {error}"));
}

fn start(
    persistence: &MemoryPersistence,
    now: Instant,
    settings: &Settings,
) -> Result<(Replica, Store, Applier<Kv>), String> {
    let words = |error: skiff_storage::StoreError| error.to_string();
    let mut store = persistence.open(&opening()).map_err(words)?;
    let machine = Kv::new();
    let (identity, log) = (store.identity.clone(), store.log.load().map_err(words)?);
    let start = Start::of(identity, log, &*store.snapshots, machine.opened_at()).map_err(words)?;
    let replica = Replica::new(now, settings.clone(), start);
    Ok((replica.map_err(|error| error.to_string())?, store, Applier::new(machine)))
}
