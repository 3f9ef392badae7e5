//! Snapshots over real sockets: by a lane of their own, to several members at once, resumed after a cut.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{soon, until};
use serde::{Deserialize, Serialize};
use skiff::{At, Consistency, Event, Events, Node, StateMachine};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Keeps blocks of bytes by number, so that it is large soon.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Blocks {
    blocks: BTreeMap<u64, String>,
}

const BLOCK: usize = 64 << 10;

impl StateMachine for Blocks {
    type Command = (u64, char);
    type Response = usize;

    fn apply(&mut self, (number, letter): (u64, char), _: At) -> usize {
        self.blocks.insert(number, letter.to_string().repeat(BLOCK));
        self.blocks.len()
    }
}

/// The lane that snapshots have.
const SNAPSHOTS: u8 = 2;

/// What goes through all proxies by the lane of snapshots.
#[derive(Default)]
struct Counted {
    bytes: AtomicU64,
    /// The connection that is to be cut once so many bytes went by.
    cut_at: Mutex<Option<u64>>,
    cuts: AtomicU64,
}

impl Counted {
    /// Whether this is where the connection is cut.
    fn is_cut(&self, bytes: u64) -> bool {
        let all = self.bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        let cut = self.cut_at.lock().unwrap().take_if(|at| all >= *at).is_some();
        self.cuts.fetch_add(u64::from(cut), Ordering::SeqCst);
        cut
    }
}

/// Stands before a node. Whoever dials it is passed on.
async fn proxy(listener: TcpListener, to: String, counted: Arc<Counted>) {
    loop {
        let (from, _) = listener.accept().await.unwrap();
        tokio::spawn(pass(from, to.clone(), Arc::clone(&counted)));
    }
}

async fn pass(mut from: TcpStream, to: String, counted: Arc<Counted>) -> std::io::Result<()> {
    let mut preamble = [0; 36];
    from.read_exact(&mut preamble).await?;
    let mut there = TcpStream::connect(&to).await?;
    there.write_all(&preamble).await?;
    let is_counted = preamble[12] == SNAPSHOTS;
    let ((mut from_in, mut from_out), (mut to_in, mut to_out)) = (from.split(), there.split());
    let flow = async |read: &mut (dyn tokio::io::AsyncRead + Unpin + Send),
                      write: &mut (dyn tokio::io::AsyncWrite + Unpin + Send)| {
        let mut bytes = vec![0; 32 << 10];
        while let Ok(count @ 1..) = read.read(&mut bytes).await {
            if is_counted && counted.is_cut(count as u64) {
                break;
            }
            if write.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = flow(&mut from_in, &mut to_out) => {}
        () = flow(&mut to_in, &mut from_out) => {}
    }
    Ok(())
}

struct Addresses {
    listen: Vec<String>,
    public: Vec<String>,
}

async fn addresses(count: usize, counted: &Arc<Counted>) -> Addresses {
    let (mut listen, mut public) = (Vec::new(), Vec::new());
    for _ in 0..count {
        // The port is free, and nobody else is given it while the listener is bound.
        let real = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let before = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listen.push(real.local_addr().unwrap().to_string());
        public.push(before.local_addr().unwrap().to_string());
        tokio::spawn(proxy(before, listen.last().unwrap().clone(), Arc::clone(counted)));
    }
    Addresses { listen, public }
}

async fn start(folder: &std::path::Path, all: &Addresses, place: usize) -> (Node<Blocks>, Events) {
    let name = format!("n{place}");
    let idle = Node::builder()
        .state_machine(Blocks::default())
        .id(&name)
        .listen(&all.listen[place])
        .advertise(&all.public[place])
        .data_dir(folder.join(&name))
        .peers(all.public.iter().cloned())
        .forward_commands(true)
        .snapshot_after(Some(100), None)
        .log_keep(10, usize::MAX)
        .snapshot_rate(8 << 20)
        // So long that nobody campaigns only since this machine has much to do.
        .heartbeat_interval(Duration::from_millis(100))
        .min_election_timeout(Duration::from_millis(800))
        .max_election_timeout(Duration::from_millis(1600))
        .build()
        .unwrap();
    let events = idle.events();
    (idle.start().await.unwrap(), events)
}

async fn fill(node: &Node<Blocks>, numbers: std::ops::Range<u64>) {
    for number in numbers {
        soon("a response", node.command((number, 'x'))).await.unwrap();
    }
}

async fn installed(events: &mut Events) {
    while let Some(told) = soon("an event", events.next()).await {
        if matches!(told, Event::SnapshotInstalled { .. }) {
            return;
        }
    }
    panic!("it has stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_get_a_snapshot_at_once_and_a_cut_at_half_sends_little_again() {
    let (counted, folder) = (Arc::new(Counted::default()), tempfile::tempdir().unwrap());
    let all = addresses(5, &counted).await;
    let mut nodes = Vec::new();
    for place in 0..5 {
        nodes.push(start(folder.path(), &all, place).await.0);
    }
    for node in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    // The leader must not be one of the two that go away.
    for node in nodes.split_off(3) {
        node.stop().await.unwrap();
    }
    let leader = loop {
        let mut leads = None;
        for node in &nodes {
            if node.status().await.state == "leader" {
                leads = Some(node.clone());
            }
        }
        if let Some(leader) = leads {
            break leader;
        }
        tokio::task::yield_now().await;
    };
    fill(&leader, 0..205).await;
    until(&leader, |status| status.first > 150).await;
    let size = leader.snapshot().await.unwrap().size;
    assert!(size > 12 << 20, "{size}");
    assert!(counted.bytes.load(Ordering::SeqCst) < size / 100, "nothing was sent yet");
    let term = leader.status().await.term;

    *counted.cut_at.lock().unwrap() = Some(size); // Half of what both will get.
    let (d, mut told_d) = start(folder.path(), &all, 3).await;
    let (e, mut told_e) = start(folder.path(), &all, 4).await;
    let mut goes_on = 1000;
    let arrive = async {
        tokio::join!(installed(&mut told_d), installed(&mut told_e));
    };
    tokio::pin!(arrive);
    // Commands go on meanwhile, and nobody campaigns.
    loop {
        tokio::select! {
            biased;
            () = &mut arrive => break,
            () = fill(&leader, goes_on..goes_on + 1) => goes_on += 1,
        }
        // So few that the log holds what comes after the snapshot.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(leader.status().await.term, term, "heartbeats came by");
    assert_eq!(counted.cuts.load(Ordering::SeqCst), 1, "it was cut");
    let sent = counted.bytes.load(Ordering::SeqCst);
    let again = sent.saturating_sub(2 * size);
    assert!(again < size * 6 / 10, "{again} bytes of {size} were sent again");
    for node in [&d, &e] {
        let read = soon("a read", node.read(Consistency::Linearizable, |m| m.blocks.len()));
        assert!(read.await.unwrap() >= 205);
    }
}
