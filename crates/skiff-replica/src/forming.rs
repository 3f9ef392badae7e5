//! Whether a node that belongs to no cluster may found one: only if all agree.
//!
//! Unanimity is the price for what a majority gets wrong: overlapping lists that form two clusters,
//! and a majority of emptied disks that founds a second cluster beside the data. So every fresh
//! node that is connected must have been told the same set of nodes, all of that set must be
//! connected, and no list may still grow. Then the one with the lowest name founds. In any other
//! case all wait; waiting never turns into anything else.

use std::collections::BTreeSet;

use skiff_core::{
    Instant, Node, NodeId,
    mutants::{Mutant, planted},
};
use skiff_storage::{Identity, InstanceId};
use skiff_transport::{Hello, Listed, Standing};

use crate::{
    links::{Links, Peer},
    status::Waiting,
};

/// A list made of joins counts as closed once it has stood still for so many longest election
/// timeouts.
const STILL: u64 = 10;

/// The list of peers as its user made it, and what is waited for.
#[derive(Debug)]
pub(crate) struct Forming {
    /// The longest election timeout.
    patience: u64,
    closed: bool,
    changed_at: Instant,
    waits: Vec<Waiting>,
    waits_since: Instant,
    told: Vec<Waiting>,
}

/// How the forming of a cluster stands.
#[derive(Debug)]
pub(crate) struct Survey {
    /// All this node was told to form a cluster with, itself included, as far as connected.
    pub(crate) list: BTreeSet<Listed>,
    /// Addresses of the list at which nobody has answered.
    pub(crate) unresolved: Vec<String>,
    /// Whether the list will not grow.
    pub(crate) closed: bool,
    pub(crate) waits: Vec<Waiting>,
    /// The members to be, with their addresses, if this node is to found the cluster now.
    pub(crate) found: Option<Vec<(NodeId, Node)>>,
}

impl Forming {
    pub(crate) const fn new(now: Instant, patience: u64) -> Self {
        Self {
            patience,
            closed: false,
            changed_at: now,
            waits: Vec::new(),
            waits_since: now,
            told: Vec::new(),
        }
    }

    /// The user named another peer.
    pub(crate) const fn joined(&mut self, now: Instant) {
        self.changed_at = now;
    }

    /// The user named all.
    pub(crate) const fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn waits(&self) -> &[Waiting] {
        &self.waits
    }

    /// Remembers what is waited for; returns it if it has been the same for so long that it is
    /// worth telling.
    pub(crate) fn note(&mut self, now: Instant, waits: Vec<Waiting>) -> Option<Vec<Waiting>> {
        if waits != self.waits {
            (self.waits, self.waits_since) = (waits, now);
        }
        let lasts = self.waits.is_empty() || now >= self.waits_since.after(self.patience);
        if self.waits == self.told || !lasts {
            return None;
        }
        self.told.clone_from(&self.waits);
        Some(self.waits.clone())
    }

    /// When something may change without anybody saying anything.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let close = (!self.closed).then(|| self.closes_at()).filter(|at| *at > now);
        let tell = (self.waits != self.told).then(|| self.waits_since.after(self.patience));
        close.into_iter().chain(tell).min()
    }

    const fn closes_at(&self) -> Instant {
        self.changed_at.after(STILL * self.patience)
    }

    pub(crate) fn survey(
        &self,
        now: Instant,
        me: &Identity,
        address: &str,
        links: &Links,
    ) -> Survey {
        let myself = Listed { name: me.name.clone(), node: me.node };
        let mut survey = Survey {
            list: BTreeSet::from([myself.clone()]),
            unresolved: Vec::new(),
            closed: self.closed || now >= self.closes_at() || planted(Mutant::OpenListCounts),
            waits: Vec::new(),
            found: None,
        };
        survey.resolve(links);
        survey.compare(links);
        if !survey.closed && survey.has_peers() {
            survey.waits.push(Waiting::OwnList);
        }
        if !survey.has_peers() && survey.waits.is_empty() {
            survey.waits.push(Waiting::Peers);
        }
        let most = survey.closed && survey.list.len() > survey.unresolved.len();
        if survey.waits.is_empty() || (most && planted(Mutant::MajorityFounds)) {
            match survey.list.first() {
                Some(first) if *first != myself && !planted(Mutant::AnybodyFounds) => {
                    survey.waits.push(Waiting::Founder { name: first.name.clone() });
                }
                _ => survey.found = Some(survey.members(me, address, links)),
            }
        }
        survey
    }
}

impl Survey {
    fn has_peers(&self) -> bool {
        self.list.len() > 1 || !self.unresolved.is_empty()
    }

    /// Finds out who is at each address of the list.
    fn resolve(&mut self, links: &Links) {
        for dial in links.dials().iter().filter(|dial| dial.listed && !dial.own) {
            if let Some(peer) = dial.link.and_then(|link| links.peer(link)) {
                self.list.insert(listed(peer));
                continue;
            }
            let address = dial.address.clone();
            self.unresolved.push(address.clone());
            self.waits.push(match &dial.refused {
                Some(reason) => Waiting::Refused { address, reason: reason.clone() },
                None => Waiting::Address { address },
            });
        }
    }

    /// Compares the list with that of everybody who is connected.
    fn compare(&mut self, links: &Links) {
        for (link, peer) in links.peers() {
            let hello = &peer.hello;
            let (name, address) = (hello.name.clone(), links.address(link));
            if let (Standing::Member, Some(instance)) = (hello.standing, hello.instance) {
                let instance = InstanceId(instance);
                let reason = links.get(link).map(|link| link.not_yet.clone()).unwrap_or_default();
                self.waits.push(Waiting::Admission { name, address, instance, reason });
            } else if let Some(wait) = self.differs(peer, address) {
                self.waits.push(wait);
            } else if !hello.unresolved.is_empty() {
                let addresses = hello.unresolved.clone();
                self.waits.push(Waiting::PeerWaits { name, addresses });
            } else if !hello.list_closed {
                self.waits.push(Waiting::PeerList { name });
            }
        }
    }

    /// Whether a fresh peer was told another set of nodes. What either does not know yet, because
    /// somebody does not answer, is no difference.
    fn differs(&self, peer: &Peer, address: String) -> Option<Waiting> {
        let hello = &peer.hello;
        let theirs: BTreeSet<Listed> = hello.list.iter().cloned().collect();
        let names = |one: &BTreeSet<Listed>, other: &BTreeSet<Listed>| -> Vec<String> {
            one.difference(other).map(|listed| listed.name.clone()).collect()
        };
        // It may have come here before it could be reached from here.
        let awaited = self.unresolved.contains(&hello.address);
        let expected = awaited || self.list.contains(&listed(peer));
        let only_there = match self.unresolved.is_empty() {
            true => names(&theirs, &self.list),
            false if expected => Vec::new(),
            // The others of its list may be who does not answer here.
            false => vec![hello.name.clone()],
        };
        let unknown_there = !hello.unresolved.is_empty();
        let only_here = if unknown_there { Vec::new() } else { names(&self.list, &theirs) };
        if only_there.is_empty() && only_here.is_empty() && expected {
            return None;
        }
        Some(Waiting::OtherList { name: hello.name.clone(), address, only_there, only_here })
    }

    /// The members of the cluster to be founded, each with the address others are to dial.
    fn members(&self, me: &Identity, address: &str, links: &Links) -> Vec<(NodeId, Node)> {
        let others = links.dials().iter().filter(|dial| dial.listed).filter_map(|dial| {
            let Peer { node, hello, .. } = links.peer(dial.link?)?;
            let Hello { name, address, .. } = hello;
            let address = if address.is_empty() { &dial.address } else { address };
            Some((*node, Node { name: name.clone(), address: address.clone() }))
        });
        let myself = (me.node, Node { name: me.name.clone(), address: address.to_owned() });
        others.chain([myself]).collect()
    }
}

fn listed(peer: &Peer) -> Listed {
    Listed { name: peer.hello.name.clone(), node: peer.node }
}
