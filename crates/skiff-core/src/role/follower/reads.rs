//! Reads that wait at a follower for an index from the leader (dissertation 6.4).

use alloc::{collections::VecDeque, vec::Vec};

use crate::{
    error::Reject,
    local::Local,
    machine::remove_first,
    mutants::{Mutant, planted},
    types::{Index, Instant, NodeId, Token},
};

#[derive(Clone, Debug, Default)]
pub(crate) struct ForwardedReads {
    /// Not asked for yet.
    pub(crate) waiting: VecDeque<Token>,
    /// Asked for, each batch under a name that is never used again.
    pub(crate) asked: Vec<Batch>,
}

#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) id: u64,
    asked_at: Instant,
    pub(crate) tokens: VecDeque<Token>,
}

impl ForwardedReads {
    pub(crate) fn wait(&mut self, token: Token) {
        self.waiting.push_back(token);
    }

    /// Closes the next batch and names it: what is asked later cannot profit from its answer.
    pub(crate) fn next_batch(&mut self, local: &mut Local) -> Option<u64> {
        if self.waiting.is_empty() {
            return None;
        }
        let id = if planted(Mutant::ReadNameReused) { 0 } else { local.rng.next() };
        let tokens = core::mem::take(&mut self.waiting);
        self.asked.push(Batch { id, asked_at: local.now, tokens });
        Some(id)
    }

    /// The leader answered: served once `index` is applied, or it does not lead any more.
    pub(crate) fn answered(&mut self, local: &mut Local, id: u64, index: Option<Index>) {
        let Some(at) = self.asked.iter().position(|batch| batch.id == id) else { return };
        for token in self.asked.swap_remove(at).tokens {
            match index {
                Some(index) => local.machine.read_at(index, token),
                None => local.reject(token, Reject::NotLeader { leader: None }),
            }
        }
    }

    /// Questions that were not answered for two heartbeats are asked again, under another name.
    pub(crate) fn ask_again(&mut self, now: Instant, heartbeat: u64) {
        for batch in self
            .asked
            .extract_if(.., |batch| now.since(batch.asked_at) > heartbeat.saturating_mul(2))
        {
            self.waiting.extend(batch.tokens);
        }
    }

    pub(crate) fn cancel(&mut self, token: Token) {
        let asked = self.asked.iter_mut().map(|batch| &mut batch.tokens);
        let mut all = asked.chain([&mut self.waiting]);
        all.any(|tokens| remove_first(tokens, |one| *one == token).is_some());
    }

    /// There is nobody left to answer.
    pub(crate) fn reject(&mut self, local: &mut Local, leader: Option<NodeId>) {
        let asked = core::mem::take(&mut self.asked).into_iter().flat_map(|batch| batch.tokens);
        let waiting = core::mem::take(&mut self.waiting);
        asked.chain(waiting).for_each(|token| local.reject(token, Reject::NotLeader { leader }));
    }
}
