//! A whole node without I/O: what happened in, jobs out.

mod admission;
mod arriving;
mod calling;
mod changing;
mod copying;
mod covering;
mod fetching;
mod founding;
mod genesis;
mod leaving;
mod marks;
mod member;
mod mending;
mod peering;
mod receiving;
mod roster;
mod sending;
mod snapshots;
mod transferring;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
};

use skiff_core::{self as core, Index, Instant, LoadId, Membership, Raft, Token};
use skiff_storage::{Identity, Standing};
use skiff_transport::{Hello, MemberChange};

pub use self::leaving::LEAVING_TIMEOUTS;
pub(crate) use self::{
    copying::Copies, fetching::Fetches, founding::Entering, genesis::GENESIS, leaving::Leaving,
    member::Member, mending::Mending, receiving::Receiving, sending::Transfers,
};
use crate::{
    calls::{Calls, Copy, Stage, Wanted},
    error::{ReplicaError, StartError},
    event::Event,
    forming::Forming,
    input::{Call, Input},
    job::Job,
    links::Links,
    machine::Opened,
    refusals::Refusals,
    refused::Leader,
    sessions::Proposal,
    settings::{Settings, Start},
    trail::Trail,
    vacancy::Vacancy,
};

/// One node, without I/O.
///
/// | to | call |
/// |---|---|
/// | begin | [`new`](Self::new) |
/// | take something in | [`step`](Self::step) |
/// | give something out | [`poll`](Self::poll) |
/// | know when to come back | [`deadline`](Self::deadline) |
/// | look | [`status`](Self::status) |
///
/// A driver steps all that has happened, then polls until there is nothing more, then waits for an
/// input or the deadline. The same inputs at the same instants give the same jobs.
#[derive(Debug)]
pub struct Replica {
    settings: Settings,
    identity: Identity,
    now: Instant,
    started_at: Instant,
    jobs: VecDeque<Job>,
    links: Links,
    refusals: Refusals,
    calls: Calls,
    forming: Forming,
    phase: Phase,
    /// What was last said of the list of peers, to say it again when it changes.
    said: Hello,
    say_again_at: Instant,
    /// Calls that wait for a leader, and when to look for one again.
    held: VecDeque<Token>,
    held_until: Option<Instant>,
    fetches: Fetches,
    /// Snapshots on their way to others, and one that comes.
    transfers: Transfers,
    receiving: Option<Receiving>,
    /// Who waits for a snapshot, and copies that are being made.
    copies: Copies,
    /// Where the core's reads of old entries begin that are under way.
    loads: BTreeMap<LoadId, Index>,
    /// Where reads began that have failed, and have not been done since.
    unread: BTreeSet<Index>,
    /// Whether the log has room.
    vacancy: Vacancy,
    /// How the log grew.
    trail: Trail,
    /// It is to stop as soon as others can do without it.
    leaving: Option<Leaving>,
    /// Where the machine stood when it was opened or given a state: its mark, and what it had stored.
    opened_at: (Index, Index),
    /// What store and machine said when they failed.
    store_said: Option<String>,
    machine_said: Option<String>,
    stopped: bool,
}

/// How far the node is.
#[derive(Debug)]
enum Phase {
    /// It belongs to no cluster.
    Fresh,
    /// It has a genesis, or a snapshot, and is not done with it.
    Entering(Box<Entering>),
    /// It is a member whose log has holes.
    Mending(Box<Mending>),
    /// It is a member, and the core runs.
    Member(Box<Member>),
    /// It is a member no longer.
    Removed,
}

impl Replica {
    /// A node that begins with what its store and its machine held.
    ///
    /// # Errors
    ///
    /// If these do not belong together, data is missing, or the settings contradict each other.
    pub fn new(now: Instant, settings: Settings, start: Start) -> Result<Self, StartError> {
        settings.core.validate().map_err(core::StartError::from)?;
        let Start { identity, log, snapshot, genesis, remarks, machine } = start;
        let patience = settings.core.max_election_timeout;
        let mut replica = Self {
            settings,
            identity,
            now,
            started_at: now,
            jobs: VecDeque::new(),
            links: Links::default(),
            refusals: Refusals::default(),
            calls: Calls::new(),
            forming: Forming::new(now, patience),
            phase: Phase::Fresh,
            said: Hello::default(),
            say_again_at: now.after(patience),
            held: VecDeque::new(),
            held_until: None,
            fetches: Fetches::default(),
            transfers: Transfers::default(),
            receiving: None,
            copies: Copies::default(),
            loads: BTreeMap::new(),
            unread: BTreeSet::new(),
            vacancy: Vacancy::default(),
            trail: Trail::new(log.last.index),
            leaving: None,
            opened_at: (Index::ZERO, Index::ZERO),
            store_said: None,
            machine_said: None,
            stopped: false,
        };
        for remark in log.remarks.iter().chain(&remarks).cloned() {
            replica.tell(Event::Remark(remark));
        }
        replica.tell(Event::Loaded);
        match replica.identity.standing {
            Standing::Fresh => {
                replica.check_machine_is_empty(&machine)?;
                replica.survey();
            }
            Standing::Member => replica.return_to_cluster(log, snapshot, genesis, machine)?,
            Standing::Removed => {
                return Err(StartError::Removed { name: replica.identity.name });
            }
        }
        Ok(replica)
    }

    /// Takes in one thing that happened. Time never goes back: an earlier `now` counts as the
    /// latest one seen. Nothing is taken in any more once [`Job::Stop`] is put out.
    pub fn step(&mut self, now: Instant, input: Input) {
        self.now = self.now.max(now);
        if self.stopped {
            return self.refuse_stopped(&input);
        }
        self.take(input);
        if matches!(self.phase, Phase::Fresh) && !self.stopped {
            self.survey();
        }
        self.follow_members();
        self.leave_if_free();
        self.calls.trim();
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Timeout => self.timeout(),
            Input::Join { address } => self.join(&address),
            Input::CloseList => self.forming.close(),
            Input::Bootstrap => self.bootstrap(),
            Input::Signal { link, signal } => self.signal(link, signal),
            Input::ConnectFailed { link, reason } => self.connect_failed(link, reason),
            Input::Call { token, call, deadline } => {
                let wanted = match call {
                    Call::Command(command) => Wanted::Command(Proposal::Command(command)),
                    Call::Session(ask) => Wanted::Command(Proposal::Session(ask)),
                    Call::Read(consistency) => Wanted::Read(consistency),
                    Call::Transfer(to) => Wanted::Transfer(to),
                    Call::Fate(position) => Wanted::Fate(position),
                    Call::Change(change) => Wanted::Change(change),
                    Call::Snapshot => Wanted::Snapshot,
                    Call::Backup { position, offset, bytes_max } => {
                        Wanted::Backup(Copy { position, offset, bytes_max })
                    }
                    Call::Leave => {
                        let name = self.identity.name.clone();
                        Wanted::Change(MemberChange::Remove { name })
                    }
                };
                self.call(token, wanted, deadline);
            }
            Input::Cancel { token } => self.cancel(token),
            Input::Persisted { write } => self.persisted(write),
            Input::WriteFailed { write, recoverable, reason } => {
                self.write_failed(write, recoverable, reason);
            }
            Input::Room { room } => {
                let had = self.vacancy.why_not().is_none();
                let news = self.vacancy.measured(room.as_ref(), self.settings.reserve_bytes);
                news.into_iter().for_each(|news| self.tell(news));
                if had != self.vacancy.why_not().is_none() {
                    self.say_hello_to_all();
                }
                self.give_way();
            }
            Input::Loaded { load, result } if Fetches::is_one(load) => {
                self.fetch_loaded(load, result);
            }
            Input::Loaded { load, result } => self.loaded(load, result),
            Input::Mended { prev, result } => self.mended(prev, result),
            Input::Reloaded { result } => self.reloaded(result),
            Input::SnapshotSaved { result } => self.snapshot_saved(result),
            Input::SnapshotTaken { position, result } => self.snapshot_taken(position, result),
            Input::PieceKept { position, upto, result } => self.piece_kept(position, upto, result),
            Input::PieceRead { transfer, offset, result } => {
                self.piece_read(transfer, offset, result);
            }
            Input::Identified { result } => self.identified(result),
            Input::Captured { result } => self.captured(result),
            Input::Restored { result } => self.restored(result),
            Input::Applied { index } => self.applied(index),
            Input::Checkpointed { position, result } => self.checkpointed(position, result),
            Input::MachineFailed { index, reason } => self.machine_failed(index, reason),
            Input::Responded { token, result } => self.responded(token, result),
            Input::Leave => self.leave(),
            Input::Stop => self.stop(Ok(())),
        }
    }

    /// The next thing to do; `None` if there is nothing more for now.
    pub fn poll(&mut self) -> Option<Job> {
        loop {
            if let Some(job) = self.jobs.pop_front() {
                return Some(job);
            }
            let Phase::Member(member) = &mut self.phase else { return None };
            let output = member.raft.poll()?;
            if let Some(job) = self.output(output) {
                return Some(job);
            }
        }
    }

    /// When [`Input::Timeout`] is due next, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.stopped {
            return None;
        }
        let core = match &self.phase {
            Phase::Fresh => self.fresh_deadline(),
            Phase::Entering(_) | Phase::Removed => None,
            Phase::Mending(mending) => mending.deadline(),
            Phase::Member(member) => member.raft.deadline(),
        };
        let hello = self.links.open().next().map(|_| self.say_again_at);
        let leaving = self.leaving.as_ref().map(Leaving::until);
        let (links, calls) = (self.links.deadline(), self.calls.deadline());
        let (transfers, copies) = (self.transfers.deadline(), self.copies.deadline());
        let marks = match &self.phase {
            Phase::Member(member) => member.marks.deadline(),
            _ => None,
        };
        let all = [core, hello, links, calls, self.held_until, leaving, transfers, copies, marks];
        all.into_iter().flatten().min()
    }

    /// Who leads, if known.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        self.leader_named(self.raft()?.leader()?)
    }

    /// Whose data this is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The core, once this node is a member. For tests and judges of simulations.
    #[must_use]
    pub fn raft(&self) -> Option<&Raft> {
        match &self.phase {
            Phase::Member(member) => Some(&member.raft),
            Phase::Fresh | Phase::Entering(_) | Phase::Mending(_) | Phase::Removed => None,
        }
    }

    /// Whether the node waits for entries that damage took from its log.
    #[must_use]
    pub const fn is_mending(&self) -> bool {
        matches!(self.phase, Phase::Mending(_))
    }

    /// The members of the cluster, as far as this node knows.
    fn membership(&self) -> Option<&Membership> {
        match &self.phase {
            Phase::Fresh | Phase::Entering(_) | Phase::Removed => None,
            Phase::Mending(mending) => Some(&mending.membership),
            Phase::Member(member) => Some(member.raft.membership()),
        }
    }

    fn tell(&mut self, event: Event) {
        self.jobs.push_back(Job::Event(event));
    }

    /// The time has come for something, or not yet.
    fn timeout(&mut self) {
        while let Some(token) = self.calls.take_expired(self.now) {
            self.expire(token);
        }
        self.tend_links();
        self.mend_on();
        self.tend_transfers();
        self.tend_copies();
        self.tend_marks();
        if self.held_until.is_some_and(|at| at <= self.now) {
            self.release_held();
        }
        if self.raft().and_then(Raft::deadline).is_some_and(|at| at <= self.now) {
            self.step_core(core::Input::Timeout);
        }
    }

    /// Ends: every call is answered, every connection closed, and nothing is done any more.
    fn stop(&mut self, result: Result<(), ReplicaError>) {
        if self.stopped {
            return;
        }
        if result.is_ok() {
            self.last_mark();
        }
        for token in self.calls.find(|_, stage| !matches!(stage, Stage::Done)) {
            self.refuse_at_stop(token);
        }
        for link in self.links.all().collect::<Vec<_>>() {
            self.jobs.push_back(Job::Close { link });
        }
        self.stopped = true;
        self.phase = Phase::Fresh;
        self.jobs.push_back(Job::Stop(result));
    }

    /// Stops because something failed.
    fn fail(&mut self, error: ReplicaError) {
        self.stop(Err(error));
    }

    /// The failed store's own words.
    fn store_words(&mut self) -> String {
        mem::take(&mut self.store_said).unwrap_or_else(|| "it did not say why".to_owned())
    }

    fn check_machine_is_empty(&self, machine: &Opened) -> Result<(), StartError> {
        match machine {
            Opened::At { mark, .. } if !self.settings.adopt_state => {
                Err(StartError::NotEmpty { machine: mark.instance })
            }
            _ => Ok(()),
        }
    }
}
