//! Nodes come, go and come back while their cluster serves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod world;

use bytes::Bytes;
use skiff_core::NodeId;
use skiff_replica::{
    Call, ChangeError, Event, MemberChange, ReplicaError, Standing, StartError, State, Why,
};
use world::{Answer, PATIENCE, SECOND, Spec, World, followers};

/// Longer than a change takes that has to wait for nobody.
const LONG: u64 = 30 * SECOND;

fn add_voter(address: &str) -> Call {
    Call::Change(MemberChange::AddVoter { address: address.to_owned() })
}

fn add_learner(address: &str) -> Call {
    Call::Change(MemberChange::AddLearner { address: address.to_owned() })
}

fn remove(name: &str) -> Call {
    Call::Change(MemberChange::Remove { name: name.to_owned() })
}

fn replace(name: &str, address: &str) -> Call {
    Call::Change(MemberChange::Replace { name: name.to_owned(), address: address.to_owned() })
}

fn change(world: &mut World, at: &str, call: Call) {
    let call = world.call(at, call, LONG);
    assert_eq!(world.wait(&call), Answer::Told(Bytes::new()));
}

fn change_error(world: &mut World, at: &str, call: Call) -> ChangeError {
    let call = world.call(at, call, LONG);
    match world.wait(&call) {
        Answer::Refused(refused) => refused.into(),
        other => panic!("{other:?}"),
    }
}

fn why(error: &ChangeError) -> Why {
    match error {
        ChangeError::Refused { why, .. } => *why,
        other => panic!("{other:?}"),
    }
}

/// The names of the voters and of the learners, as this node knows them.
fn members(world: &World, name: &str) -> (Vec<String>, Vec<String>) {
    let core = world.status(name).core.expect("a member");
    let all = core.membership;
    let names = |ids: &std::collections::BTreeSet<NodeId>| {
        let mut names: Vec<String> = ids.iter().map(|id| all.nodes[id].name.clone()).collect();
        names.sort();
        names
    };
    (names(&all.voters), names(&all.learners))
}

fn voters(world: &World, name: &str) -> Vec<String> {
    members(world, name).0
}

fn done(world: &mut World, by: i64) {
    let leader = world.elect();
    let call = world.command(&leader, by);
    assert!(matches!(world.wait(&call), Answer::Response(_)));
}

fn until_voters(world: &mut World, names: &[&str]) {
    let wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    world.until("the members to be these", |world| {
        wanted.iter().all(|name| {
            let Some(core) = world.status(name).core else { return false };
            !core.membership.is_joint() && voters(world, name) == wanted
        })
    });
}

/// A node alone, founded by itself.
fn alone() -> World {
    let mut world = World::new();
    world.add("a", Spec { bootstrap: true, ..Spec::default() });
    world.elect();
    world
}

#[test]
fn a_fresh_node_is_admitted_at_its_own_request() {
    let mut world = alone();
    done(&mut world, 5);
    world.add("b", Spec::peers(&["a"]));
    until_voters(&mut world, &["a", "b"]);
    world.add("c", Spec::peers(&["b"]));
    until_voters(&mut world, &["a", "b", "c"]);
    done(&mut world, 2);
    world.until("all to have it", |world| ["b", "c"].iter().all(|n| world.history(n) == [5, 2]));
    let told = |name: &str, of: &str| {
        let joined = world.events(name).iter().any(
            |event| matches!(event, Event::MemberJoined { name, voter: false, .. } if name == of),
        );
        let promoted = world
            .events(name)
            .iter()
            .any(|event| matches!(event, Event::MemberPromoted { name, .. } if name == of));
        joined && promoted
    };
    assert!(told("a", "c") && told("c", "c") && told("b", "c"));
}

#[test]
fn a_learner_stays_one() {
    let mut world = alone();
    world.add("b", Spec { learner: true, ..Spec::peers(&["a"]) });
    done(&mut world, 5);
    world.run(5 * SECOND);
    assert_eq!(members(&world, "a"), (vec!["a".into()], vec!["b".into()]));
    assert_eq!(world.history("b"), [5]);
    let error = change_error(&mut world, "a", add_voter("x:1"));
    assert_eq!(why(&error), Why::NobodyThere);
}

#[test]
fn a_node_that_waits_is_invited_by_its_address() {
    let mut world = alone();
    world.add("b", Spec::default());
    world.add("c", Spec::default());
    world.run(5 * SECOND);
    assert_eq!(world.status("b").standing, Standing::Fresh, "nobody is admitted unasked");
    change(&mut world, "a", add_voter("b:1"));
    until_voters(&mut world, &["a", "b"]);
    let follower = followers(&world, &world.leader().unwrap());
    let follower = follower.iter().find(|name| *name != "c").unwrap().clone();
    change(&mut world, &follower, add_learner("c:1"));
    assert_eq!(members(&world, &world.leader().unwrap()).1, ["c"]);
    // Once more is harmless, and one step up is possible.
    change(&mut world, &follower, add_learner("c:1"));
    change(&mut world, "a", add_voter("c:1"));
    until_voters(&mut world, &["a", "b", "c"]);
}

#[test]
fn a_removed_node_knows_it_and_stays_out() {
    let mut world = World::of_three();
    let leader = world.elect();
    let [gone, stays] = <[String; 2]>::try_from(followers(&world, &leader)).unwrap();
    let term = world.status(&leader).term;
    change(&mut world, &stays, remove(&gone));
    world.until("it knows", |world| world.status(&gone).standing == Standing::Removed);
    assert_eq!(world.status(&gone).state, State::Idle);
    world.run(20 * SECOND);
    assert_eq!(world.status(&leader).term, term, "it disturbs nobody");
    world.crash(&gone);
    world.start(&gone);
    let stopped = world.stopped(&gone).cloned();
    let removed = |error: &ReplicaError| matches!(error, ReplicaError::Start(StartError::Removed { name }) if *name == gone);
    assert!(matches!(&stopped, Some(Err(error)) if removed(error)), "{stopped:?}");
    world.spec(&gone).rejoin = true;
    world.start(&gone);
    world.until("it is a voter again", |world| {
        world.is_running(&gone) && world.status(&gone).standing == Standing::Member
    });
    until_voters(&mut world, &["a", "b", "c"]);
}

/// A leader that leaves sees to it that another takes over.
#[test]
fn a_leader_leaves() {
    let mut world = World::of_three();
    let leader = world.elect();
    done(&mut world, 1);
    change(&mut world, &leader, Call::Leave);
    world.until("it knows", |world| world.status(&leader).standing == Standing::Removed);
    world.until("another leads", |world| world.leader().is_some_and(|one| one != leader));
    let next = world.leader().unwrap();
    let call = world.command(&next, 2);
    assert!(matches!(world.wait(&call), Answer::Response(3)));
    assert_eq!(voters(&world, &next).len(), 2);
}

#[test]
fn a_follower_leaves() {
    let mut world = World::of_three();
    let leader = world.elect();
    let follower = followers(&world, &leader)[0].clone();
    change(&mut world, &follower, Call::Leave);
    world.until("it knows", |world| world.status(&follower).standing == Standing::Removed);
    done_at(&mut world, &leader);
}

fn done_at(world: &mut World, name: &str) {
    let call = world.command(name, 1);
    assert!(matches!(world.wait(&call), Answer::Response(_)));
}

#[test]
fn a_node_takes_the_place_of_a_dead_one() {
    let mut world = World::of_three();
    let leader = world.elect();
    let [dead, lives] = <[String; 2]>::try_from(followers(&world, &leader)).unwrap();
    world.crash(&dead);
    world.add("d", Spec::default());
    change(&mut world, &lives, replace(&dead, "d:1"));
    let mut names = vec![leader.as_str(), lives.as_str(), "d"];
    names.sort_unstable();
    until_voters(&mut world, &names);
    // The answer may have been lost: to ask again is harmless.
    change(&mut world, &leader, replace(&dead, "d:1"));
    let error = change_error(&mut world, &leader, replace("x", "nobody:1"));
    assert_eq!(why(&error), Why::UnknownMember);
    // Now it may come back, and learns that it is none of them any more.
    world.start(&dead);
    world.until("it knows", |world| world.status(&dead).standing == Standing::Removed);
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let mut world = World::of_three();
    let leader = world.elect();
    let error = change_error(&mut world, &leader, remove("x"));
    assert_eq!(why(&error), Why::UnknownMember);
    assert!(error.to_string().contains("`a`, `b`, `c`"), "{error}");
    let follower = followers(&world, &leader)[0].clone();
    let error = change_error(&mut world, &follower, remove("x"));
    assert_eq!(why(&error), Why::UnknownMember, "the reason comes along");
    let other = followers(&world, &leader)[1].clone();
    let error = change_error(&mut world, &leader, replace(&follower, &format!("{other}:1")));
    assert_eq!(why(&error), Why::AlreadyVoter);
    for name in followers(&world, &leader) {
        world.crash(&name);
    }
    let call = world.call(&leader, remove(&other), PATIENCE);
    let refused = world.wait(&call);
    assert!(matches!(refused, Answer::Refused(_)), "{refused:?}");

    let mut world = alone();
    let error = change_error(&mut world, "a", Call::Leave);
    assert_eq!(why(&error), Why::LastVoter);
}

/// Two of three gone, one by one, and back again.
#[test]
fn three_shrink_to_one_and_grow_again() {
    let mut world = World::of_three();
    let leader = world.elect();
    done(&mut world, 1);
    let others = followers(&world, &leader);
    for name in &others {
        change(&mut world, &leader, remove(name));
    }
    assert_eq!(voters(&world, &leader), std::slice::from_ref(&leader));
    done_at(&mut world, &leader);
    for name in &others {
        world.until("it knows", |world| world.status(name).standing == Standing::Removed);
        world.crash(name);
        world.spec(name).rejoin = true;
        world.start(name);
    }
    until_voters(&mut world, &["a", "b", "c"]);
    world.until("all to have all", |world| others.iter().all(|name| world.history(name) == [1, 1]));
}

#[test]
fn a_member_that_comes_back_elsewhere_just_works() {
    let mut world = World::of_three();
    let leader = world.elect();
    let moved = followers(&world, &leader)[0].clone();
    world.crash(&moved);
    world.run(5 * SECOND);
    world.alias("elsewhere:1", &moved);
    world.spec(&moved).address = Some("elsewhere:1".to_owned());
    world.start(&moved);
    world.until("the others know", |world| {
        let core = world.status(&leader).core.expect("a member");
        let known = core.membership.nodes.values().find(|node| node.name == moved);
        known.is_some_and(|node| node.address == "elsewhere:1")
    });
    done_at(&mut world, &leader);
    world.until("it has all", |world| world.history(&moved) == [1]);
}

/// A newcomer stays a learner while a voter is silent, and the leader says whom it waits for.
#[test]
fn a_silent_voter_keeps_a_newcomer_a_learner() {
    let mut world = World::of_three();
    let leader = world.elect();
    let silent = followers(&world, &leader)[0].clone();
    world.crash(&silent);
    world.add("d", Spec::peers(&["a", "b", "c"]));
    world.until("it is a learner", |world| members(world, &leader).1 == ["d"]);
    world.run(10 * SECOND);
    assert_eq!(members(&world, &leader).1, ["d"]);
    let words: Vec<_> = world.status(&leader).waiting_for.iter().map(ToString::to_string).collect();
    let says = |text: &str| words.iter().any(|word| word.contains(text));
    assert!(says("`d` stays a learner"), "{words:?}");
    assert!(says(&format!("skiff member remove {silent}")), "{words:?}");
    assert!(says(&format!("skiff member replace {silent}")), "{words:?}");
    change(&mut world, &leader, remove(&silent));
    world.until("it is a voter", |world| voters(world, &leader).contains(&"d".to_owned()));
}

/// A node with an empty directory under the name of a voter takes that one's place once it has answered
/// nobody for twenty election timeouts and ten seconds, and not before.
#[test]
fn a_wiped_node_takes_its_own_place() {
    let mut world = World::of_three();
    let leader = world.elect();
    done(&mut world, 5);
    let wiped = followers(&world, &leader)[0].clone();
    world.run(20 * SECOND);
    world.wipe(&wiped);
    world.start(&wiped);
    world.run(14 * SECOND);
    assert_eq!(world.status(&wiped).standing, Standing::Fresh);
    let words: Vec<_> = world.status(&wiped).waiting_for.iter().map(ToString::to_string).collect();
    assert!(words.iter().any(|word| word.contains("takes its place")), "{words:?}");
    let node = world.status(&wiped).node;
    world.until("it is a voter", |world| {
        let core = world.status(&leader).core.expect("a member");
        core.membership.voters.contains(&node) && !core.membership.is_joint()
    });
    assert_eq!(voters(&world, &leader), ["a", "b", "c"]);
    done_at(&mut world, &leader);
    world.until("it has all", |world| world.history(&wiped) == [5, 1]);
    let told = |event: &&Event| {
        let joined = matches!(event, Event::MemberJoined { .. } | Event::MemberPromoted { .. });
        joined || matches!(event, Event::MemberLeft { .. })
    };
    let told: Vec<_> = world.events(&leader).iter().filter(told).collect();
    let [Event::MemberJoined { .. }, Event::MemberPromoted { .. }, Event::MemberLeft { .. }] =
        told[..]
    else {
        panic!("both places change in one step: {told:?}");
    };
}

/// The leader dies between the halves of a change, and nobody asks again.
#[test]
fn a_change_is_carried_on_by_the_next_leader() {
    for after in [1, 2, 3, 5, 8, 13, 21, 34] {
        let mut world = World::new();
        let names = ["a", "b", "c", "d"];
        for name in names {
            world.add(name, Spec::peers(&names));
        }
        let leader = world.elect();
        let gone = followers(&world, &leader)[0].clone();
        world.call(&leader, remove(&gone), LONG);
        world.run(after * 500_000);
        world.crash(&leader);
        world.run(5 * SECOND);
        let next = world.elect_among(|name| *name != gone);
        // Whether it began before the crash, it is whole now.
        let left = voters(&world, &next);
        assert!(left.len() == 3 || left.len() == 4, "{after}: {left:?}");
        let core = world.status(&next).core.expect("a member");
        assert!(!core.membership.is_joint(), "{after}: nothing hangs");
    }
}

/// Nobody has the beginning of the log any more.
fn compacted(genesis_bytes: Option<usize>) -> World {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        let snapshots = Some(5);
        let spec = Spec { snapshots, genesis_bytes, ..Spec::peers(&["a", "b", "c"]) };
        world.add(name, spec);
    }
    (0..20).for_each(|_| done(&mut world, 1));
    world.until("all logs to be compacted", |world| {
        let base = |name: &&str| world.status(name).core.map(|core| core.base.index.0);
        ["a", "b", "c"].iter().all(|name| base(name).is_some_and(|base| base > 10))
    });
    world
}

#[test]
fn a_newcomer_to_a_compacted_log_gets_the_newest_snapshot() {
    // With what the cluster began with at hand, and without.
    for genesis_bytes in [None, Some(0)] {
        let mut world = compacted(genesis_bytes);
        world.add("d", Spec { genesis_bytes, ..Spec::peers(&["a", "b", "c"]) });
        until_voters(&mut world, &["a", "b", "c", "d"]);
        done(&mut world, 2);
        let all: Vec<i64> = [vec![1; 20], vec![2]].concat();
        world.until("it has all", |world| world.history("d") == all);
        let learner = Spec { learner: true, genesis_bytes, ..Spec::peers(&["d"]) };
        world.add("e", learner);
        world.until("it has all", |world| {
            world.is_running("e")
                && world.status("e").standing == Standing::Member
                && world.history("e") == all
        });
        // What it is sent survives a restart.
        for name in ["d", "e"] {
            world.crash(name);
            world.start(name);
        }
        done(&mut world, 3);
        world.until("they go on", |world| {
            ["d", "e"].iter().all(|name| world.history(name).last() == Some(&3))
        });
        let formed = |event: &Event| matches!(event, Event::Formed { .. });
        assert!(!["d", "e"].iter().any(|name| world.events(name).iter().any(formed)));
    }
}

#[test]
fn a_wiped_node_takes_its_own_place_by_a_snapshot() {
    for genesis_bytes in [None, Some(0)] {
        let mut world = compacted(genesis_bytes);
        let leader = world.elect();
        let wiped = followers(&world, &leader)[0].clone();
        world.wipe(&wiped);
        world.start(&wiped);
        world.until("it is a voter", |world| {
            voters(world, &leader).len() == 3 && {
                let node = world.status(&wiped).node;
                world
                    .status(&leader)
                    .core
                    .is_some_and(|core| core.membership.voters.contains(&node))
            }
        });
        done_at(&mut world, &leader);
        world.until("it has all", |world| world.history(&wiped) == [1; 21]);
    }
}

/// The snapshot that a fresh node is given must be whole and durable before the node calls itself a member:
/// after a crash at any step it is still a fresh one, or a member with all that this takes.
#[test]
fn a_newcomer_that_is_killed_early_is_admitted_when_it_comes_back() {
    let mut reached = 0;
    for jobs in 0..60 {
        for done in [false, true] {
            let mut world = compacted(Some(0));
            let spec = Spec { genesis_bytes: Some(0), ..Spec::peers(&["a", "b", "c"]) };
            let crash = Some(world::node::Crash { jobs, done });
            world.add("d", Spec { crash, ..spec });
            for _ in 0..50 {
                world.run(SECOND / 10);
                if !world.is_running("d") {
                    reached += 1;
                    world.spec("d").crash = None;
                    world.start("d");
                    break;
                }
            }
            until_voters(&mut world, &["a", "b", "c", "d"]);
            world.until("it has all", |world| world.history("d") == [1; 20]);
        }
    }
    assert!(reached > 60, "{reached}");
}
