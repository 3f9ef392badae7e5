//! What gets lost on the way from one node to another, for tests.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::envelope::Envelope;

type Rule = Arc<dyn Fn(&Envelope) -> bool + Send + Sync>;

/// What gets lost in one direction between two nodes; nothing at first.
#[derive(Default)]
pub(super) struct Losses {
    any: AtomicBool,
    rule: Mutex<Option<Rule>>,
}

impl Losses {
    pub(super) fn set(&self, rule: Option<Rule>) {
        let any = rule.is_some();
        let old = std::mem::replace(&mut *self.lock(), rule);
        self.any.store(any, Ordering::Release);
        drop(old);
    }

    /// Whether `envelope` gets lost.
    pub(super) fn takes(&self, envelope: &Envelope) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let rule = self.lock().clone();
        rule.is_some_and(|rule| rule(envelope))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Rule>> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Losses").field("any", &self.any).finish_non_exhaustive()
    }
}
