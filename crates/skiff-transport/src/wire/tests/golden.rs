//! One envelope of each kind and its bytes. If this fails, nodes of different builds do not
//! understand each other any more. Run with `UPDATE_GOLDENFILES=1` to write a new kind's bytes; the
//! old lines may not change.

use std::{env, fmt::Write as _, fs, path::Path};

use bytes::Bytes;
use skiff_core::{
    Append, AppendOutcome, AppendReply, Entry, Index, LogTime, Membership, Message, Node, NodeId,
    Payload, Position, Round, Term,
};

use super::encoded;
use crate::{
    Admission, Answer, Ask, Body, Consistency, Envelope, Fetch, Fetched, Found, Genesis, Got,
    Hello, Joins, Listed, MemberChange, Newcomer, Offer, Outcome, Progress, Refusal, Request,
    SessionAsk, SnapshotPiece, Standing, wire::decode,
};

const FILE: &str = "src/wire/tests/golden.txt";

#[test]
fn bytes_are_as_they_were() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let mut now = String::new();
    for (name, envelope) in envelopes() {
        writeln!(now, "{name}: {}", hex(&encoded(&envelope))).unwrap();
    }
    if env::var_os("UPDATE_GOLDENFILES").is_some() {
        fs::write(&path, &now).unwrap();
    }
    assert_eq!(now, fs::read_to_string(&path).unwrap());
}

/// What a build of today says is what these bytes mean.
#[test]
fn recorded_bytes_are_read() {
    let recorded = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
    let mut envelopes = envelopes().into_iter();
    for line in recorded.lines() {
        let (name, hex) = line.split_once(": ").unwrap();
        let (expected, envelope) = envelopes.next().unwrap();
        assert_eq!(name, expected);
        assert_eq!(decode(unhex(hex)), Ok(envelope), "{name}");
    }
    assert_eq!(envelopes.next(), None);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(hex: &str) -> Bytes {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

/// The header of all: group 3, from 1, to 2^64 + 2, boot 5.
fn envelope(body: Body) -> Envelope {
    Envelope { group: 3, from: NodeId(1), to: NodeId((1 << 64) + 2), boot: 5, body }
}

fn envelopes() -> Vec<(&'static str, Envelope)> {
    let raft = |message| envelope(Body::Raft { term: Term(7), message });
    let last = Position::new(6, 300);
    let reply = |outcome| {
        let last = Index(300);
        raft(Message::AppendReply(AppendReply { seq: 8, round: Round(9), last, outcome }))
    };
    vec![
        ("hello", hello()),
        ("last hello", last_hello()),
        ("genesis", genesis()),
        ("request command", request(Ask::Command(Bytes::from_static(b"set")))),
        ("request query", request(query(Consistency::Local))),
        ("request stale query", request(query(Consistency::BoundedStale(250)))),
        ("request status", request(Ask::Status)),
        ("request to begin a session", in_session(SessionAsk::Begin { timeout_ms: 60_000 })),
        ("request in a session", in_session(session_command())),
        ("request to end a session", in_session(SessionAsk::End { session: 290 })),
        ("request transfer", request(Ask::Transfer { to: Some("b".into()) })),
        ("request snapshot", request(Ask::Snapshot)),
        (
            "request backup",
            request(Ask::Backup { position: Some(last), offset: 300, bytes_max: 1 << 20 }),
        ),
        ("request fate", request(Ask::Fate { instance: 0x1122, position: last })),
        ("answer", answer(Ok(Bytes::from_static(b"done")))),
        ("refusal", answer(Err(refusal()))),
        ("fetch", envelope(Body::Fetch(Box::new(Fetch { id: 12, from: Index(290), last })))),
        ("fetched", fetched(Found::Entries, entries())),
        ("offer", offer(None)),
        ("offer that admits", offer(Some(Membership::of([NodeId(1), NodeId(3)])))),
        ("piece", piece()),
        ("got", got(Progress::Going)),
        ("gap", got(Progress::Gap)),
        ("got all", got(Progress::Done)),
        ("nothing fetched", fetched(Found::Compacted, Vec::new())),
        ("pre-vote", raft(Message::PreVote { campaign: Term(8), last })),
        ("pre-vote reply", raft(Message::PreVoteReply { campaign: Term(8), granted: true })),
        ("vote", raft(Message::Vote { last, transfer: true })),
        ("vote reply", raft(Message::VoteReply { granted: true })),
        ("heartbeat", raft(Message::Append(append(Vec::new())))),
        ("append", raft(Message::Append(append(entries())))),
        ("append of a session", raft(Message::Append(append(vec![session_entry()])))),
        ("matched", reply(AppendOutcome::Matched(Index(299)))),
        ("mismatch", reply(AppendOutcome::Mismatch { prev: Index(301), hint: last })),
        ("timeout now", raft(Message::TimeoutNow)),
        ("read index", raft(Message::ReadIndex { batch: 10 })),
        ("read index reply", raft(Message::ReadIndexReply { batch: 10, index: Some(Index(0)) })),
        ("read index refused", raft(Message::ReadIndexReply { batch: 10, index: None })),
        ("removed", raft(Message::Removed { index: Index(301) })),
        ("fresh hello", fresh()),
        ("admission", admission()),
        ("newcomer", newcomer()),
        ("not yet", envelope(Body::NotYet { reason: "no leader".into(), removed: true })),
        ("request add learner", request(Ask::Change(MemberChange::AddLearner { address: at() }))),
        ("request add voter", request(Ask::Change(MemberChange::AddVoter { address: at() }))),
        ("request remove", request(Ask::Change(MemberChange::Remove { name: "a".into() }))),
        ("request replace", request(Ask::Change(replace()))),
    ]
}

fn offer(admits: Option<Membership>) -> Envelope {
    envelope(Body::Offer(Box::new(Offer {
        transfer: 13,
        position: Position::new(6, 300),
        time: LogTime(1_000),
        membership: Membership::of([NodeId(1), NodeId(2)]),
        terms: vec![(Index(1), Term(1)), (Index(200), Term(6))],
        machine_version: 2,
        codec: "msgpack-named".into(),
        size: 5_000,
        checksum: 0x0102_0304,
        admits,
    })))
}

fn piece() -> Envelope {
    let bytes = Bytes::from_static(b"state");
    envelope(Body::Piece(Box::new(SnapshotPiece { transfer: 13, offset: 4_096, bytes })))
}

fn got(progress: Progress) -> Envelope {
    envelope(Body::Got(Box::new(Got { transfer: 13, kept: 4_096, progress })))
}

fn hello() -> Envelope {
    envelope(Body::Hello(Box::new(Hello {
        cluster: "orders".into(),
        instance: Some(0x1122),
        name: "a".into(),
        address: "127.0.0.1:7000".into(),
        standing: Standing::Member,
        nonce: 0xfeed,
        term: Term(7),
        durable: Index(300),
        feature_level: 1,
        list_closed: true,
        list: vec![Listed { name: "b".into(), node: NodeId(2) }],
        unresolved: vec!["c:7000".into()],
        ..Hello::default()
    })))
}

fn last_hello() -> Envelope {
    envelope(Body::Hello(Box::new(Hello {
        leaving: true,
        farewell: true,
        full: true,
        ..Hello::default()
    })))
}

fn at() -> String {
    "x:4".into()
}

fn replace() -> MemberChange {
    MemberChange::Replace { name: "a".into(), address: at() }
}

fn fresh() -> Envelope {
    envelope(Body::Hello(Box::new(Hello {
        cluster: "orders".into(),
        name: "d".into(),
        address: at(),
        nonce: 0xbeef,
        feature_level: 1,
        joins: Joins::AsLearner,
        named: true,
        ..Hello::default()
    })))
}

fn newcomer() -> Envelope {
    envelope(Body::Newcomer(Box::new(Newcomer {
        node: NodeId(4),
        name: "d".into(),
        address: at(),
        joins: Joins::AsVoter,
        named: true,
    })))
}

/// The receiver, a learner, is to take the place of the voter.
fn admission() -> Envelope {
    let mut members = membership();
    members.learners.insert(NodeId(4));
    members.nodes.insert(NodeId(4), Node { name: "d".into(), address: at() });
    members.wishes.insert(NodeId(4), Some(NodeId(1)));
    let Body::Genesis(genesis) = genesis().body else { unreachable!() };
    let admission = Admission { membership: members, genesis: *genesis };
    envelope(Body::Admission(Box::new(admission)))
}

fn membership() -> Membership {
    let mut membership = Membership::of([NodeId(1)]);
    let node = Node { name: "a".into(), address: "x:1".into() };
    membership.nodes.insert(NodeId(1), node);
    membership
}

fn genesis() -> Envelope {
    envelope(Body::Genesis(Box::new(Genesis {
        cluster: "orders".into(),
        instance: 0x1122,
        position: Position::new(1, 1),
        membership: membership(),
        machine_version: 2,
        codec: "raw".into(),
        content: Bytes::from_static(b"zero"),
    })))
}

fn query(consistency: Consistency) -> Ask {
    Ask::Query { query: Bytes::from_static(b"get"), consistency }
}

fn in_session(ask: SessionAsk) -> Envelope {
    request(Ask::Session(ask))
}

fn session_command() -> SessionAsk {
    SessionAsk::Command { session: 290, number: 4, command: Bytes::from_static(b"set") }
}

fn session_entry() -> Entry {
    let payload = Payload::Session(Bytes::from_static(b"of a session"));
    Entry { term: Term(7), index: Index(301), time: LogTime(1000), payload }
}

fn request(ask: Ask) -> Envelope {
    envelope(Body::Request(Box::new(Request { id: 11, timeout_ms: 1000, hops: 1, ask })))
}

fn answer(result: Result<Bytes, Refusal>) -> Envelope {
    envelope(Body::Answer(Box::new(Answer { id: 11, result })))
}

fn refusal() -> Refusal {
    Refusal {
        code: "ENOTLEADER".into(),
        message: "not the leader".into(),
        leader: Some(("b".into(), "x:2".into())),
        outcome: Outcome::Unknown,
        position: Some((0x1122, Position::new(7, 301))),
    }
}

fn fetched(found: Found, entries: Vec<Entry>) -> Envelope {
    let prev = Position::new(6, 300);
    envelope(Body::Fetched(Box::new(Fetched { id: 12, found, prev, entries })))
}

fn append(entries: Vec<Entry>) -> Append {
    Append { seq: 8, round: Round(9), prev: Position::new(6, 300), entries, commit: Index(299) }
}

fn entries() -> Vec<Entry> {
    let payloads = [
        Payload::Noop,
        Payload::Command(Bytes::from_static(b"set")),
        Payload::Membership(Box::new(membership())),
        Payload::Unknown { kind: 900, body: Bytes::from_static(b"?") },
    ];
    let entry =
        |(index, payload)| Entry { term: Term(7), index: Index(index), time: LogTime(1), payload };
    (301..).zip(payloads).map(entry).collect()
}
