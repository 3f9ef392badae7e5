//! How the node stands, for those who look at it: everything is worked out here, once.

use std::collections::BTreeSet;

use skiff_core::{self as core, Index, NodeId, Raft, quorum};

use super::Replica;
use crate::{
    event::State,
    status::{PeerProgress, PeerStatus, Status, TrailsBy},
};

impl Replica {
    /// How the node stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let raft = self.raft();
        let core = raft.map(Raft::status);
        Status {
            name: self.identity.name.clone(),
            node: self.identity.node,
            cluster: self.identity.cluster.clone(),
            instance: self.identity.instance,
            address: self.settings.address.clone(),
            standing: self.identity.standing,
            state: raft.map_or(State::Idle, |raft| raft.state().into()),
            term: raft.map(Raft::term).unwrap_or_default(),
            leader: self.leader(),
            voter: self.membership().is_some_and(|all| all.is_voter(self.identity.node)),
            tolerates: raft.filter(|raft| raft.is_leader()).map(|raft| self.tolerates(raft)),
            first: core.as_ref().map_or(Index::ZERO, |core| core.base.index.next()),
            snapshot: core.as_ref().map_or(Index::ZERO, |core| core.snapshot.index),
            room: self.vacancy.room().cloned(),
            peers: self.peers_seen(core.as_ref()),
            waiting_for: self.waiting_for(),
            refused: self.refusals.count(),
            waiting_calls: self.calls.len(),
            waiting_bytes: self.calls.waiting_bytes(),
            sending: self.transfers.list().collect(),
            receiving: self.receiving.as_ref().map(super::Receiving::status),
            core,
        }
    }

    /// All other nodes it knows of (the original's `peers`).
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers_seen(self.raft().map(Raft::status).as_ref())
    }

    fn peers_seen(&self, core: Option<&core::Status>) -> Vec<PeerStatus> {
        let mut peers = self.peer_statuses();
        for peer in &mut peers {
            let Some(node) = peer.node else { continue };
            peer.last_contact = self.links.last_heard(node).map(|at| self.now.since(at));
            peer.progress = core.and_then(|core| self.progress(core, node));
        }
        peers
    }

    /// How far another is, as the leader sees it.
    fn progress(&self, core: &core::Status, node: NodeId) -> Option<PeerProgress> {
        let matched = core.peers.get(&node)?.matched;
        let behind = self.trail.behind(matched);
        let trails_by = TrailsBy {
            entries: core.last.index.0.saturating_sub(matched.0),
            bytes: behind.map(|behind| behind.bytes),
            nanos: behind.map(|behind| behind.since.map_or(0, |at| self.now.since(at))),
        };
        Some(PeerProgress { matched, trails_by })
    }

    /// How many of the voters that are connected may still fail; in the half that bears less.
    fn tolerates(&self, raft: &Raft) -> usize {
        let answers = |id: &NodeId| *id == self.identity.node || self.links.path(*id).is_some();
        let spare = |voters: &BTreeSet<NodeId>| {
            let answering = voters.iter().filter(|id| answers(id)).count();
            answering.saturating_sub(quorum::majority(voters.len()))
        };
        let membership = raft.membership();
        let halves = [&membership.voters, &membership.outgoing];
        halves.into_iter().filter(|half| !half.is_empty()).map(spare).min().unwrap_or(0)
    }
}
