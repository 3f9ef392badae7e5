//! Everybody else: what they say to the node, true, false or absurd.

use skiff_core::{Membership, Node as Member, NodeId, Position, Term};
use skiff_transport::{
    Answer, Ask, Body, Consistency, Envelope, Genesis, Hello, Listed, Request, Standing,
};

use super::{
    ME, command,
    node::{CLUSTER, INSTANCE, Node},
    query,
};
use crate::{
    said::{self, Around},
    source::Source,
};

/// One envelope. Who it is from need not be who said hello on that link.
pub(super) fn envelope(node: &Node, source: &mut Source<'_>) -> Envelope {
    let from = match source.byte() {
        peer @ 0..200 => NodeId(u128::from(peer % 4) + 2),
        _ => said::node(source),
    };
    let boot = match source.byte() {
        0..200 => 1,
        200..230 => 2,
        _ => source.number(),
    };
    let (group, to) = match source.byte() {
        0..240 => (0, if source.flag() { ME } else { NodeId(0) }),
        _ => (source.number(), said::node(source)),
    };
    Envelope { group, from, to, boot, body: body(node, from, source) }
}

fn body(node: &Node, from: NodeId, source: &mut Source<'_>) -> Body {
    match source.pick(16) {
        0..4 => Body::Hello(Box::new(hello(from, source))),
        4 => Body::Genesis(Box::new(genesis(source))),
        5 | 6 => Body::Request(Box::new(request(source))),
        7 => Body::Answer(Box::new(answer(node, source))),
        8 => said::body(source, &Around::NOTHING),
        _ => raft(node, source),
    }
}

fn hello(from: NodeId, source: &mut Source<'_>) -> Hello {
    let name = match source.byte() {
        0..220 => said::name(from),
        220..240 => said::name(said::node(source)),
        _ => source.text(20),
    };
    let standing = match source.byte() {
        0..110 => Standing::Member,
        110..200 => Standing::Fresh,
        200..220 => Standing::Client,
        _ => said::standing(source),
    };
    let is_member = standing == Standing::Member;
    let list = match source.byte() {
        0..100 => (1..=3).map(NodeId).map(listed).collect(),
        100..200 => [ME, from].map(listed).into(),
        _ => source.list(5, |source| listed(said::node(source))),
    };
    Hello {
        cluster: if source.byte() < 240 { CLUSTER.to_owned() } else { source.text(20) },
        instance: instance(is_member, source),
        address: if source.byte() < 220 { said::address(from) } else { source.text(20) },
        name,
        standing,
        nonce: u64::from(source.byte() % 8 == 7),
        term: Term(if source.byte() < 220 { 1 } else { source.number() }),
        durable: skiff_core::Index(source.number()),
        feature_level: u32::from(source.byte()),
        list_closed: source.byte() < 200,
        list,
        unresolved: if source.byte() < 220 { Vec::new() } else { source.list(4, |s| s.text(20)) },
        leaving: source.byte() > 240,
        farewell: source.byte() > 128,
        full: source.byte() > 240,
    }
}

fn listed(node: NodeId) -> Listed {
    Listed { name: said::name(node), node }
}

/// That of the cluster there is, mostly.
fn instance(is_member: bool, source: &mut Source<'_>) -> Option<u128> {
    match source.byte() {
        0..220 => is_member.then_some(INSTANCE.0),
        220..240 => None,
        _ => Some(u128::from(source.byte())),
    }
}

fn genesis(source: &mut Source<'_>) -> Genesis {
    let membership = match source.byte() {
        0..200 => members(&[1, 2, 3]),
        200..220 => members(&[2, 3]),
        _ => said::membership(source),
    };
    Genesis {
        cluster: if source.byte() < 240 { CLUSTER.to_owned() } else { source.text(20) },
        instance: instance(true, source).unwrap_or_default(),
        position: match source.byte() {
            0..240 => Position::new(1, 1),
            _ => Position::new(source.number(), source.number()),
        },
        membership,
        machine_version: if source.byte() < 240 { 0 } else { u32::MAX },
        codec: if source.byte() < 240 { "msgpack-named".to_owned() } else { source.text(20) },
        // An empty store's state, or any.
        content: match source.byte() {
            0..200 => node_content(),
            _ => bytes::Bytes::copy_from_slice(source.bytes(200)),
        },
    }
}

/// The state of a store that holds nothing.
pub(super) fn node_content() -> bytes::Bytes {
    bytes::Bytes::from_static(b"\x81\xa5pairs\x80")
}

/// Voters of these ids, each with its name and address.
pub(super) fn members(ids: &[u128]) -> Membership {
    let mut membership = Membership::of(ids.iter().map(|id| NodeId(*id)));
    for (id, member) in &mut membership.nodes {
        *member = Member { name: said::name(*id), address: said::address(*id) };
    }
    membership
}

fn request(source: &mut Source<'_>) -> Request {
    let ask = match source.pick(6) {
        0 => said::ask(source),
        1..4 => Ask::Command(command(source)),
        4 => Ask::Query { query: query(source), consistency: Consistency::Local },
        _ => Ask::Query { query: query(source), consistency: Consistency::Linearizable },
    };
    Request {
        id: source.number(),
        timeout_ms: if source.flag() { 5_000 } else { source.number() },
        hops: if source.flag() { 0 } else { u32::from_le_bytes(source.array()) },
        ask,
    }
}

/// To something the node asked, or to nothing.
fn answer(node: &Node, source: &mut Source<'_>) -> Answer {
    let id = match source.byte() {
        0..200 => node.forwarded(source.pick(4)).unwrap_or_default(),
        _ => source.number(),
    };
    said::answer(source, id)
}

fn raft(node: &Node, source: &mut Source<'_>) -> Body {
    let Some(raft) = node.raft() else {
        let term = Term(source.number());
        return Body::Raft { term, message: said::message(source, &Around::NOTHING) };
    };
    let (now, last) = (raft.term(), raft.last().index);
    let term_at = |index| raft.term_at(index);
    let around = Around { term: now, last, term_at: &term_at };
    let term = match source.byte() {
        0..200 => now,
        200..225 => now.next(),
        _ => Term(source.near(now.0)),
    };
    Body::Raft { term, message: said::message(source, &around) }
}
