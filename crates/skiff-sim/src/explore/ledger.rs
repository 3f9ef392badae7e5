//! What is known of all nodes over all time, and what must hold among them.

use skiff_replica::{Index, Term, core::Raft};

use super::{
    member::{Broken, Member, Members},
    print::{NODES, Way, mix},
    step::{Node, name},
};

/// Grows along a path, and is part of the state: two that differ in it may be judged differently.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Who led which term, in the order they were elected.
    leaders: Vec<(Term, Node)>,
    /// The term of each committed entry from the first on, and the term it was committed in.
    committed: Vec<(Term, Term)>,
}

impl Ledger {
    /// The number of it, as seen by `first` this way round.
    pub(super) fn print(&self, way: Way, first: Node) -> u64 {
        let led = self
            .leaders
            .iter()
            .map(|(term, node)| mix(term.0 << 8 | u64::from(way.place(first, *node))));
        let committed = self
            .committed
            .iter()
            .fold(1, |print: u64, (term, in_term)| mix(print ^ term.0 << 32 ^ in_term.0));
        led.fold(committed, u64::wrapping_add)
    }

    /// The last that is committed, to anybody's knowledge.
    pub(super) fn committed(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    /// Looks at what has changed with one node. What is to be remembered of it, if anything is.
    pub(super) fn judge(&self, members: &Members, node: Node) -> Result<Option<Self>, Broken> {
        let mut grown = None;
        let member = &members[usize::from(node)];
        if let Some(leads) = self.elected(&member.raft, node)? {
            grown.get_or_insert_with(|| self.clone()).leaders.push(leads);
        }
        let more = self.more_committed(&member.raft)?;
        if !more.is_empty() {
            grown.get_or_insert_with(|| self.clone()).committed.extend(more);
        }
        let ledger = grown.as_ref().unwrap_or(self);
        ledger.is_complete(members)?;
        ledger.is_durable(members)?;
        logs_match(members, node)?;
        Ok(grown)
    }

    /// At most one leader a term. What is new.
    fn elected(&self, raft: &Raft, node: Node) -> Result<Option<(Term, Node)>, Broken> {
        if !raft.is_leader() {
            return Ok(None);
        }
        let term = raft.term();
        match self.leaders.iter().find(|(led, _)| *led == term) {
            None => Ok(Some((term, node))),
            Some((_, first)) if *first == node => Ok(None),
            Some((_, first)) => Err(format!(
                "a term has one leader: term {term} has {} and {}",
                name(*first),
                name(node)
            )),
        }
    }

    /// What is committed is the same everywhere. What is new.
    fn more_committed(&self, raft: &Raft) -> Result<Vec<(Term, Term)>, Broken> {
        let mut more = Vec::new();
        for place in 0..raft.committed().0 {
            let (index, known) = (Index(place + 1), usize::try_from(place).unwrap_or(usize::MAX));
            let term = raft.term_at(index).unwrap_or_default();
            match self.committed.get(known) {
                None => more.push((term, raft.term())),
                Some((first, _)) if *first == term => {}
                Some((first, _)) => {
                    return Err(format!(
                        "what is committed is the same everywhere: {index} was of term {first}, \
                         and is of term {term} too"
                    ));
                }
            }
        }
        Ok(more)
    }

    /// Whoever leads has all that was committed before or in its term.
    fn is_complete(&self, members: &Members) -> Result<(), Broken> {
        for raft in members.iter().map(|member| &member.raft).filter(|raft| raft.is_leader()) {
            for (index, (term, in_term)) in (1..).map(Index).zip(&self.committed) {
                if *in_term <= raft.term() && raft.term_at(index) != Some(*term) {
                    return Err(format!(
                        "a leader has all that was committed: that of term {} lacks {index}, \
                         committed in term {in_term}",
                        raft.term()
                    ));
                }
            }
        }
        Ok(())
    }

    /// What is committed is on the disks of a majority.
    fn is_durable(&self, members: &Members) -> Result<(), Broken> {
        for (index, (term, _)) in (1..).map(Index).zip(&self.committed) {
            let holds =
                |member: &&std::sync::Arc<Member>| member.disk.term_at(index) == Some(*term);
            if members.iter().filter(holds).count() <= NODES / 2 {
                return Err(format!("what is committed is on most disks: {index} is not"));
            }
        }
        Ok(())
    }
}

/// Logs that share an entry share all before it.
fn logs_match(members: &Members, node: Node) -> Result<(), Broken> {
    let mine = &members[usize::from(node)].raft;
    for theirs in members.iter().map(|member| &member.raft).filter(|raft| raft.id() != mine.id()) {
        let mut shared = false;
        for index in (1..=mine.last().index.min(theirs.last().index).0).rev().map(Index) {
            let same = mine.term_at(index) == theirs.term_at(index);
            if shared && !same {
                return Err(format!(
                    "logs that share an entry share all before it, not so {index}"
                ));
            }
            shared |= same;
        }
    }
    Ok(())
}
