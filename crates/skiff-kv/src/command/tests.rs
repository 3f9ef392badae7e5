use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn command() -> impl Strategy<Value = Command> {
    let optional = || proptest::option::of(value());
    prop_oneof![
        (".{0,200}", value()).prop_map(|(key, value)| Command::Put { key, value }),
        ".{0,40}".prop_map(|key| Command::Delete { key }),
        (".{0,40}", optional(), optional())
            .prop_map(|(key, expected, value)| Command::CompareAndSet { key, expected, value }),
    ]
}

proptest! {
    #[test]
    fn a_command_comes_back_from_its_bytes(command in command()) {
        prop_assert_eq!(Command::decode(&command.encode().unwrap()).unwrap(), command);
    }

    #[test]
    fn no_part_of_a_command_is_one(command in command()) {
        let bytes = command.encode().unwrap();
        for end in 0..bytes.len() {
            prop_assert!(Command::decode(&bytes.slice(..end)).is_err());
        }
    }

    #[test]
    fn any_bytes_are_a_command_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        if let Ok(command) = Command::decode(&bytes) {
            prop_assert_eq!(Command::decode(&command.encode().unwrap()).unwrap(), command);
        }
    }
}

#[test]
fn the_bytes_of_a_command_are_few_and_stay_the_same() {
    let bytes = |command: Command| command.encode().unwrap();
    assert_eq!(&bytes(Command::put("key", "value"))[..], b"\x01\x03key\x05value");
    assert_eq!(&bytes(Command::delete("key"))[..], b"\x02\x03key");
    let swap = Command::CompareAndSet {
        key: "k".to_owned(),
        expected: None,
        value: Some(Bytes::from_static(b"v")),
    };
    assert_eq!(&bytes(swap)[..], b"\x03\x01k\x00\x01\x01v");
}

#[test]
fn what_is_no_command_is_refused_in_words() {
    let reason =
        |bytes: &'static [u8]| Command::decode(&Bytes::from_static(bytes)).unwrap_err().to_string();
    assert_eq!(reason(b""), "the command ends too early");
    assert_eq!(reason(b"\x09"), "no command has kind 9");
    assert!(reason(b"\x02\x01\xff").starts_with("the key is no text"));
    assert_eq!(reason(b"\x02\x01ab"), "1 bytes are left over after the command");
    let huge = reason(b"\x02\xff\xff\xff\xff\x0fa");
    assert!(huge.contains("bytes were announced, 1 are there"), "{huge}");
    assert_eq!(
        reason(b"\x02\xff\xff\xff\xff\xff\x0fa"),
        "a length in the command has too many bytes"
    );
    assert_eq!(reason(b"\x03\x01k\x02"), "2 does not say whether a value is there");
}
