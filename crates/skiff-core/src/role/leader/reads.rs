//! Reads that wait for proof that this node still leads (ReadIndex, dissertation 6.4). One round
//! of signs of life serves all that arrived before it was begun.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use crate::{
    machine::remove_first,
    mutants::{Mutant, planted},
    types::{Index, NodeId, Round, Token},
};

/// So many batches of a follower wait on from heartbeat to heartbeat.
const BATCHES_MAX: usize = 128;

/// Who wants to read.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum Reader {
    /// A caller here.
    Local(Token),
    /// A batch of callers at a follower.
    Follower { from: NodeId, batch: u64 },
}

#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Reads {
    /// In no round yet, each with the index it must see.
    waiting: VecDeque<(Index, Reader)>,
    /// Rounds under way, oldest first.
    rounds: VecDeque<(Round, VecDeque<(Index, Reader)>)>,
}

impl Reads {
    pub(crate) fn wait(&mut self, index: Index, reader: Reader) {
        self.waiting.push_back((index, reader));
    }

    /// Forgets all but the newest batches of each follower. What a follower did not get for two heartbeats
    /// it asks again under another name, so that the answer to the old one finds nobody.
    pub(crate) fn forget_old_batches(&mut self) {
        let mut counts = BTreeMap::<NodeId, usize>::new();
        let mut all: Vec<_> = self.rounds.iter_mut().map(|(_, reads)| reads).collect();
        all.push(&mut self.waiting);
        for (_, reader) in all.iter().flat_map(|reads| reads.iter()) {
            if let Reader::Follower { from, .. } = reader {
                *counts.entry(*from).or_default() += 1;
            }
        }
        for reads in all {
            reads.retain(|(_, reader)| {
                let Reader::Follower { from, .. } = reader else { return true };
                let Some(left) = counts.get_mut(from) else { return true };
                *left -= 1;
                *left < BATCHES_MAX
            });
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.rounds.is_empty()
    }

    /// Begins a round for all that wait. Whether there was any.
    pub(crate) fn begin_round(&mut self, round: &mut Round) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        *round = if planted(Mutant::ReadJoinsOldRound) { *round } else { round.next() };
        self.rounds.push_back((*round, core::mem::take(&mut self.waiting)));
        true
    }

    /// A quorum has answered this round: the reads that are served by it.
    pub(crate) fn confirmed(&mut self, round: Round) -> Vec<(Index, Reader)> {
        let counts = |one: Round| one <= round || planted(Mutant::ReadsWithoutRound);
        let done = self.rounds.partition_point(|(one, _)| counts(*one));
        self.rounds.drain(..done).flat_map(|(_, reads)| reads).collect()
    }

    pub(crate) fn cancel(&mut self, token: Token) {
        let is_it =
            |(_, reader): &(Index, Reader)| matches!(reader, Reader::Local(t) if *t == token);
        let mut all = self.rounds.iter_mut().map(|(_, reads)| reads).chain([&mut self.waiting]);
        all.any(|reads| remove_first(reads, is_it).is_some());
    }

    /// All that wait, which will not be served.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Reader> + use<> {
        let rounds = core::mem::take(&mut self.rounds).into_iter().flat_map(|(_, reads)| reads);
        rounds.chain(core::mem::take(&mut self.waiting)).map(|(_, reader)| reader)
    }
}
