//! Scripts in which snapshots are taken, given away and installed, and logs compacted behind them.

use super::cluster::{Cluster, Expected, FORMED};
use crate::plan::{Cut, Fault, Knobs, MS, MarkKnobs, SECOND, SnapshotKnobs, Who};

/// Snapshots are taken after so many entries, and nothing is kept behind them.
pub(super) fn every(entries: u64) -> impl FnOnce(&mut Knobs) {
    move |knobs| {
        knobs.snapshots = Some(SnapshotKnobs {
            entries,
            bytes: 1 << 30,
            keep_entries: 0,
            keep_bytes: 0,
            piece_bytes: 50,
            window_bytes: 200,
            rate: None,
        });
    }
}

/// A follower is alone for so long.
pub(super) const fn alone(who: Who, nanos: u64) -> Fault {
    Fault::Cut { cut: Cut::Isolate(who), reset: true, nanos }
}

impl Cluster {
    /// Snapshots after every fourth entry, with a short window behind them; the log is compacted from segment
    /// to segment.
    pub(crate) fn snapshot() -> Self {
        let expects: &[Expected] = &[
            ("snapshots", |reached| reached.snapshots_taken, 6),
            ("compactions", |reached| reached.compactions, 6),
            ("answers", |reached| reached.commands_answered, 12),
        ];
        Self::new(3, FORMED, FORMED + 80 * MS, expects)
            .with(every(4))
            .with(|knobs| knobs.segment_bytes = 4 << 10)
            .with(|knobs| {
                if let Some(snapshots) = &mut knobs.snapshots {
                    (snapshots.keep_entries, snapshots.keep_bytes) = (2, 1 << 20);
                }
            })
            .calls(FORMED + 10 * MS, 4 * MS, 12)
    }

    /// Snapshots are taken only when somebody asks for one: of the leader, of a follower, and again.
    pub(crate) fn ask() -> Self {
        let expects: &[Expected] = &[
            ("snapshots", |reached| reached.snapshots_asked, 3),
            ("compactions", |reached| reached.compactions, 3),
            ("answers", |reached| reached.commands_answered, 8),
        ];
        let snapshot = |who| Fault::Snapshot { who };
        Self::new(3, FORMED, FORMED + 90 * MS, expects)
            .with(every(1 << 30))
            .calls(FORMED + 5 * MS, 4 * MS, 8)
            .fault(FORMED + 20 * MS, snapshot(Who::Leader))
            .fault(FORMED + 30 * MS, snapshot(Who::Follower(0)))
            .fault(FORMED + 60 * MS, snapshot(Who::Leader))
    }

    /// Backups are made of what the leader and a follower give, piece by piece, under load.
    pub(crate) fn backup() -> Self {
        let expects: &[Expected] = &[
            ("backups", |reached| reached.backups, 2),
            ("answers", |reached| reached.commands_answered, 8),
        ];
        let back_up = |who| Fault::BackUp { who, piece: 60 };
        Self::new(3, FORMED, FORMED + 100 * MS, expects)
            .with(every(1 << 30))
            .calls(FORMED + 5 * MS, 4 * MS, 8)
            .fault(FORMED + 20 * MS, back_up(Who::Leader))
            .fault(FORMED + 25 * MS, back_up(Who::Follower(1)))
    }

    /// A follower is cut off until the log that it lacks is gone: it gets a snapshot.
    pub(crate) fn install() -> Self {
        let expects: &[Expected] = &[
            ("a snapshot installed", |reached| reached.snapshots_installed, 1),
            ("answers", |reached| reached.commands_answered, 10),
        ];
        Self::new(3, FORMED, FORMED + 420 * MS, expects)
            .with(every(3))
            .calls(FORMED + 2 * MS, 2 * MS, 2)
            .fault(FORMED + 10 * MS, alone(Who::Follower(0), 200 * MS))
            .calls(FORMED + 15 * MS, 4 * MS, 8)
            .calls(FORMED + 390 * MS, 4 * MS, 3)
    }

    /// Likewise, and it is cut off once more on the way: it goes on where it was.
    pub(crate) fn resume() -> Self {
        let expects: &[Expected] = &[
            ("a snapshot installed", |reached| reached.snapshots_installed, 1),
            ("a snapshot offered anew", |reached| reached.snapshots_resumed, 1),
            ("answers", |reached| reached.commands_answered, 8),
        ];
        Self::new(3, FORMED, FORMED + 700 * MS, expects)
            .with(every(3))
            .with(|knobs| {
                if let Some(snapshots) = &mut knobs.snapshots {
                    (snapshots.piece_bytes, snapshots.rate) = (20, Some(1_500));
                }
            })
            .fault(FORMED + 10 * MS, alone(Who::Follower(0), 150 * MS))
            .calls(FORMED + 15 * MS, 4 * MS, 8)
            .fault(FORMED + 300 * MS, alone(Who::Follower(0), 100 * MS))
    }

    /// Machines that are durable by themselves make marks, and a node that is told to stop makes a last one.
    pub(crate) fn mark() -> Self {
        let expects: &[Expected] = &[
            ("marks", |reached| reached.checkpoints, 9),
            ("compactions", |reached| reached.compactions, 3),
            ("a last mark", |reached| reached.last_marks, 1),
            ("answers", |reached| reached.commands_answered, 12),
        ];
        let marks = MarkKnobs { entries: 5, bytes: 1 << 30, idle: 3600 * SECOND };
        Self::new(3, FORMED, FORMED + 250 * MS, expects)
            .with(every(4))
            .with(|knobs| knobs.marks = Some(marks))
            .calls(FORMED + 5 * MS, 4 * MS, 14)
            .fault(FORMED + 70 * MS, Fault::Leave { who: Who::Follower(0), down: 50 * MS })
    }
}
