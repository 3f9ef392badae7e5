//! Old entries that were asked back from the log store: for whom, and whether what came is what
//! was asked for. An error or a short answer is never taken for the end of the log.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    entry::Entry,
    error::LoadError,
    log::Log,
    types::{Index, LoadId, NodeId, Term},
};

/// Who needs the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// The state machine.
    Apply,
    /// A follower of this node as leader of this term.
    Replicate(NodeId, Term),
}

#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Load {
    purpose: Purpose,
    from: Index,
    to: Index,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Loads {
    last_id: LoadId,
    pub(crate) under_way: BTreeMap<LoadId, Load>,
}

impl Loads {
    /// Entries from `from` up to but not including `to` are asked for.
    pub(crate) fn begin(&mut self, purpose: Purpose, from: Index, to: Index) -> LoadId {
        self.last_id = self.last_id.next();
        self.under_way.insert(self.last_id, Load { purpose, from, to });
        self.last_id
    }

    pub(crate) fn is_under_way(&self, purpose: Purpose) -> bool {
        self.under_way.values().any(|load| load.purpose == purpose)
    }

    /// Ends a load: for whom it was, where it began, and what came of it.
    pub(crate) fn end(
        &mut self,
        load: LoadId,
        result: Result<Vec<Entry>, LoadError>,
        log: &Log,
    ) -> Option<(Purpose, Index, Result<Vec<Entry>, LoadError>)> {
        let Load { purpose, from, to } = self.under_way.remove(&load)?;
        let result = result.and_then(|mut entries| {
            // More than was asked for may not even be committed.
            entries.retain(|entry| entry.index < to);
            if fits(&entries, from, log) { Ok(entries) } else { Err(LoadError::Failed) }
        });
        Some((purpose, from, result))
    }
}

/// Whether these are entries of the log as it stands, from `from` on and without a gap.
fn fits(entries: &[Entry], from: Index, log: &Log) -> bool {
    let in_order = (from.0..).zip(entries).all(|(index, entry)| {
        entry.index == Index(index) && log.term_at(entry.index) == Some(entry.term)
    });
    in_order && !entries.is_empty()
}
