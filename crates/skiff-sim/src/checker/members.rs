//! A snapshot holds the members in force at its last entry, and whoever installs it follows just these
//! (dissertation 5.1); and a learner becomes a voter only when it has caught up with its leader (4.2.1).

use std::collections::BTreeMap;

use skiff_replica::{Index, core::Membership};

use super::ledger::Ledger;
use crate::failure::{Verdict, must};

#[derive(Debug, Default)]
pub(crate) struct Members {
    /// Those that were agreed on, by the index of their entry.
    agreed: BTreeMap<Index, Membership>,
}

impl Members {
    /// An entry was applied that holds these.
    pub(crate) fn applied(&mut self, index: Index, members: &Membership) {
        self.agreed.entry(index).or_insert_with(|| members.clone());
    }

    /// A snapshot that ends here holds these.
    pub(crate) fn snapshot(&self, end: Index, members: &Membership) -> Verdict {
        let Some((index, agreed)) = self.agreed.range(..=end).next_back() else { return Ok(()) };
        must(agreed == members, || {
            format!(
                "a snapshot that ends at {end} holds the voters {:?}, those of {index} are {:?}",
                members.voters, agreed.voters
            )
        })
    }
}

/// A leader puts out an entry with these members: who is to vote from now on holds everything that the leader
/// had when it was elected.
pub(crate) fn promotes(ledgers: &[Ledger], members: &Membership, elected: Index) -> Verdict {
    if !members.is_joint() {
        return Ok(());
    }
    for id in members.voters.difference(&members.outgoing) {
        let held = ledgers.iter().find(|ledger| ledger.node == *id).map(Ledger::reach);
        must(held.is_none_or(|held| held >= elected), || {
            format!("{id} is to vote with {held:?}, and its leader began with {elected}")
        })?;
    }
    Ok(())
}
