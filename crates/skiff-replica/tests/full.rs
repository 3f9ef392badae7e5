//! Disks without room: commands are refused before a write fails, by those who would have to write
//! them; all else goes on.

mod world;

use skiff_core::NodeId;
use skiff_replica::{
    CommandError, Consistency, Event, Input, Outcome, State,
    storage::Room,
    transport::{Ask, Body, Envelope, Hello, Request, Standing},
};
use world::{Answer, CallId, MS, SECOND, Spec, World, bytes, followers, refused, three_forwarding};

const MEBI: u64 = 1 << 20;
/// Two segments and the reserve, and a quarter more.
const MARK: u64 = 96 * MEBI;
const ENOUGH: u64 = 120 * MEBI;

/// The node's store says how much room it has.
fn measure(world: &mut World, name: &str, free: u64) {
    let room = Room { path: "/data".into(), free, total: 1 << 40, step: 16 * MEBI, log: 0 };
    world.input(name, Input::Room { room: Some(room) });
    world.run(MS);
}

/// Nobody but the leader could do better.
fn fill_others(world: &mut World, leader: &str) {
    for name in followers(world, leader) {
        measure(world, &name, 0);
    }
    world.run(MS);
}

fn assert_full(world: &mut World, call: &CallId) {
    let before = world.now;
    let error = refused(world, call);
    assert!(matches!(error, CommandError::Full { .. }), "{error:?}");
    assert_eq!((error.code(), error.outcome()), ("ENOSPC", Outcome::NotApplied));
    assert!(world.now.since(before) <= 5 * MS, "at once");
}

/// How often a node has told that it is full, that a write was refused, and that there is room again.
fn told(world: &World, name: &str) -> [usize; 3] {
    let count = |is: fn(&Event) -> bool| world.events(name).iter().filter(|one| is(one)).count();
    [
        count(|event| matches!(event, Event::Full { .. })),
        count(|event| matches!(event, Event::WriteRefused { .. })),
        count(|event| matches!(event, Event::RoomAgain)),
    ]
}

#[test]
fn a_leader_refuses_commands_below_the_mark_and_takes_them_above_it() {
    let mut world = World::of_three();
    let leader = world.elect();
    fill_others(&mut world, &leader);
    let term = world.status(&leader).term;
    measure(&mut world, &leader, MARK);
    let call = world.command(&leader, 1);
    assert_eq!(world.wait(&call), Answer::Response(1));
    for free in [MARK - 1, 0, MARK, ENOUGH - 1] {
        measure(&mut world, &leader, free);
        let last = world.status(&leader).core.map(|core| core.last);
        let call = world.command(&leader, 1000);
        assert_full(&mut world, &call);
        assert_eq!(world.status(&leader).core.map(|core| core.last), last, "nothing is appended");
    }
    // It stays in office for as long as no write fails.
    world.run(5 * SECOND);
    assert_eq!((world.leader(), world.status(&leader).term), (Some(leader.clone()), term));
    measure(&mut world, &leader, ENOUGH);
    let call = world.command(&leader, 2);
    assert_eq!(world.wait(&call), Answer::Response(3));
    assert_eq!(told(&world, &leader), [1, 0, 1]);
    world.run(SECOND);
    for name in world.names() {
        assert_eq!(world.history(&name), [1, 2]);
    }
}

#[test]
fn the_refusal_says_how_much_is_free_and_what_to_do() {
    let mut world = World::of_three();
    let leader = world.elect();
    fill_others(&mut world, &leader);
    measure(&mut world, &leader, 3 * MEBI);
    let call = world.command(&leader, 1);
    assert_eq!(
        refused(&mut world, &call).to_string(),
        "no space left for the log in /data: make room, the node then goes on by itself (3.0 MiB are \
         free, from 120.0 MiB on it takes commands again)"
    );
}

#[test]
fn whoever_forwards_to_a_full_leader_is_told_the_same() {
    let mut world = three_forwarding();
    let leader = world.elect();
    fill_others(&mut world, &leader);
    measure(&mut world, &leader, 0);
    let local = world.command(&leader, 1);
    let words = refused(&mut world, &local).to_string();
    for name in followers(&world, &leader) {
        let call = world.command(&name, 1);
        assert_full(&mut world, &call);
        assert_eq!(refused(&mut world, &call).to_string(), words, "through {name}");
    }
    measure(&mut world, &leader, ENOUGH);
    for name in world.names() {
        let call = world.command(&name, 1);
        assert!(matches!(world.wait(&call), Answer::Response(_)), "through {name}");
    }
}

#[test]
fn a_client_of_a_full_leader_is_told_the_same() {
    let mut world = World::of_three();
    let leader = world.elect();
    fill_others(&mut world, &leader);
    measure(&mut world, &leader, 0);
    let link = world.stranger(&leader);
    let says = |body| Envelope { group: 0, from: NodeId(0), to: NodeId(0), boot: 0, body };
    let hello = Hello { cluster: "orders".into(), standing: Standing::Client, ..Hello::default() };
    world.strange(&leader, link, says(Body::Hello(Box::new(hello))));
    let ask = Ask::Command(bytes("\x05"));
    let request = Request { id: 1, timeout_ms: 1000, hops: 0, ask };
    world.strange(&leader, link, says(Body::Request(Box::new(request))));
    world.run(20 * MS);
    let refusal = world.said_to(&leader, link).iter().find_map(|envelope| match &envelope.body {
        Body::Answer(answer) => answer.result.clone().err(),
        _ => None,
    });
    let refusal = refusal.expect("it is refused");
    assert_eq!((refusal.code.as_str(), refusal.outcome), ("ENOSPC", Outcome::NotApplied));
}

#[test]
fn reads_and_elections_go_on_without_room() {
    let mut world = World::of_three();
    let leader = world.elect();
    let call = world.command(&leader, 7);
    assert_eq!(world.wait(&call), Answer::Response(7));
    fill_others(&mut world, &leader);
    measure(&mut world, &leader, 0);
    for consistency in [Consistency::Linearizable, Consistency::Local] {
        for name in world.names() {
            let read = world.read(&name, consistency);
            assert!(matches!(world.wait(&read), Answer::Read(7, _)), "{consistency:?} on {name}");
        }
    }
    world.crash(&leader);
    let next = world.elect();
    assert_ne!(next, leader);
    let read = world.read(&next, Consistency::Linearizable);
    assert!(matches!(world.wait(&read), Answer::Read(7, _)));
    let call = world.command(&next, 1);
    assert_full(&mut world, &call);
}

/// What a follower could not write it writes later, and the leader goes on without.
#[test]
fn a_follower_with_a_full_disk_does_not_make_the_leader_refuse() {
    let mut world = World::of_three();
    let leader = world.elect();
    let full = followers(&world, &leader).remove(0);
    measure(&mut world, &full, 0);
    world.spec(&full).full = true;
    for by in 1..=10 {
        let call = world.command(&leader, 1);
        assert_eq!(world.wait(&call), Answer::Response(by));
    }
    world.run(20 * SECOND);
    assert_eq!(world.leader(), Some(leader.clone()));
    assert_eq!((world.value(&leader), world.value(&full)), (10, 0));
    assert_eq!(told(&world, &full), [1, 1, 0], "it says so once");
    assert_eq!(told(&world, &leader), [0, 0, 0]);
    world.spec(&full).full = false;
    measure(&mut world, &full, ENOUGH);
    world.until("it has caught up", |world| world.value(&full) == 10);
    assert_eq!(told(&world, &full), [1, 1, 1]);
}

/// What was in the refused write may take effect, and does; whatever comes later is refused at once,
/// and never does.
#[test]
fn alone_without_room_a_node_refuses_what_would_wait_in_vain() {
    let mut world = World::new();
    world.add("a", Spec { bootstrap: true, ..Spec::default() });
    world.elect();
    world.spec("a").full = true;
    let first = world.command("a", 1);
    let error = refused(&mut world, &first);
    assert!(matches!(error, CommandError::LeadershipLost { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    for _ in 0..40 {
        let call = world.command("a", 1000);
        assert_full(&mut world, &call);
        world.run(100 * MS);
    }
    let read = world.read("a", Consistency::Local);
    assert!(matches!(world.wait(&read), Answer::Read(0, _)));
    let call = world.command("a", 1000);
    assert_eq!(refused(&mut world, &call).to_string(), "no room at all");
    assert_eq!((told(&world, "a"), world.status("a").state), ([0, 1, 0], State::Follower));
    world.spec("a").full = false;
    // It finds out by itself.
    assert_eq!(world.elect(), "a");
    let call = world.command("a", 2);
    assert_eq!(world.wait(&call), Answer::Response(3));
    assert_eq!((told(&world, "a"), world.history("a")), ([0, 1, 1], vec![1, 2]));
}

/// The second write is refused while a command waits for the office.
#[test]
fn alone_without_room_what_waits_already_is_refused_too() {
    let mut world = World::new();
    world.add("a", Spec { bootstrap: true, ..Spec::default() });
    world.elect();
    world.crash("a");
    world.start("a");
    world.until("it is a member", |world| world.status("a").core.is_some());
    assert_eq!(world.leader(), None);
    let (call, read) = (world.command("a", 1000), world.read("a", Consistency::Linearizable));
    world.run(MS);
    assert_eq!(world.answer(&call), None, "it will lead, shortly");
    world.spec("a").full = true;
    world.until("it campaigns", |world| told(world, "a")[1] == 1);
    assert_full(&mut world, &call);
    world.spec("a").full = false;
    assert!(matches!(world.wait(&read), Answer::Read(0, _)), "the read waits");
}
