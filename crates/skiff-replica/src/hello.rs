//! Saying who one is, and judging who somebody else says it is.

use skiff_core::{Instant, Membership, NodeId};
use skiff_storage::{Identity, InstanceId};
use skiff_transport::{self as wire, Hello};

use crate::{
    event::Refusal,
    job::LinkId,
    links::{Link, Links, Peer},
};

/// What a newcomer is judged by.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    pub(crate) identity: &'a Identity,
    /// The random number of this run.
    pub(crate) nonce: u64,
    /// Where this node can be dialled.
    pub(crate) address: &'a str,
    pub(crate) links: &'a Links,
    /// The members of the cluster, on a member.
    pub(crate) membership: Option<&'a Membership>,
    pub(crate) now: Instant,
    /// A node that was heard within this span answers.
    pub(crate) patience: u64,
}

/// What becomes of somebody who said hello.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is let in.
    Welcome,
    /// It is let in, and takes the place of an earlier run or of a namesake that does not answer,
    /// whose connections are to be closed.
    Restarted,
    /// It is this node itself.
    Myself,
    /// It is turned away.
    Refused(Refusal),
}

impl Judge<'_> {
    pub(crate) fn judge(&self, link: LinkId, peer: &Peer) -> Verdict {
        if peer.hello.cluster != self.identity.cluster {
            return Verdict::Refused(Refusal::OtherCluster {
                ours: self.identity.cluster.clone(),
                theirs: peer.hello.cluster.clone(),
            });
        }
        if let Err(refusal) = self.judge_instance(&peer.hello) {
            return Verdict::Refused(refusal);
        }
        if peer.hello.standing == wire::Standing::Client {
            return self.judge_client(link);
        }
        if peer.node == self.identity.node {
            return if peer.hello.nonce == self.nonce {
                Verdict::Myself
            } else {
                Verdict::Refused(Refusal::CopiedData { other: self.own_address() })
            };
        }
        self.judge_node(link, peer).unwrap_or_else(Verdict::Refused)
    }

    fn judge_client(&self, link: LinkId) -> Verdict {
        let before = self.links.peer(link).map(|before| before.hello.standing);
        match before {
            None | Some(wire::Standing::Client) => Verdict::Welcome,
            Some(_) => Verdict::Refused(Refusal::Protocol { what: "it changed who it is" }),
        }
    }

    fn judge_instance(&self, hello: &Hello) -> Result<(), Refusal> {
        match (self.identity.instance, hello.instance.map(InstanceId)) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                Err(Refusal::OtherInstance { name: hello.name.clone(), ours, theirs })
            }
            _ => Ok(()),
        }
    }

    fn judge_node(&self, link: LinkId, peer: &Peer) -> Result<Verdict, Refusal> {
        let before = self.links.peer(link);
        if before.is_some_and(|before| (before.node, before.boot) != (peer.node, peer.boot)) {
            return Err(Refusal::Protocol { what: "it changed who it is" });
        }
        if peer.node == NodeId::default() {
            return Err(Refusal::Protocol { what: "it has no id" });
        }
        if peer.hello.standing == wire::Standing::Member && peer.hello.instance.is_none() {
            return Err(Refusal::Protocol { what: "it is a member of nothing" });
        }
        if peer.hello.standing == wire::Standing::Removed {
            return Err(Refusal::Removed { name: peer.hello.name.clone() });
        }
        let (boot, name) = (self.judge_boot(peer)?, self.judge_name(peer)?);
        Ok(if boot == Verdict::Welcome { name } else { boot })
    }

    /// A directory that is copied or put back has a boot counter that others have seen already.
    fn judge_boot(&self, peer: &Peer) -> Result<Verdict, Refusal> {
        let Some(seen) = self.links.seen(peer.node) else { return Ok(Verdict::Welcome) };
        let live = self.links.of_node(peer.node).next().map(|(link, _)| self.links.address(link));
        if peer.boot < seen.boot {
            return Err(Refusal::OldData { theirs: peer.boot, seen: seen.boot });
        }
        if peer.boot > seen.boot && peer.hello.term < seen.term {
            return Err(Refusal::OldTerm { theirs: peer.hello.term, seen: seen.term });
        }
        if peer.boot == seen.boot {
            return if peer.hello.nonce == seen.nonce {
                Ok(Verdict::Welcome)
            } else {
                let other = live.unwrap_or_else(|| "an address that is gone".to_owned());
                Err(Refusal::CopiedData { other })
            };
        }
        // One that still answers keeps its place; one that does not has been started again.
        let mut earlier = self.links.of_node(peer.node).filter(|(_, link)| {
            self.answers(link) && link.peer.as_ref().is_some_and(|old| old.boot < peer.boot)
        });
        if let Some((link, _)) = earlier.next() {
            return Err(Refusal::CopiedData { other: self.links.address(link) });
        }
        // One whose connections broke a moment ago may be back at once, where it was.
        let moved = peer.hello.address != seen.address;
        if moved && self.now.since(seen.heard) <= self.patience {
            return Err(Refusal::CopiedData { other: seen.address.clone() });
        }
        Ok(Verdict::Restarted)
    }

    /// A name belongs to the member that has it, or else to whoever has it and answers.
    fn judge_name(&self, peer: &Peer) -> Result<Verdict, Refusal> {
        let name = &peer.hello.name;
        let taken = |other| Refusal::NameTaken { name: name.clone(), other };
        if *name == self.identity.name {
            return Err(taken(self.own_address()));
        }
        let mut verdict = Verdict::Welcome;
        for (_, other) in self.links.peers().filter(|(_, other)| other.is_namesake(peer)) {
            let outranked = self.is_member(peer.node) && !self.is_member(other.node);
            match self.links.of_node(other.node).find(|(_, link)| self.answers(link)) {
                Some((link, _)) if !outranked => return Err(taken(self.links.address(link))),
                _ => verdict = Verdict::Restarted,
            }
        }
        Ok(verdict)
    }

    fn answers(&self, link: &Link) -> bool {
        self.now.since(link.heard) <= self.patience
    }

    fn is_member(&self, node: NodeId) -> bool {
        self.membership.is_some_and(|membership| membership.contains(node))
    }

    fn own_address(&self) -> String {
        if self.address.is_empty() { "this node".to_owned() } else { self.address.to_owned() }
    }
}

/// The member that has this name in a membership.
pub(crate) fn member_named(membership: &Membership, name: &str) -> Option<NodeId> {
    membership.nodes.iter().find(|(_, node)| node.name == name).map(|(id, _)| *id)
}
