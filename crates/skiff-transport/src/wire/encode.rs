//! From an envelope to bytes.

use bytes::BytesMut;
use prost::encoding::{message, uint64};
use skiff_core::{Append, AppendOutcome, AppendReply, Index, Message, Round, Term};

use super::{
    entries, generated as pb,
    numbers::{body, id, node, position},
};
use crate::envelope::{
    Admission, Answer, Ask, Body, Consistency, Envelope, Fetch, Fetched, Found, Genesis, Got,
    Hello, Joins, MemberChange, Newcomer, Offer, Outcome, Progress, Refusal, Request, SessionAsk,
    SnapshotPiece, Standing,
};

/// Appends the bytes of `envelope` to `out`.
pub fn encode(envelope: &Envelope, out: &mut BytesMut) {
    put_number(1, envelope.group, out);
    if let Some(from) = node(envelope.from) {
        message::encode(2, &from, out);
    }
    if let Some(to) = node(envelope.to) {
        message::encode(3, &to, out);
    }
    put_number(4, envelope.boot, out);
    match &envelope.body {
        Body::Hello(it) => message::encode(body::HELLO, &hello(it), out),
        Body::Genesis(it) => message::encode(body::GENESIS, &genesis(it), out),
        Body::Request(it) => message::encode(body::REQUEST, &request(it), out),
        Body::Answer(it) => message::encode(body::ANSWER, &answer(it), out),
        Body::Fetch(it) => message::encode(body::FETCH, &fetch(it), out),
        Body::Admission(it) => message::encode(body::ADMISSION, &admission(it), out),
        Body::Newcomer(it) => message::encode(body::NEWCOMER, &newcomer(it), out),
        Body::NotYet { reason, removed } => {
            let it = pb::NotYet { reason: reason.clone(), removed: *removed };
            message::encode(body::NOT_YET, &it, out);
        }
        Body::Fetched(it) => entries::encode(body::FETCHED, &fetched(it), out),
        Body::Offer(it) => message::encode(body::OFFER, &offer(it), out),
        Body::Piece(it) => message::encode(body::PIECE, &piece(it), out),
        Body::Got(it) => message::encode(body::GOT, &got(it), out),
        Body::Raft { term, message } => {
            put_number(5, term.0, out);
            put_message(message, out);
        }
    }
}

/// A number, left out if it is zero, as everywhere in protobuf.
fn put_number(tag: u32, number: u64, out: &mut BytesMut) {
    if number != 0 {
        uint64::encode(tag, &number, out);
    }
}

fn put_message(message: &Message, out: &mut BytesMut) {
    match message {
        Message::PreVote { campaign, last } => {
            let it = pb::PreVote { campaign: campaign.0, last: Some(position(*last)) };
            message::encode(body::PRE_VOTE, &it, out);
        }
        Message::PreVoteReply { campaign, granted } => {
            let it = pb::PreVoteReply { campaign: campaign.0, granted: *granted };
            message::encode(body::PRE_VOTE_REPLY, &it, out);
        }
        Message::Vote { last, transfer } => {
            let it = pb::Vote { last: Some(position(*last)), transfer: *transfer };
            message::encode(body::VOTE, &it, out);
        }
        Message::VoteReply { granted } => {
            message::encode(body::VOTE_REPLY, &pb::VoteReply { granted: *granted }, out);
        }
        Message::Append(it) => entries::encode(body::APPEND, it, out),
        Message::AppendReply(it) => message::encode(body::APPEND_REPLY, &append_reply(it), out),
        Message::TimeoutNow => message::encode(body::TIMEOUT_NOW, &pb::TimeoutNow {}, out),
        Message::Removed { index } => {
            message::encode(body::REMOVED, &pb::Removed { index: index.0 }, out);
        }
        Message::ReadIndex { batch } => {
            message::encode(body::READ_INDEX, &pb::ReadIndex { batch: *batch }, out);
        }
        Message::ReadIndexReply { batch, index } => {
            let it = pb::ReadIndexReply { batch: *batch, index: index.map(|index| index.0) };
            message::encode(body::READ_INDEX_REPLY, &it, out);
        }
    }
}

fn append_reply(reply: &AppendReply) -> pb::AppendReply {
    let outcome = match reply.outcome {
        AppendOutcome::Matched(index) => pb::append_reply::Outcome::Matched(index.0),
        AppendOutcome::Mismatch { prev, hint } => {
            let hint = Some(position(hint));
            pb::append_reply::Outcome::Mismatch(pb::Mismatch { prev: prev.0, hint })
        }
    };
    pb::AppendReply {
        seq: reply.seq,
        round: reply.round.0,
        last: reply.last.0,
        outcome: Some(outcome),
    }
}

fn hello(hello: &Hello) -> pb::Hello {
    let standing = match hello.standing {
        Standing::Fresh => 0,
        Standing::Member => 1,
        Standing::Removed => 2,
        Standing::Client => 3,
    };
    let listed = |it: &crate::Listed| pb::Listed { name: it.name.clone(), node: node(it.node) };
    pb::Hello {
        cluster: hello.cluster.clone(),
        instance: hello.instance.map(id),
        name: hello.name.clone(),
        address: hello.address.clone(),
        standing,
        nonce: hello.nonce,
        term: hello.term.0,
        durable: hello.durable.0,
        feature_level: hello.feature_level,
        list_closed: hello.list_closed,
        list: hello.list.iter().map(listed).collect(),
        unresolved: hello.unresolved.clone(),
        leaving: hello.leaving,
        farewell: hello.farewell,
        full: hello.full,
        joins: joins(hello.joins),
        named: hello.named,
    }
}

const fn joins(joins: Joins) -> u32 {
    match joins {
        Joins::Not => 0,
        Joins::AsVoter => 1,
        Joins::AsLearner => 2,
    }
}

fn admission(admission: &Admission) -> pb::Admission {
    pb::Admission {
        membership: admission.membership.encode().into(),
        genesis: Some(genesis(&admission.genesis)),
    }
}

fn newcomer(newcomer: &Newcomer) -> pb::Newcomer {
    pb::Newcomer {
        node: node(newcomer.node),
        name: newcomer.name.clone(),
        address: newcomer.address.clone(),
        joins: joins(newcomer.joins),
        named: newcomer.named,
    }
}

fn genesis(genesis: &Genesis) -> pb::Genesis {
    pb::Genesis {
        cluster: genesis.cluster.clone(),
        instance: Some(id(genesis.instance)),
        position: Some(position(genesis.position)),
        membership: genesis.membership.encode().into(),
        machine_version: genesis.machine_version,
        codec: genesis.codec.clone(),
        content: genesis.content.clone(),
    }
}

fn request(request: &Request) -> pb::Request {
    let ask = match &request.ask {
        Ask::Command(command) => pb::request::Ask::Command(command.clone()),
        Ask::Session(ask) => pb::request::Ask::Session(session(ask)),
        Ask::Query { query, consistency } => {
            let (consistency, max_age_ms) = match consistency {
                Consistency::Linearizable => (0, 0),
                Consistency::Local => (1, 0),
                Consistency::Lease => (2, 0),
                Consistency::BoundedStale(max_age_ms) => (3, *max_age_ms),
            };
            pb::request::Ask::Query(pb::Query { query: query.clone(), consistency, max_age_ms })
        }
        Ask::Status => pb::request::Ask::Status(pb::Status {}),
        Ask::Transfer { to } => {
            pb::request::Ask::Transfer(pb::Transfer { to: to.clone().unwrap_or_default() })
        }
        Ask::Snapshot => pb::request::Ask::Snapshot(pb::TakeSnapshot {}),
        Ask::Backup { position: at, offset, bytes_max } => {
            let (position, offset, bytes_max) = (at.map(position), *offset, *bytes_max);
            pb::request::Ask::Backup(pb::Backup { position, offset, bytes_max })
        }
        Ask::Fate { instance, position: at } => {
            let (instance, position) = (Some(id(*instance)), Some(position(*at)));
            pb::request::Ask::Fate(pb::Fate { instance, position })
        }
        Ask::Change(it) => pb::request::Ask::Change(change(it)),
    };
    pb::Request {
        id: request.id,
        timeout_ms: request.timeout_ms,
        hops: request.hops,
        ask: Some(ask),
    }
}

fn change(change: &MemberChange) -> pb::Change {
    let (kind, name, address) = match change {
        MemberChange::AddLearner { address } => (0, "", address.as_str()),
        MemberChange::AddVoter { address } => (1, "", address.as_str()),
        MemberChange::Remove { name } => (2, name.as_str(), ""),
        MemberChange::Replace { name, address } => (3, name.as_str(), address.as_str()),
    };
    pb::Change { kind, name: name.to_owned(), address: address.to_owned() }
}

fn answer(answer: &Answer) -> pb::Answer {
    let result = match &answer.result {
        Ok(response) => pb::answer::Result::Response(response.clone()),
        Err(it) => pb::answer::Result::Refusal(refusal(it)),
    };
    pb::Answer { id: answer.id, result: Some(result) }
}

fn fetch(fetch: &Fetch) -> pb::Fetch {
    pb::Fetch { id: fetch.id, from: fetch.from.0, last: Some(position(fetch.last)) }
}

/// It has the fields of an Append, as far as it has any.
fn fetched(fetched: &Fetched) -> Append {
    let found = match fetched.found {
        Found::Entries => 0,
        Found::Committed => 1,
        Found::Differs => 2,
        Found::Damaged => 3,
        Found::Compacted => 4,
    };
    Append {
        seq: fetched.id,
        round: Round(found),
        prev: fetched.prev,
        entries: fetched.entries.clone(),
        commit: Index::ZERO,
    }
}

fn offer(it: &Offer) -> pb::Offer {
    let run = |(index, term): &(Index, Term)| pb::Position { term: term.0, index: index.0 };
    pb::Offer {
        transfer: it.transfer,
        position: Some(position(it.position)),
        time: it.time.0,
        membership: it.membership.encode().into(),
        terms: it.terms.iter().map(run).collect(),
        machine_version: it.machine_version,
        codec: it.codec.clone(),
        size: it.size,
        checksum: it.checksum,
        admits: it.admits.as_ref().map(|members| members.encode().into()).unwrap_or_default(),
    }
}

fn piece(it: &SnapshotPiece) -> pb::Piece {
    pb::Piece { transfer: it.transfer, offset: it.offset, content: it.bytes.clone() }
}

const fn got(it: &Got) -> pb::Got {
    let progress = match it.progress {
        Progress::Going => 0,
        Progress::Gap => 1,
        Progress::Done => 2,
        Progress::Refused => 3,
        Progress::Failed => 4,
    };
    pb::Got { transfer: it.transfer, kept: it.kept, progress }
}

fn refusal(refusal: &Refusal) -> pb::Refusal {
    let outcome = match refusal.outcome {
        Outcome::NotApplied => 0,
        Outcome::Unknown => 1,
        Outcome::AppliedResponseLost => 2,
    };
    let leader = refusal.leader.clone();
    pb::Refusal {
        code: refusal.code.clone(),
        message: refusal.message.clone(),
        leader: leader.map(|(name, address)| pb::Leader { name, address }),
        outcome,
        instance: refusal.position.map(|(instance, _)| id(instance)),
        position: refusal.position.map(|(_, at)| position(at)),
    }
}

fn session(ask: &SessionAsk) -> pb::SessionAsk {
    match ask {
        SessionAsk::Begin { timeout_ms } => {
            pb::SessionAsk { timeout_ms: *timeout_ms, ..pb::SessionAsk::default() }
        }
        SessionAsk::Command { session, number, command } => pb::SessionAsk {
            session: *session,
            number: *number,
            command: command.clone(),
            timeout_ms: 0,
        },
        SessionAsk::End { session } => {
            pb::SessionAsk { session: *session, ..pb::SessionAsk::default() }
        }
    }
}
