//! A log whose missing entries the others have given up, since they are in a snapshot: the snapshot takes
//! their place.
//!
//! It must cover all that is missing. What the log holds at its end tells what becomes of the entries behind
//! it: if it is the same entry they follow it, and stay; if it is another, or the log is shorter,
//! nothing behind it was or will ever be committed, since what is in a snapshot is.

use std::mem;

use skiff_core::{
    Position, Write, WriteId,
    mutants::{Mutant, planted},
};
use skiff_storage::SnapshotInfo;

use super::{Mending, Phase, Replica, founding::follows};
use crate::{error::ReplicaError, event::Event, job::Job};

/// The write that gives up what the snapshot covers. The core's own are numbered from 1, and there is
/// no core.
const COVERS: WriteId = WriteId(0);

impl Mending {
    /// Whether all that is missing is in a snapshot that ends here.
    pub(super) fn is_covered_by(&self, position: Position) -> bool {
        let last = self.log.holes.last().map(|hole| hole.last.index);
        last.is_none_or(|last| last <= position.index || planted(Mutant::CoversTooLittle))
    }
}

impl Replica {
    /// A snapshot is durable here that covers what is missing.
    pub(super) fn covered(&mut self, info: SnapshotInfo) {
        let Some(mending) = self.mending() else { return };
        if info.meta.position.index > mending.snapshot.meta.position.index {
            mending.snapshot = info;
            // What has come in pieces meanwhile is not in what is known of the log here.
            (mending.looks_again, mending.again_at) = (true, None);
        }
        self.mend_on();
    }

    /// Puts the newest snapshot in the place of what is missing, if it covers all of it.
    pub(super) fn cover(&mut self) -> bool {
        let Some(mending) = self.mending() else { return false };
        let position = mending.snapshot.meta.position;
        if mending.log.holes.is_empty() || !mending.is_covered_by(position) {
            return false;
        }
        if follows(&mending.log, position) {
            mending.is_busy = true;
            let hard_state = mending.log.hard_state;
            let write =
                Write { id: COVERS, hard_state, compact_to: Some(position), ..Write::default() };
            self.jobs.push_back(Job::Write(write));
            return true;
        }
        let Phase::Mending(mending) = mem::replace(&mut self.phase, Phase::Fresh) else {
            return false;
        };
        let Mending { log, snapshot, genesis, machine, .. } = *mending;
        self.tell(Event::SnapshotInstalled { position });
        if let Err(error) = self.go_on(log, (genesis, snapshot), machine) {
            self.fail(error.into());
        }
        true
    }

    /// The log begins after the snapshot, durably. Whether it was this write.
    pub(super) fn covered_durably(&mut self) -> bool {
        let Some(mending) = self.mending() else { return false };
        let position = mending.snapshot.meta.position;
        self.jobs.push_back(Job::Reload);
        self.tell(Event::SnapshotInstalled { position });
        true
    }

    /// The log could not be made to begin after the snapshot.
    pub(super) fn cover_failed(&mut self, recoverable: bool, reason: String) {
        if !recoverable {
            return self.fail(ReplicaError::Store { reason, damaged: false });
        }
        let again_at = self.now.after(self.settings.core.max_election_timeout);
        let Some(mending) = self.mending() else { return };
        (mending.is_busy, mending.looks_again) = (false, true);
        mending.again_at = Some(again_at);
        self.tell(Event::MendRefused { reason });
    }
}
