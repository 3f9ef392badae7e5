//! Counts what each node does, and lets the power fail at one exact place: for who wants to try all
//! places there are.

use std::ops::Range;

use skiff_replica::{
    Index, Input, Job, Standing,
    storage::{Identity, SnapshotStore},
};
use skiff_wal::{Opened, disk::sim::SimDisk};

use super::{Step, World, queue::Event};
use crate::{
    crash_points::{PowerCut, Spot},
    workload::Workload,
};

/// Looks on, and cuts the power where it is told to. Only what happens before the faults end counts.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    cut: Option<PowerCut>,
    /// What comes before this time is counted, but of no interest.
    since: u64,
    pub(crate) counted: Vec<Counted>,
    pub(crate) struck: Option<Struck>,
    /// The power is failing where it was to.
    is_striking: bool,
    /// What each node was told of its folder.
    told: Vec<Told>,
}

/// What a node has done, from the first that is of interest to the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) jobs: Range<u64>,
    pub(crate) operations: Range<u64>,
}

/// The power has failed.
#[derive(Debug)]
pub(crate) struct Struck {
    /// The disk as it was before, with all that was not synced.
    pub(crate) disk: SimDisk,
    /// How many operations there are in what the disk was doing, if nothing of it was done.
    pub(crate) operations: u64,
}

/// What a node was told of its folder, beside the log.
#[derive(Clone, Debug, Default)]
struct Told {
    identity: Option<Identity>,
    snapshot: Option<Index>,
}

impl Watch {
    pub(crate) fn new(nodes: usize, since: u64, cut: Option<PowerCut>) -> Self {
        Self {
            cut,
            since,
            counted: vec![Counted::default(); nodes],
            told: vec![Told::default(); nodes],
            ..Self::default()
        }
    }

    /// Where the power is still to fail.
    fn spot(&self) -> Option<Spot> {
        let cut = self.cut.as_ref().filter(|_| self.struck.is_none());
        cut.map(|cut| cut.spot)
    }

    /// So many operations of this node's disk, which has done so many, are left before it.
    fn left(&self, of: usize, done: u64) -> Option<u64> {
        match self.spot()? {
            Spot::AfterOperation { node, operation } if node == of => operation.checked_sub(done),
            _ => None,
        }
    }
}

impl Counted {
    fn note(range: &mut Range<u64>, count: u64, is_early: bool) {
        range.end = count;
        if is_early {
            range.start = count;
        }
    }
}

impl<W: Workload> World<'_, '_, W> {
    fn operations(&self, node: usize) -> u64 {
        self.nodes[node].disk.counts().changes
    }

    /// So many operations the disk may do now, of `most`.
    pub(super) fn operations_left(&self, node: usize, most: u64) -> u64 {
        let left = self.watch.as_ref().and_then(|watch| watch.left(node, self.operations(node)));
        left.unwrap_or(u64::MAX).min(most)
    }

    /// The disk is about to do something.
    pub(super) fn watch_disk(&self, node: usize) {
        let left = self.operations_left(node, u64::MAX);
        if left < u64::MAX {
            self.nodes[node].disk.halt_after(left);
        }
    }

    fn is_due(&self, node: usize) -> bool {
        self.operations_left(node, u64::MAX) == 0
    }

    fn count_operations(&mut self, node: usize) {
        let (done, now, calm) = (self.operations(node), self.now, self.calm);
        if let Some(watch) = self.watch.as_mut().filter(|_| !calm) {
            let is_early = now < watch.since;
            Counted::note(&mut watch.counted[node].operations, done, is_early);
        }
    }

    /// A node has put out a job.
    pub(super) fn watch_job(&mut self, node: usize) {
        let (now, calm) = (self.now, self.calm);
        let Some(watch) = self.watch.as_mut().filter(|_| !calm) else { return };
        let is_early = now < watch.since;
        let jobs = &mut watch.counted[node].jobs;
        let count = jobs.end + 1;
        Counted::note(jobs, count, is_early);
        if let Some(Spot::AfterJob { node: of, job, operations }) = watch.spot()
            && (of, job) == (node, count)
        {
            self.strike_amid(node, operations);
        }
    }

    /// The disk has done a job. Returns whether the power has failed meanwhile.
    pub(super) fn watch_done(&mut self, node: usize, job: &Job, input: &Input) -> bool {
        self.count_operations(node);
        if self.is_due(node) {
            self.strike(node);
            return true;
        }
        let Some(watch) = &mut self.watch else { return false };
        match (job, input) {
            (Job::Identify(identity), Input::Identified { result: Ok(()) }) => {
                watch.told[node].identity = Some(identity.as_ref().clone());
            }
            (Job::SaveSnapshot { meta, .. }, Input::SnapshotSaved { result: Ok(()) }) => {
                watch.told[node].snapshot = Some(meta.position.index);
            }
            _ => {}
        }
        false
    }

    /// The disk has done something for snapshots. Returns whether the power has failed meanwhile.
    pub(super) fn watch_snapshot(&mut self, node: usize, durable: Option<Index>) -> bool {
        self.count_operations(node);
        if self.is_due(node) {
            self.strike(node);
            return true;
        }
        if let Some(watch) = &mut self.watch {
            watch.told[node].snapshot = watch.told[node].snapshot.max(durable);
        }
        false
    }

    /// A folder was emptied: what was told of it counts no more.
    pub(super) fn watch_wiped(&mut self, node: usize) {
        if let Some(watch) = &mut self.watch {
            watch.told[node] = Told::default();
        }
    }

    /// A folder was opened, or was not. Returns whether the power has failed meanwhile.
    pub(super) fn watch_opening(&mut self, node: usize) -> bool {
        self.count_operations(node);
        let is_due = self.is_due(node);
        if is_due {
            self.strike(node);
            let down = self.down();
            self.queue.push(self.now + down, node, 0, Event::Start);
        }
        is_due
    }

    /// A folder was opened: whose it is, and what else was told of it, must still stand there.
    pub(super) fn watch_opened(&mut self, node: usize, opened: &Opened<SimDisk>) -> Step {
        let Some(watch) = &mut self.watch else { return Ok(()) };
        let (mut told, found) = (watch.told[node].clone(), opened.identity.clone());
        watch.told[node].identity = Some(found.clone());
        if let Some(before) = &told.identity
            && self.begins_anew(before, &found)
        {
            // Its own snapshots are of no use to it.
            told = Told::default();
            self.watch_wiped(node);
        }
        if let Some(before) = &told.identity
            && !succeeds(before, &found)
        {
            let text = format!("the folder was of {before:?} and is of {found:?}");
            return Err(self.failure("recovery", text));
        }
        let snapshot = opened.snapshots.newest();
        let snapshot = snapshot.map_err(|error| self.failure("recovery", error.to_string()))?;
        let snapshot = snapshot.map(|(meta, _)| meta.position.index);
        if snapshot < told.snapshot {
            let told = told.snapshot;
            let text = format!("the snapshot at {told:?} was told durable, {snapshot:?} is there");
            return Err(self.failure("recovery", text));
        }
        Ok(())
    }

    /// Whether a folder is rightly that of a fresh node: of one that was removed.
    fn begins_anew(&self, before: &Identity, found: &Identity) -> bool {
        let rafts = self.nodes.iter().filter_map(|node| node.process.as_ref()?.replica.raft());
        let mut removed = rafts.filter_map(|raft| raft.removed_as_of(before.node));
        let is_other = found.node != before.node && found.standing == Standing::Fresh;
        is_other && (before.standing == Standing::Removed || removed.next().is_some())
    }

    /// The power fails; `operations` of what the disk is doing are done.
    fn strike_amid(&mut self, node: usize, operations: u64) {
        let state = &mut self.nodes[node];
        let mut count = 0;
        if let Some(process) = &mut state.process {
            if operations > 0 {
                state.disk.halt_after(operations);
                process.work_on_next();
            } else {
                // To count them it does the job, but the world goes on with the disk as it is now.
                let disk = state.disk.fork();
                process.work_on_next();
                count = state.disk.counts().changes - disk.counts().changes;
                state.disk = disk;
            }
        }
        self.strike(node);
        if let Some(Struck { operations, .. }) =
            self.watch.as_mut().and_then(|watch| watch.struck.as_mut())
        {
            *operations = count;
        }
    }

    /// The power fails. What the disk was to do is not done.
    fn strike(&mut self, node: usize) {
        let down = self.down();
        if let Some(watch) = &mut self.watch {
            watch.is_striking = true;
        }
        match &mut self.nodes[node].process {
            Some(process) => {
                process.disk_jobs.clear();
                process.snapshot_jobs.clear();
                self.end_process(node, true, down);
            }
            None => self.cut_power(node),
        }
    }

    fn down(&self) -> u64 {
        self.watch.as_ref().and_then(|watch| watch.cut.as_ref()).map_or(0, |cut| cut.down)
    }

    /// The power of a disk fails. Returns whether what it leaves was chosen.
    pub(super) fn watch_power(&mut self, node: usize) -> bool {
        self.count_operations(node);
        let is_due = self.is_due(node);
        let disk = &self.nodes[node].disk;
        let Some(watch) = &mut self.watch else { return false };
        let strikes = is_due || watch.is_striking;
        let Some(cut) = watch.cut.as_ref().filter(|_| strikes) else { return false };
        watch.is_striking = false;
        watch.struck = Some(Struck { disk: disk.fork(), operations: 0 });
        cut.choice.cut(disk);
        let words = cut.choice.to_string();
        self.trace(node, |_| format!("its disk is left with {words} of what was not synced"));
        true
    }
}

/// Whether a folder that was told to be one's is rightly found to be the other's later.
fn succeeds(before: &Identity, found: &Identity) -> bool {
    let keeps_place = before.standing != Standing::Member
        || (found.standing == before.standing && found.instance == before.instance);
    found.boot > before.boot && found.node == before.node && keeps_place
}
