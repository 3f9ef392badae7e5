//! Who is at the other end of which connection, and which addresses are dialled.

use std::collections::{BTreeMap, BTreeSet};

use skiff_core::{Instant, NodeId, Term};
use skiff_transport::{Hello, Standing};

use crate::job::LinkId;

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) up: bool,
    /// The address it was dialled at.
    pub(crate) address: Option<String>,
    /// Who is there, once that was said.
    pub(crate) peer: Option<Peer>,
    /// When anything last came.
    pub(crate) heard: Instant,
    /// Turned away, but to be closed only then: until then a last word may come.
    pub(crate) close_at: Option<Instant>,
    /// When the genesis was last sent on it.
    pub(crate) genesis_at: Option<Instant>,
    /// Why who is there, or who is here, is not admitted yet, as was said last.
    pub(crate) not_yet: String,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    pub(crate) boot: u64,
    pub(crate) hello: Hello,
}

impl Peer {
    /// Whether it is another node of the same name.
    pub(crate) fn is_namesake(&self, other: &Self) -> bool {
        self.node != other.node && self.hello.name == other.hello.name
    }
}

/// An address that is dialled.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) address: String,
    /// Whether the user named it as a peer.
    pub(crate) listed: bool,
    /// Its connection; `None` while it is not tried.
    pub(crate) link: Option<LinkId>,
    /// This node itself is there.
    pub(crate) own: bool,
    /// Why the node there was turned away, in words.
    pub(crate) refused: Option<String>,
    redial_at: Option<Instant>,
}

/// What was last seen of a node: its boot counter, the random number of that run, the highest term
/// it had made durable, where it said it is, and when it was last heard.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) boot: u64,
    pub(crate) nonce: u64,
    pub(crate) term: Term,
    pub(crate) address: String,
    pub(crate) heard: Instant,
}

/// Somebody's connection is gone.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) peer: Peer,
    pub(crate) address: String,
    /// Whether it was the last one to that node.
    pub(crate) last: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Links {
    links: BTreeMap<LinkId, Link>,
    dials: Vec<Dial>,
    /// The connection that is used to speak to a node.
    paths: BTreeMap<NodeId, LinkId>,
    seen: BTreeMap<NodeId, Seen>,
    dialled: u64,
}

impl Links {
    pub(crate) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(crate) fn get_mut(&mut self, link: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&link)
    }

    pub(crate) fn dials(&self) -> &[Dial] {
        &self.dials
    }

    pub(crate) fn dial_of(&mut self, link: LinkId) -> Option<&mut Dial> {
        self.dials.iter_mut().find(|dial| dial.link == Some(link))
    }

    pub(crate) fn seen(&self, node: NodeId) -> Option<&Seen> {
        self.seen.get(&node)
    }

    /// When anything last came from a node.
    pub(crate) fn last_heard(&self, node: NodeId) -> Option<Instant> {
        let linked = self.paths.get(&node).and_then(|link| self.links.get(link));
        linked.map(|link| link.heard).max(self.seen(node).map(|seen| seen.heard))
    }

    /// The connection by which to speak to a node: the one dialled here if there is one.
    pub(crate) fn path(&self, node: NodeId) -> Option<LinkId> {
        self.paths.get(&node).copied()
    }

    /// The peer at the other end of a connection, if it was let in.
    pub(crate) fn peer(&self, link: LinkId) -> Option<&Peer> {
        self.links.get(&link).filter(|link| link.close_at.is_none())?.peer.as_ref()
    }

    /// All nodes that are connected and let in, each once.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (LinkId, &Peer)> {
        self.paths.values().filter_map(|link| Some((*link, self.peer(*link)?)))
    }

    /// All connections that are up and not about to be closed.
    pub(crate) fn open(&self) -> impl Iterator<Item = LinkId> {
        self.links.iter().filter(|(_, l)| l.up && l.close_at.is_none()).map(|(id, _)| *id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = LinkId> {
        self.links.keys().copied()
    }

    /// Connections that are up, over which this node was let in or may yet be. What a client says of itself
    /// counts for nothing.
    pub(crate) fn of_node(&self, node: NodeId) -> impl Iterator<Item = (LinkId, &Link)> {
        let is_node = move |p: &Peer| p.node == node && p.hello.standing != Standing::Client;
        let is_it = move |link: &Link| {
            link.up && link.close_at.is_none() && link.peer.as_ref().is_some_and(is_node)
        };
        self.links.iter().filter(move |(_, link)| is_it(link)).map(|(id, link)| (*id, link))
    }

    /// The address to name in words for whoever is at this connection.
    pub(crate) fn address(&self, link: LinkId) -> String {
        let found = self.links.get(&link);
        let said = found.and_then(|link| link.peer.as_ref()).map(|peer| &peer.hello.address);
        let dialled = found.and_then(|link| link.address.as_ref());
        let known = dialled.or_else(|| said.filter(|address| !address.is_empty()));
        known.cloned().unwrap_or_else(|| format!("connection {link}"))
    }

    /// The address at which a connection was dialled; empty if it was not.
    pub(crate) fn dialled_at(&self, link: LinkId) -> String {
        self.links.get(&link).and_then(|link| link.address.clone()).unwrap_or_default()
    }

    /// Remembers why somebody is not admitted yet. Whether that is news.
    pub(crate) fn note_reason(&mut self, link: LinkId, reason: &str) -> bool {
        let Some(found) = self.links.get_mut(&link) else { return false };
        let is_news = found.not_yet != reason;
        reason.clone_into(&mut found.not_yet);
        is_news
    }

    /// Dials from now on only what the user named, and these. Returns the connections there were.
    pub(crate) fn undial(&mut self, keep: &BTreeSet<String>) -> Vec<LinkId> {
        let stays = |dial: &Dial| dial.listed || dial.own || keep.contains(&dial.address);
        let gone = self.dials.iter().filter(|dial| !stays(dial)).filter_map(|dial| dial.link);
        let gone = gone.collect();
        self.dials.retain(stays);
        gone
    }

    /// Dials nobody any more. Returns the connections there were.
    pub(crate) fn undial_all(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.dials).into_iter().filter_map(|dial| dial.link).collect()
    }

    /// Dials an address from now on; returns the new connection, `None` if it is dialled already.
    pub(crate) fn dial(&mut self, address: &str, listed: bool) -> Option<LinkId> {
        if let Some(dial) = self.dials.iter_mut().find(|dial| dial.address == address) {
            dial.listed |= listed;
            return None;
        }
        self.dials.push(Dial {
            address: address.to_owned(),
            listed,
            link: None,
            own: false,
            refused: None,
            redial_at: None,
        });
        self.connect(self.dials.len() - 1)
    }

    /// The user named an address that is this node's own.
    pub(crate) fn add_own(&mut self, address: &str) {
        self.dials.push(Dial {
            address: address.to_owned(),
            listed: true,
            link: None,
            own: true,
            refused: None,
            redial_at: None,
        });
    }

    /// Whether the user named this address.
    pub(crate) fn is_listed(&self, address: &str) -> bool {
        self.dials.iter().any(|dial| dial.address == address && dial.listed)
    }

    fn connect(&mut self, at: usize) -> Option<LinkId> {
        self.dialled += 1;
        let link = LinkId::Dialled(self.dialled);
        let dial = self.dials.get_mut(at)?;
        (dial.link, dial.redial_at) = (Some(link), None);
        let address = Some(dial.address.clone());
        self.links.insert(link, Link::new(address));
        Some(link)
    }

    /// A connection is there. Whether it is one that is known or was opened by the other side.
    pub(crate) fn up(&mut self, link: LinkId, now: Instant) -> bool {
        if let LinkId::Accepted(_) = link {
            self.links.entry(link).or_insert_with(|| Link::new(None));
        }
        let Some(found) = self.links.get_mut(&link) else { return false };
        found.up = true;
        found.heard = now;
        true
    }

    /// Somebody has said who it is, and is let in. Whether it is the first connection to it.
    pub(crate) fn introduce(&mut self, link: LinkId, peer: Peer) -> bool {
        let node = peer.node;
        let Hello { nonce, term, .. } = peer.hello;
        let address = peer.hello.address.clone();
        if let Some(dial) = self.dial_of(link) {
            dial.refused = None;
        }
        let Some(found) = self.links.get_mut(&link) else { return false };
        let is_client = peer.hello.standing == Standing::Client;
        let seen = Seen { boot: peer.boot, nonce, term, address, heard: found.heard };
        found.peer = Some(peer);
        if is_client {
            return false;
        }
        self.seen.insert(node, seen);
        let first = !self.paths.contains_key(&node);
        self.choose_path(node);
        first
    }

    /// A connection is down: who was there, if anybody was let in.
    pub(crate) fn lose(&mut self, link: LinkId) -> Option<Lost> {
        let address = self.address(link);
        let found = self.links.get_mut(&link)?;
        found.up = false;
        found.genesis_at = None;
        let (peer, heard) = (found.peer.take()?, found.heard);
        let turned_away = found.close_at.take().is_some();
        if peer.hello.standing == Standing::Client || turned_away {
            return None;
        }
        if let Some(seen) = self.seen.get_mut(&peer.node) {
            seen.heard = seen.heard.max(heard);
        }
        self.choose_path(peer.node);
        let last = !self.paths.contains_key(&peer.node);
        Some(Lost { peer, address, last })
    }

    /// Forgets a connection. If it was dialled, its address is dialled again then.
    pub(crate) fn forget(&mut self, link: LinkId, redial_at: Option<Instant>) {
        if let Some(dial) = self.dial_of(link) {
            (dial.link, dial.redial_at) = (None, redial_at);
        }
        self.links.remove(&link);
    }

    /// What was seen of a node that is gone and no member need not be remembered.
    pub(crate) fn forget_node(&mut self, node: NodeId) {
        self.seen.remove(&node);
    }

    /// Connections whose last word was waited for long enough.
    pub(crate) fn due_to_close(&self, now: Instant) -> Vec<LinkId> {
        let is_due = |link: &Link| link.close_at.is_some_and(|at| at <= now);
        self.links.iter().filter(|(_, link)| is_due(link)).map(|(id, _)| *id).collect()
    }

    /// Dials again what is due.
    pub(crate) fn redial(&mut self, now: Instant) -> Vec<(LinkId, String)> {
        let is_due = |dial: &Dial| dial.redial_at.is_some_and(|at| at <= now);
        let due: Vec<usize> =
            (0..self.dials.len()).filter(|at| self.dials.get(*at).is_some_and(is_due)).collect();
        due.into_iter()
            .filter_map(|at| Some((self.connect(at)?, self.dials.get(at)?.address.clone())))
            .collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let redials = self.dials.iter().filter_map(|dial| dial.redial_at);
        redials.chain(self.links.values().filter_map(|link| link.close_at)).min()
    }

    fn choose_path(&mut self, node: NodeId) {
        // Dialled connections sort before accepted ones, older before newer.
        let best = self.of_node(node).next().map(|(id, _)| id);
        match best {
            Some(link) => self.paths.insert(node, link),
            None => self.paths.remove(&node),
        };
    }
}

impl Link {
    const fn new(address: Option<String>) -> Self {
        Self {
            up: false,
            address,
            peer: None,
            heard: Instant(0),
            close_at: None,
            genesis_at: None,
            not_yet: String::new(),
        }
    }
}
