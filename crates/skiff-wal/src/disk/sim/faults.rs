//! What is planned to go wrong, for as long as the process lives.

use std::{io, ops::Range, sync::Arc};

use super::{Image, SimDisk};

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    fail_sync: Option<u64>,
    lie_syncs: u64,
    fail_write: Option<u64>,
    misdirect: Option<Misdirect>,
    fail_reads: u64,
    fail_read: Option<u64>,
    stale: Vec<Stale>,
    pub(super) halt_after: Option<u64>,
    pub(super) room: Option<u64>,
}

#[derive(Clone, Debug)]
struct Misdirect {
    nth: Option<u64>,
    name: Arc<str>,
    at: u64,
}

#[derive(Clone, Debug)]
struct Stale {
    file: u64,
    range: Range<u64>,
    content: Arc<Vec<u8>>,
    reads: Range<u64>,
}

impl SimDisk {
    /// Lets the `nth` sync from now on fail, of a file or of the folder, 1 being the next. As on
    /// Linux, what it should have made durable is seen by the process but never reaches the medium,
    /// whatever later syncs say.
    pub fn fail_sync(&self, nth: u64) {
        self.state().faults.fail_sync = Some(nth);
    }

    /// Lets the next `count` syncs, of files or of the folder, say that all went well, while what
    /// they cover never reaches the medium.
    pub fn lie_syncs(&self, count: u64) {
        self.state().faults.lie_syncs = count;
    }

    /// Lets the `nth` write from now on fail, 1 being the next. Its first half is written.
    pub fn fail_write(&self, nth: u64) {
        self.state().faults.fail_write = Some(nth);
    }

    /// Lets the `nth` write from now on, 1 being the next, go astray: the process sees it where it
    /// belongs, until the power is cut, but on the medium it goes to the byte `at` of the file
    /// `name`; nowhere if there is none.
    pub fn misdirect_write(&self, nth: u64, name: &str, at: u64) {
        self.state().faults.misdirect = Some(Misdirect { nth: Some(nth), name: name.into(), at });
    }

    /// Lets the next `count` reads fail, of whatever file.
    pub fn fail_reads(&self, count: u64) {
        self.state().faults.fail_reads = count;
    }

    /// Lets the `nth` read from now on fail, 1 being the next, of whatever file.
    pub fn fail_read(&self, nth: u64) {
        self.state().faults.fail_read = Some(nth);
    }

    /// Lets reads that touch these bytes of a file find there what they were in an older image; zeros
    /// where the file was shorter. Of all such reads from now on these are, 0 being the next. False
    /// if there is no such file now or there was none then.
    pub fn stale_reads(
        &self,
        name: &str,
        range: Range<u64>,
        image: &Image,
        reads: Range<u64>,
    ) -> bool {
        let mut state = self.state();
        let Some(file) = state.names.get(name).copied() else { return false };
        let Some(content) = image.files.get(&file).map(Arc::clone) else { return false };
        state.faults.stale.push(Stale { file, range, content, reads });
        true
    }

    /// Lets everything fail after `count` more changes, as if the process were dead.
    pub fn halt_after(&self, count: u64) {
        self.state().faults.halt_after = Some(count);
    }

    /// Forgets all faults that were planned; the limit too. What has happened stays as it is.
    pub fn forget_faults(&self) {
        self.state().faults = Faults::default();
    }

    /// Allows all files together no more than `bytes`; `None` takes the limit away. A write for
    /// which there is not enough room fails after the bytes that had room.
    pub fn limit(&self, bytes: Option<u64>) {
        self.state().faults.room = bytes;
    }
}

impl Faults {
    /// Whether this sync does what it says.
    pub(super) fn sync(&mut self) -> io::Result<bool> {
        if count_down(&mut self.fail_sync) {
            return Err(io::Error::other("the sync failed"));
        }
        let lies = self.lie_syncs > 0;
        self.lie_syncs = self.lie_syncs.saturating_sub(1);
        Ok(!lies)
    }

    pub(super) fn fails_write(&mut self) -> bool {
        count_down(&mut self.fail_write)
    }

    /// Where this write goes, if not where it should.
    pub(super) fn astray(&mut self) -> Option<(Arc<str>, u64)> {
        let planned = self.misdirect.as_mut()?;
        if !count_down(&mut planned.nth) {
            return None;
        }
        self.misdirect.take().map(|planned| (planned.name, planned.at))
    }

    pub(super) fn fails_read(&mut self) -> bool {
        let fails = count_down(&mut self.fail_read) || self.fail_reads > 0;
        self.fail_reads = self.fail_reads.saturating_sub(1);
        fails
    }

    /// Puts old bytes in the place of those that were read.
    pub(super) fn make_stale(&mut self, file: u64, at: u64, read: &mut [u8]) {
        for stale in self.stale.iter_mut().filter(|stale| stale.file == file) {
            let start = stale.range.start.max(at);
            let end = stale.range.end.min(at + read.len() as u64);
            if start >= end {
                continue;
            }
            let is_stale = stale.reads.start == 0;
            stale.reads.start = stale.reads.start.saturating_sub(1);
            stale.reads.end = stale.reads.end.saturating_sub(1);
            if !is_stale {
                continue;
            }
            for byte in start..end {
                let place = usize::try_from(byte).unwrap_or(usize::MAX);
                let old = stale.content.get(place).copied().unwrap_or(0);
                read[usize::try_from(byte - at).unwrap_or(usize::MAX)] = old;
            }
        }
        self.stale.retain(|stale| !stale.reads.is_empty());
    }
}

/// Whether this was the one that is to fail.
fn count_down(planned: &mut Option<u64>) -> bool {
    let Some(left) = planned else { return false };
    *left = left.saturating_sub(1);
    let now = *left == 0;
    if now {
        *planned = None;
    }
    now
}
