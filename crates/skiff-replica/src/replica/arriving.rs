//! How a fresh node becomes a member by a snapshot of a cluster that exists: received piece by piece as by
//! any member, and verified before anything is begun. Then the steps are those of a genesis, each
//! durable before the next: the log that begins after it, the identity that says *member*, the machine.

use bytes::Bytes;
use skiff_core::{self as core, HardState, Position};
use skiff_storage::{SnapshotInfo, SnapshotMeta};

use super::{
    Phase, Replica,
    founding::{Entering, Step},
    genesis::genesis_of,
};
use crate::event::Event;

impl Replica {
    /// A snapshot that a member has sent is durable here: this node is a member by it from now on.
    pub(super) fn arrive(&mut self, info: SnapshotInfo) {
        let SnapshotMeta { position, time, .. } = info.meta;
        self.tell(Event::SnapshotInstalled { position });
        let genesis = genesis_of(&self.identity.cluster, info.meta.clone(), Bytes::new());
        let entering = Entering {
            step: Step::Save,
            genesis,
            newest: Some(info),
            founds: false,
            raft: None,
            last_time: time,
        };
        self.phase = Phase::Entering(Box::new(entering));
        self.begin_log(position);
    }
}

/// What the core of a node begins with that has nothing but a snapshot.
pub(super) fn only(meta: &SnapshotMeta) -> core::Recovered {
    let position = meta.position;
    core::Recovered {
        hard_state: first_state(position),
        base: position,
        last: position,
        membership: meta.membership.clone(),
        last_time: meta.time,
        applied: position.index,
        snapshot: position,
        past: meta.terms.clone(),
        ..core::Recovered::default()
    }
}

/// Term and vote of a node whose log begins after this. It has voted for nobody.
pub(super) const fn first_state(position: Position) -> HardState {
    HardState { term: position.term, vote: None }
}
