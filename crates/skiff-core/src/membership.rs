//! Who belongs to the cluster (dissertation chapter 4): plain sets, and the quorum they ask for.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};

use crate::{
    mutants::{Mutant, planted},
    quorum,
    types::NodeId,
};

/// The members of a cluster at one place in the log.
///
/// While `outgoing` is not empty the membership is *joint* (dissertation 4.3): everything needs a
/// majority of `voters` and a majority of `outgoing`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Membership {
    /// Those whose votes and acknowledgements count; the incoming half while joint.
    pub voters: BTreeSet<NodeId>,
    /// The outgoing half of a joint membership; otherwise empty.
    pub outgoing: BTreeSet<NodeId>,
    /// Those who receive the log without counting.
    pub learners: BTreeSet<NodeId>,
    /// Name and address of each, for all of the above.
    pub nodes: BTreeMap<NodeId, Node>,
    /// The learners that are to become voters as soon as they can, each with the voter whose place it
    /// is to take, if any. It stands in the log, so that any leader can see to it.
    pub wishes: BTreeMap<NodeId, Option<NodeId>>,
}

/// What is known of a member besides its [`NodeId`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// The name its user gave it.
    pub name: String,
    /// Where it listens, in the transport's own notation; empty if it does not.
    pub address: String,
}

impl Membership {
    /// A membership of these voters, nameless. For tests and for peers known by id only.
    #[must_use]
    pub fn of(voters: impl IntoIterator<Item = NodeId>) -> Self {
        let voters: BTreeSet<NodeId> = voters.into_iter().collect();
        let nodes = voters.iter().map(|id| (*id, Node::default())).collect();
        Self { voters, nodes, ..Self::default() }
    }

    /// Whether both halves are in force.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether the vote and the acknowledgement of `id` count.
    #[must_use]
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// Whether `id` has any part in the cluster.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.is_voter(id) || self.learners.contains(&id)
    }

    /// Everybody, each once, in ascending order.
    pub fn members(&self) -> impl Iterator<Item = NodeId> {
        let mut all: BTreeSet<NodeId> = self.voters.clone();
        all.extend(&self.outgoing);
        all.extend(&self.learners);
        all.into_iter()
    }

    /// Whether those for whom `agrees` holds are a quorum: a majority of each half in force.
    /// A membership without voters has no quorum.
    #[must_use]
    pub fn has_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        quorum::is_majority(&self.voters, &agrees)
            && (self.outgoing.is_empty() || quorum::is_majority(&self.outgoing, &agrees))
    }

    /// The largest value that a quorum has reached, where `value` tells each one's own.
    /// `None` if there are no voters.
    #[must_use]
    pub fn reached<T: Ord + Copy>(&self, value: impl Fn(NodeId) -> T) -> Option<T> {
        let incoming = quorum::reached(&self.voters, &value)?;
        match quorum::reached(&self.outgoing, &value) {
            Some(outgoing) if !planted(Mutant::OneHalfCommits) => Some(incoming.min(outgoing)),
            _ => Some(incoming),
        }
    }

    /// About how many bytes this takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let ids = self.voters.len() + self.outgoing.len() + self.learners.len();
        let nodes: usize = self.nodes.values().map(|n| 32 + n.name.len() + n.address.len()).sum();
        let wishes = if self.wishes.is_empty() { 0 } else { 16 + 32 * self.wishes.len() };
        16 * ids + nodes + wishes
    }
}
