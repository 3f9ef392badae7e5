//! The state machine as a whole: inputs in, outputs out, and the one place where the role changes.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};

use crate::{
    config::{Config, Recovered},
    disk::Disk,
    election::Verdict,
    entry::{Entry, Payload},
    error::{Fatal, LoadError, Reject, StartError},
    input::{Fault, Input},
    invariants::Witness,
    loads::{Loads, Purpose},
    local::Local,
    log::Log,
    machine::{Machine, Work},
    membership::Membership,
    membership_history::MembershipHistory,
    message::Message,
    mutants::{Mutant, planted},
    outbox::{Gate, Outbox},
    output::{Event, Output, StateName},
    rng::Rng,
    role::{
        Role, Transition,
        candidate::Candidate,
        follower::Follower,
        leader::{Leader, Reader},
        pre_candidate::PreCandidate,
    },
    status::Status,
    types::{HardState, Index, Instant, LoadId, LogTime, NodeId, Position, Term, Token, WriteId},
};

/// One node of a Raft cluster, without I/O.
///
/// | to | call |
/// |---|---|
/// | begin | [`new`](Self::new) |
/// | take something in | [`step`](Self::step) |
/// | give something out | [`poll`](Self::poll) |
/// | know when to come back | [`deadline`](Self::deadline) |
/// | look | [`status`](Self::status) and the short accessors |
///
/// A driver steps all that has happened, then polls until there is nothing more, then waits for an
/// input or the deadline. The same inputs at the same instants give the same outputs.
#[derive(Clone, Debug)]
pub struct Raft {
    pub(crate) local: Local,
    pub(crate) role: Role,
    /// Why the node must not go on.
    pub(crate) stopped: Option<Fatal>,
    /// Whether that was told.
    stop_told: bool,
}

impl Raft {
    /// A node that begins with what was recovered, as follower.
    ///
    /// # Errors
    ///
    /// If the settings contradict each other, or the recovered log cannot be one.
    pub fn new(now: Instant, config: Config, recovered: Recovered) -> Result<Self, StartError> {
        config.validate()?;
        let log = Log::new(&recovered, config.cache_bytes)?;
        let Recovered { hard_state, base, membership, memberships, .. } = recovered;
        let Recovered { applied, marked, snapshot, .. } = recovered;
        let rng = Rng::new(config.seed);
        let mut local = Local {
            config,
            now,
            hard: hard_state,
            log,
            members: MembershipHistory::new(base.index, membership, memberships),
            snapshot: if snapshot.index > base.index { snapshot } else { base },
            disk: Disk::new(hard_state),
            machine: Machine::new(applied, marked),
            loads: Loads::default(),
            outbox: Outbox::default(),
            rng,
            election_at: None,
            failed_rounds: 0,
            handed_over: None,
            removed: false,
        };
        let role = Role::Follower(Follower::new(&mut local, None));
        local.outbox.event(Event::State(StateName::Follower));
        Ok(Self { local, role, stopped: None, stop_told: false })
    }

    /// Takes in one thing that happened. Time never goes back: an earlier `now` counts as the
    /// latest one seen. Once [`Output::Stop`] is due nothing is taken in any more, and requests are
    /// rejected.
    pub fn step(&mut self, now: Instant, input: Input) {
        if self.stopped.is_some() {
            return self.reject_stopped(&input);
        }
        let before = self.local.config.check_invariants.then(|| Witness::of(self));
        self.local.now = self.local.now.max(now);
        self.take(input);
        self.settle_transfer();
        self.note_removal();
        if let Some(before) = before
            && let Err(broken) = before.check(self)
        {
            self.stop(Fatal::Broken(broken));
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Message { from, term, message } => self.receive(from, term, message),
            Input::Timeout => self.timeout(),
            Input::Propose { token, command, time } => {
                self.propose(token, Payload::Command(command), time);
            }
            Input::ProposeInSession { token, content, time } => {
                self.propose(token, Payload::Session(content), time);
            }
            Input::Read { token } => match &mut self.role {
                Role::Leader(leader) => leader.read(&self.local, Reader::Local(token)),
                Role::Follower(follower) => follower.read(&mut self.local, token),
                _ => self.reject_not_leader(token),
            },
            Input::TransferLeadership { token, to } => self.transfer(token, to),
            Input::ChangeMembership { token, change } => match &mut self.role {
                Role::Leader(leader) => leader.change(&mut self.local, token, change),
                _ => self.reject_not_leader(token),
            },
            Input::Cancel { token } => self.cancel(token),
            Input::SetMembership { membership } => self.set_membership(membership),
            Input::Persisted { write } => self.persisted(write),
            Input::Loaded { load, result } => self.loaded(load, result),
            Input::Applied { index } => self.local.machine.applied_to(index),
            Input::Marked { index } => {
                self.local.machine.mark(index);
                self.compact();
            }
            Input::SnapshotTaken { position } => self.snapshot_taken(position),
            Input::SnapshotReceived { position, membership, time, terms } => {
                self.snapshot_received(position, membership, time, terms);
            }
            Input::SnapshotRestored { position } => self.snapshot_restored(position),
            Input::SnapshotSent { node, position, arrived } => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.snapshot_sent(&mut self.local, node, position, arrived);
                }
            }
            Input::Unreachable { node } => match &mut self.role {
                Role::Leader(leader) => leader.unreachable(&self.local, node),
                Role::Follower(follower) => follower.unreachable(&mut self.local, node),
                Role::PreCandidate(_) | Role::Candidate(_) => {}
            },
            Input::Fault(fault) => self.fault(fault),
        }
    }

    /// The next thing to do; `None` if there is nothing more for now.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(news) = self.local.outbox.next_news() {
            return Some(news);
        }
        if let Some(fatal) = &self.stopped {
            let told = core::mem::replace(&mut self.stop_told, true);
            return (!told).then(|| Output::Stop(fatal.clone()));
        }
        let local = &mut self.local;
        let write = local.disk.next_write(local.now, local.hard, &mut local.log, &local.config);
        if let Some(write) = write {
            return Some(Output::Persist(write));
        }
        if let Some((to, message)) = self.next_send() {
            return Some(Output::Send { to, term: self.local.hard.term, message });
        }
        self.next_work().or_else(|| self.local.outbox.next_news())
    }

    /// When [`Input::Timeout`] is due next, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.stopped.is_some() {
            return None;
        }
        let disk = self.local.disk.deadline(self.local.config.max_election_timeout);
        let transfer = self.local.handed_over.map(|transfer| transfer.until);
        [self.role.deadline(&self.local), disk, transfer].into_iter().flatten().min()
    }

    /// How the node stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let log = &self.local.log;
        let peers = match &self.role {
            Role::Leader(leader) => leader.peers.iter().map(|(id, p)| (*id, p.status())).collect(),
            _ => BTreeMap::new(),
        };
        Status {
            id: self.local.id(),
            term: self.local.hard.term,
            vote: self.local.hard.vote,
            state: self.state(),
            leader: self.leader(),
            base: log.base(),
            snapshot: self.local.snapshot,
            last: log.last(),
            durable: log.durable(),
            committed: log.committed(),
            applied: self.local.machine.applied(),
            membership: Arc::clone(self.membership()),
            peers,
        }
    }

    /// Who this node is.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.local.id()
    }

    /// The current term.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.local.hard.term
    }

    /// The role, by the name the original's users know.
    #[must_use]
    pub const fn state(&self) -> StateName {
        self.role.name()
    }

    /// Whether this node leads, as far as it knows.
    #[must_use]
    pub const fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Who leads the current term, if known.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.role.leader(self.local.id())
    }

    /// Up to where the log is known to be committed.
    #[must_use]
    pub const fn committed(&self) -> Index {
        self.local.log.committed()
    }

    /// The position the log begins after.
    #[must_use]
    pub const fn base(&self) -> Position {
        self.local.log.base()
    }

    /// Where the log ends.
    #[must_use]
    pub fn last(&self) -> Position {
        self.local.log.last()
    }

    /// The term of the entry at `index`, or of the position the log begins after; `None` elsewhere.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.local.log.term_at(index)
    }

    /// Up to where the log is durable.
    #[must_use]
    pub const fn durable(&self) -> Index {
        self.local.log.durable()
    }

    /// The members in force: the newest in the log, committed or not (dissertation 4.1).
    #[must_use]
    pub fn membership(&self) -> &Arc<Membership> {
        self.local.membership()
    }

    /// Whether this node was ever a member, as far as its log tells. One that was just admitted may have
    /// yet to learn it.
    #[must_use]
    pub fn was_member(&self) -> bool {
        self.local.members.ever_contained(self.local.id())
    }

    /// Whether this node was a member once and is none in the newest membership, as far as the log tells.
    /// It may not become one again: others may still speak of its first time.
    #[must_use]
    pub fn was_removed(&self, node: NodeId) -> bool {
        self.local.members.was_removed(node)
    }

    /// The memberships that an entry at `index` may have been committed by: the one in force there, and
    /// all after it.
    pub fn memberships_from(&self, index: Index) -> impl Iterator<Item = &Membership> {
        self.local.members.from(index)
    }

    /// The newest members that are known to be committed, and where they stand in the log.
    #[must_use]
    pub fn committed_membership(&self) -> &(Index, Arc<Membership>) {
        self.local.members.committed(self.local.log.committed())
    }

    /// The term and vote that are durable.
    #[must_use]
    pub const fn durable_hard_state(&self) -> HardState {
        self.local.disk.durable()
    }

    /// Checks what must hold at any moment. Debug builds do so after every step, and compare with
    /// before it.
    ///
    /// # Errors
    ///
    /// A sentence about the first invariant that is broken: an error in this crate.
    pub fn check_invariants(&self) -> Result<(), &'static str> {
        crate::invariants::check(self)
    }

    fn receive(&mut self, from: NodeId, term: Term, message: Message) {
        if from == self.local.id() || self.judge_term(from, term, &message) == Verdict::Settled {
            return;
        }
        match message {
            Message::Vote { last, .. } => return self.answer_vote(from, last),
            Message::ReadIndex { batch } if !self.is_leader() => {
                let reply = Message::ReadIndexReply { batch, index: None };
                return self.local.promise(from, reply, Gate::Term);
            }
            // Whoever appends in this term has won it.
            Message::Append(_)
                if matches!(self.role, Role::PreCandidate(_) | Role::Candidate(_)) =>
            {
                self.transition(Transition::Follow { term, leader: Some(from) });
            }
            _ => {}
        }
        let transition = self.role.step(&mut self.local, from, message);
        self.transition(transition);
    }

    fn timeout(&mut self) {
        let (now, patience) = (self.local.now, self.local.config.max_election_timeout);
        self.local.disk.retry(now);
        if let Some(write) = self.local.disk.newly_slow(now, patience) {
            self.local.outbox.event(Event::SlowDisk { write });
        }
        if let Role::Leader(leader) = &mut self.role {
            let (transition, compacts) = leader.tick(&mut self.local);
            if compacts {
                self.compact();
            }
            return self.transition(transition);
        }
        if self.local.election_at.is_some_and(|at| at <= now) {
            self.election_timeout();
        }
    }

    /// No leader was heard, or none was elected, for an election timeout (dissertation 3.4).
    fn election_timeout(&mut self) {
        if !self.local.may_campaign() {
            if let Role::Follower(follower) = &mut self.role {
                follower.lose_leader(&mut self.local);
            }
            self.ask_whether_removed();
            return self.local.restart_election_timer();
        }
        self.local.outbox.event(Event::ElectionTimeout);
        if matches!(self.role, Role::Candidate(_)) {
            self.local.failed_rounds += 1;
        }
        self.transition(if self.local.config.options.pre_vote {
            Transition::PreCampaign
        } else {
            Transition::Campaign { transfer: false }
        });
    }

    /// The one place where the role changes. Whatever the old role still owed is answered, and what
    /// it promised and did not yet send is dropped.
    pub(crate) fn transition(&mut self, transition: Transition) {
        let leader = match &transition {
            Transition::Stay => return,
            Transition::Stop(fatal) => return self.stop(fatal.clone()),
            Transition::Follow { leader, .. } => *leader,
            Transition::Lead => Some(self.local.id()),
            Transition::PreCampaign | Transition::Campaign { .. } => None,
        };
        let (name, known) = (self.state(), self.leader());
        let old = core::mem::replace(&mut self.role, Role::Follower(Follower::default()));
        old.retire(&mut self.local, leader);
        if !planted(Mutant::PromisesOutliveTheTerm) {
            self.local.outbox.forget_promises();
        }
        let then = self.enter(transition);
        if self.state() != name {
            self.local.outbox.event(Event::State(self.state()));
        }
        if leader != known {
            self.local.outbox.event(Event::Leader { leader, term: self.local.hard.term });
        }
        self.transition(then);
    }

    /// Becomes what the transition says. Whether that leads on at once: alone, one is a quorum.
    fn enter(&mut self, transition: Transition) -> Transition {
        let local = &mut self.local;
        match transition {
            Transition::Stay | Transition::Stop(_) => {}
            Transition::Follow { term, leader } => {
                debug_assert!(term >= local.hard.term, "a term never goes back");
                if term > local.hard.term {
                    local.hard = HardState { term, vote: None };
                }
                self.role = Role::Follower(Follower::new(local, leader));
            }
            Transition::PreCampaign => {
                local.restart_election_timer();
                let candidate = PreCandidate::new(local);
                let then = candidate.tally(local);
                self.role = Role::PreCandidate(candidate);
                return then;
            }
            Transition::Campaign { transfer } => {
                local.hard = HardState { term: local.hard.term.next(), vote: Some(local.id()) };
                local.restart_election_timer();
                self.role = Role::Candidate(Candidate::new(local, transfer));
            }
            Transition::Lead => self.role = Role::Leader(Box::new(Leader::new(local))),
        }
        Transition::Stay
    }

    fn persisted(&mut self, write: WriteId) {
        self.local.disk.persisted(write, &mut self.local.log);
        let transition = self.role.persisted(&mut self.local);
        self.transition(transition);
    }

    /// The next message that may leave. Nothing labelled with a term leaves before it is durable.
    fn next_send(&mut self) -> Option<(NodeId, Message)> {
        let local = &mut self.local;
        let Some((to, message)) = local.outbox.next_promise(&local.disk, local.hard) else {
            return self.role.next_send(local);
        };
        let starts_timer =
            matches!(message, Message::Vote { .. } | Message::VoteReply { granted: true });
        if starts_timer && !self.is_leader() {
            self.local.restart_election_timer();
        }
        Some((to, message))
    }

    /// The next thing for the state machine.
    fn next_work(&mut self) -> Option<Output> {
        let local = &mut self.local;
        let work = local.machine.next_work(&local.log, local.config.apply_bytes)?;
        match work {
            Work::Do(output) => Some(output),
            Work::Load(from, to) => {
                if local.loads.is_under_way(Purpose::Apply) {
                    return None;
                }
                let load = local.loads.begin(Purpose::Apply, from, to);
                Some(Output::Load { load, from, to, bytes_max: local.config.apply_bytes })
            }
            Work::Fail(fatal) => {
                self.stop(fatal);
                self.poll()
            }
        }
    }

    fn loaded(&mut self, load: LoadId, result: Result<Vec<Entry>, LoadError>) {
        let local = &mut self.local;
        let Some((purpose, from, result)) = local.loads.end(load, result, &local.log) else {
            return;
        };
        match (purpose, &mut self.role, result) {
            (Purpose::Apply, _, Ok(entries)) => {
                if from == local.machine.handed().next() {
                    match local.machine.hand(entries) {
                        Work::Do(output) => local.outbox.tell(output),
                        Work::Fail(fatal) => self.stop(fatal),
                        Work::Load(..) => {}
                    }
                }
            }
            // A snapshot has taken their place meanwhile.
            (Purpose::Apply, _, Err(_)) if from != local.machine.handed().next() => {}
            // What is committed can only be applied from here: without it the node cannot go on.
            (Purpose::Apply, _, Err(_)) => self.stop(Fatal::StoreFailed),
            (Purpose::Replicate(node, term), Role::Leader(leader), result)
                if term == local.hard.term =>
            {
                leader.loaded(local, node, from, result);
            }
            (Purpose::Replicate(..), _, _) => {}
        }
    }

    fn set_membership(&mut self, membership: Membership) {
        if self.local.config.options.fixed_membership {
            self.local.members.set(membership);
            if let Role::Leader(leader) = &mut self.role {
                leader.sync_peers(&mut self.local);
                leader.persisted(&mut self.local);
            }
        }
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::WriteRefused { write } => {
                let local = &mut self.local;
                let heartbeat = local.config.heartbeat_interval;
                if !local.disk.refused(write, &mut local.log, local.now, heartbeat) {
                    return;
                }
                self.local.outbox.event(Event::WriteRefused { write });
                if self.is_leader() && planted(Mutant::FailedWriteIsCut) {
                    return self.local.truncate(self.local.log.durable().next());
                }
                // What others were sent already cannot be taken back: this node must never put
                // other entries in its place in this term.
                if self.is_leader() {
                    let term = self.local.hard.term;
                    self.transition(Transition::Follow { term, leader: None });
                }
            }
            Fault::StoreFailed => self.stop(Fatal::StoreFailed),
            Fault::MachineFailed { index } => self.stop(Fatal::MachineFailed { index }),
        }
    }

    fn cancel(&mut self, token: Token) {
        if self.local.machine.cancel(token) {
            return;
        }
        if let Some(transfer) = &mut self.local.handed_over {
            transfer.token.take_if(|one| *one == token);
        }
        match &mut self.role {
            Role::Leader(leader) => leader.cancel(token),
            Role::Follower(follower) => follower.cancel(token),
            Role::PreCandidate(_) | Role::Candidate(_) => {}
        }
    }

    fn propose(&mut self, token: Token, payload: Payload, time: LogTime) {
        match &mut self.role {
            Role::Leader(leader) => leader.propose(&mut self.local, token, payload, time),
            _ => self.reject_not_leader(token),
        }
    }

    pub(crate) fn reject_not_leader(&mut self, token: Token) {
        let leader = self.leader();
        self.local.reject(token, Reject::NotLeader { leader });
    }

    /// A request that came too late.
    fn reject_stopped(&mut self, input: &Input) {
        if let Input::Propose { token, .. }
        | Input::ProposeInSession { token, .. }
        | Input::Read { token }
        | Input::TransferLeadership { token, .. }
        | Input::ChangeMembership { token, .. } = input
        {
            self.local.reject(*token, Reject::Stopped { position: None });
        }
    }

    /// The node must not go on: everything pending is answered, and nothing else happens.
    pub(crate) fn stop(&mut self, fatal: Fatal) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(fatal);
        let local = &mut self.local;
        for (index, token) in local.machine.take_proposals_after(Index::ZERO) {
            let position = local.log.position_at(index);
            local.reject(token, Reject::Stopped { position });
        }
        for (_, token) in local.machine.take_reads() {
            local.reject(token, Reject::Stopped { position: None });
        }
        let old = core::mem::replace(&mut self.role, Role::Follower(Follower::default()));
        old.retire(local, None);
        if let Some(token) = local.handed_over.take().and_then(|transfer| transfer.token) {
            local.reject(token, Reject::Stopped { position: None });
        }
        local.outbox.forget_promises();
    }
}
