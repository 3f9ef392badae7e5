//! A leader changes its own log by nothing but appending to it (dissertation 3.2).

use skiff_replica::{Position, Term, core::Raft};

use crate::failure::{Verdict, must};

#[derive(Debug, Default)]
pub(crate) struct LeaderAppendOnly {
    /// The term a node leads in, and where its log ended when last seen.
    leading: Vec<Option<(Term, Position)>>,
}

impl LeaderAppendOnly {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { leading: vec![None; nodes] }
    }

    pub(crate) fn look(&mut self, node: usize, raft: &Raft) -> Verdict {
        let now = raft.is_leader().then(|| (raft.term(), raft.last()));
        let before = std::mem::replace(&mut self.leading[node], now);
        match (before, now) {
            (Some((term, last)), Some((same, _))) if term == same => {
                must(raft.term_at(last.index) == Some(last.term), || {
                    format!("the leader of term {term} gave up its entry {last}")
                })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn ended(&mut self, node: usize) {
        self.leading[node] = None;
    }
}
