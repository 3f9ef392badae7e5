//! Snapshots that meet each other.

use bytes::Bytes;
use skiff_core::{Membership, NodeId, Position};
use skiff_replica::{Event, Index, LinkId, Term};
use skiff_transport::{Body, Got, Offer, Progress, SnapshotPiece};

use crate::world::{MS, Spec, World, stranger::Stranger};

/// A member that belongs to the cluster of a stranger, who leads it.
fn follower() -> (World, Stranger, LinkId) {
    let b = Spec { disk: 20 * MS, ..Spec::peers(&["a", "b"]) };
    Stranger::leads(b, Term(9), 300 * MS)
}

/// A state of so many numbers.
fn content(count: i64) -> Bytes {
    let numbers = (1..=count).flat_map(i64::to_le_bytes);
    [0; 8].into_iter().chain(numbers).collect()
}

fn offer(world: &World, transfer: u64, index: u64, content: &Bytes) -> Body {
    let me = world.status("b").node;
    Body::Offer(Box::new(Offer {
        transfer,
        position: Position::new(9, index),
        membership: Membership::of([NodeId(5), me]),
        terms: vec![(Index(1), Term(1)), (Index(2), Term(9))],
        codec: "own".into(),
        size: content.len() as u64,
        checksum: checksum(content),
        ..Offer::default()
    }))
}

fn checksum(content: &Bytes) -> u32 {
    let rest = |at: u64| {
        let at = usize::try_from(at).expect("a short content");
        Ok::<_, std::convert::Infallible>(content.slice(at..))
    };
    let Ok((_, checksum)) = skiff_storage::measure(rest);
    checksum
}

fn piece(transfer: u64, content: &Bytes, from: usize, to: usize) -> Body {
    let (offset, bytes) = (from as u64, content.slice(from..to));
    Body::Piece(Box::new(SnapshotPiece { transfer, offset, bytes }))
}

fn ends(world: &World, link: LinkId) -> Vec<(u64, Progress)> {
    let said = world.said_to("b", link).iter();
    let got = said.filter_map(|envelope| match &envelope.body {
        Body::Got(got) => Some(Got::clone(got)),
        _ => None,
    });
    let is_end = |got: &Got| !matches!(got.progress, Progress::Going | Progress::Gap);
    got.filter(is_end).map(|got| (got.transfer, got.progress)).collect()
}

/// A second transfer took the first one's file away before it was used, or assumed that none was running, after
/// a leader was deposed and elected again. Here the end of the first comes before the second's, after it, and
/// never; what is installed is the second.
#[test]
fn two_snapshots_in_flight() {
    for order in 0..3 {
        let (mut world, leader, link) = follower();
        let (old, new) = (content(40), content(80));
        let say = |world: &mut World, body| world.strange("b", link, leader.says(body));
        let body = offer(&world, 1, 50, &old);
        say(&mut world, body);
        world.run(30 * MS);
        say(&mut world, piece(1, &old, 0, 100));
        if order == 0 {
            // It is complete, but not yet durable, when the other is offered.
            say(&mut world, piece(1, &old, 100, old.len()));
        }
        world.run(MS);
        let body = offer(&world, 2, 90, &new);
        say(&mut world, body);
        world.run(MS);
        say(&mut world, piece(2, &new, 0, 300));
        if order == 1 {
            say(&mut world, piece(1, &old, 100, old.len()));
        }
        say(&mut world, piece(2, &new, 300, new.len()));
        world.run(200 * MS);
        assert_eq!(world.stopped("b"), None, "order {order}");
        assert!(
            ends(&world, link).contains(&(2, Progress::Done)),
            "order {order}: {:?}",
            ends(&world, link)
        );
        assert_eq!(world.value("b"), (1..=80).sum::<i64>(), "order {order}");
        let is_it = |event: &&Event| matches!(event, Event::SnapshotInstalled { .. });
        let last = world.events("b").iter().rfind(is_it);
        let position = Position::new(9, 90);
        assert_eq!(last, Some(&Event::SnapshotInstalled { position }), "order {order}");
        // Words of the first that are late change nothing, and it is not wanted any more.
        say(&mut world, piece(1, &old, 100, old.len()));
        let body = offer(&world, 3, 50, &old);
        say(&mut world, body);
        world.run(100 * MS);
        assert!(ends(&world, link).contains(&(3, Progress::Refused)), "order {order}");
        assert_eq!(world.value("b"), (1..=80).sum::<i64>(), "order {order}");
    }
}
