//! Snapshots on request, and copies of them.

mod world;

use bytes::Bytes;
use skiff_replica::{
    Call, Event, Index, NoSnapshot, Position, SnapshotError, Taken,
    transport::{Body, Offer, wire},
};
use world::{Answer, CallId, MS, PATIENCE, SECOND, Spec, World, followers};

fn told(world: &mut World, call: &CallId) -> Bytes {
    match world.wait(call) {
        Answer::Told(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

fn refused(world: &mut World, call: &CallId) -> SnapshotError {
    match world.wait(call) {
        Answer::Refused(refused) => refused.into(),
        other => panic!("{other:?}"),
    }
}

fn take(world: &mut World, name: &str) -> Taken {
    let call = world.call(name, Call::Snapshot, PATIENCE);
    Taken::decode(&told(world, &call)).expect("it says what was taken")
}

fn command(world: &mut World, name: &str, by: i64) {
    let call = world.command(name, by);
    assert!(matches!(world.wait(&call), Answer::Response(_)));
}

fn begin(world: &mut World, name: &str) -> Offer {
    let call = world.call(name, piece(None, 0, 0), PATIENCE);
    let envelope = wire::decode(told(world, &call)).expect("an envelope");
    let Body::Offer(offer) = envelope.body else { panic!("{envelope:?}") };
    *offer
}

const fn piece(position: Option<Position>, offset: u64, bytes_max: u32) -> Call {
    Call::Backup { position, offset, bytes_max }
}

fn core(world: &World, name: &str) -> skiff_core::Status {
    world.status(name).core.expect("it is a member")
}

fn applied(world: &World, name: &str) -> Index {
    core(world, name).applied
}

fn snapshots_begun(world: &World, name: &str) -> usize {
    let is_it = |event: &&Event| matches!(event, Event::SnapshotStarted { .. });
    world.events(name).iter().filter(is_it).count()
}

#[test]
fn with_nothing_new_the_newest_snapshot_is_told() {
    let mut world = World::of_three();
    let leader = world.elect();
    command(&mut world, &leader, 5);
    let first = take(&mut world, &leader);
    assert!(!first.was_there && first.size > 0);
    assert_eq!(first.index, applied(&world, &leader));
    let second = take(&mut world, &leader);
    assert!(second.was_there);
    assert_eq!((second.index, second.term, second.size), (first.index, first.term, first.size));
    assert_eq!(snapshots_begun(&world, &leader), 1);
    command(&mut world, &leader, 5);
    assert!(take(&mut world, &leader).index > first.index);
}

#[test]
fn one_is_taken_at_a_time_and_who_asks_meanwhile_gets_what_it_has_seen() {
    let mut world = World::of_three();
    world.spec("a").disk = 50 * MS;
    let leader = world.elect();
    command(&mut world, &leader, 1);
    let calls: Vec<CallId> =
        (0..3).map(|_| world.call(&leader, Call::Snapshot, PATIENCE)).collect();
    let same: Vec<Bytes> = calls.iter().map(|call| told(&mut world, call)).collect();
    assert!(same.iter().all(|one| *one == same[0]), "they are told of one");
    assert_eq!(snapshots_begun(&world, &leader), 1);

    // While one is taken, more is applied: whoever asks then gets a later one.
    let first = world.call(&leader, Call::Snapshot, PATIENCE);
    command(&mut world, &leader, 2);
    let applied = applied(&world, &leader);
    let second = world.call(&leader, Call::Snapshot, PATIENCE);
    told(&mut world, &first);
    let second = Taken::decode(&told(&mut world, &second)).expect("it says what was taken");
    assert!(second.index >= applied, "{second:?}");
}

#[test]
fn who_belongs_to_no_cluster_says_so() {
    let mut world = World::new();
    world.add("a", Spec::peers(&["a", "b"]));
    world.run(10 * MS);
    for call in [Call::Snapshot, piece(None, 0, 0)] {
        let call = world.call("a", call, PATIENCE);
        let error = refused(&mut world, &call);
        let SnapshotError::Refused { why: NoSnapshot::NotMember, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(error.code(), "ENOTMEMBER");
    }
}

#[test]
fn a_copy_holds_all_that_was_acknowledged_to_anybody() {
    let mut world = World::of_three();
    let leader = world.elect();
    let follower = followers(&world, &leader)[0].clone();
    for number in 0..50 {
        command(&mut world, &leader, number);
    }
    let acknowledged = core(&world, &leader).committed;
    // The follower may not even know yet that all of it is committed.
    let offer = begin(&mut world, &follower);
    assert!(offer.position.index >= acknowledged, "{offer:?}");
    let mut content = Vec::new();
    while (content.len() as u64) < offer.size {
        let ask = piece(Some(offer.position), content.len() as u64, 100);
        let call = world.call(&follower, ask, PATIENCE);
        let bytes = told(&mut world, &call);
        assert!(!bytes.is_empty() && bytes.len() <= 100);
        content.extend_from_slice(&bytes);
    }
    let call = world.call(&follower, piece(Some(offer.position), offer.size, 100), PATIENCE);
    assert!(told(&mut world, &call).is_empty(), "it ends where it ends");
    // Sessions first, then fifty numbers of eight bytes.
    assert!(content.len() > 400);
    assert_eq!(content[content.len() - 8..], 49_i64.to_le_bytes());
}

#[test]
fn a_cut_off_node_gives_no_copy_but_takes_snapshots() {
    let mut world = World::of_three();
    let leader = world.elect();
    command(&mut world, &leader, 1);
    for other in followers(&world, &leader) {
        world.cut(&leader, &other);
    }
    let call = world.call(&leader, piece(None, 0, 0), PATIENCE);
    assert!(matches!(world.wait(&call), Answer::Refused(_)), "it may have missed something");
    take(&mut world, &leader);
}

#[test]
fn the_file_of_a_copy_stays_while_it_is_asked_for() {
    let mut world = World::of_three();
    let leader = world.elect();
    command(&mut world, &leader, 1);
    let offer = begin(&mut world, &leader);
    let ask = |world: &mut World| {
        let call = world.call(&leader, piece(Some(offer.position), 0, 10), PATIENCE);
        world.wait(&call)
    };
    // One newer one may come, since two are kept; another must wait.
    command(&mut world, &leader, 2);
    take(&mut world, &leader);
    command(&mut world, &leader, 3);
    let later = world.call(&leader, Call::Snapshot, 40 * SECOND);
    for _ in 0..5 {
        world.run(2 * SECOND);
        assert!(matches!(ask(&mut world), Answer::Told(_)));
        assert!(world.answer(&later).is_none(), "the file would be gone");
    }
    // Nobody asks any more: what waits goes on.
    world.run(15 * SECOND);
    let Some(Answer::Told(taken)) = world.answer(&later) else { panic!("nothing was taken") };
    let taken = Taken::decode(&taken).expect("it says what was taken");
    assert!(taken.index > offer.position.index);
    let Answer::Refused(refused) = ask(&mut world) else { panic!("it is gone") };
    let error = SnapshotError::from(refused);
    assert_eq!(error.code(), "ESNAPSHOTGONE", "{error}");
}

#[test]
fn pieces_of_what_was_never_there_are_refused() {
    let mut world = World::of_three();
    let leader = world.elect();
    let call = world.call(&leader, piece(Some(Position::new(1, 1)), 0, u32::MAX), PATIENCE);
    world.wait(&call);
    for position in [Position::default(), Position::new(9, 900), Position::new(u64::MAX, u64::MAX)]
    {
        let call = world.call(&leader, piece(Some(position), u64::MAX, 0), PATIENCE);
        assert_eq!(refused(&mut world, &call).code(), "ESNAPSHOTGONE");
    }
    assert!(world.is_running(&leader));
}
