//! What a second reader looked for: schedules that give the wrong answer or none, each told as a test.

mod world;

use bytes::Bytes;
use skiff_core::{
    self as core, Append, AppendOutcome, AppendReply, Config, HardState, Instant, Membership,
    Message, NodeId, Output, Position, Raft, Recovered, Round, Term, Token,
};
use skiff_replica::{Consistency, Event, Index, LinkId, Outcome, Refusal, State};
use skiff_transport::{Answer as WireAnswer, Ask, Body, Envelope, Hello, Request, Standing};
use world::{Answer, MS, SECOND, Spec, World, bytes, followers, stranger::Stranger};

fn from_client(body: Body) -> Envelope {
    Envelope { group: 0, from: NodeId(0), to: NodeId(0), boot: 0, body }
}

/// A client that has said hello.
fn client(world: &mut World, name: &str) -> LinkId {
    let link = world.stranger(name);
    let hello = Hello { cluster: "orders".into(), standing: Standing::Client, ..Hello::default() };
    world.strange(name, link, from_client(Body::Hello(Box::new(hello))));
    world.run(5 * MS);
    link
}

fn ask(world: &mut World, name: &str, link: LinkId, id: u64, command: Bytes) {
    let ask = Ask::Command(command);
    let request = Request { id, timeout_ms: 1000, hops: 0, ask };
    world.strange(name, link, from_client(Body::Request(Box::new(request))));
}

fn answers(world: &World, name: &str, link: LinkId) -> Vec<WireAnswer> {
    let said = world.said_to(name, link).iter();
    said.filter_map(|envelope| match &envelope.body {
        Body::Answer(answer) => Some((**answer).clone()),
        _ => None,
    })
    .collect()
}

/// A request that came while too much was under way got no answer, was counted as under way for ever,
/// and those that came after it got none either.
#[test]
fn a_busy_node_says_so_and_goes_on() {
    let mut world = World::new();
    let spec = Spec { bootstrap: true, machine: 100 * MS, ..Spec::default() };
    world.add("a", Spec { remote_bytes: Some(500), ..spec });
    world.elect();
    let link = client(&mut world, "a");
    for id in 1..=20 {
        ask(&mut world, "a", link, id, bytes("\x01"));
    }
    world.run(2 * SECOND);
    let got = answers(&world, "a", link);
    let mut ids: Vec<u64> = got.iter().map(|answer| answer.id).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(1..=20), "each gets one answer: {got:?}");
    let (served, refused): (Vec<_>, Vec<_>) = got.into_iter().partition(|one| one.result.is_ok());
    assert!(!served.is_empty() && !refused.is_empty(), "{} are served", served.len());
    for answer in refused {
        let refusal = answer.result.expect_err("it is one");
        assert_eq!((refusal.code.as_str(), refusal.outcome), ("EBUSY", Outcome::NotApplied));
    }
    ask(&mut world, "a", link, 99, bytes("\x01"));
    world.run(2 * SECOND);
    let last = answers(&world, "a", link).pop().expect("it is answered");
    assert!(last.id == 99 && last.result.is_ok(), "{last:?}");
    assert_eq!(world.status("a").waiting_calls, 0);
}

/// A member stood still for a while, and somebody without any data took its name: when the member went
/// on, the others turned it away for as long as that one stayed.
#[test]
fn a_name_belongs_to_the_member_that_has_it() {
    let mut world = World::of_three();
    let leader = world.elect();
    let member = followers(&world, &leader).remove(0);
    let others = followers(&world, &member);
    others.iter().for_each(|other| world.cut(other, &member));
    world.run(2 * SECOND);
    let mut namesake = Stranger::new(99, &member);
    namesake.hello.nonce = 5;
    let links: Vec<_> =
        others.iter().map(|other| (other, namesake.meets(&mut world, other))).collect();
    others.iter().for_each(|other| world.heal(other, &member));
    for _ in 0..30 {
        for (other, link) in &links {
            if !world.was_closed(other, *link) {
                namesake.says_hello(&mut world, other, *link);
            }
        }
        world.run(100 * MS);
    }
    for other in &others {
        let status = world.status(other);
        let known = status.peers.iter().find(|peer| peer.name.as_deref() == Some(&*member));
        assert!(known.is_some_and(|peer| peer.connected), "{other} does not let it in");
    }
    let call = world.command(&leader, 1);
    assert_eq!(world.wait(&call), Answer::Response(1));
    world.run(SECOND);
    assert_eq!(world.value(&member), 1);
}

/// Who had said that it is a node, and then that it is a client, left a path to the node behind that led
/// nowhere.
#[test]
fn a_node_does_not_become_a_client() {
    let mut world = World::of_three();
    let leader = world.elect();
    let mut stranger = Stranger::new(99, "x");
    let link = stranger.meets(&mut world, &leader);
    assert!(!world.was_closed(&leader, link));
    stranger.hello.standing = Standing::Client;
    stranger.says_hello(&mut world, &leader, link);
    assert!(world.was_closed(&leader, link));
    let told = world
        .events(&leader)
        .iter()
        .any(|event| matches!(event, Event::PeerRefused { reason: Refusal::Protocol { .. }, .. }));
    assert!(told);
    let left = world.events(&leader).iter().any(|event| {
        matches!(event, Event::PeerDisconnected { peer, .. } if peer.name.as_deref() == Some("x"))
    });
    assert!(left);
}

/// A command larger than all that may wait was refused as too much, to be tried again later, although
/// nothing waited.
#[test]
fn one_command_of_any_allowed_size_may_wait() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        let spec = Spec::peers(&["a", "b", "c"]).forwarding();
        world.add(name, Spec { waiting_bytes: Some(1), ..spec });
    }
    let leader = world.elect();
    let follower = followers(&world, &leader).remove(0);
    for sum in [1000, 2000, 3000] {
        let call = world.command(&follower, 1000);
        assert_eq!(world.wait(&call), Answer::Response(sum));
    }
}

/// A message of the core that came before the hello, by a network that lost or reordered it, cost the
/// connection, and it was a while until that was dialled again.
#[test]
fn what_overtakes_a_hello_is_lost_and_nothing_else() {
    let mut world = World::of_three();
    let leader = world.elect();
    let term = world.status(&leader).term;
    let stranger = Stranger::new(99, "x");
    let link = world.stranger(&leader);
    let message = Message::AppendReply(AppendReply {
        seq: 1,
        round: Round(1),
        last: Index(1),
        outcome: AppendOutcome::Matched(Index(1)),
    });
    world.strange(&leader, link, stranger.says(Body::Raft { term, message }));
    world.run(5 * MS);
    assert!(!world.was_closed(&leader, link));
    stranger.says_hello(&mut world, &leader, link);
    let status = world.status(&leader);
    assert!(status.peers.iter().any(|peer| peer.name.as_deref() == Some("x") && peer.connected));
    assert_eq!(status.term, term);
}

/// Questions that a slow machine had not come to piled up behind it: those whose askers had given up
/// counted no more, and made room for others.
#[test]
fn questions_to_a_slow_machine_are_bounded() {
    let mut world = World::new();
    let spec = Spec { bootstrap: true, machine: 20 * SECOND, ..Spec::default() };
    world.add("a", Spec { remote_bytes: Some(1000), ..spec });
    world.until("a member", |world| world.status("a").state == State::Leader);
    world.record = Some(Vec::new());
    let link = client(&mut world, "a");
    for id in 1..=100 {
        let ask = Ask::Query { query: bytes("\x01"), consistency: Consistency::Local };
        let request = Request { id, timeout_ms: 50, hops: 0, ask };
        world.strange("a", link, from_client(Body::Request(Box::new(request))));
        world.run(100 * MS);
    }
    let jobs = world.record.take().unwrap_or_default();
    let asked = jobs.iter().filter(|job| job.contains("Query")).count();
    assert!((1..=20).contains(&asked), "{asked} wait for the machine");
    let busy = |answer: &WireAnswer| answer.result.as_ref().is_err_and(|r| r.code == "EBUSY");
    let got = answers(&world, "a", link);
    assert_eq!(got.len(), 100);
    assert_eq!(got.iter().filter(|answer| busy(answer)).count(), 100 - asked);
    // Once the machine has got rid of them there is room again.
    world.run(60 * SECOND);
    world.spec("a").machine = MS;
    let ask = Ask::Query { query: bytes("\x01"), consistency: Consistency::Local };
    let request = Request { id: 999, timeout_ms: 1000, hops: 0, ask };
    world.strange("a", link, from_client(Body::Request(Box::new(request))));
    world.run(SECOND);
    let last = answers(&world, "a", link).pop().expect("it is answered");
    assert_eq!((last.id, last.result), (999, Ok(bytes("\x01"))));
}

/// Readers that gave up all at once, behind a slow machine or a leader that did not answer, were looked
/// for one by one among all others: two hundred thousand of them kept the loop for minutes.
#[test]
fn readers_give_up_without_being_searched_for() {
    const READERS: u64 = 200_000;
    let (me, other) = (NodeId(1), NodeId(2));
    let raft = |members: &[NodeId]| {
        let mut config = Config::new(me);
        config.check_invariants = false;
        let recovered = Recovered {
            hard_state: HardState { term: Term(1), vote: None },
            base: Position::new(1, 1),
            last: Position::new(1, 1),
            membership: Membership::of(members.iter().copied()),
            applied: Index(1),
            ..Recovered::default()
        };
        Raft::new(Instant(0), config, recovered).expect("it can start")
    };
    let poll = |raft: &mut Raft, now: Instant| {
        let mut ready = 0;
        while let Some(output) = raft.poll() {
            match output {
                Output::Persist(write) => {
                    raft.step(now, core::Input::Persisted { write: write.id })
                }
                Output::ReadReady { .. } => ready += 1,
                _ => {}
            }
        }
        ready
    };
    let read_and_give_up = |raft: &mut Raft, now: Instant| {
        for token in 1..=READERS {
            raft.step(now, core::Input::Read { token: Token(token) });
        }
        poll(raft, now);
        for token in 1..READERS {
            raft.step(now, core::Input::Cancel { token: Token(token) });
        }
    };

    // Alone, it leads, and its machine does not apply what began its term.
    let mut alone = raft(&[me]);
    let now = alone.deadline().expect("it will campaign");
    alone.step(now, core::Input::Timeout);
    poll(&mut alone, now);
    assert!(alone.is_leader());
    read_and_give_up(&mut alone, now);
    alone.step(now, core::Input::Applied { index: alone.committed() });
    assert_eq!(poll(&mut alone, now), 1, "only the last is still there");

    // One that follows asks its leader, which does not answer.
    let mut follower = raft(&[me, other]);
    let append = Append {
        seq: 1,
        round: Round(1),
        prev: Position::new(1, 1),
        entries: Vec::new(),
        commit: Index(1),
    };
    let message = Message::Append(append);
    follower.step(Instant(1), core::Input::Message { from: other, term: Term(2), message });
    poll(&mut follower, Instant(1));
    assert_eq!(follower.leader(), Some(other));
    read_and_give_up(&mut follower, Instant(1));
}
