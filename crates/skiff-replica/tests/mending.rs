//! A node whose log has holes, and what it makes of the answers that it gets.

mod world;

use std::path::PathBuf;

use bytes::Bytes;
use skiff_core::{
    Config, Entry, HardState, Index, Instant, LogTime, Membership, Node, NodeId, Payload, Position,
    Term,
};
use skiff_replica::{Input, Job, LinkId, Replica, ReplicaError, Settings, Start};
use skiff_storage::{
    Hole, Identity, InstanceId, Recovered, SnapshotInfo, SnapshotMeta, Standing, StoreError,
};
use skiff_transport::{
    self as wire, Body, Envelope, Fetch, Fetched, Found, Hello, Offer, Progress, Signal,
    SnapshotPiece,
};
use world::machine::Counter;

const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);

fn entry(term: u64, index: u64) -> Entry {
    let payload = Payload::Command(Bytes::from_static(b"x"));
    Entry { term: Term(term), index: Index(index), time: LogTime(index), payload }
}

fn mending() -> Replica {
    replica(open_hole)
}

fn open_hole(log: &mut Recovered) {
    log.truncate_from(Index(5));
    log.open_hole(Hole {
        first: Index(5),
        last: Position::new(2, 8),
        path: PathBuf::new(),
        offset: 0,
        reason: String::new(),
    });
}

fn mending_log() -> Recovered {
    let mut log =
        Recovered { hard_state: HardState { term: Term(2), vote: None }, ..Recovered::default() };
    log.begin_after(Position::new(1, 1));
    (2..7).for_each(|index| log.append(&entry(1, index)));
    open_hole(&mut log);
    log
}

/// A member of a cluster of three, with a log as `change` leaves it.
fn replica(change: impl FnOnce(&mut Recovered)) -> Replica {
    let node = |name: &str| Node { name: name.into(), address: format!("{name}:1") };
    let membership = Membership {
        voters: [ME, PEER, NodeId(3)].into(),
        nodes: [(ME, node("a")), (PEER, node("b")), (NodeId(3), node("c"))].into(),
        ..Membership::default()
    };
    let base = Position::new(1, 1);
    let mut log =
        Recovered { hard_state: HardState { term: Term(2), vote: None }, ..Recovered::default() };
    log.begin_after(base);
    (2..7).for_each(|index| log.append(&entry(1, index)));
    change(&mut log);
    let identity = Identity {
        standing: Standing::Member,
        cluster: "orders".into(),
        instance: Some(InstanceId(9)),
        name: "a".into(),
        node: ME,
        boot: 2,
    };
    let meta = SnapshotMeta {
        instance: InstanceId(9),
        position: base,
        membership,
        machine_version: 0,
        ..SnapshotMeta::default()
    };
    let settings = Settings::new::<Counter>(Config::new(NodeId::default()), 1, 9);
    let meta = SnapshotMeta { codec: settings.machine.codec.clone(), ..meta };
    let snapshot = Some(SnapshotInfo { meta, ..SnapshotInfo::default() });
    let start = Start { identity, log, snapshot, ..Start::default() };
    Replica::new(Instant(1_000_000), settings, start).expect("it starts")
}

fn jobs(replica: &mut Replica) -> Vec<Job> {
    std::iter::from_fn(|| replica.poll()).collect()
}

/// The peer connects and says who it is.
fn meet(replica: &mut Replica) -> LinkId {
    let link = LinkId::Accepted(1);
    let says = |body| Envelope { group: 0, from: PEER, to: NodeId(0), boot: 1, body };
    let hello = Hello {
        cluster: "orders".into(),
        instance: Some(9),
        name: "b".into(),
        address: "b:1".into(),
        standing: wire::Standing::Member,
        nonce: 4,
        ..Hello::default()
    };
    let now = Instant(2_000_000);
    replica.step(now, Input::Signal { link, signal: Signal::Up });
    let received = Signal::Received(says(Body::Hello(Box::new(hello))));
    replica.step(now, Input::Signal { link, signal: received });
    link
}

/// A node that has asked its peer.
fn asked() -> (Replica, LinkId, Fetch) {
    let mut replica = mending();
    drop(jobs(&mut replica));
    let link = meet(&mut replica);
    let fetch = jobs(&mut replica).into_iter().find_map(|job| match job {
        Job::Send { envelope: Envelope { body: Body::Fetch(fetch), .. }, .. } => Some(*fetch),
        _ => None,
    });
    (replica, link, fetch.expect("it asks"))
}

fn answer(fetched: impl FnOnce(Fetch) -> Fetched) -> Vec<Job> {
    let (mut replica, link, fetch) = asked();
    let body = Body::Fetched(Box::new(fetched(fetch)));
    let envelope = Envelope { group: 0, from: PEER, to: ME, boot: 1, body };
    replica.step(Instant(3_000_000), Input::Signal { link, signal: Signal::Received(envelope) });
    jobs(&mut replica)
}

fn is_taken(jobs: &[Job]) -> bool {
    jobs.iter().any(|job| matches!(job, Job::Mend { .. } | Job::EndWith { .. }))
}

/// Nothing says that these are 5 to 8: handed to the store, which refuses them, and that stops the node.
#[test]
fn entries_with_gaps_are_no_answer() {
    let jobs = answer(|fetch| Fetched {
        id: fetch.id,
        found: Found::Entries,
        prev: Position::new(1, 4),
        entries: vec![entry(2, 5), entry(2, 8)],
    });
    assert!(!is_taken(&jobs), "{jobs:?}");
}

/// A piece that begins before the log does makes the folder one that cannot be opened any more.
#[test]
fn entries_before_the_log_are_no_answer() {
    let jobs = answer(|fetch| Fetched {
        id: fetch.id,
        found: Found::Entries,
        prev: Position::new(0, 0),
        entries: (1..9).map(|index| entry(2, index)).collect(),
    });
    assert!(!is_taken(&jobs), "{jobs:?}");
}

/// The log cannot be ended where it has not begun: the store refuses, and that stops the node.
#[test]
fn nothing_is_committed_anew_before_the_log() {
    let jobs = answer(|fetch| Fetched {
        id: fetch.id,
        found: Found::Committed,
        prev: Position::new(0, 0),
        entries: vec![entry(3, 1)],
    });
    assert!(!is_taken(&jobs), "{jobs:?}");
}

/// No index is so large that the one behind it is none.
#[test]
fn the_largest_index_is_no_answer() {
    let jobs = answer(|fetch| Fetched {
        id: fetch.id,
        found: Found::Entries,
        prev: Position::new(1, u64::MAX),
        entries: vec![entry(2, u64::MAX), entry(2, 8)],
    });
    assert!(!is_taken(&jobs), "{jobs:?}");
}

/// What the store finds damaged when it is looked at again is told as damage, not as a failed disk.
#[test]
fn damage_that_is_found_after_mending_is_told_as_such() {
    let (mut replica, link, fetch) = asked();
    let fetched = Fetched {
        id: fetch.id,
        found: Found::Entries,
        prev: Position::new(1, 4),
        entries: (5..9).map(|index| entry(2, index)).collect(),
    };
    let body = Body::Fetched(Box::new(fetched));
    let envelope = Envelope { group: 0, from: PEER, to: ME, boot: 1, body };
    replica.step(Instant(3_000_000), Input::Signal { link, signal: Signal::Received(envelope) });
    let prev = Some(Position::new(1, 4));
    replica.step(Instant(4_000_000), Input::Mended { prev, result: Ok(()) });
    assert!(jobs(&mut replica).contains(&Job::Reload));
    let path = PathBuf::from("log-1");
    let damage =
        StoreError::Corrupt { path, offset: 512, index: None, reason: "it is torn".into() };
    let told = damage.to_string();
    replica.step(Instant(5_000_000), Input::Reloaded { result: Err(damage.into()) });
    let stops = jobs(&mut replica).into_iter().find_map(|job| match job {
        Job::Stop(result) => Some(result),
        _ => None,
    });
    assert_eq!(stops, Some(Err(ReplicaError::Store { reason: told, damaged: true })));
}

#[test]
fn a_sound_answer_is_taken() {
    let jobs = answer(|fetch| Fetched {
        id: fetch.id,
        found: Found::Entries,
        prev: Position::new(1, 4),
        entries: (5..9).map(|index| entry(2, index)).collect(),
    });
    assert!(is_taken(&jobs));
}

/// A member whose core runs, with entries 2 to 6 of term 1, of which none is known to be committed.
fn member() -> (Replica, LinkId) {
    let mut replica = replica(|_| {});
    let restored = |job: &Job| matches!(job, Job::RestoreSnapshot { .. });
    assert!(jobs(&mut replica).iter().any(restored), "a member restores its machine first");
    let now = Instant(2_000_000);
    replica.step(now, Input::Restored { result: Ok(()) });
    let link = meet(&mut replica);
    assert!(replica.raft().is_some());
    (replica, link)
}

fn ask(last: Position) -> Vec<Job> {
    let (mut replica, link) = member();
    let body = Body::Fetch(Box::new(Fetch { id: 7, from: Index(2), last }));
    let envelope = Envelope { group: 0, from: PEER, to: ME, boot: 1, body };
    replica.step(Instant(3_000_000), Input::Signal { link, signal: Signal::Received(envelope) });
    let mut all = jobs(&mut replica);
    let load = all.iter().find_map(|job| match job {
        Job::Load { load, from, to, .. } => Some((*load, *from, *to)),
        _ => None,
    });
    if let Some((load, from, to)) = load {
        let result = Ok((from.0..to.0).map(|index| entry(1, index)).collect());
        replica.step(Instant(4_000_000), Input::Loaded { load, result });
        all.extend(jobs(&mut replica));
    }
    all
}

fn given(jobs: &[Job]) -> Fetched {
    let fetched = jobs.iter().find_map(|job| match job {
        Job::Send { envelope: Envelope { body: Body::Fetched(fetched), .. }, .. } => Some(fetched),
        _ => None,
    });
    Fetched::clone(fetched.expect("it answers"))
}

#[test]
fn what_ends_with_the_entry_asked_for_is_given() {
    let given = given(&ask(Position::new(1, 4)));
    assert_eq!((given.found, given.prev), (Found::Entries, Position::new(1, 1)));
    assert_eq!(given.entries, (2..5).map(|index| entry(1, index)).collect::<Vec<_>>());
}

/// It is durable here, and may yet be replaced: nothing is said of what the other has there.
#[test]
fn what_is_not_committed_proves_nothing() {
    let given = given(&ask(Position::new(2, 4)));
    assert_eq!((given.found, given.entries.len()), (Found::Differs, 0));
}

#[test]
fn what_is_behind_the_end_is_not_there() {
    assert_eq!(given(&ask(Position::new(1, 9))).found, Found::Differs);
}

#[test]
fn what_the_log_begins_after_is_compacted() {
    assert_eq!(given(&ask(Position::new(1, 1))).found, Found::Compacted);
}

/// A member that runs does not know that its entry 3 is damaged. It still has 4 and 5, and may be the
/// only one that has: to say that all of it is damaged makes whoever asks believe that nobody has it,
/// and stop. It has also found out that it cannot read what it acknowledged.
#[test]
fn what_can_still_be_read_is_given() {
    let (mut replica, link) = member();
    let last = Position::new(1, 5);
    let body = Body::Fetch(Box::new(Fetch { id: 7, from: Index(2), last }));
    let envelope = Envelope { group: 0, from: PEER, to: ME, boot: 1, body };
    replica.step(Instant(3_000_000), Input::Signal { link, signal: Signal::Received(envelope) });
    let mut all = Vec::new();
    for _ in 0..20 {
        let some = jobs(&mut replica);
        let load = some.iter().find_map(|job| match job {
            Job::Load { load, from, to, .. } => Some((*load, *from, *to)),
            _ => None,
        });
        all.extend(some);
        let Some((load, from, to)) = load else { break };
        let result = if from <= Index(3) && Index(3) < to {
            Err(skiff_core::LoadError::Failed)
        } else {
            Ok((from.0..to.0).map(|index| entry(1, index)).collect())
        };
        replica.step(Instant(4_000_000), Input::Loaded { load, result });
    }
    let given = given(&all);
    assert_eq!(given.found, Found::Entries);
    assert_eq!(given.entries.last().map(Entry::position), Some(last));
}

/// What became of an offer of a snapshot that ends here: what the node did at once, and once all pieces
/// were kept.
fn offered(position: Position) -> (Vec<Job>, Vec<Job>) {
    let (mut replica, link, fetch) = asked();
    let now = Instant(3_000_000);
    let says = |replica: &mut Replica, body| {
        let envelope = Envelope { group: 0, from: PEER, to: ME, boot: 1, body };
        replica.step(now, Input::Signal { link, signal: Signal::Received(envelope) });
    };
    let gone = Fetched { id: fetch.id, found: Found::Compacted, ..Fetched::default() };
    says(&mut replica, Body::Fetched(Box::new(gone)));
    let offer = Offer {
        transfer: 1,
        position,
        membership: Membership::of([ME, PEER, NodeId(3)]),
        terms: vec![(Index(1), Term(1)), (Index(5), position.term)],
        codec: "own".into(),
        size: 3,
        ..Offer::default()
    };
    says(&mut replica, Body::Offer(Box::new(offer)));
    let at_once = jobs(&mut replica);
    let piece = SnapshotPiece { transfer: 1, offset: 0, bytes: Bytes::from_static(b"abc") };
    says(&mut replica, Body::Piece(Box::new(piece)));
    let kept = jobs(&mut replica).into_iter().find_map(|job| match job {
        Job::KeepPiece(piece) => Some(piece.info.meta.position),
        _ => None,
    });
    let Some(position) = kept else { return (at_once, Vec::new()) };
    replica.step(now, Input::PieceKept { position, upto: 3, result: Ok(()) });
    let mut then = jobs(&mut replica);
    assert!(then.contains(&Job::Reload), "pieces may have come: {then:?}");
    let log = mending_log();
    replica.step(now, Input::Reloaded { result: Ok(log) });
    then.extend(jobs(&mut replica));
    if let Some(write) = then.iter().find_map(|job| match job {
        Job::Write(write) => Some(write.id),
        _ => None,
    }) {
        replica.step(now, Input::Persisted { write });
        then.extend(jobs(&mut replica));
        let mut log = mending_log();
        log.compact_to(position);
        replica.step(now, Input::Reloaded { result: Ok(log) });
        then.extend(jobs(&mut replica));
        replica.step(now, Input::Restored { result: Ok(()) });
        assert!(replica.raft().is_some(), "it goes on");
    }
    (at_once, then)
}

fn refused(jobs: &[Job]) -> bool {
    jobs.iter().any(|job| match job {
        Job::Send { envelope: Envelope { body: Body::Got(got), .. }, .. } => {
            got.progress == Progress::Refused
        }
        _ => false,
    })
}

#[test]
fn a_snapshot_takes_the_place_of_entries_that_the_others_have_given_up() {
    let position = Position::new(2, 8);
    let (at_once, then) = offered(position);
    assert!(!refused(&at_once), "{at_once:?}");
    let gives_up = then.iter().find_map(|job| match job {
        Job::Write(write) => Some((write.compact_to, write.begin_after)),
        _ => None,
    });
    assert_eq!(gives_up, Some((Some(position), None)), "what follows it stays");
}

#[test]
fn a_snapshot_beyond_the_log_or_of_other_entries_is_where_it_begins() {
    for position in [Position::new(2, 20), Position::new(3, 8)] {
        let (at_once, then) = offered(position);
        assert!(!refused(&at_once), "{at_once:?}");
        let restores =
            |job: &Job| matches!(job, Job::RestoreSnapshot { position: at, .. } if *at == position);
        assert!(then.iter().any(restores), "{then:?}");
        assert!(!then.iter().any(|job| matches!(job, Job::Write(_))), "the core begins anew");
    }
}

/// With part of the hole left nobody would know what the log holds.
#[test]
fn a_snapshot_that_covers_too_little_is_refused() {
    let (at_once, then) = offered(Position::new(2, 7));
    assert!(refused(&at_once), "{at_once:?}");
    assert!(then.is_empty());
}
