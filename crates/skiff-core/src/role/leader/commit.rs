//! The commit rule (dissertation 3.6.2): an entry is committed once a quorum holds it durably and
//! it is of the leader's own term. What comes before it is committed with it.

use super::Leader;
use crate::{
    local::Local,
    mutants::{Mutant, planted},
    types::Index,
};

impl Leader {
    /// Commits what a quorum holds. The own log counts as far as it is durable, and only if this
    /// node is a voter.
    pub(super) fn advance_commit(&mut self, local: &mut Local) {
        let durable = local.log.durable();
        let reached = local.membership().reached(|id| {
            if id == local.id() {
                let counts_all = planted(Mutant::LeaderCountsUndurable);
                return if counts_all { local.log.last_index() } else { durable };
            }
            self.peers.get(&id).map_or(Index::ZERO, |progress| progress.matched)
        });
        if let Some(index) = reached
            && index > local.log.committed()
            && (local.log.term_at(index) == Some(local.hard.term)
                || planted(Mutant::CommitsOldTerms))
        {
            local.log.commit(index);
        }
        self.watch_own_disk(local);
    }

    /// Remembers since when the others have been ahead of the own disk.
    fn watch_own_disk(&mut self, local: &Local) {
        let (committed, durable) = (local.log.committed(), local.log.durable());
        if self.lagging.is_some_and(|(index, _)| durable < index) {
            return;
        }
        let lags = durable < committed;
        self.lagging = lags.then_some((committed, local.now));
    }
}
