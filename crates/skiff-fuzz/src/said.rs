//! What somebody may say, made of the bytes of an input: sensible at first sight, absurd now and then.

use std::fmt;

use bytes::Bytes;
use skiff_core::{
    Append, AppendOutcome, AppendReply, Entry, Index, LogTime, Membership, Message, Node, NodeId,
    Payload, Position, Round, Term,
};
use skiff_transport::{
    Answer, Ask, Body, Consistency, Envelope, Fetch, Fetched, Found, Genesis, Got, Hello, Joins,
    Listed, MemberChange, Offer, Outcome, Progress, Refusal, Request, SessionAsk, SnapshotPiece,
    Standing,
};

use crate::source::Source;

/// Nodes that are spoken of have ids from 1 to this; a node that is fuzzed is the first.
pub(crate) const NODES: u8 = 5;

/// What the numbers in a message are mostly close to.
pub(crate) struct Around<'a> {
    pub(crate) term: Term,
    pub(crate) last: Index,
    pub(crate) term_at: &'a dyn Fn(Index) -> Option<Term>,
}

impl Around<'_> {
    /// The beginning of everything.
    pub(crate) const NOTHING: Self =
        Self { term: Term(1), last: Index(1), term_at: &|_| Some(Term(1)) };

    fn position(&self, source: &mut Source<'_>) -> Position {
        let index = Index(source.near(self.last.0));
        let known = (self.term_at)(index).filter(|_| source.byte() < 200);
        Position { term: known.unwrap_or_else(|| Term(source.near(self.term.0))), index }
    }
}

impl fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "around {} in term {}", self.last, self.term)
    }
}

pub(crate) fn node(source: &mut Source<'_>) -> NodeId {
    match source.byte() {
        id @ 0..250 => NodeId(u128::from(id % NODES) + 1),
        _ => NodeId(u128::from_le_bytes(source.array())),
    }
}

pub(crate) fn membership(source: &mut Source<'_>) -> Membership {
    let mut set = |max: usize| source.list(max, node).into_iter().collect();
    let (voters, outgoing, learners) = (set(4), set(2), set(2));
    let mut membership = Membership { voters, outgoing, learners, ..Membership::default() };
    let names: Vec<NodeId> = membership.members().collect();
    for id in names {
        membership.nodes.insert(id, Node { name: name(id), address: address(id) });
    }
    membership
}

/// What a node of this id is called.
pub(crate) fn name(id: NodeId) -> String {
    format!("node-{:x}", id.0)
}

/// Where a node of this id listens.
pub(crate) fn address(id: NodeId) -> String {
    format!("{}:1", name(id))
}

pub(crate) fn payload(source: &mut Source<'_>) -> Payload {
    match source.byte() {
        0..96 => Payload::Command(Bytes::copy_from_slice(source.bytes(2_000))),
        96..160 => Payload::Noop,
        160..224 => Payload::Membership(Box::new(membership(source))),
        224..240 => Payload::Session(Bytes::copy_from_slice(source.bytes(200))),
        _ => Payload::Unknown {
            kind: u32::from_le_bytes(source.array()).max(4),
            body: Bytes::copy_from_slice(source.bytes(200)),
        },
    }
}

/// Entries that follow `prev`, with terms that do not fall, unless the input wants it otherwise.
fn entries(source: &mut Source<'_>, prev: Position, around: &Around<'_>) -> Vec<Entry> {
    let (mut index, mut term) = (prev.index, prev.term);
    source.list(6, |source| {
        index = match source.byte() {
            0..250 => index.next(),
            _ => Index(source.near(index.0)),
        };
        term = match source.byte() {
            0..100 => term,
            100..200 => around.term,
            200..240 => term.next(),
            _ => Term(source.near(term.0)),
        };
        Entry { term, index, time: LogTime(source.number()), payload: payload(source) }
    })
}

fn append(source: &mut Source<'_>, around: &Around<'_>) -> Append {
    let prev = around.position(source);
    Append {
        seq: source.number(),
        round: Round(source.number()),
        prev,
        entries: entries(source, prev, around),
        commit: Index(source.near(around.last.0)),
    }
}

fn append_reply(source: &mut Source<'_>, around: &Around<'_>) -> AppendReply {
    let outcome = if source.byte() < 180 {
        AppendOutcome::Matched(Index(source.near(around.last.0)))
    } else {
        let prev = Index(source.near(around.last.0));
        AppendOutcome::Mismatch { prev, hint: around.position(source) }
    };
    AppendReply {
        seq: source.number(),
        round: Round(source.number()),
        last: Index(source.near(around.last.0)),
        outcome,
    }
}

pub(crate) fn message(source: &mut Source<'_>, around: &Around<'_>) -> Message {
    match source.pick(17) {
        0 => Message::PreVote {
            campaign: Term(source.near(around.term.0)),
            last: around.position(source),
        },
        1 => Message::PreVoteReply {
            campaign: Term(source.near(around.term.0)),
            granted: source.flag(),
        },
        2 => Message::PreVoteReply { campaign: around.term.next(), granted: true },
        3 => Message::Vote { last: around.position(source), transfer: source.flag() },
        4 | 5 => Message::VoteReply { granted: source.byte() < 200 },
        6..=9 => Message::Append(append(source, around)),
        10..=12 => Message::AppendReply(append_reply(source, around)),
        13 => Message::TimeoutNow,
        14 => Message::ReadIndex { batch: source.number() },
        15 => Message::Removed { index: Index(source.near(around.last.0)) },
        _ => Message::ReadIndexReply {
            batch: source.number(),
            index: source.flag().then(|| Index(source.near(around.last.0))),
        },
    }
}

pub(crate) fn standing(source: &mut Source<'_>) -> Standing {
    [Standing::Fresh, Standing::Member, Standing::Removed, Standing::Client][source.pick(4)]
}

pub(crate) fn joins(source: &mut Source<'_>) -> Joins {
    [Joins::Not, Joins::AsVoter, Joins::AsLearner][source.pick(3)]
}

fn hello(source: &mut Source<'_>) -> Hello {
    Hello {
        cluster: source.text(300),
        instance: source.flag().then(|| u128::from_le_bytes(source.array())),
        name: source.text(300),
        address: source.text(300),
        standing: standing(source),
        nonce: source.number(),
        term: Term(source.number()),
        durable: Index(source.number()),
        feature_level: u32::from_le_bytes(source.array()),
        list_closed: source.flag(),
        list: source.list(5, |source| Listed { name: source.text(50), node: node(source) }),
        unresolved: source.list(5, |source| source.text(50)),
        leaving: source.flag(),
        farewell: source.flag(),
        full: source.flag(),
        joins: joins(source),
        named: source.flag(),
    }
}

fn genesis(source: &mut Source<'_>) -> Genesis {
    Genesis {
        cluster: source.text(300),
        instance: u128::from_le_bytes(source.array()),
        position: Position::new(source.number(), source.number()),
        membership: membership(source),
        machine_version: u32::from_le_bytes(source.array()),
        codec: source.text(300),
        content: Bytes::copy_from_slice(source.bytes(5_000)),
    }
}

pub(crate) fn ask(source: &mut Source<'_>) -> Ask {
    match source.pick(8) {
        0 => Ask::Command(Bytes::copy_from_slice(source.bytes(5_000))),
        1 => Ask::Query {
            consistency: match source.pick(4) {
                0 => Consistency::Linearizable,
                1 => Consistency::Local,
                2 => Consistency::Lease,
                _ => Consistency::BoundedStale(source.number()),
            },
            query: Bytes::copy_from_slice(source.bytes(5_000)),
        },
        2 => Ask::Session(session(source)),
        3 => Ask::Transfer { to: source.flag().then(|| name(node(source))) },
        4 => Ask::Fate {
            instance: u128::from_le_bytes(source.array()),
            position: Position::new(source.number(), source.number()),
        },
        5 => Ask::Change(change(source)),
        6 => Ask::Snapshot,
        7 => Ask::Backup {
            position: source.flag().then(|| Position::new(source.number(), source.number())),
            offset: source.number(),
            bytes_max: u32::from_le_bytes(source.array()),
        },
        _ => Ask::Status,
    }
}

fn session(source: &mut Source<'_>) -> SessionAsk {
    let session = source.number().max(1);
    match source.pick(3) {
        0 => SessionAsk::Begin { timeout_ms: source.number() },
        1 => SessionAsk::End { session },
        _ => SessionAsk::Command {
            session,
            number: source.number().max(1),
            command: Bytes::copy_from_slice(source.bytes(5_000)),
        },
    }
}

/// Mostly of nodes that there are.
pub(crate) fn change(source: &mut Source<'_>) -> MemberChange {
    let one = node(source);
    let (name, address) = match source.byte() {
        0..220 => (name(one), address(one)),
        _ => (source.text(30), source.text(30)),
    };
    match source.pick(4) {
        0 => MemberChange::AddLearner { address },
        1 => MemberChange::AddVoter { address },
        2 => MemberChange::Remove { name },
        _ => MemberChange::Replace { name, address },
    }
}

pub(crate) fn refusal(source: &mut Source<'_>) -> Refusal {
    let codes = ["not-leader", "busy", "timeout", "stopped", "leadership-lost", "too-large"];
    Refusal {
        code: match source.byte() {
            known @ 0..200 => codes[usize::from(known) % codes.len()].to_owned(),
            _ => source.text(50),
        },
        message: source.text(300),
        leader: source.flag().then(|| (source.text(50), source.text(50))),
        outcome: [Outcome::NotApplied, Outcome::Unknown, Outcome::AppliedResponseLost]
            [source.pick(3)],
        position: source.flag().then(|| {
            let instance = u128::from_le_bytes(source.array());
            (instance, Position::new(source.number(), source.number()))
        }),
    }
}

pub(crate) fn answer(source: &mut Source<'_>, id: u64) -> Answer {
    let result = match source.flag() {
        true => Ok(Bytes::copy_from_slice(source.bytes(5_000))),
        false => Err(refusal(source)),
    };
    Answer { id, result }
}

pub(crate) fn body(source: &mut Source<'_>, around: &Around<'_>) -> Body {
    match source.pick(8) {
        0 => Body::Hello(Box::new(hello(source))),
        1 => Body::Genesis(Box::new(genesis(source))),
        2 => Body::Request(Box::new(Request {
            id: source.number(),
            timeout_ms: source.number(),
            hops: u32::from_le_bytes(source.array()),
            ask: ask(source),
        })),
        3 => {
            let id = source.number();
            Body::Answer(Box::new(answer(source, id)))
        }
        4 if source.flag() => {
            let (id, from) = (source.number(), Index(source.near(around.last.0)));
            Body::Fetch(Box::new(Fetch { id, from, last: around.position(source) }))
        }
        4 => {
            let (id, prev) = (source.number(), around.position(source));
            let found = match source.pick(5) {
                0 => Found::Entries,
                1 => Found::Committed,
                2 => Found::Differs,
                3 => Found::Damaged,
                _ => Found::Compacted,
            };
            let entries = entries(source, prev, around);
            Body::Fetched(Box::new(Fetched { id, found, prev, entries }))
        }
        5 => snapshot(source, around),
        _ => {
            let term = Term(source.near(around.term.0));
            Body::Raft { term, message: message(source, around) }
        }
    }
}

/// Something of a snapshot: what it is, some of it, or how far somebody is with it.
fn snapshot(source: &mut Source<'_>, around: &Around<'_>) -> Body {
    let transfer = u64::from(source.byte() % 4);
    match source.pick(3) {
        0 => Body::Offer(Box::new(Offer {
            transfer,
            position: around.position(source),
            time: LogTime(source.number()),
            membership: membership(source),
            terms: source.list(4, |source| (Index(source.number()), Term(source.number()))),
            machine_version: u32::from(source.byte() > 240),
            codec: if source.byte() < 240 { "msgpack-named".to_owned() } else { source.text(20) },
            size: source.near(30),
            checksum: u32::from_le_bytes(source.array()),
            admits: source.flag().then(|| membership(source)),
        })),
        1 => {
            let offset = if source.flag() { 0 } else { source.number() };
            let bytes = Bytes::copy_from_slice(source.bytes(100));
            Body::Piece(Box::new(SnapshotPiece { transfer, offset, bytes }))
        }
        _ => {
            let progress = match source.pick(5) {
                0 => Progress::Going,
                1 => Progress::Gap,
                2 => Progress::Done,
                3 => Progress::Refused,
                _ => Progress::Failed,
            };
            Body::Got(Box::new(Got { transfer, kept: source.number(), progress }))
        }
    }
}

/// Any envelope.
pub(crate) fn envelope(source: &mut Source<'_>) -> Envelope {
    Envelope {
        group: source.number(),
        from: node(source),
        to: node(source),
        boot: source.number(),
        body: body(source, &Around::NOTHING),
    }
}
