//! Changes of the membership, as the leader drives them (dissertation chapter 4).
//!
//! Nothing here waits for a caller: the state of the log says what is to be done next, and whoever leads
//! does it. So it is looked at whenever something may have changed: an answer, a write, a tick.

use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};

use super::Leader;
use crate::{
    change::Change,
    entry::Payload,
    error::Reject,
    local::Local,
    membership::Membership,
    message::Message,
    mutants::{Mutant, planted},
    outbox::Gate,
    output::Output,
    quorum,
    status::PeerState,
    types::{Index, Instant, LogTime, NodeId, Position, Round, Token},
};

/// A change whose voters to be do not answer is given up after so many longest election timeouts.
pub(crate) const PATIENCE: u64 = 4;
/// A leader that is no member any more leaves after so many longest election timeouts, whoever knows.
const LEAVES: u64 = 2;

#[derive(Clone, Debug)]
pub(crate) struct Changes {
    /// A change that has not begun yet, and since when it waits.
    pub(crate) waiting: Option<(Token, Change, Instant)>,
    /// Callers whose change has begun.
    pub(crate) begun: Vec<(Token, Change)>,
    /// Whether the change under way was asked for by a caller here.
    pub(crate) asked: bool,
    pub(crate) leaving: Option<Leaving>,
    pub(crate) milestones: Milestones,
}

/// A leader that is no member any more, on its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    pub(crate) since: Instant,
    /// Who answers this round knows that all this leader has is committed.
    pub(crate) round: Option<Round>,
    /// Somebody was told to take over.
    pub(crate) handed: bool,
}

/// Where the log ended at least a longest election timeout ago: who holds that is close (4.2.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Milestones {
    pub(crate) close: Index,
    pub(crate) next: Index,
    pub(crate) at: Instant,
}

impl Changes {
    pub(crate) const fn new(last: Index, at: Instant) -> Self {
        Self {
            waiting: None,
            begun: Vec::new(),
            asked: false,
            leaving: None,
            milestones: Milestones { close: last, next: last, at },
        }
    }

    /// Whether nobody waits and nothing is to be done that the membership does not say.
    pub(crate) const fn is_idle(&self) -> bool {
        self.waiting.is_none() && self.begun.is_empty() && !self.asked && self.leaving.is_none()
    }
}

impl Leader {
    /// Somebody wants the membership changed. It waits while a change is under way that no caller here
    /// asked for, and until something of this term is committed (dissertation 4.1 and its erratum).
    pub(crate) fn change(&mut self, local: &mut Local, token: Token, change: Change) {
        let is_automatic = |token: &Token| *token == Token::ZERO;
        let reason = if local.config.options.fixed_membership {
            Some(Reject::FixedMembership)
        } else if self.changes.leaving.is_some() {
            Some(Reject::NotLeader { leader: None })
        } else if self.changes.waiting.as_ref().is_some_and(|(one, ..)| !is_automatic(one))
            || self.changes.asked
        {
            Some(Reject::ChangeInProgress)
        } else {
            None
        };
        if let Some(reason) = reason {
            return refuse(local, token, reason);
        }
        self.changes.waiting = Some((token, change, local.now));
        self.tend_changes(local);
    }

    /// Does what is to be done next, if it can be done.
    pub(crate) fn tend_changes(&mut self, local: &mut Local) {
        // While leadership is handed over nothing is appended: the next leader does what is to be done.
        if local.config.options.fixed_membership || self.is_transferring() {
            return;
        }
        let (index, membership) = local.members.latest();
        let (index, membership) = (*index, Arc::clone(membership));
        let settled = !membership.is_joint() && membership.wishes.is_empty();
        if settled && self.changes.is_idle() && membership.contains(local.id()) {
            return;
        }
        let is_committed = index <= local.log.committed();
        if membership.is_joint() {
            // What is not committed by both halves may yet be undone by one of them.
            if (is_committed && self.is_established(local)) || planted(Mutant::ExitBeforeJoint) {
                self.append_membership(local, membership.exit());
            }
            return;
        }
        let is_free = is_committed || planted(Mutant::TwoChanges);
        if !self.is_established(local) {
            return self.establish(local);
        }
        if !is_free {
            return;
        }
        self.changes.asked = false;
        self.answer_changes(local, &membership);
        if !membership.contains(local.id()) && !planted(Mutant::RemovedLeaderStays) {
            return self.leave(local, &membership);
        }
        if !self.begin_waiting(local, &membership)
            && let Some(next) = self.promotion(local, &membership)
        {
            self.append_membership(local, next);
        }
    }

    /// Whether something of this term is committed: only then does this leader know what is.
    fn is_established(&self, local: &Local) -> bool {
        let committed = local.log.term_at(local.log.committed());
        committed == Some(local.hard.term) || planted(Mutant::ChangesBeforeNoop)
    }

    /// Without a first entry of its own, and without callers, this leader would never learn what is
    /// committed: a change that waits is reason enough for one.
    fn establish(&self, local: &mut Local) {
        if local.log.last().term < local.hard.term {
            local.append_own(Payload::Noop, LogTime::ZERO);
        }
    }

    fn append_membership(&mut self, local: &mut Local, membership: Membership) {
        local.append_own(Payload::Membership(membership.into()), LogTime::ZERO);
        self.sync_peers(local);
    }

    /// Answers the callers whose change is done, or undone by another.
    fn answer_changes(&mut self, local: &mut Local, membership: &Membership) {
        self.changes.begun.retain(|(token, change)| {
            if change.is_done(membership) {
                done(local, *token);
            } else if let Some(reason) = change.is_undone(membership) {
                refuse(local, *token, reason);
            } else {
                return true;
            }
            false
        });
    }

    /// Begins the change that waits, if it can begin. Whether it has.
    fn begin_waiting(&mut self, local: &mut Local, membership: &Membership) -> bool {
        let Some((token, change, since)) = self.changes.waiting.take() else { return false };
        if let Some(node) = change.newcomer().filter(|id| local.members.was_removed(*id)) {
            refuse(local, token, Reject::WasRemoved { node });
            return false;
        }
        let next = match change.begin(membership) {
            Ok(next) => next,
            Err(reason) => {
                refuse(local, token, reason);
                return false;
            }
        };
        if change.is_done(membership) && next == *membership {
            done(local, token);
            return false;
        }
        if next.is_joint() && self.unready(local, &next.voters).is_some() {
            self.changes.waiting = Some((token, change, since));
            return false;
        }
        if token != Token::ZERO {
            self.changes.begun.push((token, change));
        }
        if next == *membership {
            return false; // It stands in the log already that it is wanted.
        }
        self.changes.asked = token != Token::ZERO;
        self.append_membership(local, next);
        true
    }

    /// Gives up a change whose voters to be have not answered for long.
    pub(super) fn give_up_waiting(&mut self, local: &mut Local) {
        let patience = PATIENCE * local.config.max_election_timeout;
        let overdue =
            |(_, _, since): &mut (Token, Change, Instant)| local.now >= since.after(patience);
        let Some((token, change, _)) = self.changes.waiting.take_if(overdue) else { return };
        let next = change.begin(local.membership());
        let node = next.ok().and_then(|next| self.unready(local, &next.voters));
        refuse(
            local,
            token,
            node.map_or(Reject::ChangeInProgress, |node| Reject::Unready { node }),
        );
    }

    /// The membership by which the next learner becomes a voter that is to be one and can be.
    fn promotion(&self, local: &Local, membership: &Membership) -> Option<Membership> {
        membership.wishes.iter().find_map(|(id, replaces)| {
            let next = membership.promote(*id);
            // A dead voter is no reason to make quorums larger, unless it is what is replaced.
            let all_answer = || membership.voters.iter().all(|voter| self.answers(local, *voter));
            let may = membership.learners.contains(id)
                && (self.is_ready(local, *id) || planted(Mutant::PromotesUnready))
                && (replaces.is_some() || all_answer())
                && self.unready(local, &next.voters).is_none();
            may.then_some(next)
        })
    }

    /// Why these cannot become the voters: the first of them that is not ready, unless a majority is.
    fn unready(&self, local: &Local, voters: &BTreeSet<NodeId>) -> Option<NodeId> {
        if quorum::is_majority(voters, |id| self.is_ready(local, id)) {
            return None;
        }
        voters.iter().copied().find(|id| !self.is_ready(local, *id))
    }

    /// Whether it answers and its log is close, durably.
    fn is_ready(&self, local: &Local, id: NodeId) -> bool {
        let is_close = |progress: &crate::progress::Progress| {
            progress.state == PeerState::Replicate
                && progress.matched >= self.changes.milestones.close
        };
        id == local.id() || (self.answers(local, id) && self.peers.get(&id).is_some_and(is_close))
    }

    /// Whether it was heard within the longest election timeout.
    fn answers(&self, local: &Local, id: NodeId) -> bool {
        let patience = local.config.max_election_timeout;
        id == local.id()
            || self.peers.get(&id).is_some_and(|progress| {
                progress.was_heard && local.now.since(progress.heard) <= patience
            })
    }

    pub(super) fn pass_milestone(&mut self, local: &Local) {
        let milestones = &mut self.changes.milestones;
        if local.now >= milestones.at {
            milestones.close = milestones.next;
            milestones.next = local.log.last_index();
            milestones.at = local.now.after(local.config.max_election_timeout);
        }
    }

    /// This leader is no member any more, and that is committed. It sees to it that all it has is
    /// committed and another knows, and makes that one its successor.
    fn leave(&mut self, local: &mut Local, membership: &Membership) {
        if let Some((token, ..)) = self.changes.waiting.take() {
            refuse(local, token, Reject::NotLeader { leader: None });
        }
        let start = Leaving { since: local.now, round: None, handed: false };
        let leaving = self.changes.leaving.get_or_insert(start);
        let last = local.log.last_index();
        if leaving.handed || local.log.committed() < last {
            return;
        }
        let (round, next) = (leaving.round, self.round.next());
        let Some(round) = round else {
            (leaving.round, self.round) = (Some(next), next);
            return;
        };
        let knows = |id: &&NodeId| {
            let progress = self.peers.get(*id);
            progress.is_some_and(|one| one.round_acked >= round && one.matched == last)
                || planted(Mutant::HeirUninformed)
        };
        if let Some(heir) = membership.voters.iter().find(knows) {
            leaving.handed = true;
            local.promise(*heir, Message::TimeoutNow, Gate::Term);
        }
    }

    /// Whether this leader is no member any more and has done what it could.
    pub(super) fn has_left(&self, local: &Local) -> bool {
        let patience = LEAVES * local.config.max_election_timeout;
        self.changes
            .leaving
            .is_some_and(|leaving| leaving.handed || local.now >= leaving.since.after(patience))
    }

    pub(super) fn cancel_change(&mut self, token: Token) {
        self.changes.waiting.take_if(|(one, ..)| *one == token);
        self.changes.begun.retain(|(one, _)| *one != token);
    }

    /// This node does not lead any more: others may finish what has begun.
    pub(super) fn retire_changes(&mut self, local: &mut Local, leader: Option<NodeId>) {
        if let Some((token, ..)) = self.changes.waiting.take() {
            refuse(local, token, Reject::NotLeader { leader });
        }
        let index = local.members.latest().0;
        let term = local.log.term_at(index).unwrap_or(local.hard.term);
        let position = Position { term, index };
        for (token, _) in core::mem::take(&mut self.changes.begun) {
            refuse(local, token, Reject::LeadershipLost { position, leader });
        }
    }
}

/// Nobody waits for what was not asked for by anybody.
fn refuse(local: &mut Local, token: Token, reason: Reject) {
    if token != Token::ZERO {
        local.reject(token, reason);
    }
}

fn done(local: &mut Local, token: Token) {
    if token != Token::ZERO {
        local.outbox.tell(Output::Done { token });
    }
}
