//! What was acknowledged, to whom, when.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::sync::watch;

use super::plan::Plan;

/// The longest latency that is told apart, in microseconds.
const HOUR: u64 = 3_600_000_000;

/// Shared by the writers and whoever watches them.
pub(crate) struct Ledger {
    seed: u64,
    commands: u64,
    /// Commands below this number may be written.
    allowed: watch::Sender<u64>,
    acknowledged: watch::Sender<Acknowledged>,
    claims: Mutex<Claims>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Acknowledged {
    count: u64,
    /// Among the acknowledged commands, the latest moment at which the attempt began that was
    /// acknowledged; and when its answer came.
    newest: Option<(Instant, Instant)>,
}

struct Claims {
    next: u64,
    acknowledged: Vec<bool>,
    /// In microseconds, from the first attempt to the answer.
    latency: Histogram<u64>,
    retries: u64,
}

impl Ledger {
    pub(crate) fn new(plan: &Plan) -> Self {
        let claims = Claims {
            next: 0,
            acknowledged: Vec::new(),
            latency: Histogram::new_with_bounds(1, HOUR, 3).expect("these bounds are valid"),
            retries: 0,
        };
        Self {
            seed: plan.seed,
            commands: plan.commands,
            allowed: watch::channel(0).0,
            acknowledged: watch::channel(Acknowledged::default()).0,
            claims: Mutex::new(claims),
        }
    }

    /// Lets the writers go on up to here.
    pub(crate) fn allow(&self, until: u64) {
        self.allowed.send_replace(until);
    }

    /// The next command to write, as soon as it may be written; `None` when there is none left.
    pub(crate) async fn claim(&self) -> Option<u64> {
        let number = {
            let mut claims = self.claims();
            claims.next += 1;
            claims.next - 1
        };
        if number >= self.commands {
            return None;
        }
        let mut allowed = self.allowed.subscribe();
        allowed.wait_for(|allowed| number < *allowed).await.ok()?;
        Some(number)
    }

    /// The pair this command writes.
    pub(crate) fn pair(&self, number: u64) -> (String, String) {
        Plan::pair(self.seed, number)
    }

    /// This command was acknowledged now, to an attempt that began then.
    pub(crate) fn acknowledge(&self, number: u64, first: Instant, attempt: Instant) {
        let now = Instant::now();
        {
            let mut claims = self.claims();
            let place = usize::try_from(number).unwrap_or(usize::MAX);
            if claims.acknowledged.len() <= place {
                claims.acknowledged.resize(place + 1, false);
            }
            claims.acknowledged[place] = true;
            let micros = u64::try_from((now - first).as_micros()).unwrap_or(u64::MAX);
            claims.latency.saturating_record(micros);
        }
        self.acknowledged.send_modify(|acknowledged| {
            acknowledged.count += 1;
            if acknowledged.newest.is_none_or(|(began, _)| attempt > began) {
                acknowledged.newest = Some((attempt, now));
            }
        });
    }

    /// An attempt had no answer, or was refused, and is made again.
    pub(crate) fn retry(&self) {
        self.claims().retries += 1;
    }

    pub(crate) fn count(&self) -> u64 {
        self.acknowledged.borrow().count
    }

    /// Waits until so many are acknowledged.
    pub(crate) async fn acknowledged(&self, count: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        // It cannot fail: the sender is part of this.
        let _alive = acknowledged.wait_for(|acknowledged| acknowledged.count >= count).await;
    }

    /// Waits for the acknowledgement of an attempt that began after `moment`, and tells when it came.
    /// One that began before may have been answered before, too, and arrived late.
    pub(crate) async fn next_after(&self, moment: Instant) -> Instant {
        let mut acknowledged = self.acknowledged.subscribe();
        loop {
            let newest = acknowledged.borrow_and_update().newest;
            if let Some((began, answered)) = newest
                && began > moment
            {
                return answered;
            }
            if acknowledged.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The pairs of all acknowledged commands, in the order of their keys.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let claims = self.claims();
        let numbers = (0..).zip(&claims.acknowledged);
        numbers.filter(|(_, yes)| **yes).map(|(number, _)| self.pair(number)).collect()
    }

    pub(crate) fn retries(&self) -> u64 {
        self.claims().retries
    }

    /// The latency that this share of the commands did not exceed.
    pub(crate) fn latency(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.claims().latency.value_at_quantile(quantile))
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_is_claimed_once_and_not_before_it_is_allowed() {
        let ledger = Ledger::new(&Plan::new(16, 1, 1).unwrap());
        ledger.allow(1);
        assert_eq!(ledger.claim().await, Some(0));
        let second = ledger.claim();
        tokio::pin!(second);
        let none = std::future::poll_fn(|cx| std::task::Poll::Ready(second.as_mut().poll(cx)));
        assert!(none.await.is_pending());
        ledger.allow(16);
        assert_eq!(second.await, Some(1));
        for number in 2..16 {
            assert_eq!(ledger.claim().await, Some(number));
        }
        assert_eq!(ledger.claim().await, None);
    }

    #[tokio::test]
    async fn an_answer_to_an_attempt_from_before_does_not_count_as_the_next() {
        let ledger = Ledger::new(&Plan::new(16, 1, 1).unwrap());
        let before = Instant::now();
        let killed = before + Duration::from_millis(1);
        ledger.acknowledge(3, before, before);
        let next = ledger.next_after(killed);
        tokio::pin!(next);
        let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx)));
        assert!(poll.await.is_pending());
        ledger.acknowledge(1, before, killed + Duration::from_millis(1));
        next.await;
        assert_eq!(ledger.pairs(), [ledger.pair(1), ledger.pair(3)]);
        assert_eq!(ledger.count(), 2);
    }
}
