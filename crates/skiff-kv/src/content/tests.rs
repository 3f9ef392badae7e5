use skiff::{At, Mark, Snapshots, StateMachine};

use super::*;
use crate::{Command, Kv};

fn filled(count: usize) -> Kv {
    let mut kv = Kv::new();
    for number in 0..count {
        let value = vec![b'v'; number % 70_000];
        kv.apply(Command::put(format!("key-{number}"), value), At::default());
    }
    kv
}

fn content_of(kv: &Kv) -> Vec<u8> {
    let mut content = Vec::new();
    kv.snapshot().unwrap()(&mut content).unwrap();
    content
}

fn streamed(kv: &Kv, count: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    write(&mut content, count, |tell| {
        kv.iter_from("", None).try_for_each(|(key, value)| tell(key, value))
    })?;
    Ok(content)
}

fn read_back(content: &[u8]) -> Result<Kv, MachineError> {
    let mut kv = Kv::new();
    read(&mut &*content, |key, value| {
        kv.apply(Command::put(key, value.to_vec()), At::default());
        Ok(())
    })?;
    Ok(kv)
}

/// Where lengths take one byte, two, four.
#[test]
fn a_stream_is_the_content_of_the_store_in_memory() {
    for count in [0, 1, 15, 16, 300] {
        let kv = filled(count);
        let content = content_of(&kv);
        assert_eq!(streamed(&kv, count).unwrap(), content, "{count}");
        assert_eq!(read_back(&content).unwrap(), kv, "{count}");
        let mut memory = Kv::new();
        memory.restore(&mut &*streamed(&kv, count).unwrap(), Mark::default()).unwrap();
        assert_eq!(memory, kv);
    }
}

#[test]
fn what_is_no_state_is_an_error() {
    let kv = filled(40);
    let content = content_of(&kv);
    for length in 0..content.len() {
        assert!(read_back(&content[..length]).is_err(), "{length}");
    }
    assert!(read_back(&[&content[..], &[0]].concat()).is_err(), "something behind it");
    assert!(read_back(&rmp_serde::to_vec_named(&1).unwrap()).is_err());
    let other = std::collections::BTreeMap::from([("other", 1)]);
    let error = read_back(&rmp_serde::to_vec_named(&other).unwrap()).unwrap_err();
    assert!(error.reason.contains("no pairs"), "{}", error.reason);
    for count in [39, 41] {
        let error = streamed(&kv, count).unwrap_err().to_string();
        assert!(error.contains("40 came"), "{error}");
    }
}

#[test]
fn the_word_of_whoever_takes_the_pairs_is_passed_on() {
    let content = content_of(&filled(3));
    let error = read(&mut &*content, |_, _| Err(MachineError::new("no room"))).unwrap_err();
    assert!(error.reason.contains("no room"), "{}", error.reason);
    let failing = write(&mut Vec::new(), 1, |_| Err(io::Error::other("cannot be read")));
    assert!(failing.unwrap_err().to_string().contains("cannot be read"));
}
