//! How a fresh node gets into a cluster that exists.
//!
//! It says hello to a member, again and again, and that it wants to belong. The member tells the leader,
//! who takes it as a learner; once that is committed, any member that it says hello to sends it what the
//! log begins with, or the newest snapshot. From then on it gets the log like all others, and whoever leads
//! makes it a voter.
//! Nobody is admitted but at its own request, or by somebody's who named its address.

use skiff_core::{self as core, Change, Instant, Membership, Node, NodeId, Token};
use skiff_transport::{Admission, Body, Joins, Newcomer, Standing};

use super::{Phase, Replica};
use crate::{
    event::{Event, Refusal},
    hello::member_named,
    job::LinkId,
};

/// A member that answers nobody for so many longest election timeouts and [`GONE_FOR`] may be replaced by
/// a fresh node that has its name.
const GONE: u64 = 20;
/// Ten seconds.
const GONE_FOR: u64 = 10_000_000_000;
const REMOVED: &str = "it was removed before it became a member; start it anew, to rejoin";
const SECOND: u64 = 1_000_000_000;

impl Replica {
    /// What a fresh node wants to be in a cluster that exists.
    pub(super) fn joins(&self) -> Joins {
        let is_fresh = matches!(self.phase, Phase::Fresh);
        let named = self.links.dials().iter().any(|dial| dial.listed && !dial.own);
        match self.settings.learner {
            _ if !is_fresh || !named => Joins::Not,
            true => Joins::AsLearner,
            false => Joins::AsVoter,
        }
    }

    /// A member hears a node that belongs to no cluster. It will hear it again soon.
    pub(super) fn meet_fresh(&mut self, link: LinkId, node: NodeId) {
        let Some(members) = self.raft().map(|raft| raft.committed_membership().1.clone()) else {
            return;
        };
        if members.contains(node) {
            return self.welcome(link, &members);
        }
        self.take_up_invitations();
        let Some(newcomer) = self.newcomer(link).filter(|one| one.joins != Joins::Not) else {
            return;
        };
        // Removed before it got here: others may still speak of its first time.
        let removed = self.raft().is_some_and(|raft| raft.was_removed(node));
        let reason = if removed { Some(REMOVED.to_owned()) } else { self.consider(&newcomer) };
        let Some(reason) = reason else { return };
        if self.links.note_reason(link, &reason) {
            let Newcomer { name, node, address, .. } = newcomer;
            self.tell(Event::AdmissionWaits { name, node, address, reason: reason.clone() });
        }
        self.send(link, Body::NotYet { reason, removed });
    }

    /// Tells a node that was removed so. All members that it knows of may be gone, so that it asks nobody.
    pub(super) fn tell_removed(&mut self, link: LinkId, node: NodeId) {
        let Some(raft) = self.raft() else { return };
        // What the log remembers of former members may be compacted: this asks who there is now.
        let is_member =
            self.links.peer(link).is_some_and(|peer| peer.hello.standing == Standing::Member);
        let Some(index) = raft.removed_as_of(node).filter(|_| is_member) else { return };
        let (term, message) = (raft.durable_hard_state().term, core::Message::Removed { index });
        self.send(link, Body::Raft { term, message });
    }

    /// Who is at this connection, if it belongs to no cluster.
    pub(super) fn newcomer(&self, link: LinkId) -> Option<Newcomer> {
        let peer = self.links.peer(link).filter(|peer| peer.hello.standing == Standing::Fresh)?;
        let hello = &peer.hello;
        let said = hello.address.clone();
        Some(Newcomer {
            node: peer.node,
            name: hello.name.clone(),
            address: if said.is_empty() { self.links.dialled_at(link) } else { said },
            joins: hello.joins,
            named: hello.named,
        })
    }

    /// Another member tells of a fresh node.
    pub(super) fn hear_of_newcomer(&mut self, newcomer: &Newcomer) {
        if self.raft().is_some_and(core::Raft::is_leader) {
            self.consider(newcomer);
        }
    }

    /// Begins to admit a node, or asks the leader to. Why not, if it cannot be.
    fn consider(&mut self, newcomer: &Newcomer) -> Option<String> {
        let raft = self.raft()?;
        if !raft.is_leader() {
            let Some(leader) = raft.leader() else { return Some(self.why_no_leader()) };
            let link = self.links.path(leader)?;
            self.send(link, Body::Newcomer(Box::new(newcomer.clone())));
            return None;
        }
        match self.judge_newcomer(newcomer) {
            Ok(change) => {
                let change = change?;
                self.step_core(core::Input::ChangeMembership { token: Token::ZERO, change });
                None
            }
            Err(reason) => Some(reason),
        }
    }

    /// What would make this node a member, if it is none yet, or why it cannot be one.
    fn judge_newcomer(&self, newcomer: &Newcomer) -> Result<Option<Change>, String> {
        let Some(members) = self.membership() else { return Ok(None) };
        let Newcomer { node: id, name, address, joins, named } = newcomer;
        if members.contains(*id) {
            return Ok(None);
        }
        let node = Node { name: name.clone(), address: address.clone() };
        let at_address = |members: &Membership| member_at(members, address).filter(|_| !named);
        let old = member_named(members, name).or_else(|| at_address(members));
        let Some(old) = old else {
            return Ok(Some(match joins {
                Joins::AsLearner => Change::AddLearner { id: *id, node },
                Joins::Not | Joins::AsVoter => Change::AddVoter { id: *id, node },
            }));
        };
        if *joins == Joins::AsLearner && members.is_voter(old) {
            return Err(format!(
                "it wants to be a learner, but the voter {} is known by this name \
                                or address: remove that one first",
                self.name_of(old)
            ));
        }
        let span = GONE * self.settings.core.max_election_timeout + GONE_FOR;
        if self.silence_of(old) >= span {
            return Ok(Some(Change::Replace { old, id: *id, node }));
        }
        Err(format!(
            "the member {} is known by this name or address: once that one has answered nobody for \
             {} s, this node takes its place",
            self.name_of(old),
            span.div_ceil(SECOND)
        ))
    }

    /// For how many nanoseconds this member has answered nobody, as far as this leader can tell.
    fn silence_of(&self, id: NodeId) -> u64 {
        let Phase::Member(member) = &self.phase else { return 0 };
        let heard = self.links.of_node(id).map(|(_, link)| link.heard);
        let seen = self.links.seen(id).map(|seen| seen.heard);
        let peer = member.raft.status().peers.get(&id).and_then(|peer| peer.heard);
        // It may have answered the leader before.
        let all = heard.chain(seen).chain(peer).chain([member.leads_since()]);
        self.now.since(all.max().unwrap_or(Instant(0)))
    }

    /// Why nobody leads, as far as can be seen, and what would help.
    fn why_no_leader(&self) -> String {
        let Some(members) = self.membership() else { return String::new() };
        let answers = |id: NodeId| id == self.identity.node || self.links.path(id).is_some();
        if members.has_quorum(answers) {
            return "the cluster has no leader yet".to_owned();
        }
        let names = |answering: bool| {
            let those = members.members().filter(|id| members.is_voter(*id));
            let those = those.filter(|id| answers(*id) == answering);
            those.map(|id| self.name_of(id)).collect::<Vec<_>>().join(", ")
        };
        format!(
            "the cluster has no leader: of its voters only {} answer, which is no majority, and \
             nobody can be admitted without one; start {} with the data it had",
            names(true),
            names(false)
        )
    }

    pub(super) fn name_of(&self, id: NodeId) -> String {
        let node = self.membership().and_then(|members| members.nodes.get(&id));
        node.map_or_else(|| id.to_string(), |node| format!("`{}`", node.name))
    }

    /// A member says that this node belongs to its cluster.
    pub(super) fn take_admission(&mut self, link: LinkId, admission: Admission) {
        let Admission { membership, genesis } = admission;
        if !matches!(self.phase, Phase::Fresh) || !membership.contains(self.identity.node) {
            return;
        }
        if let Err(reason) = self.judge_genesis(link, &genesis) {
            let address = self.links.address(link);
            return self.tell_refused(&address, Refusal::Genesis { reason });
        }
        self.adopt(genesis);
    }

    /// A member says why this node does not belong to its cluster yet.
    pub(super) fn hear_not_yet(&mut self, link: LinkId, reason: &str, removed: bool) {
        self.links.note_reason(link, reason);
        if removed && matches!(self.phase, Phase::Fresh) {
            self.removed();
        }
    }
}

/// The member at this address.
pub(super) fn member_at(members: &Membership, address: &str) -> Option<NodeId> {
    let is_it = |(_, node): &(&NodeId, &Node)| !address.is_empty() && node.address == address;
    members.nodes.iter().find(is_it).map(|(id, _)| *id)
}
