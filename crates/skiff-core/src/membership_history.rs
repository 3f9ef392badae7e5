//! Which membership is in force where in the log. A node uses the newest in its log, committed or
//! not (dissertation 4.1); cutting the log brings back the one before.

use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};

use crate::{
    membership::Membership,
    mutants::{Mutant, planted},
    raft::Raft,
    types::{Index, NodeId},
};

#[derive(Clone, Debug)]
pub(crate) struct MembershipHistory {
    /// The one in force where the log begins.
    base: (Index, Arc<Membership>),
    /// Those in the log, ascending.
    pub(crate) later: Vec<(Index, Arc<Membership>)>,
}

impl MembershipHistory {
    pub(crate) fn new(
        base: Index,
        membership: Membership,
        later: Vec<(Index, Membership)>,
    ) -> Self {
        let later = later.into_iter().map(|(index, one)| (index, Arc::new(one))).collect();
        Self { base: (base, Arc::new(membership)), later }
    }

    /// The newest, in force now, and where it stands.
    pub(crate) fn latest(&self) -> &(Index, Arc<Membership>) {
        self.later.last().unwrap_or(&self.base)
    }

    /// The newest at or before `committed`, and where it stands.
    pub(crate) fn committed(&self, committed: Index) -> &(Index, Arc<Membership>) {
        let later = self.later.iter().rev().find(|(index, _)| *index <= committed);
        later.unwrap_or(&self.base)
    }

    /// All who may count for something: the members of the one in force where the log is committed,
    /// and of all after it. Who is removed gets the log until the removal is committed.
    pub(crate) fn concerned(&self, committed: Index) -> BTreeSet<NodeId> {
        let first = self.later.partition_point(|(index, _)| *index <= committed);
        let committed =
            first.checked_sub(1).and_then(|at| self.later.get(at)).unwrap_or(&self.base);
        let later = self.later.iter().skip(first);
        [committed].into_iter().chain(later).flat_map(|(_, one)| one.members()).collect()
    }

    /// The one in force at `index`, and all after it.
    pub(crate) fn from(&self, index: Index) -> impl Iterator<Item = &Membership> {
        let later = self.later.iter().filter(move |(at, _)| *at > index);
        [self.committed(index)].into_iter().chain(later).map(|(_, one)| &**one)
    }

    /// Whether `node` was a member and is none any more.
    pub(crate) fn was_removed(&self, node: NodeId) -> bool {
        !self.latest().1.contains(node) && self.ever_contained(node)
    }

    /// Whether it is news that members without `node` are committed at `index`, where everything up to
    /// `committed` is known to be. What the log holds behind something else at that place was never agreed
    /// on, and says nothing.
    pub(crate) fn is_news(&self, index: Index, node: NodeId, committed: Index) -> bool {
        let (known, membership) = self.latest();
        if index >= *known {
            return index > *known || !membership.contains(node);
        }
        let there = self.later.iter().find(|(at, _)| *at == index);
        index > committed && there.is_none_or(|(_, membership)| membership.contains(node))
    }

    /// Whether `node` has ever been a member here.
    pub(crate) fn ever_contained(&self, node: NodeId) -> bool {
        let mut all = self.later.iter().rev().chain([&self.base]);
        all.any(|(_, membership)| membership.contains(node))
    }

    /// A membership entry was appended.
    pub(crate) fn append(&mut self, index: Index, membership: Membership) {
        self.later.push((index, Arc::new(membership)));
    }

    /// The log was cut from `from` on.
    pub(crate) fn truncate(&mut self, from: Index) {
        self.later.retain(|(index, _)| *index < from);
    }

    /// The one in force at `index`, which is not before the log begins.
    pub(crate) fn at(&self, index: Index) -> &Membership {
        let later = self.later.iter().rev().find(|(at, _)| *at <= index);
        &later.unwrap_or(&self.base).1
    }

    /// The log was compacted: it begins after `index`.
    pub(crate) fn compact(&mut self, index: Index) {
        while self.later.first().is_some_and(|(at, _)| *at <= index) {
            self.base = self.later.remove(0);
        }
    }

    /// The log begins anew after `index`, with these members.
    pub(crate) fn begin_after(&mut self, index: Index, membership: Membership) {
        self.base = (index, Arc::new(membership));
        self.later.clear();
    }

    /// What was set from outside replaces all there is.
    pub(crate) fn set(&mut self, membership: Membership) {
        self.base.1 = Arc::new(membership);
        self.later.clear();
    }
}

impl Raft {
    /// Where the newest membership stands, if it is without `node` and that is committed. Whoever says that
    /// it is a member was removed then, or knows of a later one: it obeys only what is above its own.
    #[must_use]
    pub fn removed_as_of(&self, node: NodeId) -> Option<Index> {
        self.local.is_without(node).filter(|_| !planted(Mutant::RemovedUntold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NodeId;

    fn of(ids: &[u128]) -> Membership {
        Membership::of(ids.iter().map(|id| NodeId(*id)))
    }

    #[test]
    fn what_was_never_agreed_on_does_not_outweigh_a_removal() {
        let mut history = MembershipHistory::new(Index(10), of(&[1, 2, 3]), Vec::new());
        let is_news = |history: &MembershipHistory, index, committed| {
            history.is_news(Index(index), NodeId(3), Index(committed))
        };
        assert!(is_news(&history, 12, 11));
        // As a leader of an earlier term it had begun another change.
        history.append(Index(15), of(&[1, 3]));
        assert!(is_news(&history, 12, 11), "something else stands at 12 here");
        assert!(!is_news(&history, 12, 12), "and it is what was committed");
        assert!(is_news(&history, 16, 11));
        // It was admitted after others had been removed.
        let mut history = MembershipHistory::new(Index(10), of(&[1, 2, 4]), Vec::new());
        history.append(Index(12), of(&[1, 2]));
        history.append(Index(15), of(&[1, 2, 3]));
        assert!(!is_news(&history, 12, 10), "this is known, and what came of it");
        assert!(!is_news(&history, 15, 10), "the newest here has it in");
    }

    #[test]
    fn config_rollback_exact() {
        // An aborted change must bring back its very predecessor, also when that one stands where
        // the log begins.
        let mut history = MembershipHistory::new(Index(10), of(&[1]), Vec::new());
        history.append(Index(12), of(&[1, 2]));
        history.append(Index(14), of(&[1, 2, 3]));
        assert_eq!(*history.latest().1, of(&[1, 2, 3]));
        history.truncate(Index(13));
        assert_eq!(*history.latest().1, of(&[1, 2]));
        assert_eq!(history.latest().0, Index(12));
        history.truncate(Index(11));
        assert_eq!(*history.latest().1, of(&[1]));
        assert_eq!(history.latest().0, Index(10));
    }
}
