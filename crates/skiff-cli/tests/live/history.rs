//! What clients asked for and were told, and the judgement on it.

use std::{
    sync::{Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use skiff_sim::linearizability::{self, Observed, Verdict};

use crate::{
    common::{PATIENCE, say},
    store::{Op, Store, Told},
};

pub(crate) struct History {
    begun: Instant,
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Default)]
struct State {
    seen: Vec<Observed<Op, Told>>,
    answered: u64,
    unknown: u64,
    refused: u64,
    /// When the last change was acknowledged, and the longest time between two.
    changed_at: Option<Instant>,
    gap: Duration,
    /// The same, since somebody last asked.
    new_gap: Duration,
    /// Calls that ended without an answer, and why.
    failures: Vec<String>,
    /// Those of them that were to change something.
    failed_changes: Vec<String>,
}

/// How a call ended for its client.
pub(crate) enum End {
    Answered(Told),
    /// It may have taken effect, or may yet.
    Unknown(String),
    /// It has not, and never will.
    Refused(String),
}

impl History {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), state: Mutex::default(), grown: Condvar::new() }
    }

    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap()
    }

    pub(crate) fn note(&self, op: Op, invoked: u64, end: End) {
        let returned = self.now();
        let mut state = self.lock();
        if let (true, End::Unknown(reason) | End::Refused(reason)) = (op.act.changes(), &end) {
            state.failed_changes.push(reason.clone());
        }
        match end {
            End::Answered(told) => {
                if op.act.changes() {
                    let now = Instant::now();
                    let since = state.changed_at.replace(now);
                    let gap = since.map_or(Duration::ZERO, |at| now - at);
                    state.gap = state.gap.max(gap);
                    state.new_gap = state.new_gap.max(gap);
                }
                state.answered += 1;
                state.seen.push(Observed::answered(op, invoked, returned, told));
            }
            End::Unknown(reason) => {
                state.unknown += 1;
                state.failures.push(reason);
                state.seen.push(Observed::unknown(op, invoked));
            }
            End::Refused(reason) => {
                state.refused += 1;
                state.failures.push(reason);
            }
        }
        drop(state);
        self.grown.notify_all();
    }

    /// Waits until so many more calls are answered.
    pub(crate) fn wait_for_more(&self, count: u64) {
        let mut state = self.lock();
        let (wanted, end) = (state.answered + count, Instant::now() + PATIENCE);
        while state.answered < wanted {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing is answered any more: {:?}", state.failures.last());
            state = self.grown.wait_timeout(state, left).unwrap().0;
        }
    }

    /// The longest time without an acknowledged change since this was last asked.
    pub(crate) fn new_gap(&self) -> Duration {
        std::mem::take(&mut self.lock().new_gap)
    }

    /// Why calls failed that were to change something.
    pub(crate) fn failed_changes(&self) -> Vec<String> {
        self.lock().failed_changes.clone()
    }

    /// Judges all of it, and says what there was.
    pub(crate) fn judge(&self, what: &str) {
        let state = self.lock();
        match linearizability::check(&Store, &state.seen) {
            Verdict::Linearizable => {}
            Verdict::Violation(violation) => panic!("{what}: {violation}"),
            Verdict::TooHard { key, states } => {
                panic!("{what}: the history of {key} is not judged after {states} states")
            }
        }
        say(&format!(
            "{what}: {} calls answered, {} refused, {} of unknown outcome; no change acknowledged for \
             {} ms at most; the history is linearizable, and nothing was done twice",
            state.answered,
            state.refused,
            state.unknown,
            state.gap.as_millis(),
        ));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// The judge would see it.
#[test]
fn what_was_done_twice_or_read_too_early_is_seen() {
    let get = |held| (Op { key: "k".to_owned(), act: crate::store::Act::Get }, held);
    let put = |value, held| (Op { key: "k".to_owned(), act: crate::store::Act::Put(value) }, held);
    let verdict = |calls: Vec<(Op, Option<u64>)>| {
        let seen = (0..)
            .step_by(2)
            .zip(calls)
            .map(|(at, (op, held))| Observed::answered(op, at, at + 1, Told::Held(held)));
        linearizability::check(&Store, &seen.collect::<Vec<_>>())
    };
    let once = vec![put(1, None), put(2, Some(1)), get(Some(2))];
    assert!(matches!(verdict(once), Verdict::Linearizable));
    let twice = vec![put(1, None), put(2, Some(1)), put(3, Some(1))];
    assert!(matches!(verdict(twice), Verdict::Violation(_)));
    let old = vec![put(1, None), put(2, Some(1)), get(Some(1))];
    assert!(matches!(verdict(old), Verdict::Violation(_)));
}
