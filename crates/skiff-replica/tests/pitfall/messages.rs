//! What people are told when a node does not start, stops, or turns somebody away.

use std::{env, fs, path::Path};

use skiff_replica::{
    Index, InstanceId, Position, Refusal, ReplicaError, StartError, Term, Waiting,
    core::{self, Fatal, NodeId},
    storage::StoreError,
    transport::TransportError,
};

fn starts() -> Vec<StartError> {
    let (applied, last, base) = (Index(9), Index(7), Index(12));
    let instance = |number: u128| InstanceId(number << 96);
    vec![
        core::StartError::AppliedBeyondLog { applied, last }.into(),
        core::StartError::AppliedBeforeLog { applied, base }.into(),
        core::StartError::Inconsistent("its terms are out of order").into(),
        StartError::NoSnapshot { name: "a".into() },
        StartError::Gap { log: Position::new(3, 9), snapshot: Position::new(2, 5) },
        StartError::Removed { name: "a".into() },
        StartError::OtherInstance { machine: instance(1), store: instance(2) },
        StartError::NotEmpty { machine: instance(1) },
        StartError::Format { reason: "it has version 2, this machine knows up to 1".into() },
    ]
}

fn stores() -> Vec<StoreError> {
    let (path, reason) = (|| "data/a".into(), || "the first failure".to_owned());
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    vec![
        StoreError::io("open", "data/a", denied),
        StoreError::Full { path: path() },
        StoreError::Poisoned { reason: reason() },
        StoreError::Locked { path: path(), holder: "process 123".into() },
        StoreError::Corrupt {
            path: "data/a/log-1".into(),
            offset: 512,
            index: Some(Index(7)),
            reason: "the checksum does not fit".into(),
        },
        StoreError::Lost { path: path(), reason: "IDENTITY is there, but no segment is".into() },
        StoreError::NewerFormat { path: path(), found: 2, known: 1 },
        StoreError::Foreign { what: "node", found: "a".into(), wanted: "b".into() },
    ]
}

fn stops() -> Vec<ReplicaError> {
    let (leader, term) = (NodeId(0xb << 96), Term(3));
    let instance = |number: u128| InstanceId(number << 96);
    vec![
        ReplicaError::Core(Fatal::UnknownEntry { index: Index(7), kind: 9 }),
        ReplicaError::Core(Fatal::CommittedConflict {
            leader,
            term,
            index: Index(7),
            committed: Index(9),
        }),
        ReplicaError::Core(Fatal::Broken("a term went back")),
        ReplicaError::Store {
            reason: "cannot sync data/a/log-1: Input/output error".into(),
            damaged: false,
        },
        ReplicaError::Machine { index: Index(7), reason: "panicked: three is too much".into() },
        ReplicaError::MachineState { action: "take", reason: "it is no state of mine".into() },
        ReplicaError::SecondInstance {
            name: "a".into(),
            ours: instance(1),
            theirs: instance(2),
            peer: "`b`".into(),
        },
    ]
}

fn refusals() -> Vec<Refusal> {
    let (name, instance) = (|| "b".to_owned(), |number: u128| InstanceId(number << 96));
    vec![
        Refusal::OtherCluster { ours: "orders".into(), theirs: "users".into() },
        Refusal::OtherInstance { name: name(), ours: instance(1), theirs: instance(2) },
        Refusal::NameTaken { name: name(), other: "127.0.0.1:7002".into() },
        Refusal::CopiedData { other: "127.0.0.1:7002".into() },
        Refusal::OldData { theirs: 3, seen: 4 },
        Refusal::OldTerm { theirs: Term(3), seen: Term(4) },
        Refusal::Removed { name: name() },
        Refusal::Protocol { what: "it spoke before it said who it is" },
    ]
}

fn waits() -> Vec<Waiting> {
    let (name, address) = (|| "b".to_owned(), || "127.0.0.1:7002".to_owned());
    let (only_there, only_here) = (vec!["c".to_owned()], vec!["d".to_owned()]);
    vec![
        Waiting::Peers,
        Waiting::OwnList,
        Waiting::Address { address: address() },
        Waiting::Refused {
            address: address(),
            reason: Refusal::Removed { name: name() }.to_string(),
        },
        Waiting::PeerList { name: name() },
        Waiting::PeerWaits { name: name(), addresses: vec!["127.0.0.1:7003".into()] },
        Waiting::OtherList { name: name(), address: address(), only_there, only_here },
        Waiting::Founder { name: name() },
        Waiting::Founding,
        Waiting::Admission {
            name: name(),
            address: address(),
            instance: InstanceId(2 << 96),
            reason: "the cluster has no leader yet".into(),
        },
        Waiting::Voters { learner: "d".into(), silent: vec![name()] },
        Waiting::Removed,
    ]
}

/// Lines that alarm, without cause or remedy. What people may read stands in one file, to be judged by
/// reading: what happened, to what, why, and what to do about it.
#[test]
fn message_tells_what_to_do() {
    let listen = TransportError::Listen {
        address: "127.0.0.1:7001".into(),
        reason: "Address already in use".into(),
    };
    let mut text = String::new();
    let mut chapter = |title: &str, messages: Vec<String>| {
        text += &format!("# {title}\n{}\n\n", messages.join("\n"));
    };
    let words = |all: Vec<_>| all.iter().map(ToString::to_string).collect();
    chapter("A node does not start: what it found", words(starts()));
    chapter("The store", stores().iter().map(ToString::to_string).collect());
    chapter("The network", vec![listen.to_string()]);
    chapter("A node stops", stops().iter().map(ToString::to_string).collect());
    chapter("A peer is turned away", refusals().iter().map(ToString::to_string).collect());
    chapter("A node waits", waits().iter().map(ToString::to_string).collect());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages.txt");
    if env::var_os("UPDATE_GOLDENFILES").is_some() {
        fs::write(&path, &text).expect("it can be written");
    }
    let golden = fs::read_to_string(&path).expect("it is there");
    for (said, read) in text.lines().zip(golden.lines()) {
        assert_eq!(said, read, "to keep it: UPDATE_GOLDENFILES=1 cargo test -p skiff-replica");
    }
    assert_eq!(text.len(), golden.len());
}
