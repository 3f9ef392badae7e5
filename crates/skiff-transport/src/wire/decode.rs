//! From bytes to an envelope. Nothing here believes a length before it has seen the bytes.

use bytes::{Buf, Bytes};
use prost::{
    Message as _,
    encoding::{
        DecodeContext, WireType, check_wire_type, decode_key, decode_varint, message, skip_field,
        uint64,
    },
};
use skiff_core::{AppendOutcome, AppendReply, Index, LogTime, Membership, Message, Round, Term};

use super::{
    MAX_HELLO, WireError, entries, generated as pb,
    numbers::{body, core_position, node_id, number},
};
use crate::envelope::{
    Admission, Answer, Ask, Body, Consistency, Envelope, Fetch, Fetched, Found, Genesis, Got,
    Hello, Joins, Listed, MemberChange, Newcomer, Offer, Outcome, Progress, Refusal, Request,
    SessionAsk, SnapshotPiece, Standing,
};

/// The envelope that `bytes` are, all of them. What entries and commands hold is not copied: it
/// keeps `bytes` alive.
///
/// # Errors
///
/// If they are not one envelope of this version; [`WireError::is_unknown`] tells apart what a later
/// version may have sent.
pub fn decode(mut bytes: Bytes) -> Result<Envelope, WireError> {
    let (mut group, mut from, mut to, mut boot, mut term) = (0, None, None, 0, 0);
    let mut said = None;
    while bytes.has_remaining() {
        let context = DecodeContext::default();
        let (tag, kind) = decode_key(&mut bytes)?;
        match tag {
            1 => uint64::merge(kind, &mut group, &mut bytes, context)?,
            2 => message::merge(kind, from.get_or_insert_default(), &mut bytes, context)?,
            3 => message::merge(kind, to.get_or_insert_default(), &mut bytes, context)?,
            4 => uint64::merge(kind, &mut boot, &mut bytes, context)?,
            5 => uint64::merge(kind, &mut term, &mut bytes, context)?,
            body::FIRST.. => {
                check_wire_type(WireType::LengthDelimited, kind)?;
                let part = take_part(&mut bytes)?;
                if said.replace(take_body(tag, part)?).is_some() {
                    return Err(WireError::Malformed("envelope: two bodies"));
                }
            }
            _ => skip_field(kind, tag, &mut bytes, context)?,
        }
    }
    let mut body = said.ok_or(WireError::Malformed("envelope: no body"))?;
    if let Body::Raft { term: of, .. } = &mut body {
        *of = Term(term);
    }
    Ok(Envelope { group, from: node_id(from), to: node_id(to), boot, body })
}

/// A length and so many bytes.
pub(super) fn take_part(bytes: &mut Bytes) -> Result<Bytes, WireError> {
    match usize::try_from(decode_varint(bytes)?) {
        Ok(length) if length <= bytes.len() => Ok(bytes.split_to(length)),
        _ => Err(WireError::Malformed("message: it ends early")),
    }
}

fn take_body(tag: u32, part: Bytes) -> Result<Body, WireError> {
    let message = match tag {
        body::HELLO => return hello(part).map(|it| Body::Hello(Box::new(it))),
        body::GENESIS => return genesis(part).map(|it| Body::Genesis(Box::new(it))),
        body::REQUEST => return request(part).map(|it| Body::Request(Box::new(it))),
        body::ANSWER => return answer(part).map(|it| Body::Answer(Box::new(it))),
        body::FETCH => {
            let it = pb::Fetch::decode(part)?;
            let (from, last) = (Index(it.from), core_position(it.last));
            return Ok(Body::Fetch(Box::new(Fetch { id: it.id, from, last })));
        }
        body::OFFER => return offer(part).map(|it| Body::Offer(Box::new(it))),
        body::PIECE => {
            let pb::Piece { transfer, offset, content } = pb::Piece::decode(part)?;
            let piece = SnapshotPiece { transfer, offset, bytes: content };
            return Ok(Body::Piece(Box::new(piece)));
        }
        body::GOT => return Ok(Body::Got(Box::new(got(pb::Got::decode(part)?)))),
        body::ADMISSION => return admission(part).map(|it| Body::Admission(Box::new(it))),
        body::NEWCOMER => return newcomer(part).map(|it| Body::Newcomer(Box::new(it))),
        body::NOT_YET => {
            let pb::NotYet { reason, removed } = pb::NotYet::decode(part)?;
            return Ok(Body::NotYet { reason, removed });
        }
        body::FETCHED => return fetched(part).map(|it| Body::Fetched(Box::new(it))),
        body::PRE_VOTE => {
            let it = pb::PreVote::decode(part)?;
            Message::PreVote { campaign: Term(it.campaign), last: core_position(it.last) }
        }
        body::PRE_VOTE_REPLY => {
            let it = pb::PreVoteReply::decode(part)?;
            Message::PreVoteReply { campaign: Term(it.campaign), granted: it.granted }
        }
        body::VOTE => {
            let it = pb::Vote::decode(part)?;
            Message::Vote { last: core_position(it.last), transfer: it.transfer }
        }
        body::VOTE_REPLY => Message::VoteReply { granted: pb::VoteReply::decode(part)?.granted },
        body::APPEND => Message::Append(entries::decode(part)?),
        body::APPEND_REPLY => Message::AppendReply(append_reply(part)?),
        body::TIMEOUT_NOW => {
            pb::TimeoutNow::decode(part)?;
            Message::TimeoutNow
        }
        body::REMOVED => Message::Removed { index: Index(pb::Removed::decode(part)?.index) },
        body::READ_INDEX => Message::ReadIndex { batch: pb::ReadIndex::decode(part)?.batch },
        body::READ_INDEX_REPLY => {
            let it = pb::ReadIndexReply::decode(part)?;
            Message::ReadIndexReply { batch: it.batch, index: it.index.map(Index) }
        }
        number => return Err(WireError::Unknown { what: "body", number }),
    };
    Ok(Body::Raft { term: Term::ZERO, message })
}

/// The error for a `oneof` without any alternative that is known: its number, if there is one.
/// Alternatives are numbered from [`body::FIRST`] in every message.
fn no_alternative(what: &'static str, mut part: Bytes) -> WireError {
    while let Ok((tag, kind)) = decode_key(&mut part) {
        if tag >= body::FIRST {
            return WireError::Unknown { what, number: tag };
        }
        if skip_field(kind, tag, &mut part, DecodeContext::default()).is_err() {
            break;
        }
    }
    WireError::Malformed(what)
}

fn append_reply(part: Bytes) -> Result<AppendReply, WireError> {
    let it = pb::AppendReply::decode(part.clone())?;
    let outcome = match it.outcome {
        Some(pb::append_reply::Outcome::Matched(index)) => AppendOutcome::Matched(Index(index)),
        Some(pb::append_reply::Outcome::Mismatch(it)) => {
            AppendOutcome::Mismatch { prev: Index(it.prev), hint: core_position(it.hint) }
        }
        None => return Err(no_alternative("answer to an append", part)),
    };
    Ok(AppendReply { seq: it.seq, round: Round(it.round), last: Index(it.last), outcome })
}

fn hello(part: Bytes) -> Result<Hello, WireError> {
    if part.len() > MAX_HELLO {
        return Err(WireError::TooLarge { what: "hello", limit: MAX_HELLO });
    }
    let it = pb::Hello::decode(part)?;
    let standing = match it.standing {
        0 => Standing::Fresh,
        1 => Standing::Member,
        2 => Standing::Removed,
        3 => Standing::Client,
        number => return Err(WireError::Unknown { what: "standing", number }),
    };
    let listed = |it: pb::Listed| Listed { name: it.name, node: node_id(it.node) };
    Ok(Hello {
        cluster: it.cluster,
        instance: it.instance.map(number),
        name: it.name,
        address: it.address,
        standing,
        nonce: it.nonce,
        term: Term(it.term),
        durable: Index(it.durable),
        feature_level: it.feature_level,
        list_closed: it.list_closed,
        list: it.list.into_iter().map(listed).collect(),
        unresolved: it.unresolved,
        leaving: it.leaving,
        farewell: it.farewell,
        full: it.full,
        joins: joins(it.joins),
        named: it.named,
    })
}

/// What a later version may say beside these counts for nothing here.
const fn joins(number: u32) -> Joins {
    match number {
        0 => Joins::Not,
        1 => Joins::AsVoter,
        _ => Joins::AsLearner,
    }
}

fn admission(part: Bytes) -> Result<Admission, WireError> {
    let it = pb::Admission::decode(part)?;
    let membership = Membership::decode(&it.membership)
        .map_err(|_| WireError::Malformed("admission: its membership"))?;
    let begins = it.genesis.ok_or(WireError::Malformed("admission: no genesis"))?;
    Ok(Admission { membership, genesis: genesis_of(begins)? })
}

fn newcomer(part: Bytes) -> Result<Newcomer, WireError> {
    let it = pb::Newcomer::decode(part)?;
    Ok(Newcomer {
        node: node_id(it.node),
        name: it.name,
        address: it.address,
        joins: joins(it.joins),
        named: it.named,
    })
}

fn genesis(part: Bytes) -> Result<Genesis, WireError> {
    genesis_of(pb::Genesis::decode(part)?)
}

fn genesis_of(it: pb::Genesis) -> Result<Genesis, WireError> {
    let membership = Membership::decode(&it.membership)
        .map_err(|_| WireError::Malformed("genesis: its membership"))?;
    Ok(Genesis {
        cluster: it.cluster,
        instance: it.instance.map(number).ok_or(WireError::Malformed("genesis: no instance"))?,
        position: core_position(it.position),
        membership,
        machine_version: it.machine_version,
        codec: it.codec,
        content: it.content,
    })
}

fn offer(part: Bytes) -> Result<Offer, WireError> {
    let it = pb::Offer::decode(part)?;
    let membership = Membership::decode(&it.membership)
        .map_err(|_| WireError::Malformed("offer: its membership"))?;
    let admits = Some(&it.admits).filter(|bytes| !bytes.is_empty());
    let admits = admits.map(|bytes| Membership::decode(bytes)).transpose();
    let admits = admits.map_err(|_| WireError::Malformed("offer: the members by now"))?;
    let run = |run: pb::Position| (Index(run.index), Term(run.term));
    Ok(Offer {
        transfer: it.transfer,
        position: core_position(it.position),
        time: LogTime(it.time),
        membership,
        terms: it.terms.into_iter().map(run).collect(),
        machine_version: it.machine_version,
        codec: it.codec,
        size: it.size,
        checksum: it.checksum,
        admits,
    })
}

const fn got(it: pb::Got) -> Got {
    let progress = match it.progress {
        0 => Progress::Going,
        1 => Progress::Gap,
        2 => Progress::Done,
        3 => Progress::Refused,
        // Also what a later version may say.
        _ => Progress::Failed,
    };
    Got { transfer: it.transfer, kept: it.kept, progress }
}

fn request(part: Bytes) -> Result<Request, WireError> {
    let it = pb::Request::decode(part.clone())?;
    let ask = match it.ask {
        Some(pb::request::Ask::Command(command)) => Ask::Command(command),
        Some(pb::request::Ask::Query(it)) => {
            let consistency = match it.consistency {
                0 => Consistency::Linearizable,
                1 => Consistency::Local,
                2 => Consistency::Lease,
                3 => Consistency::BoundedStale(it.max_age_ms),
                number => return Err(WireError::Unknown { what: "consistency", number }),
            };
            Ask::Query { query: it.query, consistency }
        }
        Some(pb::request::Ask::Status(pb::Status {})) => Ask::Status,
        Some(pb::request::Ask::Session(it)) => Ask::Session(session(it)),
        Some(pb::request::Ask::Transfer(it)) => {
            Ask::Transfer { to: Some(it.to).filter(|name| !name.is_empty()) }
        }
        Some(pb::request::Ask::Snapshot(pb::TakeSnapshot {})) => Ask::Snapshot,
        Some(pb::request::Ask::Backup(pb::Backup { position, offset, bytes_max })) => {
            let position = position.map(|position| core_position(Some(position)));
            Ask::Backup { position, offset, bytes_max }
        }
        Some(pb::request::Ask::Fate(it)) => Ask::Fate {
            instance: it.instance.map(number).unwrap_or_default(),
            position: core_position(it.position),
        },
        Some(pb::request::Ask::Change(it)) => Ask::Change(change(it)?),
        None => return Err(no_alternative("request", part)),
    };
    Ok(Request { id: it.id, timeout_ms: it.timeout_ms, hops: it.hops, ask })
}

fn session(it: pb::SessionAsk) -> SessionAsk {
    let pb::SessionAsk { session, number, command, timeout_ms } = it;
    match (session, number) {
        (0, _) => SessionAsk::Begin { timeout_ms },
        (_, 0) => SessionAsk::End { session },
        _ => SessionAsk::Command { session, number, command },
    }
}

fn change(it: pb::Change) -> Result<MemberChange, WireError> {
    let pb::Change { kind, name, address } = it;
    Ok(match kind {
        0 => MemberChange::AddLearner { address },
        1 => MemberChange::AddVoter { address },
        2 => MemberChange::Remove { name },
        3 => MemberChange::Replace { name, address },
        number => return Err(WireError::Unknown { what: "change", number }),
    })
}

fn answer(part: Bytes) -> Result<Answer, WireError> {
    let it = pb::Answer::decode(part.clone())?;
    let result = match it.result {
        Some(pb::answer::Result::Response(response)) => Ok(response),
        Some(pb::answer::Result::Refusal(it)) => Err(refusal(it)?),
        None => return Err(no_alternative("answer", part)),
    };
    Ok(Answer { id: it.id, result })
}

fn fetched(part: Bytes) -> Result<Fetched, WireError> {
    let it = entries::decode(part)?;
    let found = match it.round.0 {
        0 => Found::Entries,
        1 => Found::Committed,
        3 => Found::Damaged,
        4 => Found::Compacted,
        // Also what a later version may say: it gives nothing.
        _ => Found::Differs,
    };
    Ok(Fetched { id: it.seq, found, prev: it.prev, entries: it.entries })
}

fn refusal(it: pb::Refusal) -> Result<Refusal, WireError> {
    let position = match (it.instance, it.position) {
        (Some(instance), Some(at)) => Some((number(instance), core_position(Some(at)))),
        (None, None) => None,
        _ => return Err(WireError::Malformed("refusal: half a position")),
    };
    let outcome = match it.outcome {
        0 => Outcome::NotApplied,
        2 => Outcome::AppliedResponseLost,
        // Also what a later version may say: nothing is known about it here.
        _ => Outcome::Unknown,
    };
    Ok(Refusal {
        code: it.code,
        message: it.message,
        leader: it.leader.map(|it| (it.name, it.address)),
        outcome,
        position,
    })
}
