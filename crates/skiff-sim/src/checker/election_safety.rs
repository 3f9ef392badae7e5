//! At most one node leads in a term, over crashes and restarts (dissertation 3.2).

use std::collections::BTreeMap;

use skiff_replica::{Term, core::NodeId};

use crate::failure::{Verdict, must};

#[derive(Debug, Default)]
pub(crate) struct ElectionSafety {
    leaders: BTreeMap<Term, NodeId>,
}

impl ElectionSafety {
    /// This node acts as leader of this term.
    pub(crate) fn leads(&mut self, node: NodeId, term: Term) -> Verdict {
        let leader = *self.leaders.entry(term).or_insert(node);
        must(leader == node, || format!("{leader} and {node} both lead in term {term}"))
    }

    /// Whether, after this term, this node has led; or any but `by`, if none is named.
    pub(crate) fn has_led_since(&self, term: Term, by: NodeId, node: Option<NodeId>) -> bool {
        let later = self.leaders.range(term.next()..);
        later.into_iter().any(|(_, one)| node.map_or(*one != by, |node| *one == node))
    }
}
