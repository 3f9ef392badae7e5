//! The Appends with entries that are on their way to one peer: a window in messages and bytes.

use alloc::collections::VecDeque;

use crate::types::{Index, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Inflight {
    pub(crate) seq: u64,
    pub(crate) last: Index,
    pub(crate) bytes: usize,
    pub(crate) sent_at: Instant,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Inflights {
    pub(crate) queue: VecDeque<Inflight>,
    bytes: usize,
}

impl Inflights {
    pub(crate) fn push(&mut self, inflight: Inflight) {
        self.bytes += inflight.bytes;
        self.queue.push_back(inflight);
    }

    /// Everything up to `matched` has arrived.
    pub(crate) fn acknowledge(&mut self, matched: Index) {
        while let Some(first) = self.queue.front().filter(|first| first.last <= matched) {
            self.bytes -= first.bytes;
            self.queue.pop_front();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }

    pub(crate) fn is_full(&self, messages: usize, bytes: usize) -> bool {
        self.queue.len() >= messages || self.bytes >= bytes
    }

    pub(crate) fn oldest(&self) -> Option<&Inflight> {
        self.queue.front()
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.queue.iter().any(|inflight| inflight.seq == seq)
    }

    /// The bytes on their way without the newest Append: the one that may have filled the window.
    pub(crate) fn bytes_before_newest(&self) -> usize {
        self.bytes - self.queue.back().map_or(0, |newest| newest.bytes)
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}
