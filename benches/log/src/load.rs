//! What is appended.

use bytes::Bytes;
use serde::Serialize;

/// Batches of entries of one size.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Load {
    /// Bytes of an entry's payload.
    pub(crate) bytes: usize,
    /// Entries of a batch.
    pub(crate) entries: usize,
    /// Batches in all.
    pub(crate) batches: usize,
}

impl Load {
    /// Payloads for a batch. They are random, so that nobody gains by compressing them.
    pub(crate) fn payloads(&self) -> Vec<Bytes> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut payload = || (0..self.bytes).map(|_| random.u8(..)).collect();
        (0..self.entries).map(|_| payload()).collect()
    }

    /// Bytes of all payloads.
    pub(crate) fn payload_total(&self) -> u64 {
        self.bytes as u64 * self.entries as u64 * self.batches as u64
    }

    pub(crate) fn name(&self) -> String {
        match self.bytes {
            1024 => format!("1 KiB × {}", self.entries),
            bytes => format!("{bytes} B × {}", self.entries),
        }
    }
}
