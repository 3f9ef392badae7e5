//! Reads that wait for proof that this node still leads (ReadIndex, dissertation 6.4). One round
//! of signs of life serves all that arrived before it was begun.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{
    machine::remove_first,
    mutants::{Mutant, planted},
    types::{Index, NodeId, Round, Token},
};

/// So many batches of a follower wait at most.
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

    /// Makes room for one more batch of a follower. What it did not get for long it asks again under
    /// another name: the oldest is not waited for any more.
    pub(crate) fn make_room(&mut self, follower: NodeId) {
        let is_its = |(_, reader): &(Index, Reader)| matches!(reader, Reader::Follower { from, .. } if *from == follower);
        let mut all: Vec<_> = self.rounds.iter_mut().map(|(_, reads)| reads).collect();
        all.push(&mut self.waiting);
        let count: usize =
            all.iter().map(|reads| reads.iter().filter(|one| is_its(one)).count()).sum();
        if count >= BATCHES_MAX {
            all.into_iter().find_map(|reads| remove_first(reads, is_its));
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
