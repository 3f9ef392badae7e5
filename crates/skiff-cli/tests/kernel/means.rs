//! What a test needs of the machine, and what it says if that is not there.

use std::{process::Command, thread};

use rustix::process::geteuid;

use crate::common::{said, say};

/// Says that a test does nothing, or not all, and why.
pub(crate) fn skip(reason: &str) {
    let thread = thread::current();
    say(&format!("skipped: {}: {reason}", thread.name().unwrap_or_default()));
}

/// Whether `strace` is there and may change the calls of a process that it starts.
pub(crate) fn can_trace() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-ff", "-q", "--seccomp-bpf", "-e", "trace=fdatasync"]);
    strace.args(["-e", "inject=fdatasync:error=EIO", "-o"]).arg(folder.path().join("thread"));
    works(strace.arg("true"))
}

/// A command that needs the rights of root: as it is if this is root, or else with a `sudo` that
/// asks for nothing.
pub(crate) fn privileged(program: &str) -> Command {
    if geteuid().is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", program]);
    sudo
}

/// Whether the command succeeds; if not, says so.
pub(crate) fn works(command: &mut Command) -> bool {
    let failed = match command.output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => said(&output).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    skip(&format!("{command:?} fails: {failed}"));
    false
}
