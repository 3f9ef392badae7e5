//! The store in a file is the store in memory: the same answers, the same digest, whatever of it a crash
//! takes away.

#![allow(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use proptest::prelude::*;
use skiff::{
    Encoded, Index, InstanceId, LogTime, Mark, Queries, StateMachine, Term,
    core::{Apply, Entry, Membership, NodeId, Payload, Position, Token},
};
use skiff_kv::{Answer, Command, Kv, Query, Response};
use skiff_redb::RedbKv;
use skiff_replica::Applier;

const INSTANCE: InstanceId = InstanceId(7);

fn mark(index: u64) -> Mark {
    Mark::new(INSTANCE, NodeId(1), Position::new(1, index), Membership::of([NodeId(1)]))
}

/// These commands, from this index on, and a call that waits for each.
fn entries(from: u64, commands: &[Command]) -> Apply {
    let entry = |(at, command): (u64, &Command)| Entry {
        index: Index(from + at),
        term: Term(1),
        time: LogTime(0),
        payload: Payload::Command(command.encode().unwrap()),
    };
    let entries: Vec<Entry> = (0..).zip(commands).map(entry).collect();
    let tokens = entries.iter().map(|entry| (entry.index, Token(entry.index.0))).collect();
    Apply { entries, tokens }
}

fn apply<M: skiff::Snapshots<Response = Response>>(
    applier: &mut Applier<M>,
    work: &Apply,
) -> Vec<Response> {
    let mut responses = Vec::new();
    applier.apply(work, &mut responses).unwrap();
    responses.into_iter().map(|(_, response)| response).collect()
}

fn command() -> impl Strategy<Value = Command> {
    let key = || prop_oneof![Just(String::new()), "[a-c]{1,2}"];
    let value = || proptest::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from);
    prop_oneof![
        3 => (key(), value()).prop_map(|(key, value)| Command::Put { key, value }),
        1 => key().prop_map(|key| Command::Delete { key }),
        2 => (key(), proptest::option::of(value()), proptest::option::of(value()))
            .prop_map(|(key, expected, value)| Command::CompareAndSet { key, expected, value }),
    ]
}

fn all(machine: &impl Queries<Query = Query, Answer = Answer>) -> Vec<Answer> {
    let list = |prefix: &str, after: Option<&str>, limit| Query::List {
        prefix: prefix.to_owned(),
        after: after.map(str::to_owned),
        limit,
    };
    let asked = [
        list("", None, 100),
        list("a", Some("aa"), 2),
        list("b", None, 1),
        Query::Get { key: "a".to_owned() },
        Query::Len,
        Query::Digest,
    ];
    asked.map(|query| machine.query(query)).into()
}

/// A machine in a file, as it is first given its state.
fn begin(path: &std::path::Path) -> Applier<RedbKv> {
    let mut applier = Applier::new(RedbKv::open(path).unwrap());
    assert_eq!(applier.applied(), Index(0));
    let nothing = Applier::new(RedbKv::open(path.with_extension("empty")).unwrap());
    applier.restore(&nothing.capture().unwrap(), mark(1)).unwrap();
    applier
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Batches of any size, a mark now and then, and a new start after any of them: from the log the
    /// machine is given more than it needs, and comes to what one in memory comes to.
    #[test]
    fn it_does_what_the_store_in_memory_does(
        batches in proptest::collection::vec(proptest::collection::vec(command(), 1..6), 1..8),
        marks in any::<u8>(),
        starts in any::<u8>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kv.redb");
        let (mut file, mut memory) = (begin(&path), Applier::new(Kv::new()));
        memory.restore(&memory.capture().unwrap(), mark(1)).unwrap();
        let (mut done, mut next, mut marked) = (Vec::new(), 2, 1);
        for (at, commands) in batches.iter().enumerate() {
            let work = entries(next, commands);
            prop_assert_eq!(apply(&mut file, &work), apply(&mut memory, &work));
            next += commands.len() as u64;
            done.extend(commands.iter().cloned());
            if marks >> (at % 8) & 1 == 1 {
                marked = next - 1;
                file.checkpoint(mark(marked)).unwrap();
            }
            if starts >> (at % 8) & 1 == 1 {
                drop(file);
                file = Applier::new(RedbKv::open(&path).unwrap());
                // What comes from the log begins behind the mark.
                let first = usize::try_from(marked - 1).unwrap();
                let again = entries(marked + 1, &done[first..]);
                let again = Apply { tokens: Vec::new(), ..again };
                if !again.entries.is_empty() {
                    apply(&mut file, &again);
                }
            }
            prop_assert_eq!(file.applied(), memory.applied());
            prop_assert_eq!(all(file.machine()), all(memory.machine()));
            prop_assert_eq!(file.machine().digest(), memory.machine().digest());
        }
    }
}

/// What a view has seen it goes on seeing, however much is written meanwhile; and whoever takes it has
/// just that, with the mark.
#[test]
fn a_view_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = begin(&folder.path().join("one"));
    apply(&mut file, &entries(2, &[Command::put("a", "1"), Command::put("b", "2")]));
    let (seen, view) = (all(file.machine()), file.view(Index(3)).unwrap());
    apply(&mut file, &entries(4, &[Command::put("a", "3"), Command::delete("b")]));
    let mut content = Vec::new();
    view(&mut content).unwrap();
    let path = folder.path().join("other");
    let mut other = begin(&path);
    apply(&mut other, &entries(2, &[Command::put("z", "9")]));
    assert!(other.restore(&content[..content.len() - 1], mark(3)).is_err());
    drop(other);
    let mut other = Applier::new(RedbKv::open(&path).unwrap());
    assert_eq!(other.machine().query(Query::Len), Answer::Len(1), "the old state stands");
    other.restore(&content, mark(3)).unwrap();
    assert_eq!(all(other.machine()), seen);
    drop(other);
    let other = Applier::new(RedbKv::open(&path).unwrap());
    assert_eq!((other.applied(), all(other.machine())), (Index(3), seen));
}

#[test]
fn two_may_not_have_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.redb");
    let first = RedbKv::open(&path).unwrap();
    let error = RedbKv::open(&path).unwrap_err().to_string();
    assert!(error.contains("open"), "{error}");
    drop(first);
    RedbKv::open(&path).unwrap();
    std::fs::write(&path, b"something else, long enough not to be taken for empty").unwrap();
    assert!(RedbKv::open(&path).is_err());
}
