//! Term, commit index and applied index never go back, the term not over restarts either; nothing is
//! applied that is not committed and durable on the node itself.

use skiff_replica::{Index, Term, core::Raft};

use crate::failure::{Verdict, must};

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    term: Term,
    committed: Index,
    applied: Index,
}

#[derive(Debug, Default)]
pub(crate) struct Monotonic {
    seen: Vec<Seen>,
}

impl Monotonic {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { seen: vec![Seen::default(); nodes] }
    }

    pub(crate) fn look(&mut self, node: usize, raft: &Raft) -> Verdict {
        let seen = &mut self.seen[node];
        let (term, committed) = (raft.term(), raft.committed());
        must(term >= seen.term, || format!("the term went back from {} to {term}", seen.term))?;
        must(committed >= seen.committed, || {
            format!("the commit index went back from {} to {committed}", seen.committed)
        })?;
        (seen.term, seen.committed) = (term, committed);
        Ok(())
    }

    /// A machine is handed an entry.
    pub(crate) fn applies(&mut self, node: usize, index: Index, raft: &Raft) -> Verdict {
        let seen = &mut self.seen[node];
        must(index > seen.applied, || format!("{index} is applied after {}", seen.applied))?;
        must(index <= raft.committed(), || {
            format!("{index} is applied, {} is committed", raft.committed())
        })?;
        must(index <= raft.durable(), || {
            format!("{index} is applied, {} is durable here", raft.durable())
        })?;
        seen.applied = index;
        Ok(())
    }

    /// A process has ended: what it knew of commits is gone, but not the term that left it.
    pub(crate) fn ended(&mut self, node: usize, durable_term: Term) {
        self.seen[node] = Seen { term: durable_term, ..Seen::default() };
    }
}
