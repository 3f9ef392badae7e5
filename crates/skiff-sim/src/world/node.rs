//! One node: its disk and its clock, which stay, and its process, which comes and goes.

use std::collections::VecDeque;

use skiff_replica::{
    Applier, Incoming, Index, Input, Job, LinkId, Position, Replica, Snapshots, Token,
    core::{LoadError, LoadId},
    storage::{LogReader, SnapshotStore, StoreError},
};
use skiff_wal::{Log, Reader, disk::sim::SimDisk};

use super::{clock::Clock, orders::Leave, queue::Event, snapshots::SnapshotJob};
use crate::{
    kept::{Kept, Store},
    plan::Point,
};

pub(crate) struct Node<M: Snapshots> {
    pub(crate) disk: SimDisk,
    pub(crate) clock: Clock,
    /// Raised when a process ends: events for an earlier one are of the past.
    pub(crate) run: u32,
    /// How often a process was started.
    pub(crate) starts: u64,
    /// How often the folder was emptied.
    pub(crate) wiped: u32,
    /// How often it came back at another address.
    pub(crate) moves: u32,
    pub(crate) process: Option<Process<M>>,
    /// What happened during a pause, if there is one.
    pub(crate) paused: Option<Vec<Event>>,
    /// When the last pause ended.
    pub(crate) resumed: u64,
    /// The newest snapshot that this run of it has offered.
    pub(crate) offered: (u32, u64),
    /// How much longer an operation of the disk takes, and until when.
    pub(crate) slow: (u64, u64),
    /// Points at which it loses power: where, after how many more, for how long.
    pub(crate) armed: Vec<(Point, u32, u64)>,
    /// Its disk was made to fail: its process may stop.
    pub(crate) may_stop: bool,
    /// Something synced was damaged: it may be unable to start.
    pub(crate) is_damaged: bool,
    /// It is not started again, and why.
    pub(crate) given_up: Option<String>,
    /// The stretches of its log that damage has taken and nobody has given back yet; `None` if its
    /// folder is refused.
    pub(crate) lost: Option<Vec<(Index, Index)>>,
    /// It was told to stop.
    pub(crate) leaves: Option<Leave>,
    /// What its machine keeps by itself.
    pub(crate) store: Store,
    /// The folder at an earlier time, for rolling back.
    pub(crate) image: Option<SimDisk>,
}

pub(crate) struct Process<M: Snapshots> {
    pub(crate) replica: Replica,
    pub(crate) log: Log<SimDisk>,
    pub(crate) reader: Reader<SimDisk>,
    pub(crate) snapshots: skiff_wal::Snapshots<SimDisk>,
    pub(crate) applier: Applier<Kept<M>>,
    /// The attempts of local callers, by token.
    pub(crate) calls: Vec<usize>,
    /// Those of them that want a member replaced.
    pub(crate) replaces: Vec<Token>,
    pub(crate) accepted: u64,
    pub(crate) wake_at: Option<u64>,
    pub(crate) disk_jobs: VecDeque<Job>,
    pub(crate) machine_jobs: VecDeque<Job>,
    pub(crate) snapshot_jobs: VecDeque<SnapshotJob>,
    pub(crate) incoming: Incoming,
    /// What of that was kept so far.
    pub(crate) arrived: Vec<u8>,
    /// Pieces of snapshots that are being read.
    pub(crate) reads: Vec<(u64, Position, u64, usize)>,
    /// Old entries that are being read.
    pub(crate) loads: Vec<(LoadId, Index, Index, usize)>,
    /// Where dialled links lead: to which node, and to which of its addresses.
    pub(crate) dialled: Vec<(LinkId, usize, u32)>,
}

impl<M: Snapshots> Node<M> {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            disk: SimDisk::new(),
            clock,
            run: 1,
            starts: 0,
            wiped: 0,
            moves: 0,
            process: None,
            paused: None,
            resumed: 0,
            offered: (0, 0),
            slow: (0, 0),
            armed: Vec::new(),
            may_stop: false,
            is_damaged: false,
            given_up: None,
            lost: Some(Vec::new()),
            leaves: None,
            store: Store::default(),
            image: None,
        }
    }

    /// Whether the power is to fail at this point now: for how long then.
    pub(crate) fn trips(&mut self, is_here: impl Fn(Point) -> bool) -> Option<(Point, u64)> {
        let at = self.armed.iter().position(|(point, ..)| is_here(*point))?;
        let (point, after, down) = &mut self.armed[at];
        if let Some(left) = after.checked_sub(1) {
            *after = left;
            return None;
        }
        let tripped = (*point, *down);
        self.armed.remove(at);
        Some(tripped)
    }
}

impl<M: Snapshots> Process<M> {
    pub(crate) fn new(
        replica: Replica,
        log: Log<SimDisk>,
        snapshots: skiff_wal::Snapshots<SimDisk>,
        applier: Applier<Kept<M>>,
    ) -> Self {
        Self {
            replica,
            reader: log.reader(),
            log,
            snapshots,
            applier,
            calls: Vec::new(),
            replaces: Vec::new(),
            accepted: 0,
            wake_at: None,
            disk_jobs: VecDeque::new(),
            machine_jobs: VecDeque::new(),
            snapshot_jobs: VecDeque::new(),
            incoming: Incoming::default(),
            arrived: Vec::new(),
            reads: Vec::new(),
            loads: Vec::new(),
            dialled: Vec::new(),
        }
    }

    /// Where a dialled link leads.
    pub(crate) fn target(&self, link: LinkId) -> Option<usize> {
        self.dialled.iter().find(|(one, ..)| *one == link).map(|(_, target, _)| *target)
    }

    /// To which address of that node.
    pub(crate) fn port(&self, link: LinkId) -> Option<u32> {
        self.dialled.iter().find(|(one, ..)| *one == link).map(|(.., port)| *port)
    }

    /// Does a job of the disk.
    pub(crate) fn work_on_disk(&mut self, job: &Job) -> Option<Input> {
        let words = |result: Result<(), StoreError>| result.map_err(|error| error.to_string());
        match job {
            Job::Write(write) => {
                let appended = self.log.append(std::slice::from_ref(write));
                Some(match appended.error {
                    None => Input::Persisted { write: write.id },
                    Some(error) => Input::WriteFailed {
                        write: write.id,
                        recoverable: error.is_recoverable(),
                        reason: error.to_string(),
                    },
                })
            }
            Job::SaveSnapshot { meta, content } => {
                Some(Input::SnapshotSaved { result: words(self.snapshots.save(meta, content)) })
            }
            Job::Identify(identity) => {
                Some(Input::Identified { result: words(self.log.identify(identity)) })
            }
            Job::Mend { prev, entries } => {
                let result = self.log.mend(*prev, entries).map_err(Into::into);
                Some(Input::Mended { prev: Some(*prev), result })
            }
            Job::EndWith { entry } => {
                let result = self.log.end_with(entry).map_err(Into::into);
                Some(Input::Mended { prev: None, result })
            }
            Job::Reload => {
                let result = self.log.reload().map_err(Into::into);
                Some(Input::Reloaded { result })
            }
            _ => None,
        }
    }

    /// Does the first thing that the disk is to do, as far as it comes: for the log, or else for snapshots.
    pub(crate) fn work_on_next(&mut self) {
        if let Some(job) = self.disk_jobs.front().cloned() {
            let _done = self.work_on_disk(&job);
        } else if let Some(job) = self.snapshot_jobs.front().cloned() {
            let _done = self.work_on_snapshot(&job);
        }
    }

    pub(crate) fn load(&self, load: LoadId, (from, to): (Index, Index), bytes_max: usize) -> Input {
        let result = self.reader.read(from, to, bytes_max).map_err(|error| match error {
            StoreError::Compacted { .. } => LoadError::Compacted,
            StoreError::Missing { .. } => LoadError::Truncated,
            _ => LoadError::Failed,
        });
        Input::Loaded { load, result }
    }
}
