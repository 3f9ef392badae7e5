//! Nodes whose calls to the kernel are watched, and changed, by `strace`.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::{
    common::{PATIENCE, path},
    means::skip,
    nodes::Nodes,
};

/// What is told of the calls of one node. Where it is told goes away with this.
#[must_use]
pub(crate) struct Trace {
    folder: tempfile::TempDir,
}

/// A call as it was told.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// All but the file.
    pub(crate) arguments: String,
    /// What it returned; for a call that was changed, with a word of that.
    pub(crate) result: String,
}

impl Call {
    pub(crate) fn is_changed(&self) -> bool {
        self.result.contains("(INJECTED)")
    }

    /// Where a `pwrite64` begins, and how many bytes it is to write.
    pub(crate) fn place(&self) -> (u64, u64) {
        let mut words = self.arguments.rsplit(", ").map(|word| word.parse().unwrap());
        (words.next().unwrap(), words.next().unwrap())
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('(')?;
        let (arguments, result) = rest.rsplit_once(" = ")?;
        let arguments = arguments.trim_end().strip_suffix(')')?;
        let arguments = arguments.split_once(", ").map_or("", |(_file, arguments)| arguments);
        let own = str::to_owned;
        Some(Self { name: own(name), arguments: own(arguments), result: own(result) })
    }
}

impl Trace {
    /// Starts a node. Of the calls that write and sync, those to the files `only` are watched, or all
    /// if there is none; and what is said in `change` is done to them, in words of `strace`. It counts
    /// calls by thread: a thread that opens the log and one that writes it count for themselves.
    pub(crate) fn start(nodes: &mut Nodes, node: usize, only: &[PathBuf], change: &[&str]) -> Self {
        let trace = Self { folder: tempfile::tempdir().unwrap() };
        let mut strace = Command::new("strace");
        // As a grandchild, so that the child is the node itself.
        strace.args(["-D", "-ff", "-q", "-s", "100000", "-o"]);
        strace.arg(trace.folder.path().join("thread"));
        // Spares the calls that are not watched, but then no signal is ever sent.
        if !change.iter().any(|change| change.contains(":signal=")) {
            strace.arg("--seccomp-bpf");
        }
        strace.args(["-e", "trace=pwrite64,fdatasync,fsync"]);
        strace.args(only.iter().flat_map(|file| [OsStr::new("-P"), file.as_os_str()]));
        strace.args(change.iter().flat_map(|change| ["-e".to_owned(), format!("inject={change}")]));
        strace.args(nodes.program(node));
        nodes.start_as(node, strace);
        trace
    }

    /// The calls of each thread, once the process `pid` has ended.
    pub(crate) fn threads(&self, pid: u32) -> Vec<Vec<Call>> {
        let main = self.folder.path().join(format!("thread.{pid}"));
        let end = Instant::now() + PATIENCE;
        // The first thread is the last to be told of.
        while !fs::read_to_string(&main).is_ok_and(|text| text.contains("+++ ")) {
            assert!(Instant::now() < end, "strace does not say that process {pid} has ended");
            thread::park_timeout(Duration::from_millis(5));
        }
        let threads = fs::read_dir(self.folder.path()).unwrap();
        let texts = threads.map(|file| fs::read(file.unwrap().path()).unwrap());
        let calls = |text: Vec<u8>| {
            String::from_utf8_lossy(&text).lines().filter_map(Call::parse).collect()
        };
        texts.map(calls).collect()
    }

    /// The calls of the thread in which one was changed: up to it, itself, and after it.
    pub(crate) fn around_the_change(&self, pid: u32) -> (Vec<Call>, Call, Vec<Call>) {
        let threads = self.threads(pid);
        let thread = threads.iter().find(|calls| calls.iter().any(Call::is_changed));
        let thread = thread.unwrap_or_else(|| panic!("no call was changed: {threads:?}"));
        let at = thread.iter().position(Call::is_changed).unwrap();
        (thread[..at].to_vec(), thread[at].clone(), thread[at + 1..].to_vec())
    }
}

/// A `strace` that was put upon a process that runs, and leaves it at the latest when dropped.
pub(crate) struct Attached {
    strace: Child,
    told: NamedTempFile,
    _stderr: BufReader<ChildStderr>,
}

impl Attached {
    /// `None` if that may not be done here.
    pub(crate) fn to(pid: u32, change: &str) -> Option<Self> {
        let told = NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace")
            .args(["-f", "-o", path(told.path()), "-e", "trace=fdatasync"])
            .args(["-e", &format!("inject={change}"), "-p", &pid.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(strace.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let attached = Self { strace, told, _stderr: stderr };
        if line.contains("attached") {
            return Some(attached);
        }
        skip(&format!("strace cannot be put upon a process that runs: {}", line.trim()));
        None
    }

    /// Leaves the process; what was told of its calls.
    pub(crate) fn leave(mut self) -> String {
        self.end();
        fs::read_to_string(self.told.path()).unwrap()
    }

    fn end(&mut self) {
        if !matches!(self.strace.try_wait(), Ok(None)) {
            return; // It has ended already.
        }
        // Killed, it would take no leave of the process.
        let pid = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw);
        let _gone = pid.map(|pid| kill_process(pid, Signal::TERM));
        let _gone = self.strace.wait();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.end();
    }
}

/// The path as `strace` knows it, which compares it with that of open files.
pub(crate) fn real(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap().canonicalize().unwrap();
    folder.join(path(Path::new(file.file_name().unwrap())))
}

#[test]
fn calls_are_read_as_strace_tells_them() {
    let line = r#"pwrite64(11, "SKIFFBAT\22L), 5, 6\"", 512, 4608) = 100 (INJECTED)"#;
    let call = Call::parse(line).unwrap();
    assert_eq!((call.name.as_str(), call.place()), ("pwrite64", (4608, 512)));
    assert!(call.is_changed() && call.result.starts_with("100 "));
    let call = Call::parse("fdatasync(11)                           = 0").unwrap();
    assert_eq!((call.name.as_str(), &*call.arguments, &*call.result), ("fdatasync", "", "0"));
    assert!(Call::parse("+++ exited with 1 +++").is_none());
}
