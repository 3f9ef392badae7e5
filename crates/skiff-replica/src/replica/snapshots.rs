//! Taking snapshots of the own machine, and giving the machine one that was installed.

use std::collections::VecDeque;

use skiff_core::{self as core, Entry, Index, Instant, Position};
use skiff_storage::{SnapshotInfo, SnapshotMeta};

use super::{Phase, Replica};
use crate::{error::ReplicaError, event::Event, input::NotKept, job::Job};

/// After a failure the next try waits for so many longest election timeouts, and for twice as long each
/// time up to so many doublings.
const PAUSE: u64 = 10;
const DOUBLINGS_MAX: u32 = 6;

/// The snapshots of a member.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// The newest that is durable.
    pub(super) newest: SnapshotInfo,
    /// The one that is being taken, and how much was applied since the one before.
    taking: Option<(Position, u64)>,
    /// So many bytes of entries were handed to the machine since the newest was taken.
    bytes: u64,
    /// After a failure: when to try again, and how often it has failed.
    again_at: Option<Instant>,
    failures: u32,
    /// Those that the machine is being given, in order.
    restoring: VecDeque<Position>,
}

impl Shelf {
    pub(super) fn new(newest: SnapshotInfo) -> Self {
        Self { newest, ..Self::default() }
    }

    pub(super) const fn taking(&self) -> Option<Position> {
        match self.taking {
            Some((position, _)) => Some(position),
            None => None,
        }
    }

    /// A snapshot is durable here.
    pub(super) fn has(&mut self, info: SnapshotInfo) {
        if info.meta.position.index > self.newest.meta.position.index {
            self.newest = info;
        }
    }
}

impl Replica {
    /// These entries were handed to the machine: perhaps it is time for a snapshot.
    pub(super) fn handed(&mut self, entries: &[Entry]) {
        let Phase::Member(member) = &mut self.phase else { return };
        let bytes: usize = entries.iter().map(Entry::size).sum();
        member.shelf.bytes += bytes as u64;
        let last = entries.last().map_or(Index::ZERO, |entry| entry.index);
        let Shelf { newest, bytes, .. } = &member.shelf;
        let count = last.0.saturating_sub(newest.meta.position.index.0);
        let is_time = self.settings.snapshots.is_time(count, *bytes, newest.size);
        if is_time {
            self.take_snapshot(false);
        }
        self.grant_wishes(false);
    }

    /// Takes a snapshot of what the machine was handed so far, unless one is being taken, or that was
    /// just tried and nobody asks for it, or the file of one that is on its way to somebody would have to go.
    pub(super) fn take_snapshot(&mut self, is_asked_for: bool) {
        let (now, format) = (self.now, &self.settings.machine);
        let Phase::Member(member) = &mut self.phase else { return };
        let newest = member.shelf.newest.meta.position;
        let waits = !is_asked_for && member.shelf.again_at.is_some_and(|at| now < at);
        // What the core has ready comes to the machine after what is asked of it now.
        let stands = member
            .raft
            .mark_point()
            .is_some_and(|(at, _)| member.marks.stands_at(at.index) && at.index == member.given);
        let is_old = |position: Position| position.index < newest.index;
        let is_sent = self.transfers.positions().any(is_old) || self.copies.positions().any(is_old);
        if waits || !stands || is_sent || member.shelf.taking.is_some() {
            return;
        }
        let Some(point) = member.raft.snapshot_point() else { return };
        let meta = SnapshotMeta {
            instance: self.identity.instance.unwrap_or_default(),
            position: point.position,
            time: member.latest_time(),
            membership: point.membership,
            terms: point.terms,
            machine_version: format.version,
            codec: format.codec.clone(),
        };
        member.shelf.taking = Some((point.position, member.shelf.bytes));
        self.tell(Event::SnapshotStarted { position: point.position });
        self.jobs.push_back(Job::TakeSnapshot { meta: Box::new(meta) });
        // The log is compacted only as far as the machine has a mark.
        self.make_mark();
    }

    /// The snapshot that was being taken is durable, or is not and will not be.
    pub(super) fn snapshot_taken(
        &mut self,
        position: Position,
        result: Result<Box<SnapshotInfo>, NotKept>,
    ) {
        let (now, patience) = (self.now, self.settings.core.max_election_timeout);
        let Phase::Member(member) = &mut self.phase else { return };
        let shelf = &mut member.shelf;
        let Some((_, bytes)) = shelf.taking.take_if(|(taken, _)| *taken == position) else {
            return;
        };
        match result {
            Ok(info) => {
                shelf.bytes = shelf.bytes.saturating_sub(bytes);
                (shelf.again_at, shelf.failures) = (None, 0);
                let size = info.size;
                shelf.has(*info);
                self.tell(Event::SnapshotTaken { position, size });
                self.step_core(core::Input::SnapshotTaken { position });
                self.grant_wishes(false);
            }
            Err(NotKept { recoverable: true, reason }) => {
                let pause = (PAUSE * patience) << shelf.failures.min(DOUBLINGS_MAX);
                shelf.again_at = Some(now.after(pause));
                shelf.failures = shelf.failures.saturating_add(1);
                self.refuse_wishes(&reason);
                self.tell(Event::SnapshotAborted { position, reason });
            }
            Err(NotKept { reason, .. }) => {
                self.fail(ReplicaError::Store { reason, damaged: false })
            }
        }
    }

    /// The machine is to be given the state of a snapshot that was installed.
    pub(super) fn restore_snapshot(&mut self, position: Position) -> Option<Job> {
        let Phase::Member(member) = &mut self.phase else { return None };
        member.shelf.restoring.push_back(position);
        Some(Job::RestoreSnapshot { position, node: self.identity.node })
    }

    /// The machine has the state of a snapshot.
    pub(super) fn snapshot_restored(&mut self, result: Result<(), String>) {
        let Phase::Member(member) = &mut self.phase else { return };
        let Some(position) = member.shelf.restoring.pop_front() else { return };
        if let Err(reason) = result {
            return self.fail(ReplicaError::MachineState { action: "take", reason });
        }
        member.applied = member.applied.max(position.index);
        member.given = member.given.max(position.index);
        member.shelf.bytes = 0;
        self.mark_restored(position);
        self.step_core(core::Input::SnapshotRestored { position });
        self.grant_wishes(true);
        self.calls.applied(position.index);
    }
}
