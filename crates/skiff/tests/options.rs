//! What cannot be set, and what the error says.

mod common;

use std::time::Duration;

use common::soon;
use skiff::{Node, OptionsError, StartError};

const MS: Duration = Duration::from_millis(1);

#[test]
fn the_defaults_are_the_originals() {
    let idle = Node::builder().build().unwrap();
    let options = idle.options();
    assert_eq!(options.heartbeat_interval, 50 * MS);
    assert_eq!(options.min_election_timeout, 150 * MS);
    assert_eq!(options.max_election_timeout, 300 * MS);
    assert_eq!(idle.state(), skiff::State::Idle);
}

#[test]
fn max_below_min_is_refused_with_both() {
    let builder = Node::builder().min_election_timeout(200 * MS).max_election_timeout(150 * MS);
    let error = builder.build().unwrap_err();
    assert_eq!(error, OptionsError::TimeoutRange { min: 200 * MS, max: 150 * MS });
    assert_eq!(
        error.to_string(),
        "max election timeout (150ms) must not be below min election timeout (200ms)"
    );
}

#[test]
fn min_at_the_heartbeat_is_refused_with_both() {
    let error = Node::builder().heartbeat_interval(150 * MS).build().unwrap_err();
    assert_eq!(error, OptionsError::HeartbeatTooSlow { min: 150 * MS, heartbeat: 150 * MS });
    assert_eq!(
        error.to_string(),
        "min election timeout (150ms) must be above the heartbeat interval (150ms)"
    );
}

#[test]
fn empty_names_and_peers_are_refused() {
    assert_eq!(Node::builder().id("").build().unwrap_err(), OptionsError::EmptyId);
    assert_eq!(Node::builder().cluster("").build().unwrap_err(), OptionsError::EmptyCluster);
    assert_eq!(Node::builder().peers(["a", ""]).build().unwrap_err(), OptionsError::EmptyPeer);
}

#[test]
fn a_peer_named_twice_is_refused_by_name() {
    let error = Node::builder().peers(["a", "b", "a"]).build().unwrap_err();
    assert_eq!(error, OptionsError::DuplicatePeer("a".to_owned()));
}

#[test]
fn zero_is_refused() {
    let zero = Duration::ZERO;
    let error = Node::builder().command_timeout(zero).build().unwrap_err();
    assert_eq!(error, OptionsError::Zero("the command timeout"));
    let error = Node::builder().max_command_bytes(1 << 30).build().unwrap_err();
    assert!(matches!(error, OptionsError::CommandTooLarge { .. }), "{error}");
    let error = Node::builder().heartbeat_interval(zero).build().unwrap_err();
    assert_eq!(error, OptionsError::Zero("the heartbeat interval"));
}

#[test]
fn two_ways_to_say_one_thing_are_refused() {
    let transport = skiff::transport::MemoryNetwork::new().transport();
    let error = Node::builder().listen("127.0.0.1:0").transport(transport).build().unwrap_err();
    assert_eq!(error, OptionsError::Both("transport", "listen"));
    let persistence = skiff::storage::MemoryPersistence::new();
    let error = Node::builder().data_dir("x").persistence(persistence).build().unwrap_err();
    assert_eq!(error, OptionsError::Both("persistence", "data_dir"));
}

#[test]
fn a_node_outside_of_a_runtime_is_refused() {
    let started = Node::builder().start();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::pin::pin!(started).poll(&mut context);
    assert!(matches!(polled, std::task::Poll::Ready(Err(StartError::NoRuntime))));
}

#[tokio::test]
async fn an_id_generator_names_the_node() {
    let node = Node::builder().id_generator(|| "made".to_owned()).start().await.unwrap();
    assert_eq!(node.id(), "made");
    assert_eq!(node.cluster(), "skiff");
    soon("ready", node.ready()).await.unwrap();
}
