//! Changes of the members that somebody asks for. What is asked for may be asked again: so a call whose
//! leader is gone goes on to the next, until its deadline.

use bytes::Bytes;
use skiff_core::{self as core, Change, Node, NodeId, Reject, Token};
use skiff_transport::{Ask, Body, Joins, MemberChange, Newcomer, Request, Standing};

use super::{Phase, Replica, admission::member_at};
use crate::{
    calls::{Stage, Wanted},
    change_error::Why,
    hello::member_named,
    job::LinkId,
    refused::Refused,
};

const MILLISECOND: u64 = 1_000_000;

impl Replica {
    /// Where a change goes on: to the core, to the leader, or nowhere yet.
    pub(super) fn route_change(&mut self, token: Token, change: MemberChange) {
        let Phase::Member(member) = &self.phase else {
            return self.hold_or_refuse(token, Wanted::Change(change));
        };
        if member.raft.is_leader() {
            return self.begin_change(token, change);
        }
        let leader = member.raft.leader();
        if self.calls.hops(token) >= self.settings.hops_max {
            let leader = leader.and_then(|id| self.leader_named(id));
            return self.refuse(token, Refused::NotLeader { leader });
        }
        match leader.and_then(|leader| self.links.path(leader)) {
            Some(link) => self.ask_change(token, link, change),
            None => self.hold(token, Wanted::Change(change)),
        }
    }

    fn ask_change(&mut self, token: Token, link: LinkId, change: MemberChange) {
        let hops = self.calls.hops(token) + 1;
        let until = self.calls.deadline_of(token).unwrap_or(self.now);
        let timeout_ms = until.since(self.now).div_ceil(MILLISECOND);
        let ask = Ask::Change(change.clone());
        self.calls.advance(token, Stage::Asked { link, change });
        let request = Request { id: token.0, timeout_ms, hops, ask };
        self.send(link, Body::Request(Box::new(request)));
    }

    /// The leader has answered.
    pub(super) fn change_answered(&mut self, token: Token, result: Result<Bytes, Refused>) {
        let Some(Stage::Asked { change, .. }) = self.calls.stage(token) else { return };
        let change = change.clone();
        match result {
            Ok(_) => self.done(token),
            Err(Refused::NotLeader { .. } | Refused::Stopped { .. } | Refused::Disconnected) => {
                self.hold(token, Wanted::Change(change));
            }
            Err(refused) => self.refuse(token, refused),
        }
    }

    /// A connection is gone: what was asked over it is asked again, of whoever leads then.
    pub(super) fn lose_changes(&mut self, link: LinkId) {
        let lost =
            |_, stage: &Stage| matches!(stage, Stage::Asked { link: asked, .. } if *asked == link);
        for token in self.calls.find(lost) {
            self.change_answered(token, Err(Refused::Disconnected));
        }
    }

    /// This node leads: the change begins, as soon as it is known who is meant.
    fn begin_change(&mut self, token: Token, change: MemberChange) {
        match self.change_of(&change) {
            Ok(Some(wanted)) => {
                self.calls.advance(token, Stage::Changing(change));
                self.step_core(core::Input::ChangeMembership { token, change: wanted });
            }
            Ok(None) => {
                if let MemberChange::AddLearner { address }
                | MemberChange::AddVoter { address }
                | MemberChange::Replace { address, .. } = &change
                {
                    let address = address.clone();
                    self.calls.advance(token, Stage::Inviting(change));
                    self.dial(&address, false);
                }
            }
            Err(refused) => self.refuse(token, *refused),
        }
    }

    /// The change as the core knows it; `None` while nobody has answered at the address.
    fn change_of(&self, change: &MemberChange) -> Result<Option<Change>, Box<Refused>> {
        let (address, old) = match change {
            MemberChange::Remove { name } => {
                return Ok(Some(Change::Remove { id: self.must_be_member(name)? }));
            }
            MemberChange::Replace { name, address } => match self.must_be_member(name) {
                Ok(old) => (address, Some(old)),
                // It was asked for before, and the answer was lost.
                Err(unknown) => return self.voter_at(address).map(Some).ok_or(unknown),
            },
            MemberChange::AddLearner { address } | MemberChange::AddVoter { address } => {
                (address, None)
            }
        };
        let is_learner = matches!(change, MemberChange::AddLearner { .. });
        let Some((id, node)) = self.who_is_at(address, old, is_learner)? else { return Ok(None) };
        Ok(Some(match (change, old) {
            (_, Some(old)) => Change::Replace { old, id, node },
            (MemberChange::AddLearner { .. }, _) => Change::AddLearner { id, node },
            _ => Change::AddVoter { id, node },
        }))
    }

    /// The change that has been made already if a voter is at this address.
    fn voter_at(&self, address: &str) -> Option<Change> {
        let members = self.membership()?;
        let is_there = |id: &&NodeId| members.nodes.get(id).is_some_and(|it| it.address == address);
        let id = *members.voters.iter().find(is_there)?;
        Some(Change::AddVoter { id, node: members.nodes.get(&id)?.clone() })
    }

    fn must_be_member(&self, name: &str) -> Result<NodeId, Box<Refused>> {
        let members = self.membership();
        members.and_then(|members| member_named(members, name)).ok_or_else(|| {
            let names = members.into_iter().flat_map(|members| members.nodes.values());
            let names: Vec<_> = names.map(|node| format!("`{}`", node.name)).collect();
            let message = format!("no member is named `{name}`; there are {}", names.join(", "));
            refused(Why::UnknownMember, message)
        })
    }

    /// The fresh node at this address, or the member, if it is not the one that goes.
    fn who_is_at(
        &self,
        address: &str,
        old: Option<NodeId>,
        is_learner: bool,
    ) -> Result<Option<(NodeId, Node)>, Box<Refused>> {
        let peer = self.links.peers().find(|(link, peer)| {
            peer.hello.address == address || self.links.dialled_at(*link) == address
        });
        let known = self.membership().and_then(|members| {
            let id = member_at(members, address).filter(|id| Some(*id) != old)?;
            Some((id, members.nodes.get(&id)?.clone()))
        });
        let Some((link, peer)) = peer else { return Ok(known) };
        let Some(newcomer) = self.newcomer(link) else {
            let is_member = self.is_member(peer.node) && Some(peer.node) != old;
            return match known {
                Some(known) => Ok(Some(known)),
                None if is_member => {
                    let node = Node { name: peer.hello.name.clone(), address: address.to_owned() };
                    Ok(Some((peer.node, node)))
                }
                None => Err(not_fresh(address, &peer.hello.name, peer.hello.standing)),
            };
        };
        let Newcomer { node, name, address, joins, .. } = newcomer;
        if joins == Joins::AsLearner && !is_learner {
            let message = format!("`{name}` at {address} was started as a learner: add it as one");
            return Err(refused(Why::Learner, message));
        }
        Ok(Some((node, Node { name, address })))
    }

    /// Somebody fresh is there, who may be whom a call waits for.
    pub(super) fn take_up_invitations(&mut self) {
        for token in self.calls.find(|_, stage| matches!(stage, Stage::Inviting(_))) {
            let Some(Stage::Inviting(change)) = self.calls.stage(token) else { continue };
            let change = change.clone();
            match self.change_of(&change) {
                Ok(None) => {}
                _ => self.route_change(token, change),
            }
        }
    }

    /// Whether a call waits for somebody at this address.
    pub(super) fn invites(&self, address: &str) -> bool {
        let waits = |_, stage: &Stage| match stage {
            Stage::Inviting(
                MemberChange::AddLearner { address: at }
                | MemberChange::AddVoter { address: at }
                | MemberChange::Replace { address: at, .. },
            ) => at == address,
            _ => false,
        };
        !self.calls.find(waits).is_empty()
    }

    /// Why a call that waits for a node at an address ends.
    pub(super) fn nobody_there(&self, change: &MemberChange) -> Refused {
        let (MemberChange::AddLearner { address }
        | MemberChange::AddVoter { address }
        | MemberChange::Replace { address, .. }) = change
        else {
            return Refused::Disconnected;
        };
        let why = self.links.dials().iter().find(|dial| dial.address == *address);
        let why = why.and_then(|dial| dial.refused.as_ref());
        let message = why.map_or_else(
            || {
                format!(
                    "nobody answers at {address}: start a node there, with the name of this cluster"
                )
            },
            |reason| format!("the node at {address} was turned away: {reason}"),
        );
        *refused(Why::NobodyThere, message)
    }

    /// The core does not make a change.
    pub(super) fn change_rejected(&mut self, token: Token, change: MemberChange, reason: Reject) {
        let name = |id| self.name_of(id);
        let (why, message) = match reason {
            // Whoever leads now carries on what has begun, and what has not is asked for again.
            Reject::NotLeader { .. } | Reject::LeadershipLost { .. } => {
                return self.hold(token, Wanted::Change(change));
            }
            Reject::ChangeInProgress => {
                let message =
                    "another change of the members is under way: try again once it is done";
                (Why::InProgress, message.to_owned())
            }
            Reject::UnknownNode { node } => {
                (Why::UnknownMember, format!("{} is no member, or no longer", name(node)))
            }
            Reject::WasRemoved { .. } => {
                let message = "the node there was removed once: start it anew, to rejoin";
                (Why::NotFresh, message.to_owned())
            }
            Reject::NameTaken { by } => (
                Why::NameTaken,
                format!("the member {} has this name: replace or remove it", name(by)),
            ),
            Reject::AddressTaken { by } => (
                Why::AddressTaken,
                format!("the member {} is at this address: replace or remove it", name(by)),
            ),
            Reject::AlreadyVoter { node } => {
                (Why::AlreadyVoter, format!("{} is a voter already", name(node)))
            }
            Reject::LastVoter { node } => (
                Why::LastVoter,
                format!("{} is the last voter: without it there is no cluster", name(node)),
            ),
            Reject::Unready { node } => (
                Why::Unready,
                format!(
                    "of those who would be the voters too few answer and have caught up: start {} \
                     again, or see whether it can be reached",
                    name(node)
                ),
            ),
            Reject::FixedMembership => (Why::Fixed, reason.to_string()),
            Reject::Stopped { .. } => {
                let (outcome, position) = (crate::refused::Outcome::Unknown, None);
                return self.refuse(token, Refused::Stopped { outcome, position });
            }
            reason => return self.refuse(token, Refused::Unsupported { what: reason.to_string() }),
        };
        self.refuse(token, *refused(why, message));
    }
}

fn refused(why: Why, message: String) -> Box<Refused> {
    Box::new(Refused::Change { why, message })
}

fn not_fresh(address: &str, name: &str, standing: Standing) -> Box<Refused> {
    let message = match standing {
        Standing::Removed => {
            format!("`{name}` at {address} was removed once: start it anew, to rejoin")
        }
        _ => format!("`{name}` at {address} belongs to a cluster already"),
    };
    refused(Why::NotFresh, message)
}
