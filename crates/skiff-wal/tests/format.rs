//! The bytes of format 1, as they were released. If a test in here fails, folders that people have
//! can not be read any more: raise the format version and keep reading the old one.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::fmt::Write as _;

use bytes::Bytes;
use common::*;
use skiff_core::{Entry, Index, LogTime, Membership, NodeId, Payload, Position, Term};
use skiff_storage::{Identity, InstanceId, SnapshotMeta, SnapshotStore, Standing};
use skiff_wal::{FORMAT, disk::sim::SimDisk};

/// A folder with at least one of everything.
fn folder() -> SimDisk {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 4_096);
    let mut membership = Membership::of([NodeId(7)]);
    let node = membership.nodes.get_mut(&NodeId(7)).unwrap();
    (node.name, node.address) = ("a".to_owned(), "localhost:1".to_owned());
    let meta = SnapshotMeta {
        instance: InstanceId(0x1122_3344),
        position: Position::new(1, 1),
        membership: membership.clone(),
        machine_version: 5,
        codec: "json".to_owned(),
        ..SnapshotMeta::default()
    };
    opened.snapshots.save(&meta, b"{}").unwrap();
    put(&mut opened.log, begin_after(1, 1, append(1, 2, 2)));
    let identity = Identity {
        standing: Standing::Member,
        instance: Some(meta.instance),
        ..opened.identity.clone()
    };
    opened.log.identify(&identity).unwrap();
    let entry = |index, payload| Entry {
        term: Term(2),
        index: Index(index),
        time: LogTime(1_000),
        payload,
    };
    let mut write = append(2, 2, 2);
    write.entries = vec![
        entry(2, Payload::Noop),
        entry(3, Payload::Command(Bytes::from_static(b"command"))),
        entry(4, Payload::Membership(Box::new(membership))),
        entry(5, Payload::Unknown { kind: 9, body: Bytes::from_static(b"future") }),
    ];
    put(&mut opened.log, write);
    put(&mut opened.log, cut(5, vote(3, 7)));
    close(opened);
    disk
}

/// The bytes of a file, sixteen a line, without lines of zeros.
fn dump(disk: &SimDisk, name: &str) -> String {
    let mut out = String::new();
    for (line, bytes) in disk.content(name).unwrap().chunks(16).enumerate() {
        if bytes.iter().any(|byte| *byte != 0) {
            write!(out, "{:05x}", line * 16).unwrap();
            bytes.iter().for_each(|byte| write!(out, " {byte:02x}").unwrap());
            out.push('\n');
        }
    }
    out
}

#[test]
fn what_is_written_is_format_1() {
    assert_eq!(FORMAT, 1);
    let disk = folder();
    let mut all = String::new();
    let names = [
        "IDENTITY",
        "log-00000000000000000001",
        "snapshot-00000000000000000001-00000000000000000001",
    ];
    for name in names {
        write!(all, "{name}\n{}", dump(&disk, name)).unwrap();
    }
    let released = include_str!("format/1.txt");
    assert_eq!(all, released, "\n{all}");
}

/// Puts the files of a dump there.
fn restore(disk: &SimDisk, dump: &str) {
    let (mut name, mut content) = (String::new(), Vec::new());
    for line in dump.lines().chain(["end"]) {
        let mut words = line.split(' ');
        let first = words.next().unwrap();
        match u32::from_str_radix(first, 16) {
            Ok(at) if line.len() > 5 && first.len() == 5 => {
                content.resize(usize::try_from(at).unwrap(), 0);
                content.extend(words.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
            }
            _ => {
                if name.starts_with("log-") {
                    content.resize(4_096, 0);
                }
                if !name.is_empty() {
                    disk.put(&name, std::mem::take(&mut content));
                }
                name = line.to_owned();
            }
        }
    }
}

#[test]
fn format_1_can_be_read() {
    let disk = SimDisk::new();
    restore(&disk, include_str!("format/1.txt"));
    let opened = open(&disk, 4_096);
    assert_eq!(opened.identity.standing, Standing::Member);
    assert_eq!((opened.identity.boot, opened.identity.node), (2, NodeId(7)));
    let recovered = &opened.recovered;
    assert_eq!((recovered.base, recovered.last), (Position::new(1, 1), Position::new(2, 4)));
    assert_eq!(recovered.hard_state, vote(3, 7).hard_state);
    assert_eq!(recovered.memberships.len(), 1);
    let (meta, content) = opened.snapshots.newest().unwrap().unwrap();
    assert_eq!((meta.codec.as_str(), &content[..]), ("json", &b"{}"[..]));
}

const PIECE: &str = "mend-00000000000000000000";

/// A log of three entries of which the second is damaged.
fn damaged() -> SimDisk {
    let disk = SimDisk::new();
    let mut opened = open(&disk, 4_096);
    (1..4).for_each(|index| put(&mut opened.log, append(1, index, index + 1)));
    close(opened);
    let name = "log-00000000000000000001";
    let mut content = disk.content(name).unwrap();
    // The batches stand at 512 (it was opened), 1024, 1536, 2048.
    content[1_536] ^= 1;
    disk.put(name, content);
    disk
}

#[test]
fn a_piece_is_written_as_in_format_1() {
    let disk = damaged();
    let mut opened = try_open_holed(&disk, 4_096).unwrap();
    opened.log.mend(Position::new(1, 1), &[entry(1, 2, 30)]).unwrap();
    let written = format!("{PIECE}\n{}", dump(&disk, PIECE));
    assert_eq!(written, include_str!("format/1-piece.txt"), "\n{written}");
}

#[test]
fn a_piece_of_format_1_can_be_read() {
    let disk = damaged();
    restore(&disk, include_str!("format/1-piece.txt"));
    let opened = open(&disk, 4_096);
    let entries = (1..4).map(|index| entry(1, index, 30)).collect();
    let hard_state = append(1, 1, 1).hard_state;
    assert_eq!(Model::of(&opened), Model { hard_state, base: Position::default(), entries });
}
