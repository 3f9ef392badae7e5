//! Whatever is committed or applied at an index is the same on every node, for ever; each node applies
//! in order, without a gap, and answers alike (dissertation 3.2).

use skiff_replica::{Index, Position, Term};

use crate::failure::{Verdict, must};

#[derive(Clone, Copy, Debug)]
struct Decided {
    term: Term,
    /// The entry's hash, once it was seen in a log.
    entry: u64,
    /// The hash of the response of the first node that applied it.
    response: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct StateMachineSafety {
    decided: Vec<Option<Decided>>,
    newest: Position,
    /// What each node is to apply next, in its present life.
    next: Vec<Index>,
}

impl StateMachineSafety {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { next: vec![Index::ZERO; nodes], ..Self::default() }
    }

    /// The newest entry known to be committed.
    pub(crate) const fn newest(&self) -> Position {
        self.newest
    }

    /// Whether this entry is known to be committed.
    pub(crate) fn is_committed(&self, at: Position) -> bool {
        let place = usize::try_from(at.index.0).unwrap_or(usize::MAX);
        let decided = self.decided.get(place).and_then(Option::as_ref);
        decided.is_some_and(|decided| decided.term == at.term)
    }

    /// Whether no node has applied this entry so far.
    pub(crate) fn is_first(&self, index: Index) -> bool {
        let place = usize::try_from(index.0).unwrap_or(usize::MAX);
        let decided = self.decided.get(place).and_then(Option::as_ref);
        decided.is_some_and(|decided| decided.response.is_none())
    }

    /// A node takes this entry for committed. Returns whether it is the first to do so.
    pub(crate) fn committed(&mut self, at: Position, entry: u64) -> Result<bool, String> {
        let place = usize::try_from(at.index.0).unwrap_or(usize::MAX);
        if self.decided.len() <= place {
            self.decided.resize(place + 1, None);
        }
        match &self.decided[place] {
            Some(decided) => {
                must(decided.term == at.term && decided.entry == entry, || {
                    format!("{} of term {} and {at} are both committed", at.index, decided.term)
                })?;
                Ok(false)
            }
            None => {
                self.decided[place] = Some(Decided { term: at.term, entry, response: None });
                if at.index > self.newest.index {
                    self.newest = at;
                }
                Ok(true)
            }
        }
    }

    /// A machine starts after this entry.
    pub(crate) fn restored(&mut self, node: usize, index: Index) {
        self.next[node] = index.next();
    }

    /// A machine that runs goes on after this entry, by a snapshot.
    pub(crate) fn installed(&mut self, node: usize, index: Index) -> Verdict {
        let next = self.next[node];
        must(index >= next.prev(), || {
            format!("a machine that is to apply {next} was brought back to {index}")
        })?;
        self.restored(node, index);
        Ok(())
    }

    /// A machine has applied this entry, with this response.
    pub(crate) fn applied(
        &mut self,
        node: usize,
        at: Position,
        entry: u64,
        response: Option<u64>,
    ) -> Verdict {
        let next = &mut self.next[node];
        must(at.index == *next, || format!("{next} was to be applied next, {} came", at.index))?;
        *next = next.next();
        let place = usize::try_from(at.index.0).unwrap_or(usize::MAX);
        let Some(Some(decided)) = self.decided.get_mut(place) else {
            return Err(format!("{at} was applied before it was committed"));
        };
        must(decided.term == at.term && decided.entry == entry, || {
            format!("{at} was applied, {} of term {} is committed", at.index, decided.term)
        })?;
        let first = *decided.response.get_or_insert_with(|| response.unwrap_or_default());
        must(first == response.unwrap_or_default(), || {
            format!("the machine answers the command at {} differently on two nodes", at.index)
        })
    }
}
