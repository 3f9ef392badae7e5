//! The state a cluster begins with, on its way between nodes.

use bytes::Bytes;
use skiff_core::{LogTime, Position};
use skiff_storage::{InstanceId, SnapshotMeta};
use skiff_transport::{Body, Genesis};

use super::{Phase, Replica};
use crate::{
    event::{Event, Refusal},
    job::LinkId,
};

/// Where every cluster's log begins: the genesis stands for this entry.
pub(crate) const GENESIS: Position = Position::new(1, 1);
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

    /// Sends the genesis to a member that does not know it yet, unless it was just sent.
    pub(super) fn send_genesis(&mut self, link: LinkId) {
        let Phase::Member(member) = &self.phase else { return };
        let genesis = member.genesis.clone();
        if !self.may_send_genesis(link) {
            return;
        }
        let Some(peer) = self.links.get(link).and_then(|link| link.peer.as_ref()) else { return };
        let (node, name) = (peer.node, peer.hello.name.clone());
        if genesis.position == GENESIS {
            self.send(link, Body::Genesis(Box::new(genesis)));
        } else {
            self.tell(Event::GenesisGone { name, node });
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
