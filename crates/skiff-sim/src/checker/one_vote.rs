//! Each member gives one vote a term, over restarts: judged by what leaves it (dissertation 3.4).

use std::collections::BTreeMap;

use skiff_replica::{Term, core::NodeId};

use crate::failure::{Verdict, must};

#[derive(Debug, Default)]
pub(crate) struct OneVote {
    votes: BTreeMap<(NodeId, Term), NodeId>,
}

impl OneVote {
    /// `voter` tells that it votes for `candidate`.
    pub(crate) fn votes(&mut self, voter: NodeId, term: Term, candidate: NodeId) -> Verdict {
        let given = *self.votes.entry((voter, term)).or_insert(candidate);
        must(given == candidate, || {
            format!("{voter} votes for {given} and for {candidate} in term {term}")
        })
    }
}
