//! Mistakes that other implementations made with snapshots in whole nodes, each a test under its name.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use common::{soon, until};
use serde::{Deserialize, Serialize};
use skiff::{
    At, Consistency, Event, MachineError, Mark, Node, SnapshotError, SnapshotWriter, Snapshots,
    StateMachine,
    transport::{Body, MemoryNetwork, Progress},
};

/// What a test does while a snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// While the machine gives a view of itself.
    View,
    /// While that is written.
    Written,
}

/// Adds up. Its snapshots take as long as a test wants.
struct Slow {
    value: i64,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    shut: Mutex<Option<Shut>>,
}

/// Where a gate is shut, who is told that somebody stands there, and what opens it.
type Shut = (Place, mpsc::Sender<()>, Arc<AtomicBool>);

impl Gate {
    /// From now on snapshots stop there. Tells when one does; and what lets it go on.
    fn shut(&self, place: Place) -> (mpsc::Receiver<()>, Arc<AtomicBool>) {
        let (tell, told) = mpsc::channel();
        let opened = Arc::<AtomicBool>::default();
        *self.shut.lock().unwrap() = Some((place, tell, Arc::clone(&opened)));
        (told, opened)
    }

    fn pass(&self, place: Place, mut wait: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        let shut = self.shut.lock().unwrap().take_if(|(at, ..)| *at == place);
        let Some((_, tell, opened)) = shut else { return Ok(()) };
        let _gone = tell.send(());
        while !opened.load(Ordering::SeqCst) {
            wait()?;
        }
        Ok(())
    }
}

impl StateMachine for Slow {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, by: i64, _: At) -> i64 {
        self.value += by;
        self.value
    }
}

impl Snapshots for Slow {
    const KEEPS_MARKS: bool = false;

    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        self.gate.pass(Place::View, || {
            std::thread::yield_now();
            Ok(())
        })?;
        let (value, gate) = (self.value, Arc::clone(&self.gate));
        Ok(Box::new(move |to: &mut dyn Write| {
            to.write_all(&value.to_le_bytes())?;
            // As long as it lasts there is more of it.
            gate.pass(Place::Written, || to.write_all(&[0; 64 << 10]))
        }))
    }

    fn restore(&mut self, from: &mut dyn Read, _: Mark) -> Result<(), MachineError> {
        let mut value = [0; 8];
        from.read_exact(&mut value)?;
        self.value = i64::from_le_bytes(value);
        Ok(())
    }
}

/// With an election timeout of so many milliseconds at least.
async fn three(network: &MemoryNetwork, timeout: u64) -> Vec<(Node<Slow>, Arc<Gate>)> {
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        let gate = Arc::<Gate>::default();
        let machine = Slow { value: 0, gate: Arc::clone(&gate) };
        let builder = Node::builder().state_machine(machine).id(name);
        let builder = builder
            .transport(network.transport())
            .peers(["a", "b", "c"])
            .min_election_timeout(Duration::from_millis(timeout))
            .max_election_timeout(Duration::from_millis(2 * timeout));
        nodes.push((builder.start().await.unwrap(), gate));
    }
    for (node, _) in &nodes {
        soon("ready", node.ready()).await.unwrap();
    }
    nodes
}

async fn leader(nodes: &[(Node<Slow>, Arc<Gate>)]) -> (Node<Slow>, Arc<Gate>) {
    loop {
        for (node, gate) in nodes {
            if node.status().await.state == "leader" {
                return (node.clone(), Arc::clone(gate));
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn heard(told: mpsc::Receiver<()>) {
    soon("a snapshot", tokio::task::spawn_blocking(move || told.recv())).await.unwrap().unwrap();
}

/// Work on a snapshot ran in the loop that sends heartbeats: they stopped, and elections went on and on. Here
/// a leader's machine takes as long as the test wants for its view, or for its content; meanwhile rounds of
/// heartbeats are answered, which linearizable reads need, and nobody campaigns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loop_free_of_snapshot_work() {
    let nodes = three(&MemoryNetwork::new(), 800).await;
    for place in [Place::View, Place::Written] {
        let (leader, gate) = leader(&nodes).await;
        leader.command(1).await.unwrap();
        let (told, opens) = gate.shut(place);
        let taking = tokio::spawn({
            let leader = leader.clone();
            async move { leader.snapshot().await }
        });
        heard(told).await;
        let term = leader.status().await.term;
        for round in 0..200 {
            let read = leader.read(Consistency::Linearizable, |machine| machine.value);
            soon("a read", read).await.unwrap();
            if place == Place::Written {
                assert!(soon("a response", leader.command(round)).await.is_ok());
            }
        }
        assert_eq!(leader.status().await.term, term, "{place:?}: somebody campaigned");
        assert_eq!(leader.status().await.state, "leader");
        opens.store(true, Ordering::SeqCst);
        soon("the snapshot", taking).await.unwrap().unwrap();
    }
}

/// Stopping waited for the task of the snapshot, which waited for an answer of the loop that had ended. Here a
/// node is stopped while its machine is asked for a view, and while that is written; who waits for the
/// snapshot is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_meets_snapshot() {
    for place in [Place::View, Place::Written] {
        let network = MemoryNetwork::new();
        let nodes = three(&network, 150).await;
        let (leader, gate) = leader(&nodes).await;
        leader.command(1).await.unwrap();
        let (told, opens) = gate.shut(place);
        let waits = |node: Node<Slow>| tokio::spawn(async move { node.snapshot().await });
        let calls = [waits(leader.clone()), waits(leader.clone())];
        heard(told).await;
        soon("the end", leader.stop()).await.unwrap();
        soon("the second end", leader.stop()).await.unwrap();
        for call in calls {
            let error = soon("an answer", call).await.unwrap().unwrap_err();
            assert!(matches!(error, SnapshotError::Stopped | SnapshotError::Timeout), "{error}");
        }
        opens.store(true, Ordering::SeqCst);
    }
}

/// Keeps blocks of bytes by number, so that it is large soon.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Blocks {
    blocks: BTreeMap<u64, String>,
}

impl StateMachine for Blocks {
    type Command = u64;
    type Response = usize;

    fn apply(&mut self, number: u64, _: At) -> usize {
        self.blocks.insert(number, "x".repeat(128 << 10));
        self.blocks.len()
    }
}

/// A piece that came late or not at all began the whole transfer anew, and on a slow link it never ended. Here
/// every tenth piece is lost: what is kept only grows, and it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunk_timeout_resumes() {
    let (network, folder) = (MemoryNetwork::new(), tempfile::tempdir().unwrap());
    let start = async |name: &str| {
        let idle = Node::builder()
            .state_machine(Blocks::default())
            .id(name)
            .transport(network.transport())
            .data_dir(folder.path().join(name))
            .peers(["a", "b", "c"])
            .forward_commands(true)
            .snapshot_after(Some(50), None)
            .log_keep(5, usize::MAX)
            .build()
            .unwrap();
        let events = idle.events();
        (idle.start().await.unwrap(), events)
    };
    let (a, _) = start("a").await;
    let (b, _) = start("b").await;
    let (c, _) = start("c").await;
    for node in [&a, &b, &c] {
        soon("ready", node.ready()).await.unwrap();
    }
    c.stop().await.unwrap();
    for number in 0..104_u64 {
        soon("a response", a.command(number)).await.unwrap();
    }
    let leads = if a.status().await.state == "leader" { a.clone() } else { b.clone() };
    until(&leads, |status| status.first > 60).await;

    let (pieces, lost) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let kept = Arc::<Mutex<Vec<((&str, u64), u64)>>>::default();
    for from in ["a", "b"] {
        let (pieces, lost) = (Arc::clone(&pieces), Arc::clone(&lost));
        network.lose(from, "c", move |envelope| {
            let is_piece = matches!(envelope.body, Body::Piece(_));
            let is_lost = is_piece && pieces.fetch_add(1, Ordering::SeqCst) % 10 == 4;
            lost.fetch_add(u64::from(is_lost), Ordering::SeqCst);
            is_lost
        });
        let kept = Arc::clone(&kept);
        network.lose("c", from, move |envelope| {
            if let Body::Got(got) = &envelope.body
                && got.progress == Progress::Gap
            {
                kept.lock().unwrap().push(((from, got.transfer), got.kept));
            }
            false
        });
    }
    let (c, mut events) = start("c").await;
    loop {
        let told = soon("a snapshot", events.next()).await.expect("it goes on");
        if matches!(told, Event::SnapshotInstalled { .. }) {
            break;
        }
    }
    assert!(lost.load(Ordering::SeqCst) >= 3, "{lost:?} of {pieces:?} pieces were lost");
    let kept = kept.lock().unwrap().clone();
    assert!(!kept.is_empty(), "it is said where something is missing");
    let goes_back = kept.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].1 > pair[1].1);
    assert_eq!(goes_back, None, "{kept:?}");
    assert!(
        soon("a read", c.read(Consistency::Linearizable, |m| m.blocks.len())).await.unwrap() >= 104
    );
}
