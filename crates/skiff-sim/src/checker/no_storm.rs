//! No loop without progress, no flood of messages, no queue without end.

use crate::{
    failure::{Verdict, must},
    plan::MS,
};

/// So many jobs a node may put out for one thing that happens.
const JOBS_MAX: u32 = 20_000;
/// So many messages a node may send in a window of time.
const SENDS_MAX: u32 = 4_000;
/// And so many more for each call that reaches it.
const SENDS_PER_CALL: u32 = 20;
/// And so many more for each entry that becomes durable somewhere: where messages overtake each
/// other, each refusal has the leader send a window again.
const SENDS_PER_ENTRY: usize = 64;
const WINDOW: u64 = 50 * MS;
/// So many things may happen at one moment.
const AT_ONCE_MAX: u32 = 100_000;
/// So many things may be about to happen.
const WAITING_MAX: usize = 400_000;

#[derive(Debug, Default)]
pub(crate) struct NoStorm {
    now: u64,
    at_once: u32,
    /// Of each node: the window, its messages, and how many it may send.
    sends: Vec<(u64, u32, u32)>,
}

impl NoStorm {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { sends: vec![(0, 0, SENDS_MAX); nodes], ..Self::default() }
    }

    /// Something happens.
    pub(crate) fn event(&mut self, now: u64, waiting: usize) -> Verdict {
        self.at_once = if now == self.now { self.at_once + 1 } else { 0 };
        self.now = now;
        must(self.at_once < AT_ONCE_MAX, || "time stands still".to_owned())?;
        must(waiting < WAITING_MAX, || format!("{waiting} things are about to happen"))
    }

    pub(crate) fn job(count: u32) -> Verdict {
        must(count < JOBS_MAX, || format!("{count} jobs for one thing that happened"))
    }

    /// A node is asked something.
    pub(crate) fn asked(&mut self, node: usize) {
        self.sends[node].2 += SENDS_PER_CALL;
    }

    /// Entries have become durable on one of the nodes.
    pub(crate) fn got_on(&mut self, entries: usize) {
        let more = u32::try_from(entries * SENDS_PER_ENTRY).unwrap_or(SENDS_MAX);
        for (_, _, most) in &mut self.sends {
            *most = most.saturating_add(more);
        }
    }

    /// A node sends a message.
    pub(crate) fn sends(&mut self, node: usize, now: u64) -> Verdict {
        let (window, count, most) = &mut self.sends[node];
        if now / WINDOW == *window {
            *count += 1;
        } else {
            (*window, *count, *most) = (now / WINDOW, 1, SENDS_MAX);
        }
        must(count < most, || format!("{count} messages within {} ms", WINDOW / MS))
    }
}
