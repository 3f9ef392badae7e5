//! The state a cluster begins with, on its way between nodes.

use bytes::Bytes;
use skiff_core::{LogTime, Membership, Position};
use skiff_storage::{InstanceId, SnapshotMeta};
use skiff_transport::{Admission, Body, Genesis};

use super::{Phase, Replica};
use crate::{event::Refusal, job::LinkId};

/// Where every cluster's log begins: the genesis stands for this entry.
pub(crate) const GENESIS: Position = Position::new(1, 1);
/// In the place of [`GENESIS`] if the content is not at hand: it is too large to be kept in memory, or was
/// never here.
pub(crate) const NOT_HERE: Position = Position::ZERO;
/// A peer is sent the genesis once in so many longest election timeouts.
const AGAIN: u64 = 4;

impl Replica {
    /// A member offers the genesis of its cluster.
    pub(super) fn take_genesis(&mut self, link: LinkId, genesis: Genesis) {
        let names_me = genesis.membership.contains(self.identity.node);
        if !matches!(self.phase, Phase::Fresh) || !names_me {
            return;
        }
        if let Err(reason) = self.judge_genesis(link, &genesis) {
            let address = self.links.address(link);
            return self.tell_refused(&address, Refusal::Genesis { reason });
        }
        self.adopt(genesis);
    }

    pub(super) fn judge_genesis(&self, link: LinkId, genesis: &Genesis) -> Result<(), String> {
        let said = self.links.peer(link).and_then(|peer| peer.hello.instance);
        if genesis.cluster != self.identity.cluster || Some(genesis.instance) != said {
            return Err("it is of another cluster or instance than its sender".to_owned());
        }
        if genesis.position != GENESIS {
            return Err(format!("it stands for {}, not for {GENESIS}", genesis.position));
        }
        self.judge_format(genesis.machine_version, &genesis.codec)
    }

    /// Whether this node's machine can read a state of this version and encoding.
    pub(super) fn judge_format(&self, version: u32, codec: &str) -> Result<(), String> {
        let known = &self.settings.machine;
        if codec != known.codec {
            let known = &known.codec;
            return Err(format!("its state is encoded as `{codec}`, this node reads `{known}`"));
        }
        if version > known.version {
            let known = known.version;
            return Err(format!(
                "its state has version {version}, this node's machine knows up to {known}: \
                 upgrade this node"
            ));
        }
        Ok(())
    }

    /// Gives a fresh node what it begins with, unless that was just done: it is one of these members, and
    /// that is committed. It gets the genesis where that is at hand, else the newest snapshot.
    pub(super) fn welcome(&mut self, link: LinkId, members: &Membership) {
        let Phase::Member(member) = &self.phase else { return };
        let genesis = member.genesis.clone();
        let Some(node) = self.links.peer(link).map(|peer| peer.node) else { return };
        if !self.may_send_genesis(link) {
            return;
        }
        if genesis.position != GENESIS {
            self.supply(node, Some(members.clone()));
        } else if genesis.membership.contains(node) {
            self.send(link, Body::Genesis(Box::new(genesis)));
        } else {
            let admission = Admission { membership: members.clone(), genesis };
            self.send(link, Body::Admission(Box::new(admission)));
        }
    }

    /// Shows a node of another instance which cluster it belonged to. It is not to begin with that.
    pub(super) fn show_genesis(&mut self, link: LinkId) {
        let Phase::Member(member) = &self.phase else { return };
        let shown = Genesis { position: NOT_HERE, content: Bytes::new(), ..member.genesis.clone() };
        if self.may_send_genesis(link) {
            self.send(link, Body::Genesis(Box::new(shown)));
        }
    }
}

impl Replica {
    /// Whether what the log begins with may be sent on this connection: not while it was just sent.
    pub(super) fn may_send_genesis(&mut self, link: LinkId) -> bool {
        let again = AGAIN * self.settings.core.max_election_timeout;
        let now = self.now;
        let Some(found) = self.links.get_mut(link) else { return false };
        let may = found.genesis_at.is_none_or(|at| now >= at.after(again));
        if may {
            found.genesis_at = Some(now);
        }
        may
    }
}

pub(super) fn meta_of(genesis: &Genesis) -> SnapshotMeta {
    SnapshotMeta {
        instance: InstanceId(genesis.instance),
        position: genesis.position,
        membership: genesis.membership.clone(),
        machine_version: genesis.machine_version,
        codec: genesis.codec.clone(),
        time: LogTime::ZERO,
        terms: vec![(genesis.position.index, genesis.position.term)],
    }
}

pub(super) fn genesis_of(cluster: &str, meta: SnapshotMeta, content: Bytes) -> Genesis {
    Genesis {
        cluster: cluster.to_owned(),
        instance: meta.instance.0,
        position: meta.position,
        membership: meta.membership,
        machine_version: meta.machine_version,
        codec: meta.codec,
        content,
    }
}
