//! A node that follows a leader, or waits for one (dissertation 3.5, the receiver's side).

pub(crate) mod reads;

use self::reads::ForwardedReads;
use crate::{
    entry::Entry,
    error::{Fatal, Reject},
    local::Local,
    message::{Append, AppendOutcome, AppendReply, Message},
    mutants::{Mutant, planted},
    output::Event,
    role::Transition,
    types::{Index, Instant, NodeId, Position, Round, Token},
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Follower {
    pub(crate) leader: Option<NodeId>,
    /// When the leader was last heard; `None` also once its connection is known to be closed.
    heard_at: Option<Instant>,
    /// The log equals this term's leader's up to here.
    pub(crate) verified: Index,
    /// The highest numbers received from the leader in this term.
    pub(crate) seq: u64,
    pub(crate) round: Round,
    /// What the leader was last told.
    pub(crate) told_round: Round,
    pub(crate) told_matched: Index,
    /// The leader waits for an answer although none of these has moved.
    pub(crate) owes_reply: bool,
    /// A refusal, fixed when it was decided.
    pub(crate) mismatch: Option<AppendReply>,
    pub(crate) reads: ForwardedReads,
}

impl Follower {
    /// The timer that runs goes on unless there is a leader to wait for: a candidate that only raises
    /// the term, again and again, must not keep a better one from its turn.
    pub(crate) fn new(local: &mut Local, leader: Option<NodeId>) -> Self {
        if leader.is_some() || local.election_at.is_none() {
            local.restart_election_timer();
        }
        Self { leader, verified: local.log.committed(), ..Self::default() }
    }

    pub(crate) const fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    pub(crate) const fn verified(&self) -> Index {
        self.verified
    }

    pub(crate) fn hears_leader(&self, local: &Local) -> bool {
        let patience = local.config.min_election_timeout;
        self.leader.is_some()
            && self.heard_at.is_some_and(|heard| local.now.since(heard) < patience)
    }

    /// No leader was heard for an election timeout.
    pub(crate) fn lose_leader(&mut self, local: &mut Local) {
        if self.leader.take().is_some() {
            local.outbox.event(Event::Leader { leader: None, term: local.hard.term });
        }
        self.reads.reject(local, None);
    }

    /// The connection to `node` was closed. If it leads, that is a reason to ask soon whether an
    /// election makes sense; others are asked first, so a mere broken connection disturbs nobody.
    pub(crate) fn unreachable(&mut self, local: &mut Local, node: NodeId) {
        if self.leader != Some(node) || !local.config.options.pre_vote {
            return;
        }
        self.heard_at = None;
        if let Some(at) = local.election_at {
            let soon = local.now.after(local.rng.between(0, local.config.heartbeat_interval));
            local.election_at =
                (!planted(Mutant::BrokenConnectionStopsTimer)).then_some(at.min(soon));
        }
    }

    pub(crate) fn step(&mut self, local: &mut Local, from: NodeId, message: Message) -> Transition {
        match message {
            Message::Append(append) => match self.append(local, from, append) {
                Ok(()) => Transition::Stay,
                Err(fatal) => Transition::Stop(fatal),
            },
            Message::TimeoutNow if self.leader == Some(from) && local.may_campaign() => {
                Transition::Campaign { transfer: true }
            }
            Message::ReadIndexReply { batch, index } if self.leader == Some(from) => {
                self.reads.answered(local, batch, index);
                Transition::Stay
            }
            _ => Transition::Stay,
        }
    }

    /// AppendEntries, the receiver (dissertation figure 3.1).
    fn append(&mut self, local: &mut Local, from: NodeId, append: Append) -> Result<(), Fatal> {
        if !self.obey(local, from) || !is_well_formed(&append, local) {
            return Ok(());
        }
        let Append { seq, round, prev, entries, commit } = append;
        self.seq = self.seq.max(seq);
        if round > self.round {
            self.round = round;
            self.reads.ask_again(local.now, local.config.heartbeat_interval);
        }
        if prev != Position::ZERO && conflicts_with_committed(local, prev) {
            return Err(committed_conflict(local, from, prev.index));
        }
        if !local.log.contains(prev) {
            self.mismatch = Some(AppendReply {
                seq,
                round: self.round,
                last: local.log.last_index(),
                outcome: AppendOutcome::Mismatch { prev: prev.index, hint: hint(local, prev) },
            });
            return Ok(());
        }
        let end = entries.last().map_or(prev.index, |entry| entry.index);
        // What is durable already will not become so again, but the leader waits for the answer.
        self.owes_reply |= !entries.is_empty() && local.log.durable().min(self.verified) >= end;
        for entry in entries {
            let known = local.log.term_at(entry.index).is_none_or(|term| term == entry.term);
            if !known && entry.index <= self.verified && entry.index > local.log.committed() {
                return Ok(()); // The leader contradicts itself, which no honest one does.
            }
            splice(local, from, entry)?;
        }
        let end = if planted(Mutant::AcksWholeLog) { local.log.last_index() } else { end };
        self.verified = self.verified.max(end);
        let verified = if planted(Mutant::CommitsUnverified) { commit } else { self.verified };
        local.log.commit(commit.min(verified));
        Ok(())
    }

    /// Whether `from` is the leader to follow. Any message of it restarts the election timer, also
    /// one whose content is refused.
    fn obey(&mut self, local: &mut Local, from: NodeId) -> bool {
        match self.leader {
            None => {
                self.leader = Some(from);
                local.outbox.event(Event::Leader { leader: Some(from), term: local.hard.term });
            }
            // Two leaders in one term cannot be: this is not ours to judge, and not to be obeyed.
            Some(leader) if leader != from => return false,
            Some(_) => {}
        }
        self.heard_at = Some(local.now);
        local.failed_rounds = 0;
        if !planted(Mutant::HeartbeatIgnoredByTimer) {
            local.restart_election_timer();
        }
        true
    }

    /// What may be reported as matching: verified by this term's leader, and durable.
    fn matched(&self, local: &Local) -> Index {
        match local.log.durable() {
            _ if planted(Mutant::AcksUndurable) => self.verified,
            durable if planted(Mutant::AcksUnverified) => durable,
            durable => self.verified.min(durable),
        }
    }

    /// The next thing the leader is owed. A sign of life waits for no write but the term's.
    pub(crate) fn next_send(&mut self, local: &mut Local) -> Option<(NodeId, Message)> {
        let leader = self.leader?;
        let waits = planted(Mutant::SignOfLifeWaits) && self.verified > local.log.durable();
        if waits || !local.disk.holds_term(local.hard) {
            return None;
        }
        if let Some(reply) = self.mismatch.take() {
            self.told_round = self.told_round.max(reply.round);
            return Some((leader, Message::AppendReply(reply)));
        }
        let matched = self.matched(local);
        if self.owes_reply || self.round > self.told_round || matched > self.told_matched {
            self.owes_reply = false;
            self.told_round = self.round;
            self.told_matched = matched;
            let reply = AppendReply {
                seq: self.seq,
                round: self.round,
                last: self.verified,
                outcome: AppendOutcome::Matched(matched),
            };
            return Some((leader, Message::AppendReply(reply)));
        }
        self.reads.next_batch(local).map(|batch| (leader, Message::ReadIndex { batch }))
    }

    /// A caller wants to read: the leader is asked for an index.
    pub(crate) fn read(&mut self, local: &mut Local, token: Token) {
        match self.leader {
            Some(_) => self.reads.wait(token),
            None => local.reject(token, Reject::NotLeader { leader: None }),
        }
    }

    pub(crate) fn cancel(&mut self, token: Token) {
        self.reads.cancel(token);
    }

    pub(crate) fn retire(mut self, local: &mut Local, leader: Option<NodeId>) {
        self.reads.reject(local, leader);
    }
}

/// Whether the entries follow `prev` without a gap, in terms that can be.
fn is_well_formed(append: &Append, local: &Local) -> bool {
    let mut before = append.prev;
    append.entries.iter().all(|entry| {
        let fits = before.index.0.checked_add(1) == Some(entry.index.0)
            && entry.term >= before.term
            && entry.term <= local.hard.term;
        before = entry.position();
        fits
    })
}

/// Where the leader should look for agreement. What is committed agrees with every leader.
fn hint(local: &Local, prev: Position) -> Position {
    let agreement = local.log.agreement(prev);
    let committed = local.log.committed();
    if agreement.index >= committed {
        return agreement;
    }
    local.log.position_at(committed).unwrap_or(agreement)
}

/// Whether something else is committed at this place.
fn conflicts_with_committed(local: &Local, position: Position) -> bool {
    position.index <= local.log.committed()
        && local.log.term_at(position.index).is_some_and(|term| term != position.term)
}

const fn committed_conflict(local: &Local, leader: NodeId, index: Index) -> Fatal {
    let (term, committed) = (local.hard.term, local.log.committed());
    Fatal::CommittedConflict { leader, term, index, committed }
}

/// Puts one entry of the leader's in its place. Only a conflict cuts the log: an entry that is
/// already there leaves it as it is, with all that follows.
fn splice(local: &mut Local, leader: NodeId, entry: Entry) -> Result<(), Fatal> {
    let index = entry.index;
    match local.log.term_at(index) {
        Some(term) if term == entry.term && !planted(Mutant::TruncatesOnOverlap) => return Ok(()),
        Some(_) if planted(Mutant::ConflictIgnored) => return Ok(()),
        None if index <= local.log.committed() => return Ok(()),
        Some(_) if index <= local.log.committed() => {
            return Err(committed_conflict(local, leader, index));
        }
        Some(_) => local.truncate(index),
        None => {}
    }
    local.append(entry);
    Ok(())
}
