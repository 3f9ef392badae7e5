//! A machine that is durable by itself beside its log: neither may be further than the other allows, and a
//! mark that cannot be made ends the node, loudly and without a loss.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    io::Read,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use common::{soon, until};
use skiff::{
    At, Batch, Consistency, Event, MachineError, Mark, Node, Opened, SnapshotWriter, Snapshots,
    StartError, StateMachine,
    core::Index,
    disk::{
        DiskPersistence,
        disk::sim::{Fate, SimDisk},
    },
    transport::MemoryNetwork,
};
use tokio::sync::watch;

const SEGMENT: u64 = 64 << 10;
const NEVER: Duration = Duration::from_secs(3600);

/// What a counter keeps on its medium: the value as of its mark, and what came of each batch since.
#[derive(Clone, Default)]
struct Kept {
    mark: Option<(Mark, i64)>,
    batches: Vec<(Bytes, i64)>,
}

impl Kept {
    fn value(&self) -> i64 {
        let marked = self.mark.as_ref().map_or(0, |(_, value)| *value);
        self.batches.last().map_or(marked, |(_, value)| *value)
    }

    /// A crash has taken away all but so many batches.
    fn but(mut self, batches: usize) -> Self {
        self.batches.truncate(batches);
        self
    }
}

/// Where counters keep it, and what goes wrong there.
#[derive(Clone, Default)]
struct Medium {
    kept: Arc<Mutex<Kept>>,
    fails: Arc<Mutex<bool>>,
    /// Shut by whoever holds it: marks wait.
    gate: Arc<Mutex<()>>,
    /// So many marks were asked for.
    asked: watch::Sender<usize>,
}

impl Medium {
    fn of(kept: Kept) -> Self {
        Self { kept: Arc::new(Mutex::new(kept)), ..Self::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn fail(&self, fails: bool) {
        *self.fails.lock().unwrap() = fails;
    }
}

struct Counter {
    medium: Medium,
}

impl StateMachine for Counter {
    type Command = i64;
    type Response = i64;

    fn apply(&mut self, _: i64, _: At) -> i64 {
        unreachable!("commands come in batches")
    }
}

impl Snapshots for Counter {
    fn apply_batch(&mut self, mut batch: Batch<'_, Self>) -> Result<(), MachineError> {
        let mut kept = self.medium.kept();
        let mut value = kept.value();
        while let Some((by, _)) = batch.next_command()? {
            value += by;
            batch.respond(value);
        }
        kept.batches.push((batch.stored()?, value));
        Ok(())
    }

    fn snapshot(&self) -> Result<SnapshotWriter, MachineError> {
        let value = self.medium.kept().value();
        Ok(Box::new(move |to| to.write_all(&value.to_le_bytes())))
    }

    fn restore(&mut self, from: &mut dyn Read, mark: Mark) -> Result<(), MachineError> {
        let mut value = [0; 8];
        from.read_exact(&mut value)?;
        let mark = Some((mark, i64::from_le_bytes(value)));
        *self.medium.kept() = Kept { mark, batches: Vec::new() };
        Ok(())
    }

    fn opened_at(&self) -> Opened {
        let Kept { mark, batches } = self.medium.kept().clone();
        let stored = batches.into_iter().map(|(stored, _)| stored).collect();
        mark.map_or(Opened::Empty, |(mark, _)| Opened::At { mark: Box::new(mark), stored })
    }

    fn checkpoint(&mut self, mark: Mark) -> Result<(), MachineError> {
        self.medium.asked.send_modify(|asked| *asked += 1);
        let _open = self.medium.gate.lock().unwrap();
        if *self.medium.fails.lock().unwrap() {
            return Err(MachineError::new("the medium is read-only"));
        }
        let mut kept = self.medium.kept();
        *kept = Kept { mark: Some((mark, kept.value())), batches: Vec::new() };
        Ok(())
    }
}

/// The only member of a cluster, with its log here, its machine's data there, and a mark every so many
/// entries.
async fn start(disk: &SimDisk, medium: &Medium, every: u64) -> Result<Node<Counter>, StartError> {
    let builder = Node::builder().state_machine(Counter { medium: medium.clone() });
    // One that was copied while it runs has its name.
    let builder = builder.transport(MemoryNetwork::new().transport());
    let builder = builder.id("a").bootstrap().checkpoint_after(every, u64::MAX, NEVER);
    let builder = builder.persistence(DiskPersistence::on(disk.clone()).segment_size(SEGMENT));
    let node = builder.start().await?;
    soon("ready", node.ready()).await.unwrap();
    Ok(node)
}

async fn add(node: &Node<Counter>, times: i64) {
    for _ in 0..times {
        node.command(1).await.unwrap();
    }
}

async fn value(node: &Node<Counter>) -> i64 {
    let read = node.read(Consistency::Linearizable, |counter| counter.medium.kept().value());
    soon("a read", read).await.unwrap()
}

/// The folder as it would be found after a process that was killed now.
fn copy(disk: &SimDisk) -> SimDisk {
    let copy = disk.fork();
    copy.kill();
    copy
}

/// The power fails at any moment: what the machine has stored by then is in the log that is left, however
/// little of the log's last writes landed, and however much of the machine's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_leaves_no_machine_ahead_of_its_log() {
    let (disk, medium) = (SimDisk::new(), Medium::default());
    let node = start(&disk, &medium, 16).await.unwrap();
    let (told, mut grows) = watch::channel(0_i64);
    let adding: Vec<_> = (0..4)
        .map(|_| {
            let (node, told) = (node.clone(), told.clone());
            tokio::spawn(async move {
                while node.command(1).await.is_ok() {
                    told.send_modify(|told| *told += 1);
                }
            })
        })
        .collect();
    for round in 0..12 {
        let wanted = *grows.borrow() + 5 + round;
        let acknowledged = *soon("more", grows.wait_for(|told| *told >= wanted)).await.unwrap();
        let kept = medium.kept().clone();
        let cut = disk.fork();
        cut.crash(|_| Fate::Drop);
        let batches = match round % 3 {
            0 => kept.batches.len(),
            1 => 0,
            _ => kept.batches.len() / 2,
        };
        let again = start(&cut, &Medium::of(kept.but(batches)), 16).await.unwrap();
        let found = value(&again).await;
        assert!(found >= acknowledged, "{found} of {acknowledged} in round {round}");
        again.stop().await.unwrap();
    }
    node.stop().await.unwrap();
    for one in adding {
        soon("the end", one).await.unwrap();
    }
}

/// Somebody has put back an old copy of the log, and left the engine's file as it was: the log lacks what
/// was acknowledged, and whoever went on would come to another state under the same index.
#[tokio::test]
async fn a_machine_ahead_of_its_log_is_refused() {
    for every in [4, u64::MAX] {
        let (disk, medium) = (SimDisk::new(), Medium::default());
        let node = start(&disk, &medium, every).await.unwrap();
        add(&node, 10).await;
        let (old_log, old) = (copy(&disk), medium.kept().clone());
        add(&node, 10).await;
        // By its mark, or by what it has stored since.
        let newer = medium.kept().clone();
        node.stop().await.unwrap();
        let error = start(&copy(&old_log), &Medium::of(newer), every).await.unwrap_err();
        let told = error.to_string();
        assert!(told.contains("applied") && told.contains("ends"), "{told}");
        assert!(!error.is_of_another_machine(), "to take the machine away would hide the loss");
        let node = start(&copy(&old_log), &Medium::of(old), every).await.unwrap();
        assert_eq!(value(&node).await, 10);
        node.stop().await.unwrap();
    }
}

/// Two copies of one directory went different ways, and the engine's file of one came to the other.
#[tokio::test]
async fn a_machine_of_another_log_is_refused() {
    let (disk, medium) = (SimDisk::new(), Medium::default());
    let node = start(&disk, &medium, u64::MAX).await.unwrap();
    let (other_log, begun) = (copy(&disk), medium.kept().clone());
    add(&node, 10).await;
    node.stop().await.unwrap();
    // The mark that was made at the stop is in the term of the first.
    let first = medium.kept().clone();
    let node = start(&other_log, &Medium::of(begun), u64::MAX).await.unwrap();
    add(&node, 10).await;
    node.stop().await.unwrap();
    let error = start(&copy(&other_log), &Medium::of(first.clone()), 4).await.unwrap_err();
    let told = error.to_string();
    let (mark, _) = first.mark.as_ref().unwrap();
    assert!(told.contains(&mark.position.to_string()) && told.contains("put back"), "{told}");
    assert!(error.is_of_another_machine());
    // Without it the node comes to what its own log says.
    let node = start(&copy(&other_log), &Medium::default(), 4).await.unwrap();
    assert_eq!(value(&node).await, 10);
    node.stop().await.unwrap();
}

/// A mark that cannot be made ends the node and says why; all that was acknowledged is there again at the
/// next start, whatever the medium has kept of the batches since the last mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_checkpoint_stops_the_node_and_loses_nothing() {
    let (disk, medium) = (SimDisk::new(), Medium::default());
    let node = start(&disk, &medium, 4).await.unwrap();
    let mut events = node.events();
    add(&node, 9).await;
    medium.fail(true);
    let mut acknowledged = 9;
    while node.command(1).await.is_ok() {
        acknowledged += 1;
    }
    let error = soon("its end", node.stopped()).await.unwrap_err().to_string();
    assert!(error.contains("keep") && error.contains("the medium is read-only"), "{error}");
    let told = async {
        loop {
            if let Event::Error(error) = events.next().await.unwrap() {
                return error.to_string();
            }
        }
    };
    assert_eq!(soon("the event", told).await, error);
    drop(node);
    let kept = medium.kept().clone();
    assert!(!kept.batches.is_empty(), "what came since the last mark is all that is of interest");
    for batches in 0..=kept.batches.len() {
        let medium = Medium::of(kept.clone().but(batches));
        let node = start(&copy(&disk), &medium, 4).await.unwrap();
        let found = value(&node).await;
        // The last one was not acknowledged, and perhaps applied.
        assert!(found == acknowledged || found == acknowledged + 1, "{found} of {acknowledged}");
        add(&node, 5).await;
        assert_eq!(value(&node).await, found + 5);
        node.stop().await.unwrap();
    }
}

/// `stop` waits until the last mark is made, so that the next start finds all of it in the machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::await_holding_lock, reason = "the machine waits for it, not this task")]
async fn stop_waits_for_the_last_mark() {
    let (disk, medium) = (SimDisk::new(), Medium::default());
    let node = start(&disk, &medium, u64::MAX).await.unwrap();
    add(&node, 10).await;
    let last = until(&node, |status| status.applied == status.last).await.applied;
    let shut = medium.gate.lock().unwrap();
    let stopping = node.clone();
    let stopping = tokio::spawn(async move { stopping.stop().await });
    let mut asked = medium.asked.subscribe();
    soon("the last mark", asked.wait_for(|asked| *asked > 0)).await.unwrap();
    assert!(!stopping.is_finished());
    drop(shut);
    soon("the stop", stopping).await.unwrap().unwrap();
    let kept = medium.kept().clone();
    assert_eq!((kept.mark.unwrap().0.position.index, kept.batches.len()), (Index(last), 0));
}

/// The last mark fails: whoever stops the node is told so, and the log has all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_mark_that_fails_is_told_and_loses_nothing() {
    let (disk, medium) = (SimDisk::new(), Medium::default());
    let node = start(&disk, &medium, u64::MAX).await.unwrap();
    add(&node, 10).await;
    medium.fail(true);
    let error = soon("the stop", node.stop()).await.unwrap_err().to_string();
    assert!(error.contains("keep") && error.contains("read-only"), "{error}");
    drop(node);
    let kept = medium.kept().clone().but(0);
    let node = start(&copy(&disk), &Medium::of(kept), 4).await.unwrap();
    assert_eq!(value(&node).await, 10);
    node.stop().await.unwrap();
}
