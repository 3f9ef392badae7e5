//! Other nodes: dialling them, saying who one is, letting them in or turning them away.

use skiff_core::{self as core, Node, NodeId};
use skiff_storage::{InstanceId, Standing};
use skiff_transport::{self as wire, Body, Envelope, Hello, Signal};

use super::{Phase, Replica};
use crate::{
    event::{Event, Refusal},
    hello::{Judge, Verdict, member_named},
    job::{Job, LinkId},
    links::Peer,
    status::{PeerStatus, Waiting},
};

/// The Raft group of every envelope; there is one per node today.
const GROUP: u64 = 0;
/// What this version can do, as a number.
const FEATURE_LEVEL: u32 = 1;
/// Somebody who was turned away is dialled again after so many longest election timeouts.
const REDIAL: u64 = 4;
/// A node answers if it was heard within so many longest election timeouts: each says hello once in
/// one.
const ANSWERS: u64 = 3;

impl Replica {
    /// The user names a peer.
    pub(super) fn join(&mut self, address: &str) {
        if self.links.is_listed(address) {
            return;
        }
        self.forming.joined(self.now);
        if address == self.settings.address {
            return self.links.add_own(address);
        }
        self.dial(address, true);
    }

    pub(super) fn dial(&mut self, address: &str, listed: bool) {
        if let Some(link) = self.links.dial(address, listed) {
            self.jobs.push_back(Job::Connect { link, address: address.to_owned() });
        }
    }

    /// Dials every other member that can be dialled.
    pub(super) fn dial_members(&mut self) {
        let me = self.identity.node;
        let Some(membership) = self.membership() else { return };
        let nodes = membership.nodes.clone();
        for (id, Node { address, .. }) in nodes {
            if id != me && !address.is_empty() {
                self.dial(&address, false);
            }
        }
    }

    pub(super) fn connect_failed(&mut self, link: LinkId, reason: String) {
        let address = self.links.address(link);
        if let Some(dial) = self.links.dial_of(link) {
            dial.refused = Some(reason.clone());
        }
        self.links.forget(link, None);
        self.tell_refused(&address, Refusal::Address { reason });
    }

    pub(super) fn signal(&mut self, link: LinkId, signal: Signal) {
        match signal {
            Signal::Up => {
                // What was there before is gone, even if nobody said so.
                self.lose(link, "it was connected anew");
                if self.links.up(link, self.now) {
                    self.say_hello(link);
                }
            }
            Signal::Received(envelope) => self.receive(link, envelope),
            Signal::Down(reason) => {
                self.lose(link, &reason);
                if matches!(link, LinkId::Accepted(_)) && self.links.get(link).is_some() {
                    self.close(link, false);
                }
            }
        }
    }

    /// A connection is gone, and with it what was under way on it.
    pub(super) fn lose(&mut self, link: LinkId, reason: &str) {
        if let Some(lost) = self.links.lose(link)
            && lost.last
        {
            let node = lost.peer.node;
            let peer = self.peer_status(&lost.peer, lost.address, false);
            self.tell(Event::PeerDisconnected { peer, reason: reason.to_owned() });
            self.step_core(core::Input::Unreachable { node });
            if !self.is_member(node) {
                self.links.forget_node(node);
            }
        }
        self.lose_calls(link);
    }

    /// Closes a connection from here; one that was dialled may be dialled again later.
    fn close(&mut self, link: LinkId, redial: bool) {
        let patience = self.settings.core.max_election_timeout;
        let again = self.now.after(REDIAL * patience);
        self.links.forget(link, redial.then_some(again));
        self.jobs.push_back(Job::Close { link });
    }

    fn receive(&mut self, link: LinkId, envelope: Envelope) {
        let now = self.now;
        let Some(found) = self.links.get_mut(link).filter(|link| link.up) else { return };
        found.heard = now;
        if found.close_at.is_some() {
            return self.hear_last_word(link, envelope.body);
        }
        let Envelope { group, from, to, boot, body } = envelope;
        if group != GROUP {
            return self.refusals.count_one();
        }
        if let Body::Hello(hello) = body {
            return self.hear_hello(link, Peer { node: from, boot, hello: *hello });
        }
        let Some(peer) = self.links.peer(link) else {
            if let Body::Raft { .. }
            | Body::Fetch(_)
            | Body::Fetched(_)
            | Body::Offer(_)
            | Body::Piece(_)
            | Body::Got(_) = body
            {
                // It may have overtaken the hello, or that was lost: so is this.
                return self.refusals.count_one();
            }
            let address = self.links.address(link);
            let what = "it spoke before it said who it is";
            return self.turn_away(link, &address, Refusal::Protocol { what });
        };
        let is_for_me = to == self.identity.node || to == NodeId::default();
        if (peer.node, peer.boot) != (from, boot) || !is_for_me {
            return self.refusals.count_one();
        }
        let is_member = peer.hello.standing == wire::Standing::Member;
        let is_ours = peer.hello.instance.map(InstanceId) == self.identity.instance;
        let is_fresh = peer.hello.standing == wire::Standing::Fresh;
        let may_offer = is_ours || matches!(self.phase, Phase::Fresh);
        match body {
            Body::Raft { term, message } if is_member && is_ours => {
                self.step_core(core::Input::Message { from, term, message });
            }
            Body::Genesis(genesis) if is_member && !is_ours && self.founded_alone() => {
                self.hear_last_word(link, Body::Genesis(genesis));
            }
            Body::Genesis(genesis) if is_member => self.take_genesis(link, *genesis),
            Body::Admission(admission) if is_member => self.take_admission(link, *admission),
            Body::Newcomer(newcomer) if is_member && is_ours => self.hear_of_newcomer(&newcomer),
            Body::NotYet { reason, removed } if is_member => {
                self.hear_not_yet(link, &reason, removed);
            }
            Body::Fetch(fetch) if is_member && is_ours => self.fetch(link, *fetch),
            Body::Fetched(fetched) if is_member && is_ours => self.fetched(from, *fetched),
            Body::Offer(offer) if is_member && may_offer => self.offered(link, from, *offer),
            Body::Piece(piece) if is_member && may_offer => self.piece(link, from, *piece),
            Body::Got(got) if is_fresh || is_member && is_ours => self.got(from, *got),
            Body::Request(request) => self.request(link, *request),
            Body::Answer(answer) => self.answered(link, *answer),
            _ => self.refusals.count_one(),
        }
    }

    fn hear_hello(&mut self, link: LinkId, peer: Peer) {
        let judge = Judge {
            identity: &self.identity,
            nonce: self.settings.nonce,
            address: &self.settings.address,
            links: &self.links,
            membership: self.membership(),
            now: self.now,
            patience: ANSWERS * self.settings.core.max_election_timeout,
        };
        match judge.judge(link, &peer) {
            Verdict::Welcome => self.let_in(link, peer),
            Verdict::Restarted => {
                self.close_replaced(&peer);
                self.let_in(link, peer);
            }
            // The end that dialled knows the address, so it is that which closes.
            Verdict::Myself => {
                if let Some(dial) = self.links.dial_of(link) {
                    dial.own = true;
                    self.close(link, false);
                }
            }
            Verdict::Refused(reason @ Refusal::OtherInstance { .. }) => {
                self.show_instance(link, peer, reason);
            }
            Verdict::Refused(reason) => {
                let address = self.address_said(link, &peer.hello);
                self.turn_away(link, &address, reason);
            }
        }
    }

    fn let_in(&mut self, link: LinkId, peer: Peer) {
        let (node, is_fresh) = (peer.node, peer.hello.standing == wire::Standing::Fresh);
        let left_before = self.links.peer(link).is_some_and(|before| before.hello.leaving);
        let leaves = peer.hello.leaving && !left_before;
        let first = self.links.introduce(link, peer);
        if first && let Some(peer) = self.links.peer(link) {
            let status = self.peer_status(peer, self.links.address(link), true);
            self.tell(Event::PeerConnected(status));
        }
        if is_fresh && matches!(self.phase, Phase::Member(_)) {
            self.meet_fresh(link, node);
        }
        if leaves {
            self.say_hello(link);
        }
        self.tell_removed(link, node);
        self.release_held();
        self.mend_on();
        self.offer_again(node);
    }

    /// Whoever takes a place closes the connections of who had it.
    fn close_replaced(&mut self, peer: &Peer) {
        let is_replaced =
            |old: &Peer| old.is_namesake(peer) || (old.node == peer.node && old.boot < peer.boot);
        let all = self.links.open().filter(|link| self.links.peer(*link).is_some_and(is_replaced));
        for link in all.collect::<Vec<_>>() {
            self.lose(link, "the node was started again");
            self.close(link, true);
        }
    }

    /// Turns somebody away for good.
    pub(super) fn turn_away(&mut self, link: LinkId, address: &str, reason: Refusal) {
        self.lose(link, "it was turned away");
        if let Some(dial) = self.links.dial_of(link) {
            dial.refused = Some(reason.to_string());
        }
        self.close(link, true);
        self.tell_refused(address, reason);
    }

    /// Somebody belongs to another instance of the cluster. If it has the name of a member here, it
    /// founded a cluster beside the one it belonged to, and is shown what it must not ignore.
    fn show_instance(&mut self, link: LinkId, peer: Peer, reason: Refusal) {
        self.lose(link, "it was turned away");
        let address = self.address_said(link, &peer.hello);
        let named = self.membership().and_then(|all| member_named(all, &peer.hello.name));
        if let Some(dial) = self.links.dial_of(link) {
            dial.refused = Some(reason.to_string());
        }
        if let Some(found) = self.links.get_mut(link) {
            found.up = true;
            found.peer = Some(peer);
            found.close_at = Some(self.now.after(self.settings.core.max_election_timeout));
        }
        if named.is_some() {
            self.show_genesis(link);
        }
        self.tell_refused(&address, reason);
    }

    /// Somebody of another instance shows where it comes from.
    fn hear_last_word(&mut self, link: LinkId, body: Body) {
        let Body::Genesis(genesis) = body else { return };
        let Some(ours) = self.identity.instance.filter(|_| self.founded_alone()) else { return };
        let names_me = member_named(&genesis.membership, &self.identity.name).is_some();
        let theirs = InstanceId(genesis.instance);
        if genesis.cluster == self.identity.cluster && theirs != ours && names_me {
            let peer = self.links.get(link).and_then(|link| link.peer.as_ref());
            let peer = peer.map(|peer| format!("`{}`", peer.hello.name)).unwrap_or_default();
            self.fail_of_second_instance(theirs, peer);
        }
    }

    pub(super) fn tell_refused(&mut self, address: &str, reason: Refusal) {
        if self.refusals.note(self.now, address, &reason) {
            self.tell(Event::PeerRefused { address: address.to_owned(), reason });
        }
    }

    /// What has to be done with connections as time passes.
    pub(super) fn tend_links(&mut self) {
        for link in self.links.due_to_close(self.now) {
            self.close(link, true);
        }
        for (link, address) in self.links.redial(self.now) {
            self.jobs.push_back(Job::Connect { link, address });
        }
        if self.say_again_at <= self.now {
            self.note_addresses();
            self.say_hello_to_all();
        }
    }

    /// Tells everybody who this is now.
    pub(super) fn say_hello_to_all(&mut self) {
        self.say_again_at = self.now.after(self.settings.core.max_election_timeout);
        for link in self.links.open().collect::<Vec<_>>() {
            self.say_hello(link);
        }
    }

    pub(super) fn say_hello(&mut self, link: LinkId) {
        let hello = Hello { farewell: self.says_farewell(link), ..self.hello() };
        self.send(link, Body::Hello(Box::new(hello)));
    }

    fn hello(&self) -> Hello {
        let is_fresh = self.identity.standing == Standing::Fresh;
        // Only what is durable: it is held against a later run that knows less.
        let of_core = |core: &core::Raft| (core.durable_hard_state().term, core.durable());
        let (term, durable) = match &self.phase {
            Phase::Fresh | Phase::Removed => Default::default(),
            Phase::Entering(entering) => entering.raft().map(of_core).unwrap_or_default(),
            Phase::Mending(mending) => mending.durable(),
            Phase::Member(member) => of_core(&member.raft),
        };
        Hello {
            cluster: self.identity.cluster.clone(),
            instance: self.identity.instance.map(|instance| instance.0),
            name: self.identity.name.clone(),
            address: self.settings.address.clone(),
            standing: match self.identity.standing {
                Standing::Fresh => wire::Standing::Fresh,
                Standing::Member => wire::Standing::Member,
                Standing::Removed => wire::Standing::Removed,
            },
            nonce: self.settings.nonce,
            term,
            durable,
            feature_level: FEATURE_LEVEL,
            list_closed: is_fresh && self.said.list_closed,
            list: if is_fresh { self.said.list.clone() } else { Vec::new() },
            unresolved: if is_fresh { self.said.unresolved.clone() } else { Vec::new() },
            leaving: self.leaving.is_some_and(|leaving| leaving.told),
            farewell: false,
            full: self.vacancy.why_not().is_some(),
            joins: self.joins(),
            named: self.settings.named,
        }
    }

    /// Sends something to whoever is at a connection.
    pub(super) fn send(&mut self, link: LinkId, body: Body) {
        let peer = self.links.get(link).and_then(|link| link.peer.as_ref());
        let to = peer.map(|peer| peer.node).unwrap_or_default();
        let envelope = self.envelope(to, body);
        self.jobs.push_back(Job::Send { link, envelope });
    }

    pub(super) const fn envelope(&self, to: NodeId, body: Body) -> Envelope {
        let Self { identity, .. } = self;
        Envelope { group: GROUP, from: identity.node, to, boot: identity.boot, body }
    }

    pub(super) fn is_member(&self, node: NodeId) -> bool {
        self.membership().is_some_and(|membership| membership.contains(node))
    }

    /// Where somebody is who was not let in.
    fn address_said(&self, link: LinkId, hello: &Hello) -> String {
        match link {
            LinkId::Accepted(_) if !hello.address.is_empty() => hello.address.clone(),
            _ => self.links.address(link),
        }
    }

    fn peer_status(&self, peer: &Peer, address: String, connected: bool) -> PeerStatus {
        PeerStatus {
            address,
            name: Some(peer.hello.name.clone()),
            node: Some(peer.node),
            connected,
            voter: self.membership().is_some_and(|membership| membership.is_voter(peer.node)),
            ..PeerStatus::default()
        }
    }

    /// Everybody else, each once: members, then addresses that were named, then who else is
    /// connected.
    pub(super) fn peer_statuses(&self) -> Vec<PeerStatus> {
        let me = self.identity.node;
        let connected = |node| self.links.path(node).is_some();
        let mut all: Vec<PeerStatus> = Vec::new();
        if let Some(membership) = self.membership() {
            all.extend(membership.nodes.iter().filter(|(id, _)| **id != me).map(|(id, node)| {
                PeerStatus {
                    address: node.address.clone(),
                    name: Some(node.name.clone()),
                    node: Some(*id),
                    connected: connected(*id),
                    voter: membership.is_voter(*id),
                    ..PeerStatus::default()
                }
            }));
        }
        for dial in self.links.dials().iter().filter(|dial| dial.listed && !dial.own) {
            let peer = dial.link.and_then(|link| self.links.peer(link));
            let known = |one: &PeerStatus| {
                one.address == dial.address || peer.is_some_and(|p| one.node == Some(p.node))
            };
            if !all.iter().any(known) {
                all.push(peer.map_or_else(
                    || PeerStatus { address: dial.address.clone(), ..PeerStatus::default() },
                    |peer| self.peer_status(peer, dial.address.clone(), true),
                ));
            }
        }
        for (link, peer) in self.links.peers() {
            if !all.iter().any(|one| one.node == Some(peer.node)) {
                all.push(self.peer_status(peer, self.links.address(link), true));
            }
        }
        all
    }

    pub(super) fn waiting_for(&self) -> Vec<Waiting> {
        match &self.phase {
            Phase::Fresh => self.forming.waits().to_vec(),
            Phase::Entering(_) if self.identity.standing == Standing::Fresh => {
                vec![Waiting::Founding]
            }
            Phase::Mending(mending) => mending.waits(),
            Phase::Removed => vec![Waiting::Removed],
            Phase::Member(_) => self.waits_for_voters(),
            Phase::Entering(_) => Vec::new(),
        }
    }
}
