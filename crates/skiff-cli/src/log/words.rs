//! What stands in a log, in words.

use bytes::Bytes;
use skiff::{
    Encoded, Index, SessionEntry,
    core::Payload,
    storage::{Hole, Identity},
};
use skiff_kv::Command;

/// What an entry holds. Commands are shown as those of the key-value store if they are.
pub(super) fn content(payload: &Payload) -> String {
    match payload {
        Payload::Noop => "a new leader's first entry".to_owned(),
        Payload::Membership(membership) => {
            let voters: Vec<String> = membership.voters.iter().map(ToString::to_string).collect();
            format!("members {}", voters.join(", "))
        }
        Payload::Command(bytes) => command(bytes),
        Payload::Session(bytes) => match SessionEntry::decode(bytes) {
            Ok(SessionEntry::Begin { .. }) => "begins a session".to_owned(),
            Ok(SessionEntry::Command { session, number, command: bytes }) => {
                format!("{}, command {number} of session {}", command(&bytes), session.0)
            }
            Ok(SessionEntry::End { session }) => format!("ends session {}", session.0),
            Err(_) => format!("something of a session, {} bytes", bytes.len()),
        },
        Payload::Unknown { kind, body } => format!("an unknown kind {kind}, {} bytes", body.len()),
    }
}

fn command(bytes: &Bytes) -> String {
    match Command::decode(bytes) {
        Ok(Command::Put { key, value }) => format!("put {key:?}, {} bytes", value.len()),
        Ok(Command::Delete { key }) => format!("delete {key:?}"),
        Ok(Command::CompareAndSet { key, .. }) => format!("compare and set {key:?}"),
        _ => format!("a command of {} bytes", bytes.len()),
    }
}

/// "entry 3", or "entries 3 to 5".
pub(super) fn entries(first: Index, last: Index) -> String {
    if first == last { format!("entry {first}") } else { format!("entries {first} to {last}") }
}

/// What is damaged, where, and how it is known that it was well once.
pub(super) fn hole(hole: &Hole) -> String {
    let (path, offset, reason) = (hole.path.display(), hole.offset, &hole.reason);
    let are = if hole.first == hole.last.index { "is" } else { "are" };
    let entries = entries(hole.first, hole.last.index);
    format!("{entries} {are} damaged: {path} at byte {offset}: {reason}")
}

/// "1 file", or "2 files".
pub(super) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

pub(super) fn standing(identity: &Identity) -> String {
    format!("{:?}", identity.standing).to_lowercase()
}
