//! Calls that travel: from clients, between nodes, and what is said about them on the wire.

mod world;

use bytes::Bytes;
use skiff_core::{Message, NodeId};
use skiff_replica::{
    CommandError, Consistency, EntryPosition, Event, Index, Input, InstanceId, Leader, LinkId,
    Outcome, Refused, Term, Token,
};
use skiff_transport::{
    Answer as WireAnswer, Ask, Body, Envelope, Hello, Refusal, Request, Signal, Standing,
};
use world::{
    Answer, MS, SECOND, Spec, World, bytes, followers, refused, stranger::Stranger,
    three_forwarding,
};

/// A follower that forwards, and a leader whose words are ours to choose.
struct Forwarding {
    world: World,
    leader: Stranger,
    link: LinkId,
}

impl Forwarding {
    fn new() -> Self {
        let b = Spec::peers(&["a", "b"]).forwarding();
        let (world, leader, link) = Stranger::leads(b, Term(2), 10 * MS);
        assert!(world.status("b").leader.is_some());
        Self { world, leader, link }
    }

    /// The requests that reached the leader so far.
    fn requests(&self) -> Vec<Request> {
        let said = self.world.said_to("b", self.link).iter();
        said.filter_map(|envelope| match &envelope.body {
            Body::Request(request) => Some((**request).clone()),
            _ => None,
        })
        .collect()
    }

    fn answer(&mut self, id: u64, result: Result<Bytes, Refusal>) {
        let answer = Body::Answer(Box::new(WireAnswer { id, result }));
        self.world.strange("b", self.link, self.leader.says(answer));
    }
}

#[test]
fn what_another_node_refused_for_not_leading_is_tried_again() {
    let mut forwarding = Forwarding::new();
    let call = forwarding.world.command("b", 7);
    forwarding.world.run(MS);
    let first = forwarding.requests().remove(0);
    assert_eq!((first.hops, first.timeout_ms, first.ask), (1, 5000, Ask::Command(bytes("\x07"))));
    let refusal = Refusal::from(Refused::NotLeader { leader: None });
    forwarding.answer(first.id, Err(refusal));
    forwarding.world.run(60 * MS);
    let requests = forwarding.requests();
    assert_eq!(requests.len(), 2, "it is asked again, after a while");
    assert!(requests[1].timeout_ms < 5000);
    forwarding.answer(requests[1].id, Ok(bytes("\x09")));
    assert_eq!(forwarding.world.wait(&call), Answer::Response(9));
}

#[test]
fn what_another_node_does_not_answer_may_have_taken_effect() {
    let mut forwarding = Forwarding::new();
    let call = forwarding.world.command_within("b", 7, 20 * MS);
    let error = refused(&mut forwarding.world, &call);
    assert_eq!(error, CommandError::Timeout { outcome: Outcome::Unknown, position: None });
    let call = forwarding.world.command("b", 8);
    forwarding.world.run(MS);
    let signal = Signal::Down("gone".into());
    forwarding.world.input("b", Input::Signal { link: forwarding.link, signal });
    let error = refused(&mut forwarding.world, &call);
    assert_eq!(error, CommandError::Disconnected);
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[test]
fn another_nodes_refusal_reaches_the_caller_as_it_is() {
    let mut forwarding = Forwarding::new();
    let call = forwarding.world.command("b", 7);
    forwarding.world.run(MS);
    let id = forwarding.requests().remove(0).id;
    forwarding.answer(id, Err(Refused::Busy { bytes: 77 }.into()));
    assert_eq!(refused(&mut forwarding.world, &call), CommandError::Busy { bytes: 77 });
}

/// A command that was passed on was taken for a new one by each node and went round for ever; under
/// load answers went to the wrong caller. Here two nodes believe each other to lead: each sends the
/// other's requests back.
#[test]
fn forward_once_and_to_whom_asked() {
    let mut forwarding = Forwarding::new();
    let call = forwarding.world.command_within("b", 7, SECOND);
    let (mut seen, mut answered) = (0, 0);
    for _ in 0..2_000 {
        forwarding.world.run(MS);
        let requests = forwarding.requests();
        for request in &requests[seen..] {
            let body = Body::Request(Box::new(request.clone()));
            forwarding.world.strange("b", forwarding.link, forwarding.leader.says(body));
        }
        seen = requests.len();
        let answers = answers(&forwarding.world, "b", forwarding.link);
        for answer in &answers[answered..] {
            forwarding.answer(answer.id, answer.result.clone());
        }
        answered = answers.len();
    }
    let requests = forwarding.requests();
    assert_eq!(requests.iter().map(|request| request.hops).max(), Some(3));
    assert!(requests.len() <= 3 + 1_000 / 50, "{} requests in a second", requests.len());
    assert!(matches!(forwarding.world.answer(&call), Some(Answer::Refused(_))));
    assert_eq!(forwarding.world.status("b").waiting_calls, 0);

    // Many at once, through nodes that do not lead, while leaders change: each answer is its own.
    let mut world = three_forwarding();
    let (mut calls, mut number) = (Vec::new(), 0);
    for round in 0..4 {
        let leader = world.elect();
        for name in followers(&world, &leader).into_iter().cycle().take(250) {
            number += 1;
            calls.push((number, world.command(&name, number)));
        }
        world.run((4 - round) * 2 * MS);
        world.crash(&leader);
        world.run(400 * MS);
        world.start(&leader);
    }
    world.run(10 * SECOND);
    let history = world.history(&world.leader().expect("all are up"));
    let mut right = 0;
    for (number, call) in &calls {
        if let Some(Answer::Response(sum)) = world.answer(call) {
            let at = history.iter().position(|done| done == number).expect("it was answered");
            assert_eq!(sum, history[..=at].iter().sum::<i64>(), "the answer of another");
            right += 1;
        }
    }
    assert!(right > 300, "only {right} of {} were answered", calls.len());
}

fn envelope(from: u128, body: Body) -> Envelope {
    let from = NodeId(from);
    Envelope { group: 0, from, to: NodeId(0), boot: 0, body }
}

fn client_hello() -> Envelope {
    let hello = Hello { cluster: "orders".into(), standing: Standing::Client, ..Hello::default() };
    envelope(0, Body::Hello(Box::new(hello)))
}

fn request(id: u64, ask: Ask) -> Envelope {
    envelope(0, Body::Request(Box::new(Request { id, timeout_ms: 1000, hops: 0, ask })))
}

fn answers(world: &World, name: &str, link: LinkId) -> Vec<WireAnswer> {
    let said = world.said_to(name, link).iter();
    said.filter_map(|envelope| match &envelope.body {
        Body::Answer(answer) => Some((**answer).clone()),
        _ => None,
    })
    .collect()
}

#[test]
fn a_client_is_served_like_a_local_caller() {
    let mut world = World::of_three();
    let leader = world.elect();
    let link = world.stranger(&leader);
    world.strange(&leader, link, client_hello());
    world.strange(&leader, link, request(1, Ask::Command(bytes("\x05"))));
    world.run(100 * MS);
    let query = Ask::Query { query: bytes("\x07"), consistency: Consistency::Linearizable };
    world.strange(&leader, link, request(2, query));
    world.strange(&leader, link, request(3, Ask::Status));
    world.run(100 * MS);
    let got = answers(&world, &leader, link);
    let mut got: Vec<_> = got.into_iter().map(|answer| (answer.id, answer.result)).collect();
    got.sort_by_key(|(id, _)| *id);
    let name = leader.clone().into();
    assert_eq!(got, [(1, Ok(bytes("\x05"))), (2, Ok(bytes("\x0c"))), (3, Ok(name))]);

    let follower = followers(&world, &leader).remove(0);
    let link = world.stranger(&follower);
    world.strange(&follower, link, client_hello());
    world.strange(&follower, link, request(9, Ask::Command(bytes("\x05"))));
    world.run(100 * MS);
    let refusal = answers(&world, &follower, link).remove(0).result.expect_err("it does not lead");
    assert_eq!(refusal.code, "ENOTLEADER");
    assert_eq!(refusal.leader, Some((leader.clone(), format!("{leader}:1"))));
}

/// Bytes that are no command never enter the log.
#[test]
fn undecodable_command() {
    for forwarding in [false, true] {
        let mut world = if forwarding { three_forwarding() } else { World::of_three() };
        let leader = world.elect();
        let last = world.status(&leader).core.map(|core| core.last);
        for name in world.names() {
            let link = world.stranger(&name);
            world.strange(&name, link, client_hello());
            for (id, command) in [(1, "\u{ff}"), (2, "\x05\x05"), (3, ""), (4, "text")] {
                world.strange(&name, link, request(id, Ask::Command(bytes(command))));
            }
            world.run(100 * MS);
            let answers = answers(&world, &name, link);
            assert_eq!(answers.len(), 4);
            for answer in answers {
                let refusal = answer.result.expect_err("it is no number");
                assert_eq!(
                    (refusal.code.as_str(), refusal.outcome),
                    ("EUNDECODABLE", Outcome::NotApplied)
                );
            }
        }
        assert_eq!(world.status(&leader).core.map(|core| core.last), last);
    }
}

#[test]
fn whoever_speaks_before_a_hello_is_turned_away_and_counted() {
    let mut world = World::of_three();
    let leader = world.elect();
    let before = world.status(&leader).refused;
    let link = world.stranger(&leader);
    world.strange(&leader, link, request(1, Ask::Status));
    world.run(10 * MS);
    assert!(world.was_closed(&leader, link));
    assert_eq!(world.status(&leader).refused, before + 1);
    let told = world.events(&leader).iter().any(|e| matches!(e, Event::PeerRefused { .. }));
    assert!(told);
    let call = world.command(&leader, 1);
    assert_eq!(world.wait(&call), Answer::Response(1), "others are served");
}

/// A client cannot speak as a member, and a member not as another.
#[test]
fn what_is_said_in_another_name_is_dropped() {
    let mut world = World::of_three();
    let leader = world.elect();
    let (term, state) = (world.status(&leader).term, world.status(&leader).state);
    let other = world.status(&leader).peers[0].node.expect("it is known");
    let link = world.stranger(&leader);
    world.strange(&leader, link, client_hello());
    let message = Message::VoteReply { granted: true };
    let body = Body::Raft { term: Term(99), message };
    world.strange(&leader, link, envelope(other.0, body.clone()));
    world.strange(&leader, link, envelope(0, body));
    world.run(SECOND);
    assert_eq!(world.status(&leader).refused, 2);
    assert_eq!((world.status(&leader).term, world.status(&leader).state), (term, state));
}

#[test]
fn the_answer_to_a_call_of_another_link_is_not_believed() {
    let mut world = three_forwarding();
    let leader = world.elect();
    let follower = followers(&world, &leader).remove(0);
    let link = world.stranger(&follower);
    world.strange(&follower, link, client_hello());
    world.run(10 * MS);
    let call = world.command(&follower, 5);
    let Token(id) = call.2;
    let forged = WireAnswer { id, result: Ok(bytes("\x63")) };
    world.strange(&follower, link, envelope(0, Body::Answer(Box::new(forged))));
    assert_eq!(world.wait(&call), Answer::Response(5));
}

#[test]
fn refusals_survive_the_wire() {
    let position = EntryPosition { instance: InstanceId(7), term: Term(3), index: Index(9) };
    let leader = Some(Leader { name: "a".into(), address: "a:1".into() });
    let outcome = Outcome::Unknown;
    for refused in [
        Refused::NotLeader { leader: leader.clone() },
        Refused::NotLeader { leader: None },
        Refused::Timeout { outcome, position: Some(position) },
        Refused::LeadershipLost { position, leader },
        Refused::Disconnected,
        Refused::Stopped { outcome: Outcome::NotApplied, position: None },
        Refused::Undecodable { reason: "nonsense".into(), outcome: Outcome::NotApplied },
        Refused::Undecodable { reason: "no bytes".into(), outcome: Outcome::AppliedResponseLost },
        Refused::Unsupported { what: "flying".into() },
        Refused::Busy { bytes: 77 },
        Refused::TooLarge { size: 9, limit: 8 },
    ] {
        let refusal = Refusal::from(refused.clone());
        let error = CommandError::from(refused.clone());
        assert_eq!(Refused::from(refusal), refused);
        assert!(error.code().starts_with('E'), "{error:?}");
        assert!(!error.to_string().ends_with('.'), "{error}");
    }
}
