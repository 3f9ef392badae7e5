//! Leadership that is handed over, nodes that stop, and what is told afterwards of what was under way.

mod world;

use skiff_core::{NodeId, TransferFailure};
use skiff_replica::{
    Call, CommandError, EntryPosition, Event, Fate, Index, Input, InstanceId, Outcome, State, Term,
    TransferError,
    storage::Room,
    transport::{Answer as WireAnswer, Ask, Body, Envelope, Hello, Request, Standing},
};
use world::{
    Answer, CallId, MS, PATIENCE, SECOND, World, bytes, followers, refused, three_forwarding,
};

fn transfer(world: &mut World, name: &str, to: Option<&str>) -> CallId {
    world.call(name, Call::Transfer(to.map(str::to_owned)), PATIENCE)
}

fn not_transferred(world: &mut World, call: &CallId) -> TransferError {
    match world.wait(call) {
        Answer::Refused(refused) => refused.into(),
        other => panic!("{other:?}"),
    }
}

fn assert_done(world: &mut World, call: &CallId) {
    assert_eq!(world.wait(call), Answer::Told(bytes("")));
}

fn fate(world: &mut World, name: &str, position: EntryPosition) -> Fate {
    let call = world.call(name, Call::Fate(position), PATIENCE);
    match world.wait(&call) {
        Answer::Told(word) => String::from_utf8_lossy(&word).parse().expect("a fate"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_is_named_leads_and_who_asked_is_told() {
    let mut world = World::of_three();
    let leader = world.elect();
    let to = followers(&world, &leader)[0].clone();
    let call = transfer(&mut world, &leader, Some(&to));
    assert_done(&mut world, &call);
    assert_eq!(world.leader(), Some(to.clone()));
    assert_eq!(world.status(&leader).leader.map(|leader| leader.name), Some(to.clone()));
    let told = |event: &Event| match event {
        Event::TransferStarted { to } => Some(format!("started {}", to.name)),
        Event::TransferDone { to } => Some(format!("done {}", to.name)),
        _ => None,
    };
    let told: Vec<_> = world.events(&leader).iter().filter_map(told).collect();
    assert_eq!(told, [format!("started {to}"), format!("done {to}")]);
}

#[test]
fn anybody_leads_if_nobody_is_named() {
    let mut world = World::of_three();
    let leader = world.elect();
    let call = transfer(&mut world, &leader, None);
    assert_done(&mut world, &call);
    assert_ne!(world.elect(), leader);
}

#[test]
fn each_reason_has_its_error() {
    let mut world = World::of_three();
    let leader = world.elect();
    let others = followers(&world, &leader);
    let call = transfer(&mut world, &others[0], None);
    let error = not_transferred(&mut world, &call);
    assert_eq!((error.code(), error.outcome()), ("ENOTLEADER", Outcome::NotApplied));
    assert_eq!(error.leader().map(|leader| leader.name), Some(leader.clone()));
    let call = transfer(&mut world, &leader, Some("somebody"));
    let why = TransferFailure::Unknown;
    assert_eq!(not_transferred(&mut world, &call), TransferError::NotTransferred { why });
    let call = transfer(&mut world, &leader, Some(&leader.clone()));
    assert_done(&mut world, &call);
    others.iter().for_each(|name| world.cut(&leader, name));
    world.run(MS);
    let call = transfer(&mut world, &leader, None);
    let why = TransferFailure::Nobody;
    assert_eq!(not_transferred(&mut world, &call), TransferError::NotTransferred { why });
    let call = transfer(&mut world, &leader, Some(&others[1]));
    let why = TransferFailure::Silent;
    assert_eq!(not_transferred(&mut world, &call), TransferError::NotTransferred { why });
}

/// Commands that come during a transfer wait for its end: then they go where they would have gone.
#[test]
fn commands_wait_for_the_end_of_a_transfer() {
    // Nobody passes commands on: they are refused, and it is said who leads.
    let mut world = World::of_three();
    let leader = world.elect();
    let to = followers(&world, &leader)[0].clone();
    let done = transfer(&mut world, &leader, Some(&to));
    let call = world.command(&leader, 1);
    let error = refused(&mut world, &call);
    assert_done(&mut world, &done);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(error.leader().map(|leader| leader.name), Some(to.clone()), "{error:?}");
    let call = world.command(&to, 2);
    assert_eq!(world.wait(&call), Answer::Response(2));

    // They are passed on.
    let mut world = three_forwarding();
    let leader = world.elect();
    let done = transfer(&mut world, &leader, None);
    let calls: Vec<_> = (0..10).map(|_| world.command(&leader, 1)).collect();
    let mut sums: Vec<_> = calls.iter().map(|call| world.wait(call)).collect();
    assert_done(&mut world, &done);
    sums.sort_by_key(|answer| format!("{answer:?}"));
    assert_eq!(sums.len(), 10);
    assert!(sums.contains(&Answer::Response(10)), "{sums:?}");

    // It does not come about: the one that led takes them.
    let mut world = World::of_three();
    let leader = world.elect();
    let to = followers(&world, &leader)[0].clone();
    world.crash(&to);
    let failed = transfer(&mut world, &leader, Some(&to));
    let call = world.command(&leader, 5);
    assert_eq!(world.wait(&call), Answer::Response(5));
    let error = not_transferred(&mut world, &failed);
    assert!(matches!(error, TransferError::NotTransferred { .. }), "{error:?}");
    assert_eq!(world.leader(), Some(leader));
}

/// How long the world took for something.
fn time(world: &mut World, what: impl FnOnce(&mut World)) -> u64 {
    let begun = world.now;
    what(world);
    world.now.since(begun)
}

fn stop(world: &mut World, name: &str) {
    world.input(name, Input::Leave);
    world.until("its end", |world| !world.is_running(name));
    assert_eq!(world.stopped(name), Some(&Ok(())));
}

#[test]
fn a_leader_that_stops_hands_over_first() {
    let mut world = World::of_three();
    let leader = world.elect();
    let term = world.status(&leader).term;
    let calls: Vec<_> = (0..20).map(|_| world.command(&leader, 1)).collect();
    let took = time(&mut world, |world| stop(world, &leader));
    assert!(took < 300 * MS, "nobody waits for an election: {took}");
    let next = world.leader().expect("another leads already");
    assert_eq!(world.status(&next).term, Term(term.0 + 1));
    for call in &calls {
        match world.answer(call).expect("each has its answer") {
            Answer::Response(_) => {}
            Answer::Refused(refused) => {
                assert_eq!(CommandError::from(refused).outcome(), Outcome::NotApplied);
            }
            other => panic!("{other:?}"),
        }
    }
    let call = world.command(&next, 1);
    assert!(matches!(world.wait(&call), Answer::Response(_)));
}

#[test]
fn one_that_leaves_for_nobody_stops_at_once() {
    let mut world = World::of_three();
    let leader = world.elect();
    for name in followers(&world, &leader) {
        let took = time(&mut world, |world| stop(world, &name));
        assert!(took < 50 * MS, "{took}");
    }
    // There is nobody left to hand over to, and what waits for a quorum waits in vain.
    let call = world.command(&leader, 1);
    world.run(MS);
    let took = time(&mut world, |world| stop(world, &leader));
    assert!(took <= 1600 * MS, "{took}");
    assert_eq!(refused(&mut world, &call).outcome(), Outcome::Unknown);
}

#[test]
fn stopping_twice_and_stopping_for_good() {
    let mut world = World::of_three();
    let leader = world.elect();
    let others = followers(&world, &leader);
    others.iter().for_each(|name| world.crash(name));
    let call = world.command(&leader, 1);
    world.run(MS);
    world.input(&leader, Input::Leave);
    world.input(&leader, Input::Leave);
    world.run(10 * MS);
    assert!(world.is_running(&leader), "somebody waits for it");
    world.input(&leader, Input::Stop);
    world.run(MS);
    assert!(!world.is_running(&leader), "at once");
    assert_eq!(refused(&mut world, &call).outcome(), Outcome::Unknown);
}

fn says(body: Body) -> Envelope {
    Envelope { group: 0, from: NodeId(0), to: NodeId(0), boot: 0, body }
}

fn hello(farewell: bool) -> Envelope {
    let cluster = "orders".to_owned();
    let hello = Hello { cluster, standing: Standing::Client, farewell, ..Hello::default() };
    says(Body::Hello(Box::new(hello)))
}

fn command(id: u64) -> Envelope {
    let ask = Ask::Command(bytes("\x01"));
    says(Body::Request(Box::new(Request { id, timeout_ms: 5000, hops: 0, ask })))
}

fn answers(said: &[Envelope]) -> Vec<&WireAnswer> {
    let answer = |envelope: &Envelope| matches!(envelope.body, Body::Answer(_));
    let answers = said.iter().filter(|envelope| answer(envelope));
    answers
        .filter_map(|envelope| match &envelope.body {
            Body::Answer(answer) => Some(answer.as_ref()),
            _ => None,
        })
        .collect()
}

fn was_told_to_leave(said: &[Envelope]) -> bool {
    said.iter().any(|envelope| matches!(&envelope.body, Body::Hello(hello) if hello.leaving))
}

/// A client's request may be on its way when a node stops. So it is told first, and the node ends only
/// when the client has said that it waits for nothing.
#[test]
fn a_node_that_stops_waits_for_the_farewells_of_its_clients() {
    let mut world = World::of_three();
    let leader = world.elect();
    let link = world.stranger(&leader);
    world.strange(&leader, link, hello(false));
    world.strange(&leader, link, command(1));
    world.run(20 * MS);
    world.input(&leader, Input::Leave);
    world.run(100 * MS);
    assert!(world.is_running(&leader), "the client has not said farewell");
    assert!(was_told_to_leave(world.said_to(&leader, link)));
    // This one was on its way.
    world.strange(&leader, link, command(2));
    world.run(10 * MS);
    let said = world.said_to(&leader, link).to_vec();
    let answers = answers(&said);
    assert_eq!(answers.len(), 2);
    assert!(answers[0].result.is_ok());
    let refusal = answers[1].result.as_ref().expect_err("it takes no more");
    assert_eq!((&*refusal.code, refusal.outcome), ("ENOTLEADER", Outcome::NotApplied));
    assert!(refusal.leader.is_some(), "it says who does");
    world.strange(&leader, link, hello(true));
    world.run(10 * MS);
    assert!(!world.is_running(&leader), "nothing keeps it");

    // One that never says so keeps it for a while, and no longer.
    let next = world.elect();
    let link = world.stranger(&next);
    world.strange(&next, link, hello(false));
    world.run(20 * MS);
    let took = time(&mut world, |world| stop(world, &next));
    assert!((1000 * MS..1600 * MS).contains(&took), "{took}");
}

/// A follower that passed commands on to a leader that stops gets all its answers, and passes on no more.
#[test]
fn commands_passed_on_to_a_node_that_stops_are_not_lost() {
    let mut world = three_forwarding();
    let leader = world.elect();
    let others = followers(&world, &leader);
    let mut calls = Vec::new();
    for round in 0..40 {
        for name in &others {
            calls.push(world.command(name, 1));
        }
        if round == 10 {
            world.input(&leader, Input::Leave);
        }
        world.run(2 * MS);
    }
    world.until("its end", |world| !world.is_running(&leader));
    assert_eq!(world.stopped(&leader), Some(&Ok(())));
    let count = calls.len();
    for call in calls {
        assert!(matches!(world.wait(&call), Answer::Response(_)), "{call:?}");
    }
    let sum = i64::try_from(count).expect("a few");
    world.until("all is applied", |world| others.iter().all(|name| world.value(name) == sum));
}

fn measure(world: &mut World, name: &str, free: u64) {
    let room = Room { path: "/data".into(), free, total: 1 << 40, log: 0, step: 16 << 20 };
    world.input(name, Input::Room { room: Some(room) });
}

#[test]
fn a_leader_without_room_lets_one_lead_that_has_some() {
    let mut world = World::of_three();
    let leader = world.elect();
    let others = followers(&world, &leader);
    // One of them has no room either, and says so with its next hello.
    measure(&mut world, &others[0], 0);
    world.run(SECOND);
    measure(&mut world, &leader, 0);
    world.until("another leads", |world| world.leader().is_some_and(|name| name != leader));
    assert_eq!(world.elect(), others[1]);
    let call = world.command(&others[1], 1);
    assert_eq!(world.wait(&call), Answer::Response(1));
    // Now nobody has any: it stays, and refuses.
    measure(&mut world, &others[1], 0);
    world.run(SECOND);
    assert_eq!(world.leader(), Some(others[1].clone()));
    let call = world.command(&others[1], 1);
    assert_eq!(refused(&mut world, &call).code(), "ENOSPC");
    // As soon as there is room elsewhere, that one leads.
    measure(&mut world, &leader, 1 << 40);
    world.run(SECOND);
    measure(&mut world, &others[1], 0);
    world.until("the first leads again", |world| world.leader() == Some(leader.clone()));
}

/// A position of one history was looked up in another: after a restore both may hold the same index and
/// term.
#[test]
fn outcome_of_another_instance() {
    let mut world = World::of_three();
    let leader = world.elect();
    let instance = world.status(&leader).instance.expect("it is a member");
    let call = world.command(&leader, 1);
    world.wait(&call);
    world.run(SECOND);
    let term = world.status(&leader).term;
    let ours = EntryPosition { instance, term, index: Index(3) };
    let theirs = EntryPosition { instance: InstanceId(instance.0 + 1), ..ours };
    for name in world.names() {
        assert_eq!(fate(&mut world, &name, ours), Fate::Applied);
        assert_eq!(fate(&mut world, &name, theirs), Fate::OtherInstance);
        let ahead = EntryPosition { index: Index(900), ..ours };
        assert_eq!(fate(&mut world, &name, ahead), Fate::Undecided);
    }
}

/// A leader is cut off with commands in its log. Each is told to be unknown, and where it stands; whoever
/// asks afterwards, anywhere, is told what became of it.
#[test]
fn whoever_asks_afterwards_is_told_the_truth() {
    let mut world = World::of_three();
    let leader = world.elect();
    let others = followers(&world, &leader);
    let kept = world.command(&leader, 1);
    world.wait(&kept);
    others.iter().for_each(|name| world.cut(&leader, name));
    let lost = world.command(&leader, 10);
    let error = refused(&mut world, &lost);
    assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
    let position = error.position().expect("it was appended");
    assert_eq!(fate(&mut world, &leader, position), Fate::Undecided);
    world.until("another leads", |world| world.leader().is_some_and(|name| name != leader));
    world.run(SECOND);
    for name in &others {
        assert_eq!(fate(&mut world, name, position), Fate::Never);
    }
    others.iter().for_each(|name| world.heal(&leader, name));
    world.run(SECOND);
    for name in world.names() {
        assert_eq!(fate(&mut world, &name, position), Fate::Never, "{name}");
        assert_eq!((world.value(&name), world.status(&name).state == State::Idle), (1, false));
    }
}
