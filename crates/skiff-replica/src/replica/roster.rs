//! Following who the members are: whom to dial, what to tell, and what to do when this node is one no
//! longer.

use std::{collections::BTreeSet, mem, sync::Arc};

use skiff_core::{self as core, Change, Membership, NodeId, Token};
use skiff_storage::{Identity, Standing};
use skiff_transport::{MemberChange, Standing as Said};

use super::{Phase, Replica};
use crate::{
    calls::{Stage, Wanted},
    error::ReplicaError,
    event::{Event, State},
    job::{Job, LinkId},
    refused::Refused,
    status::Waiting,
};

impl Replica {
    /// Looks whether the members are others than before.
    pub(super) fn follow_members(&mut self) {
        let Phase::Member(member) = &mut self.phase else { return };
        let latest = member.raft.membership();
        let is_new = !Arc::ptr_eq(latest, &member.latest);
        if is_new {
            member.latest = Arc::clone(latest);
        }
        let committed = &member.raft.committed_membership().1;
        let is_news = !Arc::ptr_eq(committed, &member.committed);
        let committed = Arc::clone(committed);
        let before = is_news.then(|| mem::replace(&mut member.committed, Arc::clone(&committed)));
        if let Some(before) = before {
            self.tell_members(&before, &committed);
        }
        if is_new || is_news {
            self.dial_members();
            self.leave_others();
        }
    }

    /// Dials nobody any more who is no member, was not named by the user, and is not invited.
    fn leave_others(&mut self) {
        let Phase::Member(member) = &self.phase else { return };
        let nodes = [&member.latest, &member.committed].into_iter().flat_map(|all| &all.nodes);
        let mut keep: BTreeSet<String> = nodes.map(|(_, node)| node.address.clone()).collect();
        let dials = self.links.dials().iter().map(|dial| dial.address.clone());
        let invited: Vec<_> = dials.filter(|address| self.invites(address)).collect();
        keep.extend(invited);
        for link in self.links.undial(&keep) {
            self.lose(link, "it is no member any more");
            self.links.forget(link, None);
            self.jobs.push_back(Job::Close { link });
        }
    }

    fn tell_members(&mut self, before: &Membership, now: &Membership) {
        let node = |all: &Membership, id: &NodeId| all.nodes.get(id).cloned().unwrap_or_default();
        let mut events = Vec::new();
        for id in now.members() {
            let core::Node { name, address } = node(now, &id);
            if !before.contains(id) {
                let voter = now.is_voter(id);
                events.push(Event::MemberJoined { name, node: id, address, voter });
            } else if now.is_voter(id) && !before.is_voter(id) {
                events.push(Event::MemberPromoted { name, node: id });
            } else if address != node(before, &id).address {
                events.push(Event::MemberMoved { name, node: id, address });
            }
        }
        for id in before.members().filter(|id| !now.contains(*id)) {
            events.push(Event::MemberLeft { name: node(before, &id).name, node: id });
        }
        events.into_iter().for_each(|event| self.tell(event));
    }

    /// Once in a while a leader looks whether a member is to be dialled elsewhere by now.
    pub(super) fn note_addresses(&mut self) {
        let Phase::Member(member) = &self.phase else { return };
        if !member.raft.is_leader() {
            return;
        }
        let nodes = &member.raft.membership().nodes;
        let moved = |id: &NodeId, address: &String| {
            let known = nodes.get(id).is_some_and(|node| node.address != *address);
            known && !address.is_empty()
        };
        let me = (self.identity.node, self.settings.address.clone());
        let peers = self.links.peers().filter(|(_, peer)| peer.hello.standing == Said::Member);
        let others = peers.map(|(_, peer)| (peer.node, peer.hello.address.clone()));
        let found = others.chain([me]).find(|(id, address)| moved(id, address));
        if let Some((id, address)) = found {
            let change = Change::Readdress { id, address };
            self.step_core(core::Input::ChangeMembership { token: Token::ZERO, change });
        }
    }

    /// This node is a member no longer, and that is committed. It does nothing any more but to write that
    /// down.
    pub(super) fn removed(&mut self) {
        let name = self.identity.name.clone();
        self.phase = Phase::Removed;
        let waits = |_, stage: &Stage| !matches!(stage, Stage::Done);
        for token in self.calls.find(waits) {
            match self.calls.stage(token) {
                Some(
                    Stage::Changing(MemberChange::Remove { name: gone })
                    | Stage::Asked { change: MemberChange::Remove { name: gone }, .. }
                    | Stage::Held(Wanted::Change(MemberChange::Remove { name: gone })),
                ) if *gone == name => self.done(token),
                Some(Stage::Held(_)) => self.refuse(token, Refused::NotLeader { leader: None }),
                _ => self.refuse_at_stop(token),
            }
        }
        self.jobs.push_back(Job::Identify(Box::new(Identity {
            standing: Standing::Removed,
            ..self.identity.clone()
        })));
    }

    /// It is durable that this node is a member no longer: it leaves the others alone.
    pub(super) fn removal_identified(&mut self, result: Result<(), String>) {
        if let Err(reason) = result {
            return self.fail(ReplicaError::Store { reason, damaged: false });
        }
        self.identity.standing = Standing::Removed;
        for link in self.links.undial_all() {
            self.lose(link, "this node was removed from the cluster");
            self.links.forget(link, None);
            self.jobs.push_back(Job::Close { link });
        }
        let is_node = |link: &LinkId| {
            self.links.peer(*link).is_some_and(|peer| peer.hello.standing != Said::Client)
        };
        for link in self.links.all().filter(is_node).collect::<Vec<_>>() {
            self.lose(link, "this node was removed from the cluster");
            self.links.forget(link, None);
            self.jobs.push_back(Job::Close { link });
        }
        let (name, node) = (self.identity.name.clone(), self.identity.node);
        self.tell(Event::MemberLeft { name, node });
        self.tell(Event::State(State::Idle));
    }

    /// For whom learners wait that are to be voters, as their leader sees it.
    pub(super) fn waits_for_voters(&self) -> Vec<Waiting> {
        let Phase::Member(member) = &self.phase else { return Vec::new() };
        let members = member.raft.membership();
        if !member.raft.is_leader() || members.wishes.is_empty() {
            return Vec::new();
        }
        let (status, patience) = (member.raft.status(), self.settings.core.max_election_timeout);
        let heard = |id: &NodeId| status.peers.get(id).and_then(|peer| peer.heard);
        let is_silent = |id: &NodeId| {
            let at = heard(id).unwrap_or_default();
            *id != self.identity.node && self.now.since(at) > patience
        };
        let silent: Vec<String> = {
            let silent = members.voters.iter().filter(|id| is_silent(id));
            silent.filter_map(|id| members.nodes.get(id)).map(|node| node.name.clone()).collect()
        };
        let waiting = members.wishes.iter().filter(|(_, replaces)| replaces.is_none());
        let learners = waiting.filter_map(|(id, _)| members.nodes.get(id));
        let name = |node: &core::Node| node.name.clone();
        let all = learners.filter(|_| !silent.is_empty());
        all.map(|node| Waiting::Voters { learner: name(node), silent: silent.clone() }).collect()
    }
}
