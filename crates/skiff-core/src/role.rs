//! The roles (dissertation figure 3.3). What belongs to a role lives in it and goes with it.

pub(crate) mod candidate;
pub(crate) mod follower;
pub(crate) mod leader;
pub(crate) mod pre_candidate;

use alloc::boxed::Box;

use self::{candidate::Candidate, follower::Follower, leader::Leader, pre_candidate::PreCandidate};
use crate::{
    error::Fatal,
    local::Local,
    message::Message,
    output::StateName,
    types::{Instant, NodeId, Term},
};

#[derive(Clone, Debug)]
pub(crate) enum Role {
    Follower(Follower),
    PreCandidate(PreCandidate),
    Candidate(Candidate),
    Leader(Box<Leader>),
}

/// What a step means for the role. Only [`Raft::transition`](crate::Raft) acts on it.
#[derive(Debug)]
#[must_use]
pub(crate) enum Transition {
    Stay,
    /// Follow in this term, which may be the current one.
    Follow {
        term: Term,
        leader: Option<NodeId>,
    },
    /// Ask whether an election makes sense.
    PreCampaign,
    /// Raise the term and ask for votes.
    Campaign {
        transfer: bool,
    },
    /// The votes are a quorum.
    Lead,
    /// The node must not go on.
    Stop(Fatal),
}

impl Role {
    /// Takes a message of the current term.
    pub(crate) fn step(&mut self, local: &mut Local, from: NodeId, message: Message) -> Transition {
        match self {
            Self::Follower(follower) => follower.step(local, from, message),
            Self::PreCandidate(candidate) => candidate.step(local, from, &message),
            Self::Candidate(candidate) => candidate.step(local, from, &message),
            Self::Leader(leader) => leader.step(local, from, message),
        }
    }

    /// Something became durable here.
    pub(crate) fn persisted(&mut self, local: &mut Local) -> Transition {
        match self {
            Self::Candidate(candidate) => candidate.persisted(local),
            Self::Leader(leader) => {
                leader.persisted(local);
                Transition::Stay
            }
            Self::Follower(_) | Self::PreCandidate(_) => Transition::Stay,
        }
    }

    /// The next message this role owes, built from the state as it stands.
    pub(crate) fn next_send(&mut self, local: &mut Local) -> Option<(NodeId, Message)> {
        match self {
            Self::Follower(follower) => follower.next_send(local),
            Self::Leader(leader) => leader.next_send(local),
            Self::PreCandidate(_) | Self::Candidate(_) => None,
        }
    }

    /// Answers whatever the role still owes to callers, as it ends. `leader` leads now.
    pub(crate) fn retire(self, local: &mut Local, leader: Option<NodeId>) {
        match self {
            Self::Follower(follower) => follower.retire(local, leader),
            Self::Leader(mut role) => role.retire(local, leader),
            Self::PreCandidate(_) | Self::Candidate(_) => {}
        }
    }

    pub(crate) fn leader(&self, me: NodeId) -> Option<NodeId> {
        match self {
            Self::Follower(follower) => follower.leader(),
            Self::Leader(_) => Some(me),
            Self::PreCandidate(_) | Self::Candidate(_) => None,
        }
    }

    /// Whether a leader is heard, so that votes are refused (dissertation 4.2.3).
    pub(crate) fn hears_leader(&self, local: &Local) -> bool {
        match self {
            Self::Follower(follower) => follower.hears_leader(local),
            Self::Leader(_) => true,
            Self::PreCandidate(_) | Self::Candidate(_) => false,
        }
    }

    pub(crate) fn deadline(&self, local: &Local) -> Option<Instant> {
        match self {
            Self::Leader(leader) => Some(leader.deadline(local)),
            Self::Follower(_) | Self::PreCandidate(_) | Self::Candidate(_) => local.election_at,
        }
    }

    pub(crate) const fn name(&self) -> StateName {
        match self {
            Self::Follower(_) => StateName::Follower,
            Self::PreCandidate(_) | Self::Candidate(_) => StateName::Candidate,
            Self::Leader(_) => StateName::Leader,
        }
    }
}
