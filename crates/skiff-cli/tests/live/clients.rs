//! Clients that put, compare and read without a pause, each call through any of the nodes.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use skiff::{Client, CommandError, Consistency, Outcome};
use skiff_kv::{Answer, Command, Kv, Query, Response};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    common::dice::Dice,
    history::{End, History},
    store::{Act, Op, Told},
};

/// How long one call may take. A client that asks a node cut off does nothing else meanwhile, so it is
/// short.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(1);
/// So many keys are in use at a time, each for so many calls: the longer the history of a key, the
/// harder it is to judge.
const KEYS: u64 = 5;
const CALLS_A_KEY: u64 = 150;

pub(crate) struct Clients {
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    runtime: Handle,
}

/// What the clients have in common.
struct Shared {
    history: Arc<History>,
    /// Where they ask: the addresses of the nodes there are.
    addresses: Arc<Mutex<Vec<String>>>,
    calls: AtomicU64,
    stop: Arc<AtomicBool>,
}

impl Clients {
    pub(crate) fn start(
        runtime: &Handle,
        history: &Arc<History>,
        addresses: &Arc<Mutex<Vec<String>>>,
        count: u64,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            history: Arc::clone(history),
            addresses: Arc::clone(addresses),
            calls: AtomicU64::new(0),
            stop: Arc::clone(&stop),
        });
        let mut tasks = JoinSet::new();
        for number in 0..count {
            tasks.spawn_on(call_on_and_on(Arc::clone(&shared), Dice::of(number)), runtime);
        }
        Self { tasks, stop, runtime: runtime.clone() }
    }

    /// Lets each finish the call it is at.
    pub(crate) fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.unwrap();
            }
        });
    }
}

async fn call_on_and_on(shared: Arc<Shared>, mut dice: Dice) {
    let mut known = Vec::new();
    let mut all = None;
    while !shared.stop.load(Ordering::Relaxed) {
        let addresses = shared.addresses.lock().unwrap().clone();
        if known != addresses {
            all = Some(client(addresses.clone()));
            known = addresses;
        }
        let Some(all) = &all else { continue };
        let number = shared.calls.fetch_add(1, Ordering::Relaxed);
        let generation = number / (KEYS * CALLS_A_KEY);
        let key = format!("{}-{generation}", dice.below(KEYS));
        let invoked = shared.history.now();
        let (act, end) = match dice.below(10) {
            0..5 => (Act::Put(number + 1), change(all, Command::put(&key, text(number + 1))).await),
            5 | 6 => {
                let expected = (dice.below(4) > 0).then(|| dice.below(number + 1) + 1);
                let command = Command::CompareAndSet {
                    key: key.clone(),
                    expected: expected.map(|value| text(value).into()),
                    value: Some(text(number + 1).into()),
                };
                (Act::CompareAndSet { expected, new: number + 1 }, change(all, command).await)
            }
            // A read through one node only, be it a follower, or one that was away.
            _ => {
                let one = usize::try_from(dice.below(known.len() as u64)).unwrap();
                (Act::Get, get(all, &known[one], &key).await)
            }
        };
        shared.history.note(Op { key, act }, invoked, end);
    }
}

pub(crate) fn client(addresses: Vec<String>) -> Client<Kv> {
    Client::new("skiff", addresses).unwrap().with_timeout(ATTEMPT)
}

async fn change(client: &Client<Kv>, command: Command) -> End {
    match client.command(command).await {
        Ok(Response::Done { previous }) => End::Answered(Told::Held(number(previous))),
        Ok(Response::Differs { found }) => End::Answered(Told::Differs(number(found))),
        Ok(refused) => panic!("{refused:?}"),
        Err(error) => failed(&error),
    }
}

fn failed(error: &CommandError) -> End {
    match error.outcome() {
        Outcome::NotApplied => End::Refused(error.to_string()),
        _ => End::Unknown(error.to_string()),
    }
}

/// A read that is not answered has no effect.
pub(crate) async fn get(client: &Client<Kv>, address: &str, key: &str) -> End {
    let query = Query::Get { key: key.to_owned() };
    match client.query_at(Some(address), Consistency::Linearizable, query).await {
        Ok(Answer::Value(value)) => End::Answered(Told::Held(number(value))),
        Ok(answer) => panic!("{answer:?}"),
        Err(error) => End::Refused(error.to_string()),
    }
}

fn text(number: u64) -> String {
    number.to_string()
}

fn number(value: Option<bytes::Bytes>) -> Option<u64> {
    value.map(|value| String::from_utf8_lossy(&value).parse().unwrap())
}
