//! Changes of the membership (dissertation chapter 4): what each makes of the members there are.
//!
//! A change of voters goes through a joint membership, whatever it adds and removes: one half of it is
//! enough for nothing. Who is to become a voter is a learner first, and the wish to make it one stands
//! in the membership itself: whoever leads when it can be done does it.

use alloc::{collections::BTreeSet, string::String};

use crate::{
    error::Reject,
    membership::{Membership, Node},
    mutants::{Mutant, planted},
    types::NodeId,
};

/// A change of the membership, for [`Input::ChangeMembership`](crate::Input::ChangeMembership). Asking
/// for what is so already is answered as done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A node is to receive the log without counting. A wish to make it a voter is withdrawn.
    AddLearner {
        /// The node.
        id: NodeId,
        /// Its name and address.
        node: Node,
    },
    /// A node is to become a voter: a learner first, and a voter as soon as its log is close, it
    /// answers, and so do all voters there are.
    AddVoter {
        /// The node.
        id: NodeId,
        /// Its name and address.
        node: Node,
    },
    /// A member is to be one no longer.
    Remove {
        /// The member.
        id: NodeId,
    },
    /// A node is to take the place of a member, in one step: a learner first, and as soon as its log is
    /// close and a quorum of those to come answers, the other's successor.
    Replace {
        /// The member that goes.
        old: NodeId,
        /// The node that comes.
        id: NodeId,
        /// Its name and address.
        node: Node,
    },
    /// A member is to be dialled elsewhere. No quorum changes.
    Readdress {
        /// The member.
        id: NodeId,
        /// Where it is now.
        address: String,
    },
}

impl Change {
    /// The members once this change has begun, given those there are, who are not joint.
    pub(crate) fn begin(&self, members: &Membership) -> Result<Membership, Reject> {
        match self {
            Self::AddLearner { id, .. } if members.voters.contains(id) => {
                Err(Reject::AlreadyVoter { node: *id })
            }
            Self::AddVoter { id, .. } if members.voters.contains(id) => Ok(members.clone()),
            Self::AddLearner { id, node } => {
                let mut next = members.with_learner(*id, node, None)?;
                next.wishes.remove(id);
                Ok(next)
            }
            Self::AddVoter { id, node } => {
                let mut next = members.with_learner(*id, node, None)?;
                next.wishes.entry(*id).or_insert(None);
                Ok(next)
            }
            Self::Remove { id } => members.without(*id),
            Self::Replace { old, id, node } => replace(members, *old, *id, node),
            Self::Readdress { id, address } => {
                let mut next = members.clone();
                let node = next.nodes.get_mut(id).ok_or(Reject::UnknownNode { node: *id })?;
                node.address.clone_from(address);
                Ok(next)
            }
        }
    }

    /// The node that comes, if one does.
    pub(crate) const fn newcomer(&self) -> Option<NodeId> {
        match self {
            Self::AddLearner { id, .. } | Self::AddVoter { id, .. } | Self::Replace { id, .. } => {
                Some(*id)
            }
            Self::Remove { .. } | Self::Readdress { .. } => None,
        }
    }

    /// Whether what is wanted is so.
    pub(crate) fn is_done(&self, members: &Membership) -> bool {
        !members.is_joint()
            && match self {
                Self::AddLearner { id, .. } => members.contains(*id),
                Self::AddVoter { id, .. } => members.voters.contains(id),
                Self::Remove { id } => !members.contains(*id),
                Self::Replace { old, id, .. } => {
                    let came = members.contains(*id) && !members.wishes.contains_key(id);
                    came && !members.contains(*old)
                }
                Self::Readdress { id, address } => {
                    members.nodes.get(id).is_some_and(|node| node.address == *address)
                }
            }
    }

    /// Whether what is wanted will not come to be, because of what was changed since it began.
    pub(crate) fn is_undone(&self, members: &Membership) -> Option<Reject> {
        let (Self::AddLearner { id, .. }
        | Self::AddVoter { id, .. }
        | Self::Replace { id, .. }
        | Self::Readdress { id, .. }) = self
        else {
            return None;
        };
        (!members.contains(*id)).then_some(Reject::UnknownNode { node: *id })
    }
}

fn replace(
    members: &Membership,
    old: NodeId,
    id: NodeId,
    node: &Node,
) -> Result<Membership, Reject> {
    if !members.contains(old) {
        // It may have been done before, or may be half done: who comes is what matters.
        let known = members.contains(id);
        return if known { Ok(members.clone()) } else { Err(Reject::UnknownNode { node: old }) };
    }
    if members.voters.contains(&id) {
        return Err(Reject::AlreadyVoter { node: id });
    }
    let mut next = members.with_learner(id, node, Some(old))?;
    if members.voters.contains(&old) {
        next.wishes.insert(id, Some(old));
        return Ok(next);
    }
    next.forget(old);
    Ok(next)
}

impl Membership {
    /// With a learner more, unless it is one already. `leaves` is a member that will go.
    fn with_learner(
        &self,
        id: NodeId,
        node: &Node,
        leaves: Option<NodeId>,
    ) -> Result<Self, Reject> {
        let mut others =
            self.nodes.iter().filter(|(other, _)| **other != id && Some(**other) != leaves);
        for (other, Node { name, address }) in &mut others {
            if !name.is_empty() && *name == node.name {
                return Err(Reject::NameTaken { by: *other });
            }
            if !address.is_empty() && *address == node.address {
                return Err(Reject::AddressTaken { by: *other });
            }
        }
        let mut next = self.clone();
        if next.learners.insert(id) {
            next.nodes.insert(id, node.clone());
        }
        Ok(next)
    }

    /// Without this member: at once if it counts for nothing, else by way of a joint membership.
    fn without(&self, id: NodeId) -> Result<Self, Reject> {
        if !self.voters.contains(&id) {
            let mut next = self.clone();
            next.forget(id);
            return Ok(next);
        }
        let mut voters = self.voters.clone();
        voters.remove(&id);
        if voters.is_empty() && !planted(Mutant::LastVoterLeaves) {
            return Err(Reject::LastVoter { node: id });
        }
        let mut next = self.joint(voters);
        next.forget_wishes(id);
        Ok(next)
    }

    fn forget(&mut self, id: NodeId) {
        self.learners.remove(&id);
        self.nodes.remove(&id);
        self.forget_wishes(id);
    }

    /// Nobody wishes any more to make it a voter, or to replace it.
    fn forget_wishes(&mut self, id: NodeId) {
        self.wishes.remove(&id);
        let replacing = self.wishes.values_mut().filter(|replaces| **replaces == Some(id));
        replacing.for_each(|replaces| *replaces = None);
    }

    /// The joint membership that leads from these voters to others (4.3).
    fn joint(&self, voters: BTreeSet<NodeId>) -> Self {
        let mut next = Self { outgoing: self.voters.clone(), voters, ..self.clone() };
        next.learners.retain(|id| !next.voters.contains(id));
        next
    }

    /// The joint membership by which a learner becomes a voter, in place of whom it replaces.
    pub(crate) fn promote(&self, id: NodeId) -> Self {
        let mut voters = self.voters.clone();
        voters.insert(id);
        let replaced = self.wishes.get(&id).copied().flatten();
        if let Some(old) = replaced {
            voters.remove(&old);
        }
        let mut next = self.joint(voters);
        next.wishes.remove(&id);
        if let Some(old) = replaced {
            next.forget_wishes(old);
        }
        next
    }

    /// The membership that a joint one leads to.
    pub(crate) fn exit(&self) -> Self {
        let mut next = Self { outgoing: BTreeSet::new(), ..self.clone() };
        next.nodes.retain(|id, _| next.voters.contains(id) || next.learners.contains(id));
        next
    }
}
