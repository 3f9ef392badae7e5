//! Leadership is handed over: as somebody asked, or because this node has no room. And what became of
//! entries whose leader did so in the middle.

use bytes::Bytes;
use skiff_core::{self as core, NodeId, Token, TransferFailure};

use super::{Phase, Replica};
use crate::{
    calls::Stage,
    fate::Fate,
    hello::member_named,
    refused::{EntryPosition, Leader, Refused},
};

/// Stands for no call: what the replica does of its own accord.
pub(super) const NOBODY: Token = Token(0);

impl Replica {
    /// Somebody wants another to lead.
    pub(super) fn transfer(&mut self, token: Token, to: Option<&str>) {
        let Some(raft) = self.raft().filter(|raft| raft.is_leader()) else {
            let leader = self.leader();
            return self.refuse(token, Refused::NotLeader { leader });
        };
        let found = to.map(|name| member_named(raft.membership(), name));
        if found == Some(None) {
            let why = TransferFailure::Unknown;
            return self.refuse(token, Refused::NotTransferred { why });
        }
        self.calls.advance(token, Stage::Ordered);
        self.step_core(core::Input::TransferLeadership { token, to: found.flatten() });
    }

    /// A leader without room lets one lead that has some, if there is one.
    pub(super) fn give_way(&mut self) {
        if self.vacancy.why_not().is_none() {
            return;
        }
        let Phase::Member(member) = &self.phase else { return };
        if !member.raft.is_leader() || member.raft.transferring().is_some() {
            return;
        }
        let status = member.raft.status();
        let has_room = |id: &NodeId| {
            let peer = self.links.path(*id).and_then(|link| self.links.peer(link));
            peer.is_some_and(|peer| !peer.hello.full)
        };
        let able = status.peers.iter().filter(|(id, peer)| {
            status.membership.voters.contains(*id)
                && peer.state == core::PeerState::Replicate
                && has_room(id)
        });
        let best = able.max_by_key(|(id, peer)| (peer.matched, **id)).map(|(id, _)| *id);
        if best.is_some() {
            self.step_core(core::Input::TransferLeadership { token: NOBODY, to: best });
        }
    }

    /// Says what became of an entry.
    pub(super) fn tell_fate(&mut self, token: Token, position: EntryPosition) {
        let fate = self.fate(position);
        self.respond(token, Bytes::from_static(fate.as_str().as_bytes()));
    }

    fn fate(&self, position: EntryPosition) -> Fate {
        match self.identity.instance {
            None => Fate::Undecided,
            Some(ours) if ours != position.instance => Fate::OtherInstance,
            Some(_) => {
                self.raft().map_or(Fate::Undecided, |raft| raft.fate(position.place()).into())
            }
        }
    }

    /// A member by name; by what is known of it if it is none any more.
    pub(super) fn named_or_id(&self, id: NodeId) -> Leader {
        let unnamed = || Leader { name: id.to_string(), address: String::new() };
        self.leader_named(id).unwrap_or_else(unnamed)
    }
}
