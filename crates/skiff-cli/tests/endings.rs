//! How the program ends when it is told to: with nothing left behind.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use common::{PATIENCE, SKIFF, Server, end_of, free_address, path};
use rustix::process::{Pid, Signal, kill_process};

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// The processes that were started with this folder in their arguments.
fn processes_of(folder: &Path) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(" serve ") && line.contains(path(folder))).collect()
}

/// A demonstration in the middle of its writing.
fn demonstration(folder: &Path) -> Child {
    let args = ["demo", "--commands", "100000000", "--kill", "0", "--dir", path(folder)];
    let mut demo = Command::new(SKIFF)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).find(|line| line.contains("leads in term"));
    assert!(told.is_some(), "it ended before there was a leader");
    assert_eq!(processes_of(folder).len(), 3);
    demo
}

#[test]
fn a_node_that_is_told_to_end_stops_and_says_so() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&["--dev", "--listen", &free_address()]);
        server.hear("leads in term");
        send(server.pid(), signal);
        server.hear("stopped");
        assert!(server.ended().success());
    }
}

#[test]
fn a_demonstration_that_is_interrupted_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = demonstration(folder.path());
    send(demo.id(), Signal::INT);
    assert_eq!(end_of(&mut demo).unwrap().code(), Some(130));
    assert_eq!(processes_of(folder.path()), Vec::<String>::new());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn nodes_end_with_the_demonstration_even_if_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = demonstration(folder.path());
    demo.kill().unwrap();
    demo.wait().unwrap();
    let end = Instant::now() + PATIENCE;
    while !processes_of(folder.path()).is_empty() {
        assert!(Instant::now() < end, "{:?}", processes_of(folder.path()));
        thread::yield_now();
    }
}
