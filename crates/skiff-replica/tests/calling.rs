//! What callers get: one answer each, in time, that says what is known of the effect.

mod world;

use skiff_replica::{
    Call, CommandError, Consistency, Input, Outcome, Refused, ReplicaError, State,
};
use world::{
    Answer, MS, PATIENCE, SECOND, Spec, World, bytes, followers, refused, three_forwarding,
};

#[test]
fn a_follower_names_the_leader() {
    let mut world = World::of_three();
    let leader = world.elect();
    for follower in followers(&world, &leader) {
        let call = world.command(&follower, 1);
        let error = refused(&mut world, &call);
        assert_eq!(error.code(), "ENOTLEADER");
        assert_eq!(error.outcome(), Outcome::NotApplied);
        let named = error.leader().expect("it is known");
        assert_eq!((named.name, named.address), (leader.clone(), format!("{leader}:1")));
    }
    assert_eq!(world.value(&leader), 0);
}

#[test]
fn before_there_is_a_cluster_there_is_no_leader_to_name() {
    let mut world = World::new();
    world.add("a", Spec::peers(&["a", "b"]).forwarding());
    let call = world.command("a", 1);
    let before = world.now;
    assert_eq!(refused(&mut world, &call), CommandError::NotLeader { leader: None });
    assert_eq!(world.now, before, "at once");
    let read = world.read("a", Consistency::Linearizable);
    assert_eq!(world.wait(&read), Answer::Refused(Refused::NotLeader { leader: None }));
}

#[test]
fn a_follower_that_forwards_brings_the_response_back() {
    let mut world = three_forwarding();
    let leader = world.elect();
    let mut sum = 0;
    for name in world.names() {
        for by in 1..20 {
            sum += by;
            let call = world.command(&name, by);
            assert_eq!(world.wait(&call), Answer::Response(sum), "through {name}");
        }
    }
    assert_eq!(world.value(&leader), sum);
}

#[test]
fn a_call_that_comes_while_nobody_leads_waits_for_a_leader() {
    let mut world = three_forwarding();
    let leader = world.elect();
    world.crash(&leader);
    let follower = followers(&world, &leader).remove(0);
    world.until("it knows of no leader", |world| world.status(&follower).leader.is_none());
    let command = world.command(&follower, 3);
    let read = world.read(&follower, Consistency::Linearizable);
    assert_eq!(world.wait(&command), Answer::Response(3));
    assert!(matches!(world.wait(&read), Answer::Read(..)));
}

#[test]
fn what_is_held_for_a_leader_ends_by_its_deadline_without_effect() {
    let mut world = three_forwarding();
    let leader = world.elect();
    for name in followers(&world, &leader) {
        world.crash(&name);
    }
    world.until("it leads no more", |world| world.status(&leader).state != State::Leader);
    let begun = world.now;
    let call = world.command_within(&leader, 1, SECOND);
    let error = refused(&mut world, &call);
    assert_eq!(world.now.since(begun), SECOND);
    assert_eq!(error, CommandError::Timeout { outcome: Outcome::NotApplied, position: None });
}

#[test]
fn what_is_appended_ends_by_its_deadline_with_its_position() {
    let mut world = World::of_three();
    let leader = world.elect();
    for name in followers(&world, &leader) {
        world.crash(&name);
    }
    let (core, begun) = (world.status(&leader).core.expect("a member"), world.now);
    let call = world.command_within(&leader, 1, 100 * MS);
    let error = refused(&mut world, &call);
    assert_eq!(world.now.since(begun), 100 * MS);
    let position = error.position().expect("it is known");
    assert_eq!((position.term, position.index), (core.term, core.last.index.next()));
    assert_eq!(Some(position.instance), world.status(&leader).instance);
    assert_eq!(error.outcome(), Outcome::Unknown);
}

/// The disks are so slow that the deadline comes first.
#[test]
fn a_command_whose_caller_was_told_of_the_deadline_is_not_answered_again() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.add(name, Spec { disk: 60 * MS, ..Spec::peers(&["a", "b", "c"]) });
    }
    let leader = world.elect();
    let call = world.command_within(&leader, 3, 20 * MS);
    let error = refused(&mut world, &call);
    assert_eq!(error.outcome(), Outcome::Unknown);
    world.until("it is done", |world| world.value(&leader) == 3);
    world.run(SECOND);
    assert!(matches!(world.answer(&call), Some(Answer::Refused(Refused::Timeout { .. }))));
}

#[test]
fn a_leader_that_is_left_alone_says_that_the_effect_is_unknown() {
    let mut world = World::of_three();
    let leader = world.elect();
    for name in followers(&world, &leader) {
        world.cut(&leader, &name);
    }
    let call = world.command(&leader, 1);
    match refused(&mut world, &call) {
        CommandError::LeadershipLost { position, .. } => {
            assert_eq!(Some(position.instance), world.status(&leader).instance);
        }
        other => panic!("{other:?}"),
    }
}

/// Many numbered commands through all nodes, while leaders are killed: each is answered once, and
/// what was answered with a response was done once.
#[test]
fn each_call_answered_once() {
    let mut world = three_forwarding();
    world.elect();
    let mut calls = Vec::new();
    let mut number = 0;
    for round in 0..8 {
        for _ in 0..40 {
            for name in world.names() {
                if world.is_running(&name) {
                    number += 1;
                    calls.push((number, world.command(&name, number)));
                }
            }
            world.run(MS * (round + 1));
        }
        if let Some(leader) = world.leader() {
            world.crash(&leader);
            world.run(400 * MS);
            world.start(&leader);
        }
    }
    world.run(2 * PATIENCE);
    let leader = world.elect();
    world.until("all are at the same place", |world| {
        world.names().iter().all(|name| world.value(name) == world.value(&leader))
    });
    let history = world.history(&leader);
    let mut acknowledged = 0;
    for (number, call) in &calls {
        let times = history.iter().filter(|done| *done == number).count();
        assert!(times <= 1, "{number} was done {times} times");
        match world.answer(call) {
            Some(Answer::Response(_)) => {
                acknowledged += 1;
                assert_eq!(times, 1, "{number} was acknowledged");
            }
            Some(Answer::Refused(refused)) => {
                let outcome = CommandError::from(refused.clone()).outcome();
                assert!(times == 0 || outcome != Outcome::NotApplied, "{number}: {refused:?}");
            }
            Some(other) => panic!("{number} is a command: {other:?}"),
            // Its node crashed, and the caller with it.
            None => assert!(call.1 < world.run_of(&call.0), "{number} was not answered"),
        }
    }
    assert!(acknowledged > 400, "{acknowledged} of {} were acknowledged", calls.len());
    for name in world.names() {
        assert_eq!(world.history(&name), history, "{name}");
    }
}

#[test]
fn stop_answers_everything_and_ends() {
    let mut world = three_forwarding();
    let leader = world.elect();
    let follower = followers(&world, &leader).remove(0);
    for name in [&leader, &follower] {
        let calls: Vec<_> = (1..5).map(|by| world.command(name, by)).collect();
        let read = world.read(name, Consistency::Linearizable);
        world.input(name, Input::Stop);
        let late = world.command(name, 9);
        world.until("it stopped", |world| !world.is_running(name));
        assert_eq!(world.stopped(name), Some(&Ok(())));
        for call in calls.iter().chain([&read]) {
            assert!(world.answer(call).is_some(), "{call:?}");
        }
        // The node is gone before this one is looked at.
        assert!(world.answer(&late).is_none());
    }
}

/// A caller that goes away, or whose deadline passes, before its command is in the log.
#[test]
fn dropped_caller() {
    let mut world = three_forwarding();
    let leader = world.elect();
    let others = followers(&world, &leader);
    world.crash(&leader);
    let name = &others[0];
    world.until("nobody leads", |world| world.status(name).leader.is_none());
    let dropped = world.command(name, 100);
    world.input(name, Input::Cancel { token: dropped.2 });
    let late = world.command_within(name, 200, MS);
    let stays = world.command(name, 1);
    assert_eq!(
        refused(&mut world, &late),
        CommandError::Timeout { outcome: Outcome::NotApplied, position: None }
    );
    assert_eq!(world.wait(&stays), Answer::Response(1));
    world.run(SECOND);
    assert_eq!(world.answer(&dropped), None);
    assert_eq!(world.history(name), [1]);
}

#[test]
fn a_caller_that_goes_away_after_the_append_is_not_answered_but_the_command_is_done() {
    let mut world = World::of_three();
    let leader = world.elect();
    let call = world.command(&leader, 4);
    world.run(MS / 2);
    world.input(&leader, Input::Cancel { token: call.2 });
    world.run(SECOND);
    assert_eq!(world.answer(&call), None);
    assert_eq!(world.history(&leader), [4]);
    assert_eq!(world.status(&leader).waiting_calls, 0);
}

#[test]
fn limits_are_told_with_their_numbers() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        let mut spec = Spec::peers(&["a", "b", "c"]).forwarding();
        spec.command_bytes = Some(4);
        spec.waiting_bytes = Some(100);
        world.add(name, spec);
    }
    let leader = world.elect();
    let follower = followers(&world, &leader).remove(0);
    for name in [&leader, &follower] {
        let call = world.call(name, Call::Command(bytes("12345")), PATIENCE);
        let error = refused(&mut world, &call);
        assert_eq!(error, CommandError::TooLarge { size: 5, limit: 4 });
    }
    let calls: Vec<_> = (0..10).map(|by| world.command(&follower, by)).collect();
    let answers: Vec<_> = calls.iter().map(|call| world.wait(call)).collect();
    let is_busy = |answer: &&Answer| matches!(answer, Answer::Refused(Refused::Busy { .. }));
    let busy = answers.iter().filter(is_busy).count();
    assert!((1..10).contains(&busy), "{answers:?}");
    let call = world.command(&follower, 1);
    assert!(matches!(world.wait(&call), Answer::Response(_)), "there is room again");
}

#[test]
fn reads_see_what_was_acknowledged_before_on_every_node() {
    let mut world = World::of_three();
    let leader = world.elect();
    for by in 1..10 {
        let call = world.command(&leader, by);
        let Answer::Response(value) = world.wait(&call) else { panic!("{by}") };
        for name in world.names() {
            let read = world.read(&name, Consistency::Linearizable);
            assert!(matches!(world.wait(&read), Answer::Read(seen, _) if seen == value), "{name}");
        }
    }
    world.crash(&leader);
    let follower = followers(&world, &leader).remove(0);
    let local = world.read(&follower, Consistency::Local);
    let before = world.now;
    assert!(matches!(world.wait(&local), Answer::Read(45, _)));
    assert_eq!(world.now, before, "at once");
}

#[test]
fn reads_that_come_later_say_that_they_are_not_there_yet() {
    let mut world = World::of_three();
    let leader = world.elect();
    for consistency in [Consistency::Lease, Consistency::BoundedStale(5)] {
        let read = world.read(&leader, consistency);
        match world.wait(&read) {
            Answer::Refused(Refused::Unsupported { what }) => {
                assert!(what.contains(&format!("{consistency:?}")), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// One node's machine fails at an entry: it stops there and says so, the others go on.
#[test]
fn apply_failure_does_not_advance() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        let fails_at = (name == "c").then_some(7);
        world.add(name, Spec { fails_at, ..Spec::peers(&["a", "b", "c"]) });
    }
    let mut leader = world.elect();
    if leader == "c" {
        world.crash("c");
        leader = world.elect();
        world.start("c");
        world.elect();
    }
    for by in [6, 7, 8] {
        let call = world.command(&leader, by);
        assert!(matches!(world.wait(&call), Answer::Response(_)));
    }
    world.until("c to stop", |world| !world.is_running("c"));
    match world.stopped("c") {
        Some(Err(ReplicaError::Machine { reason, .. })) => {
            assert!(reason.contains("cannot add 7"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.history(&leader), [6, 7, 8]);
    // With a machine that can, the entry is applied, once.
    world.spec("c").fails_at = None;
    world.start("c");
    world.until("c to catch up", |world| world.history("c") == [6, 7, 8]);
}

#[test]
fn lone_node_replays() {
    let mut world = World::new();
    world.add("a", Spec { bootstrap: true, ..Spec::default() });
    let calls: Vec<_> = (1..=10).map(|by| world.command("a", by)).collect();
    for call in &calls {
        assert!(matches!(world.wait(call), Answer::Response(_)));
    }
    world.crash("a");
    world.start("a");
    let read = world.read("a", Consistency::Linearizable);
    assert!(matches!(world.wait(&read), Answer::Read(55, _)));
    assert_eq!(world.history("a"), (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_slow_machine_ends_no_leadership_and_its_callers_end_in_time() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.add(name, Spec { machine: 3 * SECOND, ..Spec::peers(&["a", "b", "c"]) });
    }
    let leader = world.elect();
    let term = world.status(&leader).term;
    let call = world.command_within(&leader, 1, SECOND);
    match refused(&mut world, &call) {
        CommandError::Timeout { outcome, position: Some(_) } => {
            assert_eq!(outcome, Outcome::AppliedResponseLost);
        }
        other => panic!("{other:?}"),
    }
    world.run(10 * SECOND);
    assert_eq!(world.status(&leader).term, term);
}
