//! Leadership is handed over in time or not at all: who is told to campaign has everything that the
//! leader has, all of it committed; and whoever asked is told that it is done only when another leads.

use skiff_replica::{
    Instant, Term,
    core::{NodeId, Raft},
};

use super::{Judged, Judges};
use crate::{
    failure::{Verdict, must},
    plan::MS,
};

/// A deadline may be seen this much later: a clock is read, a job is done.
pub(crate) const SLACK: u64 = 20 * MS;

/// A node's transfer, and what its clock shows.
pub(crate) fn look(transfer: Option<(NodeId, Instant)>, shown: Instant) -> Verdict {
    match transfer {
        Some((to, until)) => must(shown.since(until) <= SLACK, || {
            format!("proposals wait for a transfer to {to} whose time is over")
        }),
        None => Ok(()),
    }
}

impl Judges {
    /// A leader tells another node to campaign.
    pub(crate) fn tells_to_campaign(&self, raft: &Raft, to: NodeId) -> Judged {
        let (last, committed) = (raft.last(), raft.committed());
        // Of one whose folder was emptied meanwhile nothing is known.
        let Some(ledger) = self.ledgers.iter().find(|ledger| ledger.node == to) else {
            return Ok(());
        };
        let found = must(last.index == committed && ledger.holds(last), || {
            format!(
                "{to} is told to campaign, whose log ends at {}, by a leader whose log ends at {last} and \
                 is committed to {committed}",
                ledger.last()
            )
        });
        self.if_honest("transfers", found)
    }

    /// A caller is told that another leads than did in this term: this one, or any.
    pub(crate) fn transferred(&self, by: NodeId, to: Option<NodeId>, term: Term) -> Judged {
        let found = must(self.election_safety.has_led_since(term, by, to), || {
            format!("a transfer is told to be done, and none but {by} has led since term {term}")
        });
        self.if_honest("transfers", found)
    }
}
