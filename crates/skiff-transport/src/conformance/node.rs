//! A node of the suite: opens a transport, notes all that it is told, waits for what it expects.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use skiff_core::NodeId;

use super::Medium;
use crate::{
    envelope::{Ask, Body, Envelope, Request},
    transport::{Accepted, Connection, Inbox, Local, NotSent, Signal, Transport},
};

/// What is expected happens within this time, or the test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often a transport without a clock is told the time while a test waits.
const TICK: Duration = Duration::from_millis(5);

/// Names a connection of a node, in the order they came.
pub(super) type Number = usize;

pub(super) struct Node {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) address: String,
    notes: Arc<Notes>,
    began: Instant,
}

/// All that a node was told, in its order.
#[derive(Default)]
struct Notes {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    signals: Vec<(Number, Signal)>,
    accepted: Vec<(Number, Arc<dyn Connection>)>,
}

/// A connection that a node made, or accepted.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) number: Number,
    pub(super) connection: Arc<dyn Connection>,
}

/// Whether a node listens to what it accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Listens {
    Always,
    Never,
}

impl Notes {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, number: Number, signal: Signal) {
        self.told().signals.push((number, signal));
        self.changed.notify_all();
    }
}

/// Numbers are drawn for the whole process, so that no two connections share one.
fn next_number() -> Number {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Node {
    pub(super) fn start(medium: &dyn Medium, name: &str) -> Self {
        Self::start_at(medium, name, medium.listen(name), Listens::Always)
    }

    /// Opens at `listen`; again and again, if that is where another has just been.
    pub(super) fn start_at(
        medium: &dyn Medium,
        name: &str,
        listen: Option<String>,
        listens: Listens,
    ) -> Self {
        let began = Instant::now();
        loop {
            let transport = medium.transport();
            let notes = Arc::new(Notes::default());
            let noting = notes.clone();
            let accepted = Accepted::new(move |connection| accept(&noting, connection, listens));
            let local = Local { name: name.to_owned(), listen: listen.clone(), ..Local::default() };
            match transport.open(local, accepted) {
                Ok(address) => {
                    let address = address.unwrap_or_else(|| name.to_owned());
                    return Self { transport, address, notes, began };
                }
                Err(error) => assert!(began.elapsed() < DEADLINE, "cannot open {name}: {error}"),
            }
        }
    }

    pub(super) fn dial(&self, address: &str) -> Link {
        let connection = self.transport.connect(address).expect("the other's own address");
        let number = next_number();
        let notes = self.notes.clone();
        connection.listen(Inbox::new(move |signal| notes.note(number, signal)));
        Link { number, connection }
    }

    /// As [`dial`](Self::dial), with an inbox that does something itself.
    pub(super) fn dial_with(
        &self,
        address: &str,
        then: impl Fn(&Arc<dyn Connection>, &Signal) + Send + Sync + 'static,
    ) -> Link {
        let connection = self.transport.connect(address).expect("the other's own address");
        let number = next_number();
        let (notes, own) = (self.notes.clone(), Arc::downgrade(&connection));
        connection.listen(Inbox::new(move |signal| {
            if let Some(own) = own.upgrade() {
                then(&own, &signal);
            }
            notes.note(number, signal);
        }));
        Link { number, connection }
    }

    /// Waits until `found` finds something in all that was told.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        mut found: impl FnMut(&[(Number, Signal)]) -> Option<T>,
    ) -> T {
        self.wait_doing(what, || (), &mut found)
    }

    /// As [`wait`](Self::wait), doing something each time before it looks. To look, it holds a
    /// lock that inboxes take: what sends must be done, not looked for.
    pub(super) fn wait_doing<T>(
        &self,
        what: &str,
        mut doing: impl FnMut(),
        mut found: impl FnMut(&[(Number, Signal)]) -> Option<T>,
    ) -> T {
        let began = Instant::now();
        loop {
            doing();
            self.tick();
            let told = self.notes.told();
            if let Some(found) = found(&told.signals) {
                return found;
            }
            assert!(began.elapsed() < DEADLINE, "waited in vain for {what}: {:?}", last(&told));
            drop(self.notes.changed.wait_timeout(told, TICK));
        }
    }

    pub(super) fn tick(&self) {
        let nanos = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.transport.tick(skiff_core::Instant(nanos));
    }

    /// All that was told of one connection so far.
    pub(super) fn told(&self, number: Number) -> Vec<Signal> {
        let told = self.notes.told();
        let of_it = told.signals.iter().filter(|(of, _)| *of == number);
        of_it.map(|(_, signal)| signal.clone()).collect()
    }

    pub(super) fn wait_for(&self, link: &Link, what: &str, is: impl Fn(&Signal) -> bool) {
        self.wait(what, |told| {
            told.iter().any(|(number, signal)| *number == link.number && is(signal)).then_some(())
        });
    }

    pub(super) fn wait_up(&self, link: &Link) {
        self.wait_for(link, "a connection to come up", |signal| *signal == Signal::Up);
    }

    /// The connections accepted so far, once there are as many as `count`.
    pub(super) fn accepted(&self, count: usize) -> Vec<Link> {
        let began = Instant::now();
        loop {
            let told = self.notes.told();
            if told.accepted.len() >= count {
                let links = told.accepted.iter().map(|(number, connection)| Link {
                    number: *number,
                    connection: connection.clone(),
                });
                return links.collect();
            }
            assert!(began.elapsed() < DEADLINE, "waited in vain for {count} connections");
            drop(self.notes.changed.wait_timeout(told, TICK));
        }
    }

    /// Sends, waiting while the queue is full.
    pub(super) fn send(&self, link: &Link, envelope: &Envelope) {
        let sent = std::cell::Cell::new(Err(NotSent::Full));
        let send = || sent.set(link.connection.send(envelope.clone()));
        self.wait_doing("room to send", send, |_| match sent.get() {
            Ok(()) => Some(()),
            Err(NotSent::Full) => None,
            Err(error) => panic!("not sent: {error}"),
        });
    }
}

fn accept(notes: &Arc<Notes>, connection: Arc<dyn Connection>, listens: Listens) {
    let number = next_number();
    notes.told().accepted.push((number, connection.clone()));
    notes.changed.notify_all();
    if listens == Listens::Always {
        let notes = notes.clone();
        connection.listen(Inbox::new(move |signal| notes.note(number, signal)));
    }
}

fn last(told: &Told) -> Vec<String> {
    told.signals.iter().rev().take(5).map(|told| format!("{told:?}")).collect()
}

impl Drop for Node {
    fn drop(&mut self) {
        self.transport.shutdown();
        // They hold what notes them.
        let accepted = std::mem::take(&mut self.notes.told().accepted);
        drop(accepted);
    }
}

/// A request, numbered, with a command of `length` bytes.
pub(super) fn envelope(number: u64, length: usize) -> Envelope {
    let command = Bytes::from(vec![number.to_le_bytes()[0]; length]);
    let request = Request { id: number, timeout_ms: 1000, hops: 0, ask: Ask::Command(command) };
    Envelope {
        group: 0,
        from: NodeId(1),
        to: NodeId(2),
        boot: number,
        body: Body::Request(Box::new(request)),
    }
}

/// The numbers of the envelopes among these signals, in their order.
pub(super) fn numbers(signals: &[Signal]) -> Vec<u64> {
    let numbers = signals.iter().map(|signal| match signal {
        Signal::Received(envelope) => Some(envelope.boot),
        Signal::Up | Signal::Down(_) => None,
    });
    numbers.flatten().collect()
}

/// All numbers received so far, whatever the connection.
pub(super) fn all_numbers(told: &[(Number, Signal)]) -> Vec<u64> {
    let signals: Vec<Signal> = told.iter().map(|(_, signal)| signal.clone()).collect();
    numbers(&signals)
}
