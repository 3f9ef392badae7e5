//! Real processes of the program, on free loopback ports, with their data in temporary folders.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "shared by several tests")]

pub mod dice;

use std::{
    collections::HashSet,
    fs,
    io::{self, BufRead, BufReader, Read, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, Child, Command, ExitStatus, Output, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU16, Ordering},
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub const SKIFF: &str = env!("CARGO_BIN_EXE_skiff");
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a child is left alone between two looks at whether it has ended.
const GLANCE: Duration = Duration::from_millis(5);

/// A port that is free now, and that no other test of this process was given.
pub fn free_address() -> String {
    static GIVEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        if GIVEN.lock().unwrap().insert(address.clone()) {
            return address;
        }
    }
}

/// An address that nothing else on this machine comes upon: the system gives ports to those who
/// connect, and a node that was killed must find its own again.
pub fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(7001);
    let [_, high, middle, low] = process::id().to_be_bytes();
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{middle}.{low}:{port}", 1 + high)
}

/// Says something past the capture of what passing tests print.
pub fn say(line: &str) {
    io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Runs the program to its end, which must come within [`PATIENCE`].
pub fn skiff(args: &[&str]) -> Output {
    let mut child = Command::new(SKIFF)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let status = end_of(&mut child);
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let texts = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let Some(status) = status else { panic!("{args:?} did not end, but said: {texts:?}") };
    Output { status, stdout, stderr }
}

/// Reads all there will be, on a thread of its own so that no pipe fills up.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// How a process ended; `None` if it still runs when patience is at its end.
pub fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().unwrap() {
            None if Instant::now() < end => thread::park_timeout(GLANCE),
            status => return status,
        }
    }
}

/// All that a program said.
pub fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A `skiff serve`, killed when it goes out of scope.
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Server {
    pub fn start(args: &[&str]) -> Self {
        let mut command = Command::new(SKIFF);
        command.arg("serve").args(args);
        Self::spawn(command)
    }

    /// Starts a command that becomes a `skiff serve`.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let err = tell.clone();
        let (out, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).for_each(|l| drop(tell.send(l)));
        });
        thread::spawn(move || {
            BufReader::new(errors).lines().map_while(Result::ok).for_each(|l| drop(err.send(l)));
        });
        Self { child, lines, heard: Vec::new() }
    }

    /// Waits until the program has said a line with this in it.
    pub fn hear(&mut self, wanted: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.heard.iter().find(|line| line.contains(wanted));
            if let Some(line) = found {
                return line.clone();
            }
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.heard.push(line),
                Err(_) => panic!("`{wanted}` was not said, but:\n{}", self.heard.join("\n")),
            }
        }
    }

    /// All that the program has said so far.
    pub fn all_said(&mut self) -> Vec<String> {
        self.heard.extend(self.lines.try_iter());
        self.heard.clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the program ends by itself.
    pub fn ended(&mut self) -> ExitStatus {
        end_of(&mut self.child).expect("it must end by itself")
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Three servers that form a cluster.
pub struct Cluster {
    pub folder: tempfile::TempDir,
    pub addresses: Vec<String>,
    pub servers: Vec<Option<Server>>,
}

impl Cluster {
    pub fn new() -> Self {
        let addresses: Vec<String> = (0..3).map(|_| free_address()).collect();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, addresses, servers: vec![None, None, None] }
    }

    pub fn formed() -> Self {
        let mut cluster = Self::new();
        (0..3).for_each(|node| cluster.start(node));
        for server in cluster.servers.iter_mut().flatten() {
            server.hear("member of a cluster of 3");
        }
        cluster
    }

    pub fn dir(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("n{node}"))
    }

    pub fn start(&mut self, node: usize) {
        let (dir, id, nodes) = (self.dir(node), format!("n{node}"), self.nodes());
        let args = ["--listen", &self.addresses[node], "--data-dir", path(&dir), "--peers", &nodes];
        self.servers[node] = Some(Server::start(&[&args[..], &["--id", &id]].concat()));
    }

    pub fn kill(&mut self, node: usize) {
        self.servers[node].take().unwrap().kill();
    }

    pub fn nodes(&self) -> String {
        self.addresses.join(",")
    }

    /// Runs a client command against all nodes.
    pub fn run(&self, args: &[&str]) -> Output {
        skiff(&[args, &["--nodes", &self.nodes(), "--timeout", "15s"]].concat())
    }
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The segments of a log, oldest first.
pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("log-"))
        .collect();
    found.sort();
    found
}
