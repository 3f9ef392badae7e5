//! The network between the nodes: each is reached by the others through a proxy, which holds back what
//! one says to another while they are cut off, as a network that drops packets does: what was said comes
//! late, or never.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Handle,
    sync::watch,
};

/// Whose words do not reach whom, by number.
pub(crate) type Cuts = BTreeSet<(usize, usize)>;

pub(crate) struct Network {
    cuts: watch::Sender<Cuts>,
    /// The process of each node, to know who connects.
    pids: Arc<Mutex<Vec<Option<u32>>>>,
    runtime: Handle,
}

impl Network {
    pub(crate) fn new(runtime: &Handle) -> Self {
        let cuts = watch::Sender::new(Cuts::new());
        Self { cuts, pids: Arc::default(), runtime: runtime.clone() }
    }

    pub(crate) fn set_pid(&self, node: usize, pid: Option<u32>) {
        let mut pids = self.pids.lock().unwrap();
        if pids.len() <= node {
            pids.resize(node + 1, None);
        }
        pids[node] = pid;
    }

    pub(crate) fn cut(&self, cuts: impl IntoIterator<Item = (usize, usize)>) {
        self.cuts.send_replace(cuts.into_iter().collect());
    }

    pub(crate) fn heal(&self) {
        self.cut([]);
    }

    /// Lets others reach a node that listens at `at` by another address.
    pub(crate) fn stand_before(&self, node: usize, at: &str, public: &str) {
        let (at, cuts, pids) = (at.to_owned(), self.cuts.subscribe(), Arc::clone(&self.pids));
        let listener = self.runtime.block_on(TcpListener::bind(public)).unwrap();
        self.runtime.spawn(async move {
            loop {
                let (from, address) = listener.accept().await.unwrap();
                let pids = pids.lock().unwrap().clone();
                let local = listener.local_addr().unwrap().port();
                // Who is no node is never cut off.
                let who = owner(address.port(), local, &pids).unwrap_or(usize::MAX);
                // A node that does not run: the connection ends, as one that is refused.
                let Ok(to) = TcpStream::connect(&at).await else { continue };
                let ((from_in, from_out), (to_in, to_out)) = (from.into_split(), to.into_split());
                tokio::spawn(carry(from_in, to_out, (who, node), cuts.clone()));
                tokio::spawn(carry(to_in, from_out, (node, who), cuts.clone()));
            }
        });
    }
}

/// Carries bytes one way until one side ends.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: (usize, usize),
    mut cuts: watch::Receiver<Cuts>,
) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        // Also the end of a connection is not heard through a cut.
        if cuts.wait_for(|cuts| !cuts.contains(&way)).await.is_err() || count == 0 {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// The node whose process connected from one port of this machine to another.
fn owner(from: u16, to: u16, pids: &[Option<u32>]) -> Option<usize> {
    let port = |address: &str| {
        let port = address.split(':').nth(1)?;
        u16::from_str_radix(port, 16).ok()
    };
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let inode = table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let ends = (port(fields.next()?)?, port(fields.next()?)?);
        (ends == (from, to)).then(|| fields.nth(6)).flatten()
    })?;
    let socket = format!("socket:[{inode}]");
    pids.iter().position(|pid| {
        let files = pid.and_then(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok());
        let links =
            files.into_iter().flatten().filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        links.into_iter().any(|link| link.to_string_lossy() == socket)
    })
}
