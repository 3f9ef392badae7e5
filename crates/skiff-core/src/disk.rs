//! The disk lane: one write outstanding at a time, and which term and vote are durable.

use crate::{
    config::Config,
    log::Log,
    mutants::{Mutant, planted},
    output::Write,
    types::{HardState, Instant, WriteId},
};

/// Where there is no room, a write is tried again after this long at the latest, in nanoseconds.
const RETRY_MAX: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Term and vote as the last finished write left them.
    pub(crate) durable: HardState,
    pub(crate) outstanding: Option<Outstanding>,
    last_id: WriteId,
    /// After a refused write: when to try again.
    pub(crate) retry_at: Option<Instant>,
    /// So many writes were refused since the last that was not.
    pub(crate) refusals: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Outstanding {
    id: WriteId,
    pub(crate) hard_state: HardState,
    pub(crate) since: Instant,
    /// Whether it was told that this takes long.
    reported: bool,
}

impl Disk {
    pub(crate) const fn new(durable: HardState) -> Self {
        Self { durable, outstanding: None, last_id: WriteId::ZERO, retry_at: None, refusals: 0 }
    }

    /// The durability gate for whatever carries a term.
    pub(crate) fn holds_term(&self, hard: HardState) -> bool {
        self.durable.term == hard.term || planted(Mutant::TermUngated)
    }

    /// The durability gate for whatever carries a vote.
    pub(crate) fn holds_vote(&self, hard: HardState) -> bool {
        self.durable == hard
    }

    pub(crate) const fn durable(&self) -> HardState {
        self.durable
    }

    /// The next write, if there is something to write and nothing outstanding.
    pub(crate) fn next_write(
        &mut self,
        now: Instant,
        hard: HardState,
        log: &mut Log,
        config: &Config,
    ) -> Option<Write> {
        let idle = self.outstanding.is_none() && self.retry_at.is_none();
        if !idle || (hard == self.durable && !log.has_unwritten()) {
            return None;
        }
        self.last_id = self.last_id.next();
        let id = self.last_id;
        self.outstanding = Some(Outstanding { id, hard_state: hard, since: now, reported: false });
        Some(log.next_write(id, hard, config.write_bytes))
    }

    /// A write and all before it are durable.
    pub(crate) fn persisted(&mut self, write: WriteId, log: &mut Log) {
        if let Some(done) = self.outstanding.take_if(|one| one.id <= write) {
            self.durable = done.hard_state;
            self.refusals = 0;
            log.persisted(done.id);
        }
    }

    /// A write was refused and left no trace. Whether it was the outstanding one. It is tried again
    /// after a heartbeat, then after twice as long, and so on.
    pub(crate) fn refused(
        &mut self,
        write: WriteId,
        log: &mut Log,
        now: Instant,
        heartbeat: u64,
    ) -> bool {
        if self.outstanding.take_if(|one| one.id == write).is_none() {
            return false;
        }
        log.refused(write);
        let pause = heartbeat.saturating_mul(1 << self.refusals.min(16));
        self.retry_at = Some(now.after(pause.min(RETRY_MAX.max(heartbeat))));
        self.refusals = self.refusals.saturating_add(1);
        true
    }

    /// Ends the pause after a refused write.
    pub(crate) fn retry(&mut self, now: Instant) {
        self.retry_at.take_if(|at| *at <= now);
    }

    /// Whether the outstanding write has taken longer than `patience`, or was refused.
    pub(crate) fn is_stuck(&self, now: Instant, patience: u64) -> bool {
        self.retry_at.is_some()
            || self.outstanding.is_some_and(|one| now.since(one.since) > patience)
    }

    /// The outstanding write if it has taken longer than `patience` and this is asked for the
    /// first time.
    pub(crate) fn newly_slow(&mut self, now: Instant, patience: u64) -> Option<WriteId> {
        let one = self.outstanding.as_mut()?;
        if one.reported || now < one.since.after(patience) {
            return None;
        }
        one.reported = true;
        Some(one.id)
    }

    pub(crate) fn deadline(&self, patience: u64) -> Option<Instant> {
        let slow =
            self.outstanding.filter(|one| !one.reported).map(|one| one.since.after(patience));
        match (slow, self.retry_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}
