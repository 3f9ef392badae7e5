//! Whoever becomes leader has every committed entry in its log (dissertation 3.2). By log matching it
//! is enough to look at the newest.

use skiff_replica::{Position, core::Raft};

use crate::failure::{Verdict, must};

/// This node has just become leader; `newest` is the newest entry known to be committed.
pub(crate) fn elected(raft: &Raft, newest: Position) -> Verdict {
    if newest.index <= raft.committed() {
        return Ok(());
    }
    must(raft.term_at(newest.index) == Some(newest.term), || {
        let (term, last) = (raft.term(), raft.last());
        format!(
            "the leader of term {term} lacks {newest}, which is committed; its log ends at {last}"
        )
    })
}
