//! `skiff log`: what it shows and what it finds, on the directory of a node that is gone.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, path::PathBuf};

use common::{Server, free_address, path, said, segments, skiff};

/// The directory of a node that was killed after two writes.
struct Written {
    folder: tempfile::TempDir,
    listen: String,
}

impl Written {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let written = Self { folder, listen: free_address() };
        let mut server = written.serve();
        for (key, value) in [("first", "one"), ("second", "two-of-two")] {
            let put = skiff(&["put", key, value, "--nodes", &written.listen]);
            assert!(put.status.success(), "{}", said(&put));
        }
        server.kill();
        written
    }

    fn serve(&self) -> Server {
        let dir = self.dir();
        let args = ["--listen", &self.listen, "--data-dir", path(&dir), "--bootstrap"];
        let mut server = Server::start(&args);
        server.hear("leads in term");
        server
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn verify(&self) -> (Option<i32>, String) {
        let output = skiff(&["log", "verify", path(&self.dir())]);
        (output.status.code(), said(&output))
    }
}

#[test]
fn a_dump_shows_each_entry_in_words_and_as_json() {
    let written = Written::new();
    let dir = written.dir();
    let words = said(&skiff(&["log", "dump", path(&dir)]));
    assert!(words.contains("put \"first\", 3 bytes"), "{words}");
    assert!(words.contains("put \"second\", 10 bytes"), "{words}");
    let output = skiff(&["log", "dump", path(&dir), "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let entries: Vec<u64> = lines
        .iter()
        .filter(|line| line["what"] == "entry")
        .map(|line| line["index"].as_u64().unwrap())
        .collect();
    // The genesis is entry 1; the leader's first entry is 2.
    assert_eq!(entries, [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(lines[0]["what"], "identity");
    assert_eq!(lines.last().unwrap()["what"], "end");
}

#[test]
fn a_torn_last_record_is_dropped_and_told() {
    let written = Written::new();
    assert_eq!(written.verify().0, Some(0));
    let file = segments(&written.dir()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.windows(10).position(|window| window == b"two-of-two").unwrap();
    // No power cut makes a file shorter that had its length from the beginning.
    fs::write(&file, &bytes[..last + 3]).unwrap();
    let (code, text) = written.verify();
    assert!(code == Some(5) && text.contains("has lost data"), "{text}");
    bytes[last + 3..].fill(0);
    fs::write(&file, &bytes).unwrap();
    let (code, text) = written.verify();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("was torn"), "{text}");

    // The node starts without it, says so, and goes on.
    let mut server = written.serve();
    server.hear("was torn");
    let get = |key| said(&skiff(&["get", key, "--nodes", &written.listen]));
    assert_eq!(get("first"), "one\n");
    assert!(get("second").contains("is not there"));
    server.kill();
    let (code, text) = written.verify();
    assert!(code == Some(0) && !text.contains("torn"), "{text}");
}

#[test]
fn damage_is_shown_with_what_lies_behind_it() {
    let written = Written::new();
    let file = segments(&written.dir()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let first = bytes.windows(5).position(|window| window == b"first").unwrap();
    bytes[first] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (code, text) = written.verify();
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains(path(&file)) && text.contains("at byte"), "{text}");
    let dump = skiff(&["log", "dump", path(&written.dir())]);
    assert_eq!(dump.status.code(), Some(5), "{}", said(&dump));
    let text = said(&dump);
    let (damage, behind) = (text.find("DAMAGE"), text.find("put \"second\""));
    assert!(damage.is_some() && damage < behind, "{text}");
}

#[test]
fn the_directory_of_a_newer_version_is_refused_and_is_not_damaged() {
    let written = Written::new();
    let file = written.dir().join("IDENTITY");
    let mut bytes = fs::read(&file).unwrap();
    bytes[12..16].copy_from_slice(&7_u32.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    let (code, text) = written.verify();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("format 7") && text.contains("upgrade"), "{text}");
    let dir = written.dir();
    let serve = skiff(&["serve", "--listen", &written.listen, "--data-dir", path(&dir)]);
    assert_eq!(serve.status.code(), Some(1), "{}", said(&serve));
    assert!(said(&serve).contains("format 7"), "{}", said(&serve));
}

#[test]
fn a_directory_that_is_none_is_named() {
    for action in ["dump", "verify"] {
        let output = skiff(&["log", action, "/no/such/directory"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("/no/such/directory is no directory"));
    }
    let empty = tempfile::tempdir().unwrap();
    let output = skiff(&["log", "verify", path(empty.path())]);
    assert!(output.status.success() && said(&output).contains("holds nothing yet"));
}
