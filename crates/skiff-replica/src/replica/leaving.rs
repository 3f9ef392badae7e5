//! A node stops when the others can do without it: somebody else leads, what was under way here is
//! answered, and whoever might ask for more has been told not to.

use skiff_core::{
    self as core, Instant, NodeId, Raft, Token,
    mutants::{Mutant, planted},
};

use super::{Phase, Replica, transferring::NOBODY};
use crate::{
    calls::{Stage, Wanted},
    job::{LinkId, is_remote},
    refused::{Outcome, Refused},
};

/// A node that is to stop ends after so many longest election timeouts, whatever is still under way.
pub const LEAVING_TIMEOUTS: u32 = 5;

/// A node that is to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    until: Instant,
    /// It led, and somebody else is to.
    handed_over: bool,
    /// Leadership is no longer its own: clients and peers were told that it leaves.
    pub(super) told: bool,
}

impl Leaving {
    pub(crate) const fn until(&self) -> Instant {
        self.until
    }
}

impl Replica {
    /// The node is to stop.
    pub(super) fn leave(&mut self) {
        let until =
            self.now.after(u64::from(LEAVING_TIMEOUTS) * self.settings.core.max_election_timeout);
        self.leaving.get_or_insert(Leaving { until, handed_over: false, told: false });
    }

    /// Stops if there is nothing left to wait for.
    pub(super) fn leave_if_free(&mut self) {
        let Some(leaving) = self.leaving.filter(|_| !self.stopped) else { return };
        if self.now >= leaving.until || self.is_free() {
            self.stop(Ok(()));
        }
    }

    fn is_free(&mut self) -> bool {
        if !matches!(self.phase, Phase::Member(_)) || planted(Mutant::LeavesAtOnce) {
            return true;
        }
        if self.is_handing_over() {
            return false;
        }
        if let Some(leaving) = self.leaving.as_mut().filter(|leaving| !leaving.told) {
            leaving.told = true;
            self.say_hello_to_all();
            self.release_held();
        }
        self.calls.len() == 0 && self.has_heard_farewells()
    }

    /// Whether this node leads and somebody else can, or did and nobody else does yet.
    fn is_handing_over(&mut self) -> bool {
        let Phase::Member(member) = &mut self.phase else { return false };
        if member.raft.is_leader() && member.raft.transferring().is_none() {
            let input = core::Input::TransferLeadership { token: NOBODY, to: None };
            member.raft.step(self.now, input);
        }
        let is_transferring = member.raft.transferring().is_some();
        let Some(leaving) = &mut self.leaving else { return false };
        leaving.handed_over |= is_transferring;
        is_transferring || (leaving.handed_over && member.raft.leader().is_none())
    }

    /// Whether everybody at the other end of a connection has said that it waits for nothing here.
    fn has_heard_farewells(&self) -> bool {
        let mut peers = self.links.open().filter_map(|link| self.links.peer(link));
        peers.all(|peer| peer.hello.farewell || peer.hello.leaving)
    }

    /// Whether this is something that a node which leaves takes on no more.
    pub(super) fn takes_no_more(&self, wanted: &Wanted) -> bool {
        let is_work = !matches!(wanted, Wanted::Describe | Wanted::Fate(_));
        is_work && self.leaving.is_some_and(|leaving| leaving.told)
    }

    /// Whoever asks a node that leaves is to ask another.
    pub(super) fn refuse_leaving(&mut self, token: Token) {
        let me = self.identity.node;
        let leader = self.raft().and_then(Raft::leader).filter(|leader| *leader != me);
        let leader = leader.and_then(|leader| self.leader_named(leader));
        if leader.is_some() || is_remote(token) {
            return self.refuse(token, Refused::NotLeader { leader });
        }
        let outcome = Outcome::NotApplied;
        self.refuse(token, Refused::Stopped { outcome, position: None });
    }

    /// The connection by which to pass something on to the leader, unless that leaves.
    pub(super) fn way_to(&self, leader: NodeId) -> Option<LinkId> {
        let link = self.links.path(leader)?;
        let leaves = self.links.peer(link).is_some_and(|peer| peer.hello.leaving);
        (!leaves).then_some(link)
    }

    /// Tells a node that leaves as soon as nothing is to be expected of it.
    pub(super) fn say_farewell(&mut self, link: LinkId) {
        if self.says_farewell(link) {
            self.say_hello(link);
        }
    }

    /// Whether a node that leaves has nothing to expect from this one: nothing was passed on to it that
    /// it has not answered.
    pub(super) fn says_farewell(&self, link: LinkId) -> bool {
        let leaves = self.links.peer(link).is_some_and(|peer| peer.hello.leaving);
        let waits = |_, stage: &Stage| matches!(stage, Stage::Forwarded { link: asked, .. } if *asked == link);
        leaves && self.calls.find(waits).is_empty()
    }
}
