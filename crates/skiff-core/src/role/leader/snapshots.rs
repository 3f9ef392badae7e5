//! Members that need what the log no longer has get a snapshot (dissertation chapter 5,
//! InstallSnapshot). The core says to whom and when; the bytes travel elsewhere.

use super::Leader;
use crate::{
    local::Local,
    mutants::{Mutant, planted},
    output::{Event, Output},
    progress::Progress,
    status::PeerState,
    types::{Index, Instant, NodeId, Position},
};

/// The log is kept for a member that is on its way back as long as it was heard within so many longest
/// election timeouts.
const PATIENCE: u64 = 20;
/// After a failure the next try waits for a longest election timeout, and for twice as long each time up
/// to so many doublings.
const DOUBLINGS_MAX: u32 = 5;

/// A snapshot on its way to a member, or to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Supply {
    /// The one that is being sent.
    pub(crate) sending: Option<Position>,
    /// The next is not sent before.
    pub(crate) again_at: Option<Instant>,
    pub(crate) failures: u32,
    /// The log after this index is kept for it, until it has caught up.
    pub(crate) hold: Option<Index>,
}

impl Leader {
    /// No entry after this one may be given up: members that are being brought back need them next.
    pub(crate) fn holds(&self, local: &Local) -> Index {
        if planted(Mutant::CompactsUnderTransfer) {
            return Index(u64::MAX);
        }
        let patience = PATIENCE * local.config.max_election_timeout;
        let is_heard = |peer: &&Progress| local.now.since(peer.heard) <= patience;
        let holds = self.peers.values().filter(is_heard).filter_map(|peer| peer.supply.hold);
        let learners = local.membership().learners.iter().filter_map(|id| self.peers.get(id));
        let wanted = |peer: &&Progress| peer.state == PeerState::Replicate;
        let learners = learners.filter(is_heard).filter(wanted).map(|peer| peer.matched);
        holds.chain(learners).min().unwrap_or(Index(u64::MAX))
    }

    /// A snapshot has arrived at a member and is durable there, or it has not and will not.
    pub(crate) fn snapshot_sent(
        &mut self,
        local: &mut Local,
        node: NodeId,
        position: Position,
        arrived: bool,
    ) {
        let Some(progress) = self.peers.get_mut(&node) else { return };
        if progress.supply.sending.take_if(|sending| *sending == position).is_none() {
            return;
        }
        if arrived && progress.state == PeerState::NeedsSnapshot {
            progress.supply.failures = 0;
            progress.become_probe(position.index.next(), local.log.base().index);
        } else if !arrived {
            let supply = &mut progress.supply;
            let pause = local.config.max_election_timeout << supply.failures.min(DOUBLINGS_MAX);
            supply.failures = supply.failures.saturating_add(1);
            (supply.again_at, supply.hold) = (Some(local.now.after(pause)), None);
        }
    }

    /// Sends snapshots to whoever needs one and gets none, and lets go of the log that was kept for those
    /// who have caught up. Whether the log may be compacted further.
    pub(super) fn tend_snapshots(&mut self, local: &mut Local) -> bool {
        let mut released = false;
        for (id, progress) in &mut self.peers {
            if progress.state == PeerState::NeedsSnapshot {
                send_snapshot(progress, local, *id);
            } else if progress.supply.sending.is_none()
                && progress.matched >= local.snapshot.index
                && progress.supply.hold.take().is_some()
            {
                released = true;
            }
        }
        released
    }
}

/// A member needs what the log no longer has.
pub(super) fn needs_snapshot(progress: &mut Progress, local: &mut Local, node: NodeId) {
    if progress.state != PeerState::NeedsSnapshot {
        progress.state = PeerState::NeedsSnapshot;
        progress.inflights.clear();
        progress.probe = None;
        local.outbox.event(Event::NeedsSnapshot { node, next: progress.next });
    }
    send_snapshot(progress, local, node);
}

fn send_snapshot(progress: &mut Progress, local: &mut Local, node: NodeId) {
    let position = local.snapshot;
    let supply = &mut progress.supply;
    let waits = supply.again_at.is_some_and(|at| local.now < at);
    let is_none = position == Position::ZERO || position.index < local.log.base().index;
    if waits || is_none || supply.sending.is_some() {
        return;
    }
    (supply.again_at, supply.sending) = (None, Some(position));
    supply.hold = Some(position.index);
    local.outbox.tell(Output::SendSnapshot { to: node, position });
}
