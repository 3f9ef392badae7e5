//! What a second reader looked for: schedules that give the wrong answer or none, each told as a test.

mod world;

use bytes::Bytes;
use skiff_core::NodeId;
use skiff_replica::{LinkId, Outcome};
use skiff_transport::{Answer as WireAnswer, Ask, Body, Envelope, Hello, Request, Standing};
use world::{MS, SECOND, Spec, World, bytes};

fn from_client(body: Body) -> Envelope {
    Envelope { group: 0, from: NodeId(0), to: NodeId(0), boot: 0, body }
}

/// A client that has said hello.
fn client(world: &mut World, name: &str) -> LinkId {
    let link = world.stranger(name);
    let hello = Hello { cluster: "orders".into(), standing: Standing::Client, ..Hello::default() };
    world.strange(name, link, from_client(Body::Hello(Box::new(hello))));
    world.run(5 * MS);
    link
}

fn ask(world: &mut World, name: &str, link: LinkId, id: u64, command: Bytes) {
    let ask = Ask::Command(command);
    let request = Request { id, timeout_ms: 1000, hops: 0, ask };
    world.strange(name, link, from_client(Body::Request(Box::new(request))));
}

fn answers(world: &World, name: &str, link: LinkId) -> Vec<WireAnswer> {
    let said = world.said_to(name, link).iter();
    said.filter_map(|envelope| match &envelope.body {
        Body::Answer(answer) => Some((**answer).clone()),
        _ => None,
    })
    .collect()
}

/// A request that came while too much was under way got no answer, was counted as under way for ever,
/// and those that came after it got none either.
#[test]
fn a_busy_node_says_so_and_goes_on() {
    let mut world = World::new();
    let spec = Spec { bootstrap: true, machine: 100 * MS, ..Spec::default() };
    world.add("a", Spec { remote_bytes: Some(500), ..spec });
    world.elect();
    let link = client(&mut world, "a");
    for id in 1..=20 {
        ask(&mut world, "a", link, id, bytes("\x01"));
    }
    world.run(2 * SECOND);
    let got = answers(&world, "a", link);
    let mut ids: Vec<u64> = got.iter().map(|answer| answer.id).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(1..=20), "each gets one answer: {got:?}");
    let (served, refused): (Vec<_>, Vec<_>) = got.into_iter().partition(|one| one.result.is_ok());
    assert!(!served.is_empty() && !refused.is_empty(), "{} are served", served.len());
    for answer in refused {
        let refusal = answer.result.expect_err("it is one");
        assert_eq!((refusal.code.as_str(), refusal.outcome), ("EBUSY", Outcome::NotApplied));
    }
    ask(&mut world, "a", link, 99, bytes("\x01"));
    world.run(2 * SECOND);
    let last = answers(&world, "a", link).pop().expect("it is answered");
    assert!(last.id == 99 && last.result.is_ok(), "{last:?}");
    assert_eq!(world.status("a").waiting_calls, 0);
}
