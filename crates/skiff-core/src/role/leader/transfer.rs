//! Leadership transfer (dissertation 3.10): another voter is brought up to date and then told to campaign
//! at once. Meanwhile no proposal is taken, so that it can get there; and nothing is left behind, since
//! it is told only once everything in the log is committed.

use super::Leader;
use crate::{
    error::{Reject, TransferFailure},
    local::Local,
    message::Message,
    mutants::{Mutant, planted},
    output::{Event, Output},
    progress::Progress,
    raft::Raft,
    role::Role,
    status::PeerState,
    types::{Index, Instant, NodeId, Token},
};

/// Leadership on its way to another. It ends with the term of office; who asked for it is told once it is
/// known who leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    /// Who asked for it; `None` if this node did so of its own accord.
    pub(crate) token: Option<Token>,
    pub(crate) to: NodeId,
    /// Until then it must have come about.
    pub(crate) until: Instant,
    /// Whether the successor was told to campaign since the last sign of life.
    pub(crate) told: bool,
}

impl Leader {
    /// Whether leadership is being handed over: nothing must be appended meanwhile.
    pub(crate) const fn is_transferring(&self) -> bool {
        self.transfer.is_some()
    }

    /// Whether proposals are taken.
    pub(crate) fn takes_proposals(&self) -> bool {
        !self.is_transferring() || planted(Mutant::AppendsInTransfer)
    }

    /// Somebody wants another to lead.
    pub(crate) fn begin_transfer(
        &mut self,
        local: &mut Local,
        token: Option<Token>,
        to: Option<NodeId>,
    ) {
        if to == Some(local.id()) {
            return done(local, token);
        }
        let chosen = match to {
            _ if self.transfer.is_some() => Err(TransferFailure::InProgress),
            Some(to) => self.judge_successor(local, to).map(|()| to),
            None => self.best_successor(local).ok_or(TransferFailure::Nobody),
        };
        match chosen {
            Ok(to) => {
                let until = local.now.after(local.config.max_election_timeout);
                self.transfer = Some(Transfer { token, to, until, told: false });
                local.outbox.event(Event::TransferStarted { to });
            }
            Err(why) => failed(local, token, to, why),
        }
    }

    /// Whether this member can lead.
    fn judge_successor(&self, local: &Local, to: NodeId) -> Result<(), TransferFailure> {
        let membership = local.membership();
        if !membership.contains(to) {
            return Err(TransferFailure::Unknown);
        }
        if !membership.voters.contains(&to) {
            return Err(TransferFailure::NotVoter);
        }
        let answers = self.peers.get(&to).is_some_and(|progress| is_heard(progress, local));
        if answers { Ok(()) } else { Err(TransferFailure::Silent) }
    }

    /// The voter that needs least to be brought up to date, of those that were heard lately.
    pub(crate) fn best_successor(&self, local: &Local) -> Option<NodeId> {
        let voters = &local.membership().voters;
        let able = self.peers.iter().filter(|(id, progress)| {
            voters.contains(id)
                && is_heard(progress, local)
                && progress.state != PeerState::NeedsSnapshot
        });
        able.max_by_key(|(id, progress)| (progress.matched, progress.heard, **id))
            .map(|(id, _)| *id)
    }

    /// Time passes. The successor is told again in each heartbeat, since what it was told may be lost;
    /// and in the end this node stays in office.
    pub(super) fn tick_transfer(&mut self, local: &mut Local, heartbeat: bool) {
        let Some(transfer) = &mut self.transfer else { return };
        transfer.told &= !heartbeat;
        let to = transfer.to;
        if !local.membership().voters.contains(&to) {
            self.abort_transfer(local, TransferFailure::NotVoter);
        } else if local.now >= transfer.until && !planted(Mutant::TransferNeverEnds) {
            let behind = !self.is_up_to_date(local, to);
            let why = if behind { TransferFailure::Behind } else { TransferFailure::NotTaken };
            self.abort_transfer(local, why);
        }
    }

    fn abort_transfer(&mut self, local: &mut Local, why: TransferFailure) {
        if let Some(Transfer { token, to, .. }) = self.transfer.take() {
            local.outbox.event(Event::TransferAborted { to, why });
            failed(local, token, Some(to), why);
        }
    }

    /// Whom to tell to campaign now.
    pub(super) fn timeout_now(&mut self, local: &Local) -> Option<(NodeId, Message)> {
        let Transfer { to, told, .. } = self.transfer?;
        if told || !(self.is_up_to_date(local, to) || planted(Mutant::TimeoutNowTooEarly)) {
            return None;
        }
        self.transfer.as_mut()?.told = true;
        Some((to, Message::TimeoutNow))
    }

    /// Whether a member has the whole log, and all of it is committed.
    fn is_up_to_date(&self, local: &Local, node: NodeId) -> bool {
        let matched = self.peers.get(&node).map_or(Index::ZERO, |progress| progress.matched);
        let last = local.log.last_index();
        matched == last && local.log.committed() == last
    }
}

impl Raft {
    /// Whether it is no use to propose anything now, since leadership is being handed over.
    #[must_use]
    pub fn holds_proposals(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if !leader.takes_proposals())
    }

    /// To whom this node is handing leadership over, if it is, and until when.
    #[must_use]
    pub fn transferring(&self) -> Option<(NodeId, Instant)> {
        match &self.role {
            Role::Leader(leader) => leader.transfer.map(|one| (one.to, one.until)),
            _ => None,
        }
    }

    /// Somebody wants another to lead.
    pub(crate) fn transfer(&mut self, token: Token, to: Option<NodeId>) {
        match &mut self.role {
            Role::Leader(leader) => leader.begin_transfer(&mut self.local, Some(token), to),
            _ => self.reject_not_leader(token),
        }
    }

    /// Tells who asked for a transfer what has become of it, once it is known who leads after this node.
    pub(crate) fn settle_transfer(&mut self) {
        let Some(Transfer { token, to, until, .. }) = self.local.handed_over else { return };
        let why = match self.leader() {
            Some(leader) if leader == to => None,
            None if planted(Mutant::TransferDoneTooEarly) => None,
            Some(_) => Some(TransferFailure::Elsewhere),
            None if self.local.now >= until => Some(TransferFailure::NotTaken),
            None => return,
        };
        let local = &mut self.local;
        local.handed_over = None;
        match why {
            None => {
                local.outbox.event(Event::TransferDone { to });
                done(local, token);
            }
            Some(why) => {
                local.outbox.event(Event::TransferAborted { to, why });
                failed(local, token, Some(to), why);
            }
        }
    }
}

/// Whether a member was heard within the longest election timeout, or has had no time to be, and its
/// connection holds.
fn is_heard(progress: &Progress, local: &Local) -> bool {
    let age = local.now.since(progress.heard);
    !progress.paused && age <= local.config.max_election_timeout
}

fn done(local: &mut Local, token: Option<Token>) {
    if let Some(token) = token {
        local.outbox.tell(Output::Done { token });
    }
}

fn failed(local: &mut Local, token: Option<Token>, to: Option<NodeId>, why: TransferFailure) {
    if let Some(token) = token {
        local.reject(token, Reject::NotTransferred { to, why });
    }
}
