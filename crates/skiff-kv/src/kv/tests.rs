use skiff::{Mark, Snapshots};

use super::*;
use crate::limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Refusal};

fn apply(kv: &mut Kv, command: Command) -> Response {
    kv.apply(command, At::default())
}

fn filled(keys: &[&str]) -> Kv {
    let mut kv = Kv::new();
    for key in keys {
        assert!(apply(&mut kv, Command::put(*key, key.to_uppercase())).is_done());
    }
    kv
}

fn bytes(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

#[test]
fn commands_answer_what_was_there_before() {
    let mut kv = Kv::new();
    assert_eq!(apply(&mut kv, Command::put("a", "1")), Response::Done { previous: None });
    assert_eq!(apply(&mut kv, Command::put("a", "2")), Response::Done { previous: bytes("1") });
    assert_eq!(kv.get("a"), bytes("2").as_ref());
    assert_eq!(apply(&mut kv, Command::delete("a")), Response::Done { previous: bytes("2") });
    assert_eq!(apply(&mut kv, Command::delete("a")), Response::Done { previous: None });
    assert!(kv.is_empty());
}

#[test]
fn compare_and_set_changes_only_what_is_as_expected() {
    let mut kv = Kv::new();
    let mut swap = |expected: Option<Bytes>, value: Option<Bytes>| {
        apply(&mut kv, Command::CompareAndSet { key: "a".to_owned(), expected, value })
    };
    assert_eq!(swap(bytes("1"), bytes("2")), Response::Differs { found: None });
    assert_eq!(swap(None, bytes("1")), Response::Done { previous: None });
    assert_eq!(swap(None, bytes("2")), Response::Differs { found: bytes("1") });
    assert_eq!(swap(bytes("1"), bytes("2")), Response::Done { previous: bytes("1") });
    assert_eq!(swap(bytes("2"), None), Response::Done { previous: bytes("2") });
    assert_eq!(kv.len(), 0);
}

#[test]
fn what_is_beyond_the_limits_is_refused_and_changes_nothing() {
    let mut kv = Kv::new();
    let longest = "k".repeat(MAX_KEY_BYTES);
    let largest = Bytes::from(vec![0; MAX_VALUE_BYTES]);
    assert!(apply(&mut kv, Command::put(&longest, largest)).is_done());
    let before = kv.clone();
    let refusals = [
        (Command::put("", "v"), Refusal::EmptyKey),
        (Command::delete(""), Refusal::EmptyKey),
        (
            Command::delete(format!("{longest}k")),
            Refusal::KeyTooLong { bytes: MAX_KEY_BYTES + 1, limit: MAX_KEY_BYTES },
        ),
        (
            Command::put("k", vec![0; MAX_VALUE_BYTES + 1]),
            Refusal::ValueTooLarge { bytes: MAX_VALUE_BYTES + 1, limit: MAX_VALUE_BYTES },
        ),
        (
            Command::CompareAndSet {
                key: "k".to_owned(),
                expected: None,
                value: Some(vec![0; MAX_VALUE_BYTES + 1].into()),
            },
            Refusal::ValueTooLarge { bytes: MAX_VALUE_BYTES + 1, limit: MAX_VALUE_BYTES },
        ),
    ];
    for (command, refusal) in refusals {
        assert_eq!(apply(&mut kv, command), Response::Refused(refusal));
        assert_eq!(kv, before);
    }
}

fn list(kv: &Kv, prefix: &str, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
    match kv.query(Query::List { prefix, after, limit }) {
        Answer::Page { pairs, more } => (pairs.into_iter().map(|(key, _)| key).collect(), more),
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn a_list_comes_in_order_and_in_pages() {
    let kv = filled(&["b/2", "a", "b/1", "c", "b/3", "b"]);
    let all: Vec<String> = ["a", "b", "b/1", "b/2", "b/3", "c"].map(str::to_owned).into();
    assert_eq!(list(&kv, "", None, 100), (all, false));
    assert_eq!(list(&kv, "b/", None, 2), (vec!["b/1".into(), "b/2".into()], true));
    assert_eq!(list(&kv, "b/", Some("b/2"), 2), (vec!["b/3".into()], false));
    assert_eq!(list(&kv, "b/", Some("a"), 1), (vec!["b/1".into()], true));
    assert_eq!(list(&kv, "b/", Some("c"), 9), (vec![], false));
    assert_eq!(list(&kv, "", None, 0), (vec![], true));
    assert_eq!(list(&kv, "x", None, 9), (vec![], false));
}

#[test]
fn a_page_of_large_values_ends_before_it_is_too_large_to_travel() {
    let mut kv = Kv::new();
    for key in 0..9_u8 {
        let value = vec![key; MAX_VALUE_BYTES];
        assert!(apply(&mut kv, Command::put(key.to_string(), value)).is_done());
    }
    let (first, more) = list(&kv, "", None, 100);
    assert!(more && first.len() < 9, "{first:?}");
    let (second, _) = list(&kv, "", first.last().map(String::as_str), 100);
    assert_eq!(second.first().map(String::as_str), Some(first.len().to_string().as_str()));
}

#[test]
fn questions_are_answered() {
    let kv = filled(&["a", "b"]);
    assert_eq!(kv.query(Query::Get { key: "a".to_owned() }), Answer::Value(bytes("A")));
    assert_eq!(kv.query(Query::Get { key: "x".to_owned() }), Answer::Value(None));
    assert_eq!(kv.query(Query::Len), Answer::Len(2));
    assert_eq!(kv.query(Query::Digest), Answer::Digest(kv.digest().unwrap()));
}

#[test]
fn the_digest_depends_on_the_contents_and_on_nothing_else() {
    let kv = filled(&["a", "b"]);
    assert_eq!(kv.digest(), filled(&["b", "a"]).digest());
    assert_ne!(kv.digest(), filled(&["a"]).digest());
    let mut moved = Kv::new();
    apply(&mut moved, Command::put("ab", "1"));
    let mut other = Kv::new();
    apply(&mut other, Command::put("a", "b1"));
    assert_ne!(moved.digest(), other.digest());
    for command in [Command::put("a", "0"), Command::put("a", "b1"), Command::put("b", "2")] {
        apply(&mut other, command);
    }
    apply(&mut other, Command::Delete { key: "b".to_owned() });
    apply(&mut other, Command::Delete { key: "b".to_owned() });
    let mut same = Kv::new();
    apply(&mut same, Command::put("a", "b1"));
    assert_eq!((other.digest(), &other), (same.digest(), &same));
}

#[test]
fn a_store_that_was_written_and_read_has_the_same_digest() {
    let kv = filled(&["a", "b", "c"]);
    let mut bytes = Vec::new();
    kv.snapshot().unwrap()(&mut bytes).unwrap();
    let mut read = Kv::new();
    read.restore(&mut &*bytes, Mark::default()).unwrap();
    assert_eq!((read.digest(), &read), (kv.digest(), &kv));
    // What is written on goes its own way.
    let before = kv.clone();
    let mut kv = kv;
    apply(&mut kv, Command::put("d", "D"));
    assert_eq!((before.digest(), before.len()), (read.digest(), 3));
    assert_ne!(kv.digest(), read.digest());
}
