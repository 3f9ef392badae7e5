//! Machines that keep their data, give it away, or take it.

use std::collections::BTreeSet;

use skiff_replica::{Consistency, Input};

use crate::{
    done,
    world::{MS, SECOND, Spec, World, node::Crash},
};

/// A machine kept its data in one place and how far it is in another; killed in between, it did some
/// commands twice, and the nodes drifted apart. Here each keeps both at once, and is killed at each of
/// its jobs in turn, while there is work.
#[test]
fn applied_index_with_data() {
    let mut restarted = 0;
    for jobs in 0..60 {
        let (jobs, done_too) = (jobs / 2, jobs % 2 == 0);
        let mut world = World::new();
        for name in ["a", "b", "c"] {
            world.add(name, Spec { durable: true, ..Spec::peers(&["a", "b", "c"]) });
        }
        let leader = world.elect();
        assert_eq!(done(&mut world, &leader, 1), 1);
        for name in ["a", "b", "c"] {
            world.spec(name).crash = Some(Crash { jobs, done: done_too });
            for by in 2..12 {
                if let Some(leader) = world.leader() {
                    world.command(&leader, by);
                }
                world.run(10 * MS);
            }
            world.spec(name).crash = None;
            if !world.is_running(name) {
                restarted += 1;
                world.start(name);
            }
            world.elect();
        }
        let leader = world.elect();
        let sum = done(&mut world, &leader, 100);
        world.until("all are equal", |world| {
            ["a", "b", "c"].iter().all(|name| world.value(name) == sum)
        });
        let history = world.history(&leader);
        for name in ["a", "b", "c"] {
            assert_eq!(world.history(name), history, "{name}, killed after {jobs} jobs");
            assert!(world.restores(name) <= 1, "it was not begun anew");
        }
    }
    assert!(restarted > 100, "only {restarted} were killed");
}

/// Stop waited for the work on a snapshot, which waited for an answer of what had ended. Here a node
/// is told to stop at any time while it makes, keeps, sends or takes the first one.
#[test]
fn stop_meets_snapshot() {
    let mut standings = BTreeSet::new();
    for after in 0..60 {
        for name in ["a", "b"] {
            let mut world = World::new();
            for one in ["a", "b", "c"] {
                let slow = Spec { disk: 3 * MS, machine: 5 * MS, ..Spec::peers(&["a", "b", "c"]) };
                world.add(one, slow.forwarding());
            }
            world.run(after * MS);
            standings.insert(format!("{:?}", world.status(name).standing));
            let calls = [world.command(name, 7), world.read(name, Consistency::Linearizable)];
            world.input(name, Input::Stop);
            world.input(name, Input::Stop);
            world.run(1);
            assert_eq!(world.stopped(name), Some(&Ok(())), "after {after} ms");
            for call in &calls {
                assert!(world.answer(call).is_some(), "{call:?} after {after} ms");
            }
            world.run(SECOND);
            world.start(name);
            let leader = world.elect();
            let sum = done(&mut world, &leader, 1);
            world.until("all have it", |world| {
                ["a", "b", "c"].iter().all(|name| world.value(name) == sum)
            });
        }
    }
    assert_eq!(standings.len(), 2, "before and after: {standings:?}");
}
