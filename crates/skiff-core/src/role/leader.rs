//! The leader (dissertation 3.5): replicates its log, decides what is committed, and makes sure
//! that it is still followed.

pub(crate) mod change;
mod commit;
mod reads;
mod replication;
mod snapshots;
pub(crate) mod transfer;

use alloc::collections::BTreeMap;

use self::{change::Changes, reads::Reads, transfer::Transfer};
pub(crate) use self::{reads::Reader, snapshots::Supply};
use crate::{
    entry::{Entry, Payload},
    error::Reject,
    local::Local,
    message::Message,
    mutants::{Mutant, planted},
    outbox::Gate,
    progress::Progress,
    role::Transition,
    types::{Index, Instant, LogTime, NodeId, Position, Round, Token},
};

/// A disk that has been behind another for so many longest election timeouts, twelve seconds by default,
/// is taken for dead. Where all disks stall for ten seconds one may be a whole stall behind.
pub(crate) const DEAD: u64 = 40;

#[derive(Clone, Debug)]
pub(crate) struct Leader {
    /// Everybody else.
    pub(crate) peers: BTreeMap<NodeId, Progress>,
    /// The newest round of signs of life.
    pub(crate) round: Round,
    /// The highest number of an Append to a member that is gone.
    pub(crate) seq_floor: u64,
    /// An index that is committed once anything of this term is: no read may be served below it.
    pub(crate) term_start: Index,
    heartbeat_at: Instant,
    quorum_check_at: Instant,
    /// What was committed by the others alone, and since when.
    pub(crate) lagging: Option<(Index, Instant)>,
    /// What another voter had, and since when.
    pub(crate) outdone: Option<(Index, Instant)>,
    pub(crate) reads: Reads,
    /// Leadership on its way to another.
    pub(crate) transfer: Option<Transfer>,
    /// It was tried already to hand over because of the own disk.
    pub(crate) tried_to_hand_over: bool,
    pub(crate) changes: Changes,
}

impl Leader {
    pub(crate) fn new(local: &mut Local) -> Self {
        local.election_at = None;
        local.failed_rounds = 0;
        let mut leader = Self {
            peers: BTreeMap::new(),
            round: Round(1),
            seq_floor: 0,
            term_start: local.log.last_index(),
            heartbeat_at: local.now.after(local.config.heartbeat_interval),
            quorum_check_at: local.now.after(local.config.max_election_timeout),
            lagging: None,
            outdone: None,
            reads: Reads::default(),
            transfer: None,
            tried_to_hand_over: false,
            changes: Changes::new(local.log.last_index(), local.now),
        };
        leader.sync_peers(local);
        if local.config.options.noop {
            leader.term_start = local.append_own(Payload::Noop, LogTime::ZERO).index;
        }
        leader
    }

    /// Brings the list of peers in line with the membership. Whoever is removed stays on it until that is
    /// committed, and is told then.
    pub(crate) fn sync_peers(&mut self, local: &mut Local) {
        let mut others = local.members.concerned(local.log.committed());
        others.remove(&local.id());
        self.peers.retain(|id, progress| {
            self.seq_floor = self.seq_floor.max(progress.seq);
            let stays = others.contains(id);
            if !stays && let Some(index) = local.is_without(*id) {
                local.promise(*id, Message::Removed { index }, Gate::Term);
            }
            stays
        });
        let floor = self.seq_floor;
        let next = local.log.last_index().next();
        for id in others {
            self.peers.entry(id).or_insert_with(|| Progress::new(next, local.now, floor));
        }
    }

    pub(crate) fn step(&mut self, local: &mut Local, from: NodeId, message: Message) -> Transition {
        match message {
            Message::AppendReply(reply) => self.answered(local, from, &reply),
            Message::ReadIndex { batch } => self.read(local, Reader::Follower { from, batch }),
            _ => {}
        }
        Transition::Stay
    }

    /// A caller wants a command replicated.
    pub(crate) fn propose(
        &mut self,
        local: &mut Local,
        token: Token,
        payload: Payload,
        time: LogTime,
    ) {
        if self.changes.leaving.is_some() {
            return local.reject(token, Reject::NotLeader { leader: None });
        }
        if let Some(Transfer { to, .. }) = self.transfer {
            if self.takes_proposals() {
                local.append_own(payload, time);
            }
            return local.reject(token, Reject::Transferring { to });
        }
        let (size, limit) = (payload.size(), local.config.command_bytes);
        if size > limit {
            return local.reject(token, Reject::TooLarge { size, limit });
        }
        // What a slow machine has not taken counts like what is not committed.
        let bytes = local.log.uncommitted_bytes().max(local.machine.proposal_bytes());
        // Without an entry of its own term a leader commits nothing: the first is always taken.
        let has_own = local.log.last().term == local.hard.term;
        if bytes > 0 && has_own && bytes + size + Entry::OVERHEAD > local.config.uncommitted_bytes {
            return local.reject(token, Reject::Busy { bytes });
        }
        let position = local.append_own(payload, time);
        local.machine.expect(position.index, token, size + Entry::OVERHEAD);
    }

    /// A caller, here or at a follower, wants to read.
    pub(crate) fn read(&mut self, local: &Local, reader: Reader) {
        let start = if planted(Mutant::ReadsBeforeNoop) { Index::ZERO } else { self.term_start };
        self.reads.wait(local.log.committed().max(start), reader);
    }

    pub(crate) fn cancel(&mut self, token: Token) {
        self.reads.cancel(token);
        if let Some(transfer) = &mut self.transfer {
            transfer.token.take_if(|one| *one == token);
        }
        self.cancel_change(token);
    }

    /// Something became durable here.
    pub(crate) fn persisted(&mut self, local: &mut Local) {
        if !planted(Mutant::OwnWriteCommitsNothing) {
            self.advance_commit(local);
        }
        self.confirm_reads(local);
        self.tend_changes(local);
    }

    /// The connection to a member broke.
    pub(crate) fn unreachable(&mut self, local: &Local, node: NodeId) {
        if let Some(progress) = self.peers.get_mut(&node) {
            progress.lose_connection(local.log.base().index);
        }
    }

    /// Time passes: signs of life, check-quorum (dissertation 6.2), and a look at the own disk.
    /// And snapshots. Whether the log may be compacted further.
    pub(crate) fn tick(&mut self, local: &mut Local) -> (Transition, bool) {
        let heartbeat = local.now >= self.heartbeat_at;
        if heartbeat {
            self.heartbeat_at = local.now.after(local.config.heartbeat_interval);
            self.round = self.round.next();
            for progress in self.peers.values_mut() {
                (progress.load_failed, progress.life_due) = (false, true);
            }
            self.reads.forget_old_batches();
        }
        self.tick_transfer(local, heartbeat);
        self.pass_milestone(local);
        self.tend_changes(local);
        self.give_up_waiting(local);
        let disk = self.has_a_worse_disk(local) && !self.hand_over(local);
        if !self.is_followed(local) || disk || self.has_left(local) {
            return (Transition::Follow { term: local.hard.term, leader: None }, false);
        }
        (Transition::Stay, self.tend_snapshots(local))
    }

    /// Lets another lead whose disk is better, once. Whether it is under way.
    fn hand_over(&mut self, local: &mut Local) -> bool {
        if !core::mem::replace(&mut self.tried_to_hand_over, true) && !self.is_transferring() {
            self.begin_transfer(local, None, None);
        }
        self.is_transferring()
    }

    /// Whether a quorum was heard within the longest election timeout.
    fn is_followed(&mut self, local: &Local) -> bool {
        if !local.config.options.check_quorum || local.now < self.quorum_check_at {
            return true;
        }
        let heard = local.membership().reached(|id| {
            if id == local.id() {
                return local.now;
            }
            self.peers.get(&id).map_or(Instant(0), |progress| progress.heard)
        });
        let heard = heard.filter(|_| !planted(Mutant::UnfollowedKeepsOffice));
        let until = heard.unwrap_or(local.now).after(local.config.max_election_timeout);
        self.quorum_check_at = until;
        local.now < until
    }

    /// Whether another would do better, for the own disk.
    fn has_a_worse_disk(&self, local: &Local) -> bool {
        (self.hides_a_fault(local) || self.is_outdone(local))
            && !planted(Mutant::StalledDiskKeepsOffice)
    }

    /// Whether the own disk is so far behind the others' that another would do better: something
    /// they committed is not durable here two election timeouts later. One timeout would not do
    /// where all disks are equally slow: the own write may have begun a whole write later.
    fn hides_a_fault(&self, local: &Local) -> bool {
        self.lagging.is_some_and(|(_, since)| local.now >= since.after(self.disk_patience(local)))
    }

    /// Whether the own disk must be dead: another voter has long had what is not durable here. It may be
    /// that nothing is committed meanwhile, because a third one needs old entries from this disk. Only
    /// if the others are enough to elect one of them.
    fn is_outdone(&self, local: &Local) -> bool {
        let patience = DEAD * local.config.max_election_timeout;
        let is_dead = self.outdone.is_some_and(|(_, since)| local.now >= since.after(patience));
        let answers = |id| {
            let heard = self.peers.get(&id).map(|progress| progress.heard);
            heard.is_some_and(|at| local.now.since(at) <= local.config.max_election_timeout)
        };
        is_dead && local.membership().has_quorum(answers)
    }

    const fn disk_patience(&self, local: &Local) -> u64 {
        local.config.max_election_timeout.saturating_mul(2)
    }

    pub(crate) fn deadline(&self, local: &Local) -> Instant {
        let mut at = self.heartbeat_at;
        if local.config.options.check_quorum {
            at = at.min(self.quorum_check_at);
        }
        let patience = self.disk_patience(local);
        let disk = self.lagging.map(|(_, since)| since.after(patience));
        match (self.transfer, disk) {
            // Whoever is handing over has nothing else to do about its disk.
            (Some(Transfer { until, .. }), _) => at.min(until),
            (None, Some(disk)) => at.min(disk),
            (None, None) => at,
        }
    }

    /// What may leave next: to followers whose reads were confirmed, then to each peer what it
    /// lacks.
    pub(crate) fn next_send(&mut self, local: &mut Local) -> Option<(NodeId, Message)> {
        if self.reads.begin_round(&mut self.round) {
            // A leader without others is followed by everybody there is.
            self.confirm_reads(local);
        }
        if !local.disk.holds_term(local.hard) {
            return None;
        }
        self.next_append(local).or_else(|| self.timeout_now(local))
    }

    /// Serves the reads whose rounds a quorum has answered. Not before something of this term is
    /// committed: until then the index they wait for may yet be cut off.
    fn confirm_reads(&mut self, local: &mut Local) {
        if self.reads.is_idle() || local.log.committed() < self.term_start {
            return;
        }
        let round = local.membership().reached(|id| {
            if id == local.id() {
                return self.round;
            }
            self.peers.get(&id).map_or(Round::ZERO, |progress| progress.round_acked)
        });
        for (index, reader) in self.reads.confirmed(round.unwrap_or_default()) {
            match reader {
                Reader::Local(token) => local.machine.read_at(index, token),
                Reader::Follower { from, batch } => {
                    let reply = Message::ReadIndexReply { batch, index: Some(index) };
                    local.promise(from, reply, Gate::Term);
                }
            }
        }
    }

    /// Answers everything that is pending: this node does not lead any more.
    pub(crate) fn retire(&mut self, local: &mut Local, leader: Option<NodeId>) {
        if self.transfer.is_some() {
            local.handed_over = self.transfer.take();
        }
        for reader in self.reads.take() {
            if let Reader::Local(token) = reader {
                local.reject(token, Reject::NotLeader { leader });
            }
        }
        self.retire_changes(local, leader);
        let known = local.log.committed();
        let answered = if planted(Mutant::LostOfficeUntold) { Index(u64::MAX) } else { known };
        for (index, token) in local.machine.take_proposals_after(answered) {
            let term = local.log.term_at(index).unwrap_or(local.hard.term);
            let position = Position { term, index };
            local.reject(token, Reject::LeadershipLost { position, leader });
        }
    }
}
