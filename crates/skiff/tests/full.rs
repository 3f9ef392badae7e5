//! Disks without room, as the loop of a node sees them: it looks by itself, and never waits for it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use common::{Counter, soon};
use skiff::{
    CommandError, Consistency, Event, Events, Node, Outcome,
    core::{Entry, Index, Write},
    storage::{
        Done, Identity, LogReader, LogStore, MemoryPersistence, Opening, Persistence, Recovered,
        Room, Store, StoreError, Written,
    },
};

/// A store in memory on a disk that is as full as it is told to be.
#[derive(Clone, Default)]
struct Gauged(Arc<Gauge>);

#[derive(Default)]
struct Gauge {
    free: AtomicU64,
    /// Nobody knows how much that is.
    panics: AtomicBool,
    refuses: AtomicBool,
    refused: AtomicUsize,
    looks: AtomicUsize,
}

struct Log(Box<dyn LogStore>, Arc<Gauge>);

struct Reader(Arc<dyn LogReader>, Arc<Gauge>);

impl Persistence for Gauged {
    fn open(&self, opening: &Opening) -> Result<Store, StoreError> {
        let store = MemoryPersistence::new().open(opening)?;
        let log = Box::new(Log(store.log, Arc::clone(&self.0)));
        Ok(Store { log, ..store })
    }
}

impl LogStore for Log {
    fn load(&mut self) -> Result<Recovered, StoreError> {
        self.0.load()
    }

    fn write(&mut self, write: Write, done: Done) -> Result<Written, StoreError> {
        if self.1.refuses.load(Ordering::SeqCst) {
            self.1.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Full { path: "/full".into() });
        }
        self.0.write(write, done)
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(Reader(self.0.reader(), Arc::clone(&self.1)))
    }

    fn identify(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.0.identify(identity)
    }
}

impl LogReader for Reader {
    fn read(&self, from: Index, to: Index, most: usize) -> Result<Vec<Entry>, StoreError> {
        self.0.read(from, to, most)
    }

    fn room(&self) -> Option<Room> {
        self.1.looks.fetch_add(1, Ordering::SeqCst);
        assert!(!self.1.panics.load(Ordering::SeqCst), "nobody knows");
        let free = self.1.free.load(Ordering::SeqCst);
        Some(Room { path: "/gauged".into(), free, total: 1 << 20, step: 100, log: 0 })
    }
}

async fn start(store: &Gauged) -> (Node<Counter>, Events) {
    // With the two steps, less than 1,000 bytes are too little.
    let builder = Node::builder().state_machine(Counter::default()).bootstrap();
    let node = builder.persistence(store.clone()).disk_reserve_bytes(800).build().unwrap();
    let events = node.events();
    let node = node.start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    (node, events)
}

async fn told(events: &mut Events, wanted: impl Fn(&Event) -> bool) {
    let mut told = async || while !wanted(&events.next().await.unwrap()) {};
    soon("an event", told()).await;
}

#[tokio::test]
async fn a_node_notices_by_itself_that_there_is_no_room_and_that_there_is_again() {
    let store = Gauged::default();
    store.0.free.store(1_000, Ordering::SeqCst);
    let (node, mut events) = start(&store).await;
    assert_eq!(soon("a response", node.command(1)).await, Ok(1));
    store.0.free.store(999, Ordering::SeqCst);
    told(&mut events, |event| matches!(event, Event::Full { .. })).await;
    let error = soon("a refusal", node.command(1)).await.unwrap_err();
    assert!(matches!(error, CommandError::Full { .. }), "{error:?}");
    assert_eq!((error.code(), error.outcome()), ("ENOSPC", Outcome::NotApplied));
    for consistency in [Consistency::Linearizable, Consistency::Local] {
        let read = node.read(consistency, |machine| machine.value);
        assert_eq!(soon("an answer", read).await, Ok(1));
    }
    // What is not known is no reason to refuse anything.
    store.0.panics.store(true, Ordering::SeqCst);
    told(&mut events, |event| matches!(event, Event::RoomAgain)).await;
    assert_eq!(soon("a response", node.command(1)).await, Ok(2));
}

#[tokio::test]
async fn a_refused_write_makes_the_node_look_and_is_told_once() {
    let store = Gauged::default();
    store.0.free.store(5_000, Ordering::SeqCst);
    let (node, mut events) = start(&store).await;
    store.0.refuses.store(true, Ordering::SeqCst);
    let error = soon("a refusal", node.command(1)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    told(&mut events, |event| matches!(event, Event::WriteRefused { .. })).await;
    let mut refusals = 0;
    while store.0.refused.load(Ordering::SeqCst) < 4 {
        let error = soon("a refusal", node.command(1)).await.unwrap_err();
        assert!(matches!(&error, CommandError::Full { reason } if reason.contains("in /full")));
        refusals += 1;
        tokio::task::yield_now().await;
    }
    assert!(refusals > 0);
    let (looks, refused) = (&store.0.looks, &store.0.refused);
    let (looks, refused) = (looks.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
    assert!(looks >= 2 && looks <= refused + 3, "{looks} looks, {refused} refused writes");
    store.0.refuses.store(false, Ordering::SeqCst);
    told(&mut events, |event| {
        assert!(!matches!(event, Event::WriteRefused { .. }), "it is told once");
        matches!(event, Event::RoomAgain)
    })
    .await;
    soon("ready", node.ready()).await.unwrap();
    // What was in the refused write has taken effect.
    let value = soon("a response", async {
        loop {
            if let Ok(value) = node.command(1).await {
                break value;
            }
        }
    });
    assert_eq!(value.await, 2);
}
