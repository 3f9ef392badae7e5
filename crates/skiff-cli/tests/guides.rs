//! The commands of the guides, as they stand there.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::common::{SKIFF, own_address};

/// A whole page takes no longer.
const PATIENCE: Duration = Duration::from_secs(50);

/// All blocks of shell commands of a page, in their order, as one script.
fn script_of(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let blocks: Vec<&str> = blocks.map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty(), "{page} has no commands");
    blocks.concat()
}

/// Runs it in an empty folder. All addresses are of this test alone.
fn run(page: &str) {
    let folder = tempfile::tempdir().unwrap();
    let own = own_address();
    let host = own.split(':').next().unwrap();
    let script = script_of(page).replace("127.0.0.1:", &format!("{host}:"));
    let said = folder.path().join("said");
    let said_there = File::create(&said).unwrap();
    let programs = Path::new(SKIFF).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash")
        .args(["-eumx", "-o", "pipefail", "-c", &script])
        .current_dir(&folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(said_there.try_clone().unwrap())
        .stderr(said_there)
        .process_group(0)
        .spawn()
        .unwrap();
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match shell.try_wait().unwrap() {
            None if Instant::now() < end => thread::park_timeout(Duration::from_millis(20)),
            status => break status,
        }
    };
    for group in groups_in(folder.path(), shell.id()) {
        let _gone = kill_process_group(Pid::from_raw(group).unwrap(), Signal::KILL);
    }
    shell.wait().unwrap();
    let said = fs::read_to_string(said).unwrap();
    let is_well = status.is_some_and(|status| status.success());
    assert!(is_well, "{page} ended with {status:?}:\n{said}");
}

/// The process groups of the shell and of all that runs in its folder: each job has one of its own.
fn groups_in(folder: &Path, shell: u32) -> Vec<i32> {
    let mut groups = vec![i32::try_from(shell).unwrap()];
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<i32>().ok());
        let there = fs::read_link(entry.path().join("cwd"));
        if let (Some(pid), Ok(there)) = (pid, there)
            && there == folder
        {
            groups.push(pid);
        }
    }
    groups
}

#[test]
fn the_life_of_a_cluster() {
    run("cluster-life.md");
}
