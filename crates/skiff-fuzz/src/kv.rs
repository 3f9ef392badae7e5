//! The key-value machine: commands, questions, answers and whole states from any bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use skiff_kv::{Answer, Command, Kv, MAX_KEY_BYTES, MAX_PAGE, MAX_VALUE_BYTES, Query, Response};
use skiff_replica::{At, Encoded, Mark, Queries, Snapshots, StateMachine};

use crate::source::Source;

/// Decodes bytes as anything the machine takes or gives, or runs commands beside a plain map.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    match source.pick(8) {
        0 => again::<Command>(source.rest()),
        1 => again::<Query>(source.rest()),
        2 => again::<Response>(source.rest()),
        3 => again::<Answer>(source.rest()),
        4 => restore(source.rest()),
        5 => {
            let content = saved(&filled(&mut source));
            restore(&source.change(content));
        }
        6 => {
            let pairs = filled(&mut source).iter_from("", None).map(owned).collect();
            let answer = Answer::Page { pairs, more: source.flag() };
            let bytes = answer.encode().unwrap_or_else(|error| panic!("{error}"));
            again::<Answer>(&source.change(bytes.to_vec()));
        }
        _ => live(&mut source),
    }
}

/// What can be read can be written, and is then the same.
fn again<T: Encoded + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let checked = T::check(&bytes);
    let Ok(one) = T::decode(&bytes) else {
        return assert!(checked.is_err(), "checked, but not to be decoded");
    };
    let bytes = one.encode().unwrap_or_else(|error| panic!("{one:?} cannot be written: {error}"));
    assert_eq!(T::check(&bytes), Ok(()));
    assert_eq!(T::decode(&bytes), Ok(one));
}

fn restore(content: &[u8]) {
    let mut kv = Kv::new();
    if kv.restore(&mut &content[..], Mark::default()).is_err() {
        return;
    }
    let mut other = Kv::new();
    assert_eq!(other.restore(&mut &saved(&kv)[..], Mark::default()), Ok(()));
    assert_eq!((other.digest(), &other), (kv.digest(), &kv));
}

fn saved(kv: &Kv) -> Vec<u8> {
    let mut written = Vec::new();
    let snapshot = kv.snapshot().unwrap_or_else(|error| panic!("no snapshot: {error}"));
    snapshot(&mut written).unwrap_or_else(|error| panic!("a snapshot cannot be written: {error}"));
    written
}

/// A machine after a few commands. What is not as it wrote it is hardly ever a state by chance.
fn filled(source: &mut Source<'_>) -> Kv {
    let mut kv = Kv::new();
    for command in source.list(6, command) {
        kv.apply(command, At::default());
    }
    kv
}

fn owned((key, value): (&String, &Bytes)) -> (String, Bytes) {
    (key.clone(), value.clone())
}

/// Commands, each as bytes that were encoded, on the machine and on a plain map.
fn live(source: &mut Source<'_>) {
    let (mut kv, mut map) = (Kv::new(), BTreeMap::new());
    while !source.is_empty() {
        match source.pick(8) {
            0 => {
                let bytes = Bytes::copy_from_slice(source.bytes(2_000));
                // A leader lets in what passes this check, and what it lets in must be applied.
                if Command::check(&bytes).is_ok() {
                    apply(&mut kv, &mut map, &bytes);
                }
            }
            1..6 => {
                let command = command(source);
                let bytes = command.encode().unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(Command::decode(&bytes), Ok(command));
                apply(&mut kv, &mut map, &bytes);
            }
            _ => ask(&kv, &map, source),
        }
    }
    assert!(kv.iter_from("", None).eq(&map));
}

fn key(source: &mut Source<'_>) -> String {
    match source.byte() {
        near @ 0..200 => "abcdefg"[..usize::from(near) % 8].to_owned(),
        200..250 => source.text(50),
        _ => "k".repeat(MAX_KEY_BYTES - 1 + source.pick(3)),
    }
}

fn value(source: &mut Source<'_>) -> Bytes {
    match source.byte() {
        0..250 => Bytes::copy_from_slice(source.bytes(500)),
        _ => vec![7; MAX_VALUE_BYTES - 1 + source.pick(3)].into(),
    }
}

fn command(source: &mut Source<'_>) -> Command {
    let kind = source.pick(3);
    let key = key(source);
    match kind {
        0 => Command::Put { key, value: value(source) },
        1 => Command::Delete { key },
        _ => Command::CompareAndSet {
            key,
            expected: source.flag().then(|| value(source)),
            value: source.flag().then(|| value(source)),
        },
    }
}

fn apply(kv: &mut Kv, map: &mut BTreeMap<String, Bytes>, bytes: &Bytes) {
    let command = Command::decode(bytes)
        .unwrap_or_else(|error| panic!("a command that was let in cannot be applied: {error}"));
    let expected = expected(map, &command);
    let response = kv.apply(command, At::default());
    match expected {
        Some(expected) => assert_eq!(response, expected),
        None => assert!(matches!(response, Response::Refused(_))),
    }
    again::<Response>(&response.encode().unwrap_or_else(|error| panic!("{error}")));
}

/// What the machine must answer; `None`: some refusal.
fn expected(map: &mut BTreeMap<String, Bytes>, command: &Command) -> Option<Response> {
    let (key, value) = match command {
        Command::Put { key, value } => (key, Some(value)),
        Command::Delete { key } => (key, None),
        Command::CompareAndSet { key, value, .. } => (key, value.as_ref()),
        other => panic!("unknown to this target: {other:?}"),
    };
    if !(1..=MAX_KEY_BYTES).contains(&key.len())
        || value.is_some_and(|value| value.len() > MAX_VALUE_BYTES)
    {
        return None;
    }
    if let Command::CompareAndSet { expected, .. } = command
        && map.get(key) != expected.as_ref()
    {
        return Some(Response::Differs { found: map.get(key).cloned() });
    }
    let previous = match value {
        Some(value) => map.insert(key.clone(), value.clone()),
        None => map.remove(key),
    };
    Some(Response::Done { previous })
}

fn ask(kv: &Kv, map: &BTreeMap<String, Bytes>, source: &mut Source<'_>) {
    let query = match source.pick(4) {
        0 => Query::Get { key: key(source) },
        1 => Query::List {
            prefix: key(source),
            after: source.flag().then(|| key(source)),
            limit: usize::try_from(source.number()).unwrap_or(usize::MAX),
        },
        2 => Query::Len,
        _ => Query::Digest,
    };
    let answer = kv.query(query.clone());
    match (&query, &answer) {
        (Query::Get { key }, Answer::Value(value)) => assert_eq!(value.as_ref(), map.get(key)),
        (Query::List { prefix, after, limit }, Answer::Page { pairs, more }) => {
            let is_wanted = |key: &String| {
                key.starts_with(prefix) && after.as_ref().is_none_or(|after| key > after)
            };
            let wanted: Vec<_> = map.iter().filter(|(key, _)| is_wanted(key)).collect();
            assert!(pairs.len() <= (*limit).min(MAX_PAGE));
            assert!(pairs.iter().map(|(k, v)| (k, v)).eq(wanted.iter().copied().take(pairs.len())));
            assert_eq!(*more, pairs.len() < wanted.len());
        }
        (Query::Len, Answer::Len(length)) => assert_eq!(*length, map.len() as u64),
        (Query::Digest, Answer::Digest(digest)) => assert_eq!(Some(*digest), kv.digest()),
        _ => panic!("{query:?} was answered by {answer:?}"),
    }
    again::<Query>(&query.encode().unwrap_or_else(|error| panic!("{error}")));
}
