//! Who is let in, who is turned away, and what is told about it.

mod world;

use skiff_core::NodeId;
use skiff_replica::{Event, InstanceId, Refusal, Standing, Term};
use skiff_transport::{self as wire, Body, Joins, Listed};
use world::{Answer, MS, SECOND, Spec, World, stranger::Stranger};

fn refusals(world: &World, name: &str) -> Vec<Refusal> {
    let events = world.events(name).iter();
    events
        .filter_map(|event| match event {
            Event::PeerRefused { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .collect()
}

fn lone() -> World {
    let mut world = World::new();
    world.add("a", Spec { bootstrap: true, ..Spec::default() });
    world.elect();
    world
}

#[test]
fn a_newcomer_is_admitted_if_it_wants_to_be() {
    let mut world = lone();
    let mut stranger = Stranger::new(5, "x");
    let link = stranger.meets(&mut world, "a");
    world.run(SECOND);
    let admitted = |world: &World| {
        world.said_to("a", link).iter().any(|said| matches!(said.body, Body::Admission(_)))
    };
    assert!(!world.was_closed("a", link));
    assert!(!admitted(&world), "it was told of no peers, and asks for nothing");
    stranger.hello.joins = Joins::AsLearner;
    stranger.says_hello(&mut world, "a", link);
    world.run(SECOND);
    stranger.says_hello(&mut world, "a", link);
    assert!(admitted(&world));
    let peers = world.status("a").peers;
    assert_eq!((peers.len(), peers[0].connected, peers[0].voter), (1, true, false));
}

#[test]
fn a_copy_of_a_live_nodes_data_is_refused_with_its_address() {
    let mut world = lone();
    let original = Stranger::new(5, "x");
    let first = original.meets(&mut world, "a");
    for boot in [1, 2] {
        let mut copy = Stranger::new(5, "x");
        copy.boot = boot;
        copy.hello.nonce = 78;
        copy.hello.address = "copy:9".into();
        let link = copy.meets(&mut world, "a");
        assert!(world.was_closed("a", link), "boot {boot}");
        assert_eq!(
            refusals(&world, "a").last(),
            Some(&Refusal::CopiedData { other: "x:9".into() })
        );
    }
    assert!(!world.was_closed("a", first), "the one that answers keeps its place");
}

#[test]
fn a_name_belongs_to_whoever_answers() {
    let mut world = lone();
    let first = Stranger::new(5, "x").meets(&mut world, "a");
    let second = Stranger::new(6, "x").meets(&mut world, "a");
    assert!(world.was_closed("a", second) && !world.was_closed("a", first));
    let expected = Refusal::NameTaken { name: "x".into(), other: "x:9".into() };
    assert_eq!(refusals(&world, "a"), [expected]);
    // The first says nothing for long; its connection breaks later, or never.
    world.run(5 * SECOND);
    let third = Stranger::new(6, "x").meets(&mut world, "a");
    assert!(world.was_closed("a", first) && !world.was_closed("a", third));
    assert_eq!(world.status("a").peers.len(), 1);
}

#[test]
fn a_node_that_was_started_again_takes_the_place_of_its_earlier_run() {
    let mut world = lone();
    let mut node = Stranger::new(5, "x");
    let first = node.meets(&mut world, "a");
    // Its old connection is still there, but nothing comes from it.
    world.run(5 * SECOND);
    node.boot = 2;
    node.hello.nonce = 78;
    let second = node.meets(&mut world, "a");
    assert!(world.was_closed("a", first) && !world.was_closed("a", second));
    // And the old run has lost its place for good.
    node.boot = 1;
    node.hello.nonce = 77;
    let third = node.meets(&mut world, "a");
    assert!(world.was_closed("a", third));
    assert_eq!(refusals(&world, "a").last(), Some(&Refusal::OldData { theirs: 1, seen: 2 }));
}

/// A copy that was started often enough has a high boot counter, but not the newest term.
#[test]
fn data_of_an_earlier_term_is_refused() {
    let mut world = lone();
    let mut node = Stranger::new(5, "x");
    node.hello.term = Term(7);
    let first = node.meets(&mut world, "a");
    world.run(5 * SECOND);
    node.boot = 9;
    node.hello.term = Term(6);
    let second = node.meets(&mut world, "a");
    assert!(world.was_closed("a", second) && !world.was_closed("a", first));
    let expected = Refusal::OldTerm { theirs: Term(6), seen: Term(7) };
    assert_eq!(refusals(&world, "a").last(), Some(&expected));
}

#[test]
fn a_member_whose_directory_was_put_back_is_refused() {
    let mut world = World::of_three();
    let leader = world.elect();
    let (name, node) = {
        let peer = world.status(&leader).peers.remove(0);
        (peer.name.expect("a member"), peer.node.expect("a member"))
    };
    world.crash(&name);
    world.start(&name);
    world.run(2 * SECOND);
    world.crash(&name);
    world.run(5 * SECOND);
    let mut old = Stranger::new(node.0, &name);
    old.hello.standing = wire::Standing::Member;
    old.hello.instance = world.status(&leader).instance.map(|instance| instance.0);
    let link = old.meets(&mut world, &leader);
    assert!(world.was_closed(&leader, link));
    assert_eq!(refusals(&world, &leader).last(), Some(&Refusal::OldData { theirs: 1, seen: 2 }));
}

#[test]
fn what_no_node_may_say_is_refused() {
    let mut world = lone();
    let whole = || Stranger::new(5, "x");
    let no_id = Stranger::new(0, "x");
    let mut member_of_nothing = whole();
    member_of_nothing.hello.standing = wire::Standing::Member;
    let mut removed = whole();
    removed.hello.standing = wire::Standing::Removed;
    let mut same_name = whole();
    same_name.hello.name = "a".into();
    let mut other_cluster = whole();
    other_cluster.hello.cluster = "other".into();
    let mut myself = whole();
    myself.node = world.status("a").node.0;
    for (number, one) in
        [no_id, member_of_nothing, removed, same_name, other_cluster, myself].iter().enumerate()
    {
        let link = one.meets(&mut world, "a");
        assert!(world.was_closed("a", link), "{number}");
        assert_eq!(refusals(&world, "a").len(), number + 1, "{number}");
    }
    let changes = whole();
    let link = changes.meets(&mut world, "a");
    assert!(!world.was_closed("a", link));
    Stranger::new(6, "y").says_hello(&mut world, "a", link);
    assert!(world.was_closed("a", link));
    assert_eq!(world.status("a").refused, 7);
}

#[test]
fn a_peer_that_connects_and_says_nothing_harms_nobody() {
    let mut world = World::of_three();
    let links: Vec<_> = (0..50).map(|_| world.stranger("a")).collect();
    let leader = world.elect();
    let call = world.command(&leader, 3);
    assert_eq!(world.wait(&call), Answer::Response(3));
    assert!(links.iter().all(|link| !world.was_closed("a", *link)));
}

/// A genesis that does not fit, or is not for this node, is not taken.
#[test]
fn a_genesis_is_judged_before_it_is_taken() {
    let mut world = World::new();
    world.add("b", Spec::peers(&["a", "b"]));
    world.run(100 * MS);
    let me = world.status("b").node;
    let mut founder = Stranger::new(5, "a");
    founder.hello.standing = wire::Standing::Member;
    founder.hello.instance = Some(9);
    let link = founder.meets(&mut world, "b");
    let good = wire::Genesis {
        cluster: "orders".into(),
        instance: 9,
        position: skiff_replica::Position::new(1, 1),
        membership: skiff_core::Membership::of([NodeId(5), me]),
        machine_version: 0,
        codec: "own".into(),
        content: world::bytes(""),
    };
    let others = [
        wire::Genesis { cluster: "other".into(), ..good.clone() },
        wire::Genesis { instance: 8, ..good.clone() },
        wire::Genesis { position: skiff_replica::Position::new(2, 1), ..good.clone() },
        wire::Genesis { machine_version: 1, ..good.clone() },
        wire::Genesis { codec: "other".into(), ..good.clone() },
        wire::Genesis {
            membership: skiff_core::Membership::of([NodeId(5), NodeId(6)]),
            ..good.clone()
        },
    ];
    for genesis in others {
        world.strange("b", link, founder.says(Body::Genesis(Box::new(genesis.clone()))));
        world.run(100 * MS);
        assert_eq!(world.status("b").standing, Standing::Fresh, "{genesis:?}");
    }
    let reasons: Vec<_> = refusals(&world, "b").iter().map(ToString::to_string).collect();
    assert!(reasons.iter().any(|reason| reason.contains("version 1")), "{reasons:?}");
    world.strange("b", link, founder.says(Body::Genesis(Box::new(good))));
    world.run(100 * MS);
    assert_eq!(world.status("b").standing, Standing::Member);
    assert_eq!(world.status("b").instance, Some(InstanceId(9)));
}

/// A fresh node that is told of one that nobody listed does not found, whatever it claims.
#[test]
fn a_member_elsewhere_keeps_fresh_nodes_from_founding() {
    let mut world = World::new();
    world.add("a", Spec::peers(&["a", "b"]));
    let mut member = Stranger::new(5, "z");
    member.hello.standing = wire::Standing::Member;
    member.hello.instance = Some(9);
    member.meets(&mut world, "a");
    world.add("b", Spec::peers(&["a", "b"]));
    world.run(5 * SECOND);
    assert_eq!(world.status("a").standing, Standing::Fresh);
    let words: Vec<_> = world.status("a").waiting_for.iter().map(ToString::to_string).collect();
    assert!(words.iter().any(|w| w.starts_with("`z` at z:9 belongs to instance")), "{words:?}");
}

/// A list claimed to be equal is compared by names and ids.
#[test]
fn equal_names_with_other_ids_are_another_list() {
    let mut world = World::new();
    world.add("a", Spec::peers(&["a", "x"]));
    world.run(10 * MS);
    let me = world.status("a").node;
    let mut peer = Stranger::new(5, "x");
    peer.hello.list_closed = true;
    peer.hello.list = vec![
        Listed { name: "a".into(), node: NodeId(me.0 + 1) },
        Listed { name: "x".into(), node: NodeId(5) },
    ];
    peer.meets(&mut world, "a");
    world.run(SECOND);
    assert_eq!(world.status("a").standing, Standing::Fresh);
    let words: Vec<_> = world.status("a").waiting_for.iter().map(ToString::to_string).collect();
    assert!(words.iter().any(|w| w.contains("`x` at x:9 was given another list")), "{words:?}");
}

/// Who listens where nobody has answered yet is no stranger, only early; anybody else is one.
#[test]
fn who_comes_before_it_is_reached_was_not_given_another_list() {
    for (address, stranger) in [("b:1", false), ("z:9", true)] {
        let mut world = World::new();
        world.add("a", Spec::peers(&["a", "b"]));
        let mut peer = Stranger::new(5, "z");
        peer.hello.address = address.into();
        peer.hello.list = vec![Listed { name: "z".into(), node: NodeId(5) }];
        peer.hello.unresolved = vec!["a:1".into()];
        peer.meets(&mut world, "a");
        world.run(SECOND);
        let words: Vec<_> = world.status("a").waiting_for.iter().map(ToString::to_string).collect();
        let told = words.iter().any(|w| w.ends_with("was given another list of peers, with z"));
        assert_eq!(told, stranger, "{words:?}");
        assert!(words.contains(&"nobody answers at b:1".to_owned()), "{words:?}");
    }
}
