//! What must hold, apart from the code that makes it hold. Two kinds: what must hold at any moment
//! ([`check`]), and what must hold between before and after a step ([`Witness`]).

use crate::{
    raft::Raft,
    role::{Role, leader::Leader},
    status::PeerState,
    types::{HardState, Index, NodeId, Position},
};

type Verdict = Result<(), &'static str>;

/// `Err` with the sentence unless it holds.
fn must(holds: bool, sentence: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(sentence) }
}

/// What must hold at any moment.
pub(crate) fn check(raft: &Raft) -> Verdict {
    let local = &raft.local;
    let (log, machine, hard) = (&local.log, &local.machine, local.hard);
    let last = log.last();
    must(log.base().index <= log.committed(), "the log begins with what is committed")?;
    must(log.base().index <= local.snapshot.index, "a snapshot covers what the log lacks")?;
    must(
        machine.restores() || log.base().index <= machine.applied(),
        "what is compacted is applied",
    )?;
    must(log.committed() <= last.index, "what is committed is in the log")?;
    must(log.durable() <= last.index, "what is durable is in the log")?;
    must(log.stored() <= last.index, "what is handed to the store is in the log")?;
    must(log.durable() <= log.stored(), "what is durable was handed to the store")?;
    must(
        log.outstanding_last().is_none_or(|end| end <= last.index),
        "an outstanding write carries no more than the log",
    )?;
    must(last.term <= hard.term, "no entry is of a term above the current one")?;
    must(machine.applied() <= machine.handed(), "only what was handed out is applied")?;
    must(machine.handed() <= log.committed(), "nothing is applied before it is committed")?;
    must(local.disk.durable().term <= hard.term, "the durable term is not above the current one")?;
    must(log.cached_from() <= last.index.next(), "the cache ends where the log ends")?;
    match &raft.role {
        Role::Leader(leader) => check_leader(raft, leader),
        Role::Candidate(_) => must(hard.vote == Some(local.id()), "a candidate votes for itself"),
        Role::Follower(follower) => {
            must(follower.verified() <= last.index, "what the leader verified is in the log")
        }
        Role::PreCandidate(_) => Ok(()),
    }
}

fn check_leader(raft: &Raft, leader: &Leader) -> Verdict {
    let local = &raft.local;
    let last = local.log.last_index();
    must(local.hard.vote == Some(local.id()), "a leader voted for itself")?;
    must(local.disk.holds_vote(local.hard), "a leader's own vote is durable")?;
    must(local.election_at.is_none(), "a leader does not campaign")?;
    for progress in leader.peers.values() {
        must(progress.matched <= last, "nobody matches more than the leader has")?;
        must(progress.next <= last.next(), "nothing beyond the log is sent")?;
        must(
            progress.reverted
                || progress.state == PeerState::NeedsSnapshot
                || progress.next > progress.matched,
            "what matched is not sent again",
        )?;
        must(
            progress.inflights.len() <= local.config.window_messages,
            "no more is on its way than the window allows",
        )?;
        must(
            progress.inflights.bytes_before_newest() < local.config.window_bytes,
            "no more bytes are on their way than the window allows",
        )?;
        must(
            progress.round_acked <= progress.round_sent,
            "only rounds that were sent are answered",
        )?;
    }
    check_changes(raft)
}

/// A leader begins a change once something of its term is committed, and one after the other (4.1).
fn check_changes(raft: &Raft) -> Verdict {
    let local = &raft.local;
    let (log, committed) = (&local.log, local.log.committed());
    let pending = local.members.later.iter().rev().take_while(|(index, _)| *index > committed);
    let own = |index: &Index| log.term_at(*index) == Some(local.hard.term);
    let (count, any_own) =
        pending.fold((0, false), |(count, any), (index, _)| (count + 1, any || own(index)));
    must(!any_own || count == 1, "at most one change of membership is uncommitted")?;
    must(!any_own || own(&committed), "no change begins before the term's first entry is committed")
}

/// What is remembered of a node from before a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Witness {
    hard: HardState,
    snapshot: Index,
    base: Index,
    committed: Index,
    applied: Index,
    handed: Index,
    last: Position,
    committed_at: Option<Position>,
    leads: bool,
    me: NodeId,
}

impl Witness {
    pub(crate) fn of(raft: &Raft) -> Self {
        let local = &raft.local;
        Self {
            hard: local.hard,
            snapshot: local.snapshot.index,
            base: local.log.base().index,
            committed: local.log.committed(),
            applied: local.machine.applied(),
            handed: local.machine.handed(),
            last: local.log.last(),
            committed_at: local.log.position_at(local.log.committed()),
            leads: raft.is_leader(),
            me: local.id(),
        }
    }

    /// What must hold between then and now, and what must hold now.
    pub(crate) fn check(&self, raft: &Raft) -> Verdict {
        let local = &raft.local;
        let hard = local.hard;
        must(hard.term >= self.hard.term, "a term never goes back")?;
        must(
            hard.term > self.hard.term || self.hard.vote.is_none() || hard.vote == self.hard.vote,
            "a vote is given once a term",
        )?;
        must(local.snapshot.index >= self.snapshot, "the newest snapshot never goes back")?;
        must(local.log.base().index >= self.base, "what is compacted does not come back")?;
        must(local.log.committed() >= self.committed, "the commit index never goes back")?;
        must(local.machine.applied() >= self.applied, "the applied index never goes back")?;
        must(local.machine.handed() >= self.handed, "nothing is applied twice")?;
        must(
            self.committed_at.is_none()
                || self.committed < local.log.base().index
                || local.log.position_at(self.committed) == self.committed_at,
            "what is committed is never replaced",
        )?;
        let still_leads = self.leads && raft.is_leader() && hard.term == self.hard.term;
        must(
            !still_leads || local.log.position_at(self.last.index) == Some(self.last),
            "a leader only appends to its log",
        )?;
        must(
            self.leads || !raft.is_leader() || hard.vote == Some(self.me),
            "who becomes leader voted for itself",
        )?;
        check(raft)
    }
}
