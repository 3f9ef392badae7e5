//! How clusters come about, and that they never come about twice.

mod world;

use skiff_replica::{Event, Input, InstanceId, Refusal, ReplicaError, Standing, State, Waiting};
use world::{Answer, MS, SECOND, Spec, World, instances, node::Crash};

/// All nodes serve one cluster: a command given to its leader reaches all of them.
fn serves(world: &mut World, names: &[&str]) {
    let leader = world.elect();
    let call = world.command(&leader, 5);
    let Answer::Response(value) = world.wait(&call) else {
        panic!("{:?}", world.answer(&call));
    };
    world.until("the command everywhere", |world| {
        names.iter().all(|name| world.value(name) == value)
    });
    assert_eq!(instances(world).len(), 1, "one instance");
}

fn waits(world: &World, name: &str) -> Vec<String> {
    world.status(name).waiting_for.iter().map(ToString::to_string).collect()
}

#[test]
fn three_nodes_form_a_cluster_and_replicate() {
    let mut world = World::of_three();
    serves(&mut world, &["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        let formed = world.events(name).iter().find_map(|event| match event {
            Event::Formed { founder, members, .. } => Some((founder.clone(), members.clone())),
            _ => None,
        });
        let (founder, members) = formed.expect("it was told");
        assert_eq!(founder.as_deref(), Some("a"));
        assert_eq!(members, ["a", "b", "c"]);
        assert_eq!(world.status(name).standing, Standing::Member);
        assert!(world.status(name).waiting_for.is_empty());
    }
}

#[test]
fn a_third_node_that_comes_a_minute_later_is_waited_for_by_name() {
    let mut world = World::new();
    let spec = Spec::peers(&["a", "b", "c"]);
    world.add("a", spec.clone());
    world.add("b", spec.clone());
    world.run(60 * SECOND);
    for name in ["a", "b"] {
        assert_eq!(world.status(name).state, State::Idle);
        assert!(waits(&world, name).contains(&"nobody answers at c:1".to_owned()));
        let told = world.events(name).iter().any(|event| match event {
            Event::Waiting(waits) => waits.contains(&Waiting::Address { address: "c:1".into() }),
            _ => false,
        });
        assert!(told, "{name} says for whom it waits");
    }
    assert!(instances(&world).is_empty());
    world.add("c", spec);
    serves(&mut world, &["a", "b", "c"]);
}

#[test]
fn lists_that_differ_form_nothing_and_say_whose() {
    let mut world = World::new();
    world.add("a", Spec::peers(&["a", "b", "c"]));
    world.add("b", Spec::peers(&["a", "b", "c"]));
    world.add("c", Spec::peers(&["b", "c"]));
    world.run(20 * SECOND);
    assert!(instances(&world).is_empty());
    let words = waits(&world, "a");
    let expected = "`c` at c:1 was given another list of peers, without a";
    assert!(words.contains(&expected.to_owned()), "{words:?}");
    let words = waits(&world, "c");
    assert!(words.iter().any(|words| words.contains("with a")), "{words:?}");
}

#[test]
fn a_node_that_nobody_listed_is_a_difference() {
    let mut world = World::new();
    world.add("d", Spec::peers(&["a", "b", "d"]));
    world.run(SECOND);
    world.add("a", Spec::peers(&["a", "b"]));
    world.add("b", Spec::peers(&["a", "b"]));
    world.run(20 * SECOND);
    assert!(instances(&world).is_empty());
    let words = waits(&world, "a");
    assert!(words.iter().any(|words| words.starts_with("`d` at")), "{words:?}");
}

/// Four and five nodes with equal lists, whatever the order they come in and the cuts between them.
#[test]
fn one_cluster_from_one_set() {
    let names = ["a", "b", "c", "d", "e"];
    for count in [4, 5] {
        for cut_after in 0..12 {
            let set = &names[..count];
            let mut world = World::new();
            for (at, name) in set.iter().enumerate() {
                world.add(name, Spec::peers(set));
                world.run((at as u64 * 7 + cut_after) % 5 * MS);
            }
            world.run(cut_after * MS);
            let (left, right) = set.split_at(2);
            for (one, other) in left.iter().flat_map(|l| right.iter().map(move |r| (l, r))) {
                world.cut(one, other);
            }
            world.run(3 * SECOND);
            assert!(instances(&world).len() <= 1, "cut after {cut_after} ms");
            for (one, other) in left.iter().flat_map(|l| right.iter().map(move |r| (l, r))) {
                world.heal(one, other);
            }
            serves(&mut world, set);
        }
    }
}

#[test]
fn an_own_address_in_the_list_is_ignored_under_any_name() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.alias(&format!("127.0.0.1:{name}"), name);
    }
    let mut spec = Spec::peers(&["a", "b"]);
    spec.peers.push("127.0.0.1:a".into());
    spec.peers.push("127.0.0.1:b".into());
    world.add("a", spec);
    world.add("b", Spec::peers(&["a"]));
    serves(&mut world, &["a", "b"]);
    assert_eq!(world.status("a").peers.len(), 1);
    assert_eq!(world.status("b").peers.len(), 1);
}

#[test]
fn two_nodes_of_one_name_are_refused_with_both_addresses() {
    let mut world = World::new();
    world.add("a", Spec::peers(&["a", "b", "c"]));
    world.add("b", Spec::peers(&["a", "b", "c"]));
    world.run(SECOND);
    let mut second = Spec::peers(&["a", "b", "c"]);
    second.name = Some("b".into());
    world.add("c", second);
    world.run(20 * SECOND);
    assert!(instances(&world).is_empty());
    let refused = world.events("a").iter().any(|event| match event {
        Event::PeerRefused { address, reason: Refusal::NameTaken { name, other } } => {
            (address.as_str(), name.as_str(), other.as_str()) == ("c:1", "b", "b:1")
        }
        _ => false,
    });
    assert!(refused, "{:?}", world.events("a"));
    let words = waits(&world, "a");
    assert!(words.iter().any(|words| words.contains("another live node at b:1")), "{words:?}");
}

/// The founder crashes at each of its early jobs in turn, before doing it or right after; then the
/// first leader does. They return.
#[test]
fn founder_killed_early() {
    for jobs in 0..40 {
        for done in [false, true] {
            let mut world = World::new();
            let mut spec = Spec::peers(&["a", "b", "c"]);
            world.add("b", spec.clone());
            world.add("c", spec.clone());
            spec.crash = Some(Crash { jobs, done });
            world.add("a", spec);
            world.run(2 * SECOND);
            if !world.is_running("a") {
                world.start("a");
            }
            serves(&mut world, &["a", "b", "c"]);
            let leader = world.elect();
            world.crash(&leader);
            world.elect();
            world.start(&leader);
            serves(&mut world, &["a", "b", "c"]);
        }
    }
}

/// The same for one that takes the genesis, and for all at once.
#[test]
fn others_killed_early() {
    for jobs in 0..40 {
        let mut world = World::new();
        for name in ["a", "b", "c"] {
            let mut spec = Spec::peers(&["a", "b", "c"]);
            let jobs = jobs + name.len() * 3;
            spec.crash = Some(Crash { jobs, done: jobs % 2 == 0 });
            world.add(name, spec);
        }
        world.run(2 * SECOND);
        for name in ["a", "b", "c"] {
            world.spec(name).crash = None;
            if !world.is_running(name) {
                world.start(name);
            }
        }
        serves(&mut world, &["a", "b", "c"]);
    }
}

/// Nodes that each join the others one after the other, as the original's users do.
#[test]
fn staged_joins() {
    let mut world = World::new();
    let names = ["a", "b", "c", "d"];
    for name in names {
        world.add(name, Spec::default());
    }
    // First in pairs, then in a ring, then all; an address as name by one, as number by another.
    for (name, peer) in [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")] {
        world.join(name, &format!("{peer}:1"));
    }
    world.run(SECOND);
    world.alias("10.0.0.1", "a");
    for (name, peer) in [("b", "c:1"), ("c", "b:1"), ("d", "10.0.0.1"), ("a", "d:1")] {
        world.join(name, peer);
    }
    world.run(SECOND);
    world.crash("c");
    world.start("c");
    for name in names {
        for peer in names {
            world.join(name, &format!("{peer}:1"));
        }
    }
    serves(&mut world, &names);
}

/// A list that may still grow keeps the others waiting, whatever theirs are.
#[test]
fn an_open_list_is_waited_for() {
    let mut world = World::new();
    world.add("a", Spec::peers(&["a", "b"]));
    world.add("b", Spec::default());
    world.join("b", "a:1");
    world.run(2 * SECOND);
    assert!(instances(&world).is_empty());
    assert_eq!(waits(&world, "a"), ["the list of `b` is not closed"]);
    assert_eq!(waits(&world, "b"), ["peers may still be named: its list is not closed"]);
    serves(&mut world, &["a", "b"]);
}

/// Pairs that are left alone for long are two clusters, which refuse each other.
#[test]
fn pairs_joined_apart_are_two_clusters_and_say_so() {
    let mut world = World::new();
    for name in ["a", "b", "c", "d"] {
        world.add(name, Spec::default());
    }
    for (name, peer) in [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")] {
        world.join(name, &format!("{peer}:1"));
    }
    world.run(10 * SECOND);
    assert_eq!(instances(&world).len(), 2);
    world.join("a", "c:1");
    world.run(SECOND);
    let (ours, theirs) = (world.status("a").instance, world.status("c").instance);
    let refused = world.events("a").iter().any(|event| match event {
        Event::PeerRefused {
            reason: Refusal::OtherInstance { name, ours: o, theirs: t }, ..
        } => name == "c" && Some(*o) == ours && Some(*t) == theirs,
        _ => false,
    });
    assert!(refused, "{:?}", world.events("a"));
    assert!(world.is_running("a") && world.is_running("c"));
}

/// Two of three come back empty; the third is up, comes later, or never does.
#[test]
fn two_of_three_wiped() {
    for third in ["up", "later", "never"] {
        let mut world = World::of_three();
        serves(&mut world, &["a", "b", "c"]);
        let instance = instances(&world);
        for name in ["a", "b", "c"] {
            world.crash(name);
        }
        if third == "up" {
            world.start("a");
        }
        for name in ["b", "c"] {
            world.wipe(name);
            world.start(name);
        }
        world.run(20 * SECOND);
        if third == "later" {
            world.start("a");
            world.run(20 * SECOND);
        }
        for name in ["b", "c"] {
            assert_eq!(world.status(name).standing, Standing::Fresh, "{third}");
            let words = waits(&world, name);
            let expected = if third == "never" { "nobody answers at a:1" } else { "`a` at a:1" };
            assert!(words.iter().any(|w| w.starts_with(expected)), "{third}: {words:?}");
        }
        if third != "never" {
            assert_eq!(instances(&world), instance);
            assert_ne!(world.status("a").state, State::Leader);
            let core = world.status("a").core.expect("a member");
            assert!(core.last.index > core.base.index, "the data is still there");
            let told = world.events("a").iter().any(|event| {
                matches!(event, Event::AdmissionWaits { name, reason, .. }
                    if name == "b" && reason.contains("only `a` answer"))
            });
            assert!(told, "{:?}", world.events("a"));
        }
    }
}

#[test]
fn one_wiped_of_three_waits_and_the_others_serve() {
    let mut world = World::of_three();
    serves(&mut world, &["a", "b", "c"]);
    world.wipe("b");
    world.start("b");
    world.until("b to see the others", |world| waits(world, "b").len() == 2);
    let call = world.command(&world.leader().expect("two are up"), 1);
    assert_eq!(world.wait(&call), Answer::Response(6));
    assert_eq!(world.status("b").state, State::Idle);
    assert_eq!(world.value("b"), 0);
}

#[test]
fn bootstrap_does_nothing_on_a_member() {
    let mut world = World::of_three();
    serves(&mut world, &["a", "b", "c"]);
    let before = instances(&world);
    for name in ["a", "b", "c"] {
        world.input(name, Input::Bootstrap);
    }
    world.crash("a");
    world.spec("a").bootstrap = true;
    world.start("a");
    serves(&mut world, &["a", "b", "c"]);
    assert_eq!(instances(&world), before);
}

#[test]
fn bootstrap_on_lost_disk() {
    let mut world = World::of_three();
    serves(&mut world, &["a", "b", "c"]);
    let old = world.status("a").instance.expect("a member");
    world.wipe("a");
    let mut spec = Spec::peers(&["a", "b", "c"]);
    spec.bootstrap = true;
    *world.spec("a") = spec;
    world.start("a");
    world.until("a to stop", |world| !world.is_running("a"));
    match world.stopped("a") {
        Some(Err(ReplicaError::SecondInstance { name, ours, theirs, .. })) => {
            assert_eq!((name.as_str(), *theirs), ("a", old));
            assert_ne!(*ours, old);
        }
        other => panic!("{other:?}"),
    }
    assert!(world.is_running("b") && world.is_running("c"));
}

#[test]
fn bootstrap_founds_a_cluster_of_one() {
    let mut world = World::new();
    world.add("a", Spec { bootstrap: true, ..Spec::default() });
    serves(&mut world, &["a"]);
}

#[test]
fn without_peers_or_bootstrap_a_node_waits_and_says_both_ways_on() {
    let mut world = World::new();
    world.add("a", Spec::default());
    world.run(20 * SECOND);
    assert_eq!(world.status("a").state, State::Idle);
    assert!(
        waits(&world, "a")[0].contains("name them, or say that it is to be a cluster of its own")
    );
}

#[test]
fn a_lone_node_founds_at_its_first_command() {
    let mut world = World::new();
    world.add("a", Spec { lone: true, ..Spec::default() });
    let call = world.command("a", 7);
    assert_eq!(world.wait(&call), Answer::Response(7));
}

#[test]
fn a_lone_node_founds_by_itself_after_a_while() {
    let mut world = World::new();
    world.add("a", Spec { lone: true, ..Spec::default() });
    world.until("it leads", |world| world.status("a").state == State::Leader);
}

/// The order of the original's README: start first, join then.
#[test]
fn join_after_start() {
    let mut world = World::new();
    world.add("a", Spec::default());
    world.add("b", Spec::default());
    world.run(50 * MS);
    world.join("a", "b:1");
    world.join("b", "a:1");
    serves(&mut world, &["a", "b"]);
}

/// A command before the join founds alone; the join that comes later cannot undo it.
#[test]
fn join_after_a_command_is_an_error_that_says_so() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.add(name, Spec { lone: true, ..Spec::default() });
        let call = world.command(name, 1);
        assert_eq!(world.wait(&call), Answer::Response(1));
    }
    world.join("a", "b:1");
    world.run(SECOND);
    let told = world.events("a").iter().any(|event| {
        matches!(event, Event::PeerRefused { address, reason: Refusal::OtherInstance { .. } }
            if address == "b:1")
    });
    assert!(told, "{:?}", world.events("a"));
    assert!(world.is_running("a") && world.is_running("b"));
}

#[test]
fn the_founders_state_is_everybodys_and_others_say_that_theirs_is_gone() {
    let mut world = World::new();
    for (name, history) in [("a", vec![3]), ("b", vec![3]), ("c", vec![8])] {
        world.add(name, Spec { history, ..Spec::peers(&["a", "b", "c"]) });
    }
    serves(&mut world, &["a", "b", "c"]);
    let replaced = |name| {
        world.events(name).iter().any(|event| matches!(event, Event::MachineReplaced { .. }))
    };
    assert!(!replaced("a") && !replaced("b") && replaced("c"));
}

/// Also by the node whose name is the founder's: what it holds itself has no part in it.
#[test]
fn a_genesis_from_elsewhere_is_taken_as_it_is() {
    let mut world = World::of_three();
    serves(&mut world, &["a", "b", "c"]);
    let history = world.history("b");
    for name in ["b", "c"] {
        world.crash(name);
        world.start(name);
    }
    world.roll_back("a");
    world.spec("a").history = vec![9];
    world.start("a");
    world.until("a to have what the others have", |world| {
        world.status("a").standing == Standing::Member && world.history("a") == history
    });
    let replaced = |event: &Event| matches!(event, Event::MachineReplaced { .. });
    assert!(world.events("a").iter().any(replaced));
}

#[test]
fn a_first_state_that_is_too_large_for_an_envelope_travels_in_pieces() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        let history = if name == "a" { vec![1; 1000] } else { Vec::new() };
        let spec = Spec::peers(&["a", "b", "c"]);
        world.add(name, Spec { history, genesis_bytes: Some(100), ..spec });
    }
    serves(&mut world, &["a", "b", "c"]);
    let first = vec![1; 1000];
    assert!(["b", "c"].iter().all(|name| world.history(name).starts_with(&first)));
    let formed = |event: &Event| matches!(event, Event::Formed { .. });
    assert!(["a", "b", "c"].iter().all(|name| world.events(name).iter().any(formed)));
    // One that comes later gets it from one that got it so.
    world.crash("a");
    world.wipe("b");
    world.start("a");
    world.add("b", Spec { genesis_bytes: Some(100), ..Spec::peers(&["c"]) });
    world.until("b to be there", |world| {
        world.status("b").standing == Standing::Member && world.history("b").starts_with(&first)
    });
}

#[test]
fn another_cluster_is_refused_by_both_names() {
    let mut world = World::new();
    world.add("a", Spec::peers(&["a", "b"]));
    world.add("b", Spec { cluster: Some("other".into()), ..Spec::peers(&["a", "b"]) });
    world.run(SECOND);
    let told = world.events("a").iter().any(|event| match event {
        Event::PeerRefused { reason: Refusal::OtherCluster { ours, theirs }, .. } => {
            (ours.as_str(), theirs.as_str()) == ("orders", "other")
        }
        _ => false,
    });
    assert!(told, "{:?}", world.events("a"));
    assert!(instances(&world).is_empty());
}

#[test]
fn the_same_inputs_give_the_same_jobs() {
    let run = || {
        let mut world = World::of_three();
        world.record = Some(Vec::new());
        serves(&mut world, &["a", "b", "c"]);
        let leader = world.elect();
        world.crash(&leader);
        world.elect();
        world.start(&leader);
        serves(&mut world, &["a", "b", "c"]);
        world.record.expect("it was asked for")
    };
    let (one, other) = (run(), run());
    assert!(one.len() > 100);
    assert_eq!(one, other);
}

#[test]
fn an_instance_is_drawn_once() {
    let mut world = World::of_three();
    serves(&mut world, &["a", "b", "c"]);
    let InstanceId(drawn) = world.status("b").instance.expect("a member");
    for name in ["a", "b", "c"] {
        world.crash(name);
    }
    for name in ["a", "b", "c"] {
        world.start(name);
    }
    serves(&mut world, &["a", "b", "c"]);
    assert_eq!(instances(&world), [drawn].into());
}
