//! Envelopes of every kind, at random.

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use skiff_core::{
    Append, AppendOutcome, AppendReply, Entry, Index, LogTime, Membership, Message, Node, NodeId,
    Payload, Position, Round, Term,
};

use crate::{
    Admission, Answer, Ask, Body, Consistency, Envelope, Fetch, Fetched, Found, Genesis, Got,
    Hello, Joins, Listed, MemberChange, Newcomer, Offer, Outcome, Progress, Refusal, Request,
    SessionAsk, SnapshotPiece, Standing,
};

pub(super) fn any_envelope() -> BoxedStrategy<Envelope> {
    let header = (number(), any::<u128>(), any::<u128>(), number());
    (header, any_body())
        .prop_map(|((group, from, to, boot), body)| Envelope {
            group,
            from: NodeId(from),
            to: NodeId(to),
            boot,
            body,
        })
        .boxed()
}

/// Zero and the largest are as likely as all others together.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), 1_u64..300, any::<u64>()]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-zäß0-9:.]{1,20}"]
}

fn content() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn position() -> impl Strategy<Value = Position> {
    (number(), number()).prop_map(|(term, index)| Position::new(term, index))
}

fn node_id() -> impl Strategy<Value = NodeId> {
    any::<u128>().prop_map(NodeId)
}

fn any_body() -> BoxedStrategy<Body> {
    let raft = (number(), any_message());
    prop_oneof![
        1 => any_hello().prop_map(|it| Body::Hello(Box::new(it))),
        1 => any_genesis().prop_map(|it| Body::Genesis(Box::new(it))),
        1 => any_request().prop_map(|it| Body::Request(Box::new(it))),
        1 => any_answer().prop_map(|it| Body::Answer(Box::new(it))),
        1 => any_fetch().prop_map(|it| Body::Fetch(Box::new(it))),
        1 => any_admission().prop_map(|it| Body::Admission(Box::new(it))),
        1 => any_newcomer().prop_map(|it| Body::Newcomer(Box::new(it))),
        1 => (text(), any::<bool>()).prop_map(|(reason, removed)| Body::NotYet { reason, removed }),
        1 => any_fetched().prop_map(|it| Body::Fetched(Box::new(it))),
        1 => any_offer().prop_map(|it| Body::Offer(Box::new(it))),
        1 => any_piece().prop_map(|it| Body::Piece(Box::new(it))),
        1 => any_got().prop_map(|it| Body::Got(Box::new(it))),
        4 => raft.prop_map(|(term, message)| Body::Raft { term: Term(term), message }),
    ]
    .boxed()
}

fn any_message() -> BoxedStrategy<Message> {
    let term = || number().prop_map(Term);
    prop_oneof![
        (term(), position()).prop_map(|(campaign, last)| Message::PreVote { campaign, last }),
        (term(), any::<bool>())
            .prop_map(|(campaign, granted)| Message::PreVoteReply { campaign, granted }),
        (position(), any::<bool>()).prop_map(|(last, transfer)| Message::Vote { last, transfer }),
        any::<bool>().prop_map(|granted| Message::VoteReply { granted }),
        any_append().prop_map(Message::Append),
        any_append_reply().prop_map(Message::AppendReply),
        Just(Message::TimeoutNow),
        number().prop_map(|index| Message::Removed { index: Index(index) }),
        number().prop_map(|batch| Message::ReadIndex { batch }),
        (number(), option::of(number()))
            .prop_map(|(batch, index)| Message::ReadIndexReply { batch, index: index.map(Index) }),
    ]
    .boxed()
}

fn any_append() -> BoxedStrategy<Append> {
    let entry = (1..u64::MAX, number(), any_payload());
    let prev = (number(), prop_oneof![Just(0), 0..u64::MAX - 20]);
    (number(), number(), prev, number(), vec(entry, 0..20))
        .prop_map(|(seq, round, prev, commit, parts)| Append {
            seq,
            round: Round(round),
            prev: Position::new(prev.0, prev.1),
            commit: Index(commit),
            entries: (prev.1 + 1..).zip(parts).map(|(index, part)| entry_of(index, part)).collect(),
        })
        .boxed()
}

fn entry_of(index: u64, (term, time, payload): (u64, u64, Payload)) -> Entry {
    Entry { term: Term(term), index: Index(index), time: LogTime(time), payload }
}

fn any_payload() -> BoxedStrategy<Payload> {
    prop_oneof![
        1 => Just(Payload::Noop),
        4 => content().prop_map(Payload::Command),
        1 => any_membership().prop_map(|one| Payload::Membership(Box::new(one))),
        1 => content().prop_map(Payload::Session),
        1 => (4..=u32::MAX, content()).prop_map(|(kind, body)| Payload::Unknown { kind, body }),
    ]
    .boxed()
}

fn any_membership() -> BoxedStrategy<Membership> {
    let member = (node_id(), text(), text(), 0..3_u8);
    vec(member, 0..6)
        .prop_map(|members| {
            let mut membership = Membership::default();
            for (id, name, address, part) in members {
                let set = match part {
                    0 => &mut membership.voters,
                    1 => &mut membership.outgoing,
                    _ => &mut membership.learners,
                };
                set.insert(id);
                membership.nodes.insert(id, Node { name, address });
            }
            // Each learner by turns: none, to be a voter, to be one in place of another.
            let other = membership.voters.first().copied();
            for (at, id) in membership.learners.iter().enumerate().filter(|(at, _)| at % 3 > 0) {
                let replaces = other.filter(|one| at % 3 == 2 && *one != NodeId(0));
                membership.wishes.insert(*id, replaces);
            }
            membership
        })
        .boxed()
}

fn any_append_reply() -> BoxedStrategy<AppendReply> {
    let outcome = prop_oneof![
        number().prop_map(|index| AppendOutcome::Matched(Index(index))),
        (number(), position())
            .prop_map(|(prev, hint)| AppendOutcome::Mismatch { prev: Index(prev), hint }),
    ];
    (number(), number(), number(), outcome)
        .prop_map(|(seq, round, last, outcome)| AppendReply {
            seq,
            round: Round(round),
            last: Index(last),
            outcome,
        })
        .boxed()
}

fn any_hello() -> BoxedStrategy<Hello> {
    let standing = prop_oneof![
        Just(Standing::Fresh),
        Just(Standing::Member),
        Just(Standing::Removed),
        Just(Standing::Client)
    ];
    let who = (text(), option::of(any::<u128>()), text(), text(), standing);
    let state = (number(), number(), number(), any::<u32>());
    let listed = (text(), node_id()).prop_map(|(name, node)| Listed { name, node });
    let list = (any::<bool>(), vec(listed, 0..5), vec(text(), 0..3), joins(), any::<bool>());
    let flags = any::<(bool, bool, bool)>();
    (who, state, list, flags)
        .prop_map(|(who, state, list, flags)| Hello {
            cluster: who.0,
            instance: who.1,
            name: who.2,
            address: who.3,
            standing: who.4,
            nonce: state.0,
            term: Term(state.1),
            durable: Index(state.2),
            feature_level: state.3,
            list_closed: list.0,
            list: list.1,
            unresolved: list.2,
            leaving: flags.0,
            farewell: flags.1,
            full: flags.2,
            joins: list.3,
            named: list.4,
        })
        .boxed()
}

fn joins() -> impl Strategy<Value = Joins> {
    prop_oneof![Just(Joins::Not), Just(Joins::AsVoter), Just(Joins::AsLearner)]
}

fn any_admission() -> BoxedStrategy<Admission> {
    (any_membership(), any_genesis())
        .prop_map(|(membership, genesis)| Admission { membership, genesis })
        .boxed()
}

fn any_newcomer() -> BoxedStrategy<Newcomer> {
    (node_id(), text(), text(), joins(), any::<bool>())
        .prop_map(|(node, name, address, joins, named)| Newcomer {
            node,
            name,
            address,
            joins,
            named,
        })
        .boxed()
}

fn any_change() -> BoxedStrategy<MemberChange> {
    prop_oneof![
        text().prop_map(|address| MemberChange::AddLearner { address }),
        text().prop_map(|address| MemberChange::AddVoter { address }),
        text().prop_map(|name| MemberChange::Remove { name }),
        (text(), text()).prop_map(|(name, address)| MemberChange::Replace { name, address }),
    ]
    .boxed()
}

fn any_genesis() -> BoxedStrategy<Genesis> {
    let machine = (any::<u32>(), text(), content());
    (text(), any::<u128>(), position(), any_membership(), machine)
        .prop_map(|(cluster, instance, position, membership, machine)| Genesis {
            cluster,
            instance,
            position,
            membership,
            machine_version: machine.0,
            codec: machine.1,
            content: machine.2,
        })
        .boxed()
}

fn any_request() -> BoxedStrategy<Request> {
    let consistency = prop_oneof![
        Just(Consistency::Linearizable),
        Just(Consistency::Local),
        Just(Consistency::Lease),
        number().prop_map(Consistency::BoundedStale),
    ];
    let ask = prop_oneof![
        content().prop_map(Ask::Command),
        (content(), consistency).prop_map(|(query, consistency)| Ask::Query { query, consistency }),
        Just(Ask::Status),
        number().prop_map(|timeout_ms| Ask::Session(SessionAsk::Begin { timeout_ms })),
        (1..=u64::MAX, 1..=u64::MAX, content()).prop_map(|(session, number, command)| {
            Ask::Session(SessionAsk::Command { session, number, command })
        }),
        (1..=u64::MAX).prop_map(|session| Ask::Session(SessionAsk::End { session })),
        option::of("[a-z]{1,9}").prop_map(|to| Ask::Transfer { to }),
        (any::<u128>(), position())
            .prop_map(|(instance, position)| Ask::Fate { instance, position }),
        any_change().prop_map(Ask::Change),
        Just(Ask::Snapshot),
        (option::of(position()), number(), any::<u32>())
            .prop_map(|(position, offset, bytes_max)| Ask::Backup { position, offset, bytes_max },),
    ];
    (number(), number(), any::<u32>(), ask)
        .prop_map(|(id, timeout_ms, hops, ask)| Request { id, timeout_ms, hops, ask })
        .boxed()
}

fn any_answer() -> BoxedStrategy<Answer> {
    let result = prop_oneof![content().prop_map(Ok), any_refusal().prop_map(Err)];
    (number(), result).prop_map(|(id, result)| Answer { id, result }).boxed()
}

fn any_fetch() -> BoxedStrategy<Fetch> {
    (number(), number(), position())
        .prop_map(|(id, from, last)| Fetch { id, from: Index(from), last })
        .boxed()
}

fn any_fetched() -> BoxedStrategy<Fetched> {
    let found = prop_oneof![
        Just(Found::Entries),
        Just(Found::Committed),
        Just(Found::Differs),
        Just(Found::Damaged),
        Just(Found::Compacted),
    ];
    (number(), found, any_append())
        .prop_map(|(id, found, Append { prev, entries, .. })| Fetched { id, found, prev, entries })
        .boxed()
}

fn any_offer() -> BoxedStrategy<Offer> {
    let runs = vec((number(), number()), 0..5);
    let sizes = (number(), any::<u32>(), any::<u32>(), option::of(any_membership()));
    (number(), position(), number(), any_membership(), runs, text(), sizes)
        .prop_map(|(transfer, position, time, membership, runs, codec, sizes)| Offer {
            transfer,
            position,
            time: LogTime(time),
            membership,
            terms: runs.into_iter().map(|(index, term)| (Index(index), Term(term))).collect(),
            machine_version: sizes.1,
            codec,
            size: sizes.0,
            checksum: sizes.2,
            admits: sizes.3,
        })
        .boxed()
}

fn any_piece() -> BoxedStrategy<SnapshotPiece> {
    (number(), number(), content())
        .prop_map(|(transfer, offset, bytes)| SnapshotPiece { transfer, offset, bytes })
        .boxed()
}

fn any_got() -> BoxedStrategy<Got> {
    let progress = prop_oneof![
        Just(Progress::Going),
        Just(Progress::Gap),
        Just(Progress::Done),
        Just(Progress::Refused),
        Just(Progress::Failed),
    ];
    (number(), number(), progress)
        .prop_map(|(transfer, kept, progress)| Got { transfer, kept, progress })
        .boxed()
}

fn any_refusal() -> BoxedStrategy<Refusal> {
    let outcome = prop_oneof![
        Just(Outcome::NotApplied),
        Just(Outcome::Unknown),
        Just(Outcome::AppliedResponseLost)
    ];
    let leader = option::of((text(), text()));
    let position = option::of((any::<u128>(), position()));
    (text(), text(), leader, outcome, position)
        .prop_map(|(code, message, leader, outcome, position)| Refusal {
            code,
            message,
            leader,
            outcome,
            position,
        })
        .boxed()
}
