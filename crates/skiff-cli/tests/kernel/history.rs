//! What was asked for and what was acknowledged: what every node must hold, and what it may.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard},
    time::Instant,
};

use skiff::{Client, CommandError, Outcome};
use skiff_kv::{Command, Kv};

use crate::common::PATIENCE;

/// The numbers that were written to each key, in their order.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// A value is its number, and so many bytes more.
    filler: usize,
    state: Mutex<State>,
    grown: Condvar,
}

/// What was written, as it stood at some time.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    keys: BTreeMap<String, Key>,
    acknowledged: u64,
    unknown: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Key {
    /// The last number that was acknowledged; zero if none was.
    acknowledged: u64,
    /// The last number that may have taken effect. Nothing is written to the key any more if it is
    /// another: what comes late would otherwise replace what came after it, and rightly.
    tried: u64,
}

impl History {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With values of about this size.
    pub(crate) fn of_values(bytes: usize) -> Self {
        Self { filler: bytes, ..Self::default() }
    }

    /// Writes to a key once, and takes note of how that ended.
    pub(crate) async fn put(&self, client: &Client<Kv>, key: &str) -> Result<(), CommandError> {
        let number = {
            let mut state = self.lock();
            let entry = state.keys.entry(key.to_owned()).or_default();
            assert_eq!(entry.tried, entry.acknowledged, "{key} must not be written any more");
            entry.tried += 1;
            entry.tried
        };
        let put = Command::put(key, self.value(number));
        let result = client.command(put).await.map(drop);
        let mut state = self.lock();
        let entry = state.keys.get_mut(key).unwrap();
        match &result {
            Ok(()) => {
                entry.acknowledged = number;
                state.acknowledged += 1;
                self.grown.notify_all();
            }
            // A promise: nobody may ever read this number.
            Err(error) if error.outcome() == Outcome::NotApplied => entry.tried -= 1,
            Err(_) => state.unknown += 1,
        }
        result
    }

    fn value(&self, number: u64) -> String {
        format!("{number}:{}", "x".repeat(self.filler))
    }

    /// Waits until so many writes more are acknowledged.
    pub(crate) fn wait_for_more(&self, count: u64) {
        let mut state = self.lock();
        let (wanted, end) = (state.acknowledged + count, Instant::now() + PATIENCE);
        while state.acknowledged < wanted {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing is acknowledged any more");
            state = self.grown.wait_timeout(state, left).unwrap().0;
        }
    }

    pub(crate) fn now(&self) -> State {
        self.lock().clone()
    }

    /// What is wrong with what a node holds, if it was read after it had applied all that was
    /// acknowledged `before`.
    pub(crate) fn wrong_with(
        &self,
        held: &BTreeMap<String, String>,
        before: &State,
    ) -> Vec<String> {
        let now = self.lock();
        let mut wrong = Vec::new();
        for (key, Key { acknowledged, .. }) in &before.keys {
            if *acknowledged > 0 && !held.contains_key(key) {
                wrong.push(format!("{key} is lost: {acknowledged} was acknowledged"));
            }
        }
        for (key, value) in held {
            let number =
                value.split(':').next().and_then(|number| number.parse().ok()).unwrap_or(0);
            let floor = before.keys.get(key).map_or(1, |key| key.acknowledged.max(1));
            let most = now.keys.get(key).map_or(0, |key| key.tried);
            if number < floor || number > most || *value != self.value(number) {
                let start: String = value.chars().take(20).collect();
                wrong.push(format!("{key} is {start}, and not from {floor} to {most}"));
            }
        }
        wrong
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    /// How many writes were acknowledged.
    pub(crate) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Of how many writes nobody knows whether they took effect.
    pub(crate) const fn unknown(&self) -> u64 {
        self.unknown
    }
}

#[test]
fn what_is_lost_or_was_never_written_is_noticed() {
    let history = History::of_values(2);
    history.lock().keys = BTreeMap::from([
        ("never".to_owned(), Key { acknowledged: 0, tried: 0 }),
        ("perhaps".to_owned(), Key { acknowledged: 0, tried: 1 }),
        ("surely".to_owned(), Key { acknowledged: 3, tried: 4 }),
    ]);
    let wrong = |pairs: &[(&str, &str)]| {
        let owned = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        history.wrong_with(&owned.collect(), &history.now()).len()
    };
    assert_eq!(wrong(&[("surely", "3:xx")]), 0);
    assert_eq!(wrong(&[("surely", "4:xx"), ("perhaps", "1:xx")]), 0);
    assert_eq!(wrong(&[]), 1, "gone");
    assert_eq!(wrong(&[("surely", "2:xx")]), 1, "older than what was acknowledged");
    assert_eq!(wrong(&[("surely", "5:xx")]), 1, "nobody wrote that yet");
    assert_eq!(wrong(&[("surely", "3:x")]), 1, "cut short");
    assert_eq!(wrong(&[("surely", "3:xx"), ("never", "1:xx")]), 1, "it was said to be refused");
    assert_eq!(wrong(&[("surely", "3:xx"), ("other", "1:xx")]), 1, "a key of nobody's");
}
