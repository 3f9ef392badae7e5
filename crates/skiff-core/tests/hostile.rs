//! Nothing that anybody says, in whatever order, makes a node panic or break its invariants: made-up
//! messages with absurd numbers, answers nobody asked for, membership entries, entries of unknown
//! kinds, disks that come late, under all options. A node may stop only where it must not go on.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use bytes::Bytes;
use common::{
    Cluster, MS,
    craft::{joint, log},
};
use proptest::{collection::vec, prelude::*};
use skiff_core::{
    Append, AppendOutcome, AppendReply, Entry, Fatal, Index, Input, LoadError, LogTime, Membership,
    Message, NodeId, Options, Payload, Position, Round, Term, Token,
};

const ME: NodeId = NodeId(1);

/// Small numbers that fit together, and the largest there are.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0_u64..8, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1), 1 => any::<u64>()]
}

fn node() -> impl Strategy<Value = NodeId> {
    (1_u128..6).prop_map(NodeId)
}

fn nodes() -> impl Strategy<Value = Vec<NodeId>> {
    vec(node(), 0..4)
}

fn position() -> impl Strategy<Value = Position> {
    (number(), number()).prop_map(|(term, index)| Position::new(term, index))
}

fn membership() -> impl Strategy<Value = Membership> {
    (nodes(), nodes()).prop_map(|(outgoing, incoming)| joint(&outgoing, &incoming))
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..9).prop_map(|bytes| Payload::Command(bytes.into())),
        2 => Just(Payload::Noop),
        2 => membership().prop_map(|one| Payload::Membership(Box::new(one))),
        1 => (4_u32..).prop_map(|kind| Payload::Unknown { kind, body: Bytes::new() }),
    ]
}

/// Entries that follow `prev`, mostly.
fn entries(prev: Position) -> impl Strategy<Value = Vec<Entry>> {
    let one = (payload(), number(), prop_oneof![9 => Just(0_u64), 1 => number()]);
    vec(one, 0..4).prop_map(move |made| {
        let made = (1..).zip(made);
        made.map(|(step, (payload, term, off))| Entry {
            term: Term(term.max(prev.term.0)),
            index: Index(prev.index.0.wrapping_add(step).wrapping_add(off)),
            time: LogTime(off),
            payload,
        })
        .collect()
    })
}

fn append() -> impl Strategy<Value = Message> {
    (number(), number(), position(), number())
        .prop_flat_map(|(seq, round, prev, commit)| {
            (Just((seq, Round(round), prev, Index(commit))), entries(prev))
        })
        .prop_map(|((seq, round, prev, commit), entries)| {
            Message::Append(Append { seq, round, prev, entries, commit })
        })
}

fn append_reply() -> impl Strategy<Value = Message> {
    let outcome = prop_oneof![
        number().prop_map(|index| AppendOutcome::Matched(Index(index))),
        (number(), position())
            .prop_map(|(prev, hint)| AppendOutcome::Mismatch { prev: Index(prev), hint }),
    ];
    (number(), number(), number(), outcome).prop_map(|(seq, round, last, outcome)| {
        let (round, last) = (Round(round), Index(last));
        Message::AppendReply(AppendReply { seq, round, last, outcome })
    })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        6 => append(),
        6 => append_reply(),
        1 => (number(), position())
            .prop_map(|(campaign, last)| Message::PreVote { campaign: Term(campaign), last }),
        2 => (number(), any::<bool>()).prop_map(|(campaign, granted)| {
            Message::PreVoteReply { campaign: Term(campaign), granted }
        }),
        2 => (position(), any::<bool>()).prop_map(|(last, transfer)| Message::Vote { last, transfer }),
        3 => any::<bool>().prop_map(|granted| Message::VoteReply { granted }),
        1 => Just(Message::TimeoutNow),
        1 => number().prop_map(|batch| Message::ReadIndex { batch }),
        1 => (number(), proptest::option::of(number())).prop_map(|(batch, index)| {
            Message::ReadIndexReply { batch, index: index.map(Index) }
        }),
    ]
}

/// One thing that happens to the node.
#[derive(Clone, Debug)]
enum Step {
    /// Said in the node's own term plus this.
    Said(NodeId, u64, Message),
    /// Said in this very term.
    SaidIn(NodeId, u64, Message),
    /// The deadline has come.
    Due,
    Pass(u64),
    /// Disk, machine and store do what they were asked for.
    Persist,
    Refuse,
    Applied,
    Loaded(u8),
    Propose(u64),
    Read,
    Cancel(u64),
    Unreachable(NodeId),
    Members(Membership),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (node(), 0_u64..2, message()).prop_map(|(from, up, m)| Step::Said(from, up, m)),
        4 => (node(), number(), message()).prop_map(|(from, term, m)| Step::SaidIn(from, term, m)),
        6 => Just(Step::Due),
        2 => (0_u64..400).prop_map(Step::Pass),
        6 => Just(Step::Persist),
        1 => Just(Step::Refuse),
        2 => Just(Step::Applied),
        2 => (0_u8..4).prop_map(Step::Loaded),
        3 => number().prop_map(Step::Propose),
        2 => Just(Step::Read),
        1 => (0_u64..40).prop_map(Step::Cancel),
        1 => node().prop_map(Step::Unreachable),
        1 => membership().prop_map(Step::Members),
        1 => Just(Step::Restart),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    any::<[bool; 5]>().prop_map(|[pre_vote, check_quorum, refuse_while_led, noop, fixed]| Options {
        pre_vote,
        check_quorum,
        refuse_while_led,
        noop,
        fixed_membership: fixed,
    })
}

/// How the node begins: its log, its members, and which of its lanes are slow.
type Beginning = (Options, Vec<u64>, Membership, [bool; 4]);

fn beginning() -> impl Strategy<Value = Beginning> {
    let terms = vec(1_u64..4, 0..6).prop_map(|mut terms| {
        terms.sort_unstable();
        terms
    });
    (options(), terms, membership(), any::<[bool; 4]>())
}

fn begin((options, terms, membership, slow): Beginning) -> Cluster {
    let mut founded = membership;
    // The node itself exists in any case, as a stranger if need be.
    founded.learners.insert(ME);
    founded.nodes.entry(ME).or_default();
    let mut cluster = Cluster::founded(founded, |config| {
        config.options = options;
        if slow[3] {
            (config.cache_bytes, config.append_bytes, config.write_bytes) = (80, 80, 80);
            (config.apply_bytes, config.window_messages, config.uncommitted_bytes) = (80, 1, 300);
        }
    });
    cluster.put(ME, terms.last().copied().unwrap_or(0), None, log(&terms));
    let member = cluster.member(ME);
    [member.slow_disk, member.slow_machine, member.slow_loads] = [slow[0], slow[1], slow[2]];
    cluster.may_stop = true;
    cluster.start(ME);
    cluster.drain(ME);
    cluster
}

fn act(cluster: &mut Cluster, step: Step, token: u64) {
    let term = cluster.raft(ME).term().0;
    match step {
        Step::Said(from, up, message) => cluster.hear(from, ME, term.saturating_add(up), message),
        Step::SaidIn(from, term, message) => cluster.hear(from, ME, term, message),
        Step::Due => cluster.time_out(ME),
        Step::Pass(ms) => {
            cluster.now = cluster.now.after(ms * MS);
            cluster.step(ME, Input::Timeout);
        }
        Step::Persist => cluster.persist(ME),
        Step::Refuse => {
            if let Some(write) = cluster.member(ME).pending.take() {
                let fault = skiff_core::Fault::WriteRefused { write: write.id };
                cluster.step(ME, Input::Fault(fault));
            }
        }
        Step::Applied => cluster.finish_apply(ME),
        Step::Loaded(how) => load(cluster, how),
        Step::Propose(time) => {
            let command = Bytes::from_static(b"x");
            let (token, time) = (Token(token), LogTime(time));
            cluster.step(ME, Input::Propose { token, command, time });
        }
        Step::Read => cluster.read(ME, token),
        Step::Cancel(token) => cluster.step(ME, Input::Cancel { token: Token(token) }),
        Step::Unreachable(node) => cluster.step(ME, Input::Unreachable { node }),
        Step::Members(membership) => cluster.step(ME, Input::SetMembership { membership }),
        Step::Restart => {
            cluster.crash(ME);
            cluster.start(ME);
            cluster.drain(ME);
        }
    }
}

/// What was asked for, one entry of it, an error if nothing depends on it, or entries of nowhere.
fn load(cluster: &mut Cluster, how: u8) {
    let applied = cluster.raft(ME).status().applied;
    let member = cluster.member(ME);
    let Some(wanted) = member.wanted.pop_front() else { return };
    let found = member.store.read(wanted.from, wanted.to, wanted.bytes_max);
    let result = match how {
        0 if wanted.from <= applied => Err(LoadError::Compacted),
        1 => found.map(|entries| entries.into_iter().take(1).collect()),
        _ => found,
    };
    cluster.step(ME, Input::Loaded { load: wanted.load, result });
}

/// Runs a life to its end and tells what became of the node.
fn live(beginning: Beginning, steps: Vec<Step>) -> Result<Cluster, TestCaseError> {
    let mut cluster = begin(beginning);
    for (token, step) in (0..).zip(steps) {
        act(&mut cluster, step, token);
        let raft = cluster.raft(ME);
        prop_assert_eq!(raft.check_invariants(), Ok(()));
        let Some(stopped) = &cluster.members[&ME].stopped else { continue };
        prop_assert!(
            matches!(stopped, Fatal::CommittedConflict { .. } | Fatal::UnknownEntry { .. }),
            "{}",
            stopped
        );
    }
    Ok(cluster)
}

/// `SKIFF_CASES` sets how many lives are tried.
fn cases() -> u32 {
    std::env::var("SKIFF_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_life_breaks_a_node(beginning in beginning(), steps in vec(step(), 1..60)) {
        live(beginning, steps)?;
    }

    /// Everything is answered once the node stops, whatever it was doing.
    #[test]
    fn a_stopped_node_owes_nothing(beginning in beginning(), mut steps in vec(step(), 1..40)) {
        // What a crash takes with it is not the core's to answer.
        steps.retain(|step| !matches!(step, Step::Restart));
        let asked: Vec<u64> = (0..)
            .zip(&steps)
            .filter(|(_, step)| matches!(step, Step::Propose(_) | Step::Read))
            .map(|(token, _)| token)
            .collect();
        let gone = |token: u64| steps.iter().any(|s| matches!(s, Step::Cancel(t) if *t == token));
        let mut cluster = live(beginning, steps.clone())?;
        cluster.step(ME, Input::Fault(skiff_core::Fault::StoreFailed));
        let member = &cluster.members[&ME];
        for token in asked.into_iter().filter(|token| !gone(*token)) {
            let token = Token(token);
            let answered = member.answered.contains_key(&token) || member.reads.contains_key(&token);
            prop_assert!(answered, "{token} waits for ever");
        }
    }

    /// A payload survives its bytes, of whatever kind it is.
    #[test]
    fn payloads_survive_their_bytes(payload in payload()) {
        prop_assert_eq!(Payload::from_parts(payload.kind(), payload.body()), Ok(payload));
    }

    /// Any bytes are refused, or are a payload that has the same bytes again, except that a
    /// membership has only one order of writing.
    #[test]
    fn arbitrary_bytes_are_a_payload_or_refused(kind in 0_u32..5, bytes in vec(any::<u8>(), 0..120)) {
        let bytes = Bytes::from(bytes);
        if let Ok(payload) = Payload::from_parts(kind, bytes.clone()) {
            prop_assert_eq!(payload.kind(), kind);
            match &payload {
                Payload::Membership(_) => {
                    prop_assert_eq!(Payload::from_parts(kind, payload.body()), Ok(payload.clone()));
                }
                _ => prop_assert_eq!(payload.body(), bytes),
            }
        }
    }

    /// Each byte of a membership matters, and no length that it claims is believed.
    #[test]
    fn damaged_memberships_do_no_harm(one in membership(), at in any::<proptest::sample::Index>(), to in any::<u8>()) {
        let mut bytes = one.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(other) = Membership::decode(&bytes) {
            prop_assert!(other.members().all(|id| other.nodes.contains_key(&id)));
        }
        for end in 0..bytes.len() {
            let _ = Membership::decode(&bytes[..end]);
        }
    }
}
