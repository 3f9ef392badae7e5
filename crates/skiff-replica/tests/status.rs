//! What a node tells of itself and of the others, to those who look at it.

mod world;

use skiff_replica::{Index, Status, TrailsBy};
use world::{Answer, MS, SECOND, World, followers};

fn trails_by(status: &Status, name: &str) -> TrailsBy {
    let peer = status.peers.iter().find(|peer| peer.name.as_deref() == Some(name));
    peer.and_then(|peer| peer.progress).expect("the leader knows").trails_by
}

#[test]
fn a_leader_tells_what_each_member_lacks_and_how_many_more_may_fail() {
    let mut world = World::of_three();
    let leader = world.elect();
    let [near, far] = <[String; 2]>::try_from(followers(&world, &leader)).expect("two");
    let call = world.command(&leader, 1);
    assert_eq!(world.wait(&call), Answer::Response(1));
    world.until("all have it", |world| {
        let status = world.status(&leader);
        [&near, &far].iter().all(|name| trails_by(&status, name).entries == 0)
    });
    let status = world.status(&leader);
    assert_eq!((status.tolerates, status.voter, status.first), (Some(1), true, Index(2)));
    assert_eq!(trails_by(&status, &far), TrailsBy { entries: 0, bytes: Some(0), nanos: Some(0) });

    world.crash(&far);
    world.run(SECOND);
    for by in 1..=10 {
        let call = world.command(&leader, by);
        assert!(matches!(world.wait(&call), Answer::Response(_)));
    }
    world.run(2 * SECOND);
    let status = world.status(&leader);
    assert_eq!(status.tolerates, Some(0), "the next failure ends service");
    let trails = trails_by(&status, &far);
    assert_eq!(trails.entries, 10);
    assert!(trails.bytes.expect("it saw them come") > 100, "{trails:?}");
    // As far as the node has looked at the time: at its last heartbeat, at least.
    assert!(trails.nanos.expect("it saw them come") >= 1900 * MS, "{trails:?}");
    assert_eq!(trails_by(&status, &near).entries, 0);
    let heard = |name: &str| {
        let peer = status.peers.iter().find(|peer| peer.name.as_deref() == Some(name));
        peer.and_then(|peer| peer.last_contact).expect("it was heard")
    };
    assert!(heard(&far) >= 2 * SECOND && heard(&near) <= 500 * MS, "{:?}", status.peers);

    let other = world.status(&near);
    assert_eq!(other.tolerates, None, "only the leader knows");
    assert!(other.peers.iter().all(|peer| peer.progress.is_none()));
    assert_eq!(other.peers.len(), 2);
}
