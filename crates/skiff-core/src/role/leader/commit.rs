//! The commit rule (dissertation 3.6.2): an entry is committed once a quorum holds it durably and
//! it is of the leader's own term. What comes before it is committed with it.

use super::Leader;
use crate::{
    local::Local,
    mutants::{Mutant, planted},
    quorum,
    types::{Index, Instant, NodeId},
};

impl Leader {
    /// Commits what a quorum holds. The own log counts as far as it is durable, and only if this
    /// node is a voter.
    pub(super) fn advance_commit(&mut self, local: &mut Local) {
        let durable = local.log.durable();
        let held = |id: NodeId| {
            if id == local.id() {
                let counts_all = planted(Mutant::LeaderCountsUndurable);
                return if counts_all { local.log.last_index() } else { durable };
            }
            self.peers.get(&id).map_or(Index::ZERO, |progress| progress.matched)
        };
        let members = local.membership();
        let reached = if planted(Mutant::LearnersCount) {
            quorum::reached(&members.members().collect(), held)
        } else {
            members.reached(held)
        };
        if let Some(index) = reached
            && index > local.log.committed()
            && (local.log.term_at(index) == Some(local.hard.term)
                || planted(Mutant::CommitsOldTerms))
        {
            let concerned = local.members.latest().0 > local.log.committed();
            local.log.commit(index);
            if concerned {
                self.sync_peers(local);
            }
        }
        self.watch_own_disk(local);
    }

    /// Remembers since when the others have been ahead of the own disk: all of them together, and the
    /// best of them alone.
    fn watch_own_disk(&mut self, local: &Local) {
        let voters = self.peers.iter().filter(|(id, _)| local.membership().is_voter(**id));
        let best = voters.map(|(_, progress)| progress.matched).max().unwrap_or_default();
        self.lagging = behind(self.lagging, local.log.committed(), local);
        self.outdone = behind(self.outdone, best, local);
    }
}

/// Since when something that others have has not been durable here, and what.
fn behind(
    before: Option<(Index, Instant)>,
    reached: Index,
    local: &Local,
) -> Option<(Index, Instant)> {
    let durable = local.log.durable();
    let still = before.filter(|(index, _)| durable < *index);
    still.or_else(|| (durable < reached).then_some((reached, local.now)))
}
