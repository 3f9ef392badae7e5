//! Directories that are empty, or copies.

use std::collections::BTreeMap;

use skiff_replica::{Event, Index, Refusal, Standing, State, Term};
use skiff_transport as wire;

use crate::{
    done,
    world::{MS, SECOND, Spec, World, followers, instances, stranger::Stranger},
};

/// Runs for so long, and notes who leads in which term; never two in one.
fn run_noting(world: &mut World, nanos: u64, leaders: &mut BTreeMap<Term, String>) {
    let end = world.now.after(nanos);
    while world.now < end {
        world.run(5 * MS);
        let running = world.names().into_iter().filter(|name| world.is_running(name));
        for name in running.filter(|name| world.status(name).state == State::Leader) {
            let first = leaders.entry(world.status(&name).term).or_insert_with(|| name.clone());
            assert_eq!(*first, name, "two leaders in one term");
        }
    }
}

/// A voter that came back with an empty disk voted, or counted as before. The leader dies while the
/// third lacks the last entry that the leader and the wiped one had acknowledged: nobody may lead.
#[test]
fn wiped_voter_no_vote() {
    let mut world = World::of_three();
    let leader = world.elect();
    let [behind, wiped] = <[String; 2]>::try_from(followers(&world, &leader)).unwrap();
    world.cut(&behind, &leader);
    world.cut(&behind, &wiped);
    assert_eq!(done(&mut world, &leader, 7), 7);
    world.crash(&leader);
    world.wipe(&wiped);
    world.heal(&behind, &leader);
    world.heal(&behind, &wiped);
    world.start(&wiped);
    world.run(20 * SECOND);
    assert_eq!(world.leader(), None, "no leader rather than a lost entry");
    assert_eq!(world.status(&wiped).standing, Standing::Fresh);
    let told = world
        .events(&behind)
        .iter()
        .any(|event| matches!(event, Event::AdmissionWaits { name, .. } if *name == wiped));
    let words: Vec<_> = world.status(&wiped).waiting_for.iter().map(ToString::to_string).collect();
    assert!(told && words.iter().any(|word| word.contains(&behind)), "both say so: {words:?}");
    world.start(&leader);
    world.until("it leads again", |world| world.leader().as_ref() == Some(&leader));
    assert_eq!(done(&mut world, &leader, 1), 8);
    world.until("the others have it all", |world| world.history(&behind) == [7, 1]);
}

/// A voter is wiped after its vote and comes back under its name; another campaigns in the same term.
#[test]
fn wiped_before_met() {
    let mut world = World::of_three();
    let first = world.elect();
    let [voter, late] = <[String; 2]>::try_from(followers(&world, &first)).unwrap();
    let (old, before) = (world.status(&voter).node, world.status(&first).term);
    // The next leader is elected without the late one, by the one that will be wiped.
    world.cut(&late, &first);
    world.cut(&late, &voter);
    world.crash(&first);
    world.start(&first);
    world.until("another leader", |world| {
        [&first, &voter].iter().any(|name| {
            let status = world.status(name);
            status.state == State::Leader && status.term > before
        })
    });
    let leader = if world.status(&first).state == State::Leader { first } else { voter };
    let wiped = followers(&world, &leader).into_iter().find(|name| *name != late).unwrap();
    let term = world.status(&leader).term;
    assert!(world.status(&late).term < term);
    let mut leaders = BTreeMap::from([(term, leader.clone())]);
    world.crash(&leader);
    world.wipe(&wiped);
    world.heal(&late, &leader);
    world.heal(&late, &wiped);
    world.start(&wiped);
    run_noting(&mut world, 20 * SECOND, &mut leaders);
    assert_eq!(leaders.len(), 1, "the vote was not given twice: {leaders:?}");
    assert_ne!(world.status(&wiped).node, old, "it is another node");
    world.start(&leader);
    run_noting(&mut world, 5 * SECOND, &mut leaders);
    assert!(leaders.len() > 1 && world.leader().is_some(), "two of three serve");
    let members = world.status(&late).core.expect("a member").membership;
    assert_eq!(members.voters.len(), 3);
    assert!(!members.contains(world.status(&wiped).node));
}

/// The majority came back empty before the rest and founded a new, empty cluster; the data of the rest
/// was refused.
#[test]
fn empty_majority_does_not_refound() {
    let names = ["a", "b", "c", "d", "e"];
    for (count, empty) in [(3, 2), (5, 3), (5, 4)] {
        for (empty_first, lowest_lost) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let set = &names[..count];
            let mut world = World::new();
            set.iter().for_each(|name| world.add(name, Spec::peers(set)));
            let leader = world.elect();
            assert_eq!(done(&mut world, &leader, 5), 5);
            world.until("all have it", |world| set.iter().all(|name| world.value(name) == 5));
            let before = instances(&world);
            // The lowest name, which would found, is among the lost or not.
            let (kept, lost) = if lowest_lost {
                let (lost, kept) = set.split_at(empty);
                (kept, lost)
            } else {
                set.split_at(count - empty)
            };
            set.iter().for_each(|name| world.crash(name));
            lost.iter().for_each(|name| world.wipe(name));
            let order = if empty_first { [lost, kept] } else { [kept, lost] };
            for some in order {
                some.iter().for_each(|name| world.start(name));
                world.run(10 * SECOND);
            }
            assert_eq!(instances(&world), before, "{empty} of {count}");
            assert_eq!(world.leader(), None);
            for name in lost {
                assert_eq!(world.status(name).standing, Standing::Fresh);
                assert!(!world.status(name).waiting_for.is_empty(), "it says for whom it waits");
            }
            for name in kept {
                let core = world.status(name).core.expect("a member");
                assert!(core.last.index > Index(2), "the data is there");
                assert!(world.is_running(name));
            }
        }
    }
}

/// A copy of a live node's data, started elsewhere, has opened it once more than the original. It
/// must not take its place while the original's connections are down for a moment.
#[test]
fn clone_with_higher_boot() {
    let mut world = World::of_three();
    let leader = world.elect();
    let original = followers(&world, &leader).remove(0);
    let status = world.status(&original);
    let clone = |world: &World, boot: u64| {
        let mut clone = Stranger::new(status.node.0, &original);
        clone.boot = boot;
        clone.hello.address = "elsewhere:9".into();
        clone.hello.standing = wire::Standing::Member;
        clone.hello.instance = status.instance.map(|instance| instance.0);
        clone.hello.term = world.status(&leader).term;
        clone
    };
    let refusals = |world: &World| -> Vec<(String, Refusal)> {
        let events = world.events(&leader).iter().filter_map(|event| match event {
            Event::PeerRefused { address, reason } => Some((address.clone(), reason.clone())),
            _ => None,
        });
        events.collect()
    };
    let expected =
        ("elsewhere:9".to_owned(), Refusal::CopiedData { other: format!("{original}:1") });
    for round in 0..2 {
        if round == 0 {
            for name in followers(&world, &original) {
                world.cut(&original, &name);
            }
            world.run(10 * MS);
            assert!(world.status(&leader).peers.iter().any(|peer| !peer.connected));
        }
        let link = clone(&world, 2).meets(&mut world, &leader);
        assert!(world.was_closed(&leader, link), "round {round}");
        assert_eq!(refusals(&world), std::slice::from_ref(&expected), "both addresses are named");
        for name in followers(&world, &original) {
            world.heal(&original, &name);
        }
        world.until("the original is back", |world| {
            world.status(&leader).peers.iter().all(|peer| peer.connected)
        });
    }
    let value = done(&mut world, &leader, 3);
    world.until("it has its place", |world| world.value(&original) == value);
    // Once the original is gone, its data may be elsewhere.
    world.crash(&original);
    world.run(2 * SECOND);
    let link = clone(&world, 2).meets(&mut world, &leader);
    assert!(!world.was_closed(&leader, link));
}

/// A node that is started again at once, where it was, waits for nothing.
#[test]
fn clone_with_higher_boot_is_told_from_a_restart() {
    let mut world = World::of_three();
    let leader = world.elect();
    let node = followers(&world, &leader).remove(0);
    world.crash(&node);
    world.run(MS);
    world.start(&node);
    world.run(100 * MS);
    assert!(world.status(&leader).peers.iter().all(|peer| peer.connected));
    let refused = |event: &Event| matches!(event, Event::PeerRefused { .. });
    assert!(!world.events(&leader).iter().any(refused));
}
