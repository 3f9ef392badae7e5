//! A leader moves its commit index only to an entry of its own term (dissertation 3.6.2).

use skiff_replica::{Index, core::Raft};

use crate::failure::{Verdict, must};

/// A leader has moved its commit index from `before`.
pub(crate) fn advanced(raft: &Raft, before: Index) -> Verdict {
    let (term, committed) = (raft.term(), raft.committed());
    must(raft.term_at(committed) == Some(term), || {
        let of = raft.term_at(committed);
        format!(
            "the leader of term {term} moved its commit index from {before} to {committed}, which is of term {of:?}"
        )
    })
}
