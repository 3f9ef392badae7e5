//! How processes begin and end.

use skiff_replica::{
    Index, Replica, Settings, Snapshots, Standing, Start,
    core::NodeId,
    storage::{LogReader, OnLostData, Opening, Recovered, SnapshotStore, StoreError},
};
use skiff_wal::{
    Log, LogId, Opened, Options,
    disk::{
        Disk,
        sim::{Fate, SimDisk, Unsynced},
    },
};

use super::{Step, World, node::Process, queue::Event};
use crate::{
    checker::ledger::Left,
    failure::Failure,
    plan::{Forming, MS, Mode, Point},
    random::mix,
    workload::Workload,
};

/// One in so many recoveries is done twice, to see whether it comes to the same.
const TWICE_IN: u32 = 8;
/// So many of the newest entries are read back after a recovery. All others are when they are applied.
const READ_BACK: u64 = 16;

impl<W: Workload> World<'_, '_, W> {
    /// A process is started on the folder of this node, if none runs.
    pub(super) fn start(&mut self, node: usize) -> Step {
        if self.nodes[node].process.is_some() || self.nodes[node].given_up.is_some() {
            return Ok(());
        }
        self.nodes[node].starts += 1;
        let recovery = self.nodes[node].trips(|point| matches!(point, Point::InRecovery(_)));
        if let Some((Point::InRecovery(operations), down)) = recovery {
            return self.fail_recovery(node, operations, down);
        }
        self.check_twice(node)?;
        self.watch_disk(node);
        let opened = self.open(node, &self.nodes[node].disk);
        if self.watch_opening(node) {
            return Ok(());
        }
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return self.cannot_open(node, &error, error.is_recoverable()),
        };
        self.watch_opened(node, &opened)?;
        let begun = self.recovered(node, &opened)?;
        let applier = match self.open_machine(node, &opened) {
            Ok(applier) => applier,
            Err(error) => return self.cannot_open(node, &error, false),
        };
        let replica = match self.replica(node, &opened, applier.machine().opened_at()) {
            Ok(replica) => replica,
            Err(error) => return self.cannot_open(node, &error, false),
        };
        self.note_opened(node, &applier);
        let Opened { log, snapshots, .. } = opened;
        self.nodes[node].process = Some(Process::new(replica, log, snapshots, applier));
        self.trace(node, |_| begun);
        self.tell_peers(node);
        if self.plan.knobs.reserve_bytes.is_some() {
            self.look_again(node);
        }
        self.drain(node)
    }

    pub(super) fn open(&self, node: usize, disk: &SimDisk) -> Result<Opened<SimDisk>, StoreError> {
        let state = &self.nodes[node];
        let random = |what: u64| {
            let life = u64::from(state.wiped) << 16 ^ state.starts << 24;
            let low = mix(self.plan.seed ^ (node as u64) << 8 ^ life ^ what);
            u128::from(low) << 64 | u128::from(mix(low))
        };
        let opening = Opening {
            cluster: "sim".to_owned(),
            name: Some(format!("n{node}")),
            fresh_name: String::new(),
            fresh_node: NodeId(random(1 << 40)),
            on_lost_data: OnLostData::Mend,
            // Who was removed begins anew when it is started again.
            rejoin: true,
        };
        let options = Options {
            segment_size: self.plan.knobs.segment_bytes,
            fresh_log: LogId(random(2 << 40)),
        };
        Log::open(disk.clone(), &opening, options)
    }

    pub(super) fn replica(
        &self,
        node: usize,
        opened: &Opened<SimDisk>,
        machine: skiff_replica::Opened,
    ) -> Result<Replica, String> {
        let state = &self.nodes[node];
        let (identity, log) = (opened.identity.clone(), opened.recovered.clone());
        let start = Start::of(identity, log, &opened.snapshots, machine);
        let start = start.map_err(|error| error.to_string())?;
        let draw = mix(self.plan.seed ^ mix((node as u64) << 32 ^ state.starts));
        let instance = u128::from(mix(draw)) << 64 | u128::from(draw);
        let config = self.plan.knobs.config(draw);
        let mut settings = Settings::new::<W::Machine>(config, mix(draw ^ 7), instance);
        settings.address = self.address(node);
        settings.named = true;
        settings.learner = self.plan.knobs.learner == Some(node);
        settings.forward = self.plan.knobs.forward;
        settings.sessions_max = self.plan.knobs.sessions_max;
        settings.sessions_bytes = self.plan.knobs.sessions_bytes;
        settings.snapshots = self.plan.knobs.snapshots();
        settings.marks = self.plan.knobs.marks();
        if let Some(bytes) = self.plan.knobs.genesis_bytes {
            settings.genesis_bytes = bytes;
        }
        settings.reserve_bytes = self.plan.knobs.reserve_bytes.unwrap_or_default();
        let now = state.clock.shows(self.now);
        Replica::new(now, settings, start).map_err(|error| error.to_string())
    }

    fn tell_peers(&mut self, node: usize) {
        let run = self.nodes[node].run;
        for peer in 0..self.nodes.len() {
            let at = match self.plan.knobs.forming {
                Forming::Closed => self.now,
                Forming::Joins => self.now + self.random.process.u64(0..300 * MS),
                Forming::Pairs if peer / 2 == node / 2 => self.now,
                Forming::Pairs => self.now + self.random.process.u64(200 * MS..600 * MS),
            };
            self.queue.push(at, node, run, Event::Join(peer));
        }
        if self.nodes.len() == 1 {
            self.queue.push(self.now, node, run, Event::Bootstrap);
        } else if self.plan.knobs.forming == Forming::Closed {
            self.queue.push(self.now, node, run, Event::CloseList);
        }
    }

    /// Looks at what was found in a folder. Returns it in words.
    fn recovered(&mut self, node: usize, opened: &Opened<SimDisk>) -> Result<String, Failure> {
        let found = &opened.recovered;
        let before = self.judges.ledgers[node].node;
        let is_new = before != NodeId::default() && before != opened.identity.node;
        if is_new && self.has_churn() {
            // Who was removed is nobody any more, and begins anew.
            self.reached.rejoins += 1;
            self.judges.wiped(node);
        }
        let left = self.judges.recovered(node, opened.identity.node, found)?;
        self.reached.recoveries += u64::from(opened.identity.boot > 1);
        match left {
            Left::Nothing => {}
            Left::Lost => self.reached.writes_lost += 1,
            Left::Part => self.reached.writes_in_part += 1,
            Left::Whole => self.reached.writes_kept += 1,
        }
        let files = self.nodes[node].disk.list().unwrap_or_default();
        self.reached.segments +=
            files.iter().filter(|name| name.starts_with("log-")).count() as u64;
        self.reached.torn_tails += u64::from(found.remarks.iter().any(|r| r.contains("torn")));
        self.reached.holes += found.holes.len() as u64;
        self.nodes[node].lost = Some(lost(found));
        let newest = opened.snapshots.positions().unwrap_or_default().pop();
        let is_ahead = newest.is_some_and(|at| found.term_at(at.index) != Some(at.term));
        self.reached.begun_anew += u64::from(is_ahead && found.base.index.0 > 0);
        self.read_newest(node, &opened.log.reader(), found, READ_BACK)?;
        let (identity, remarks) = (&opened.identity, found.remarks.join("; "));
        Ok(format!(
            "starts as {}, boot {}, {:?}, log {} to {} {remarks}",
            identity.node, identity.boot, found.hard_state, found.base, found.last
        ))
    }

    /// What a running process reads of its log's newest entries is what was written.
    pub(super) fn read_back(&self, node: usize, found: &Recovered, count: u64) -> Step {
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        self.read_newest(node, &process.reader, found, count)
    }

    fn read_newest(
        &self,
        node: usize,
        reader: &impl LogReader,
        found: &Recovered,
        count: u64,
    ) -> Step {
        let last = found.last.index;
        let lowest = found.holes.last().map_or(found.base, |hole| hole.last).index.0;
        let mut from = Index(last.0.saturating_sub(count).max(lowest)).next();
        while from <= last {
            let entries = match reader.read(from, last.next(), usize::MAX) {
                Ok(entries) if !entries.is_empty() => entries,
                Ok(_) => return Err(self.failure("recovery", format!("nothing is read at {from}"))),
                Err(_) if self.nodes[node].is_damaged => break,
                Err(error) => return Err(self.failure("recovery", format!("{from}: {error}"))),
            };
            for entry in &entries {
                self.judges.read_back(node, entry)?;
                from = entry.index.next();
            }
        }
        Ok(())
    }

    /// Recovering a folder twice must come to the same.
    fn check_twice(&mut self, node: usize) -> Step {
        let is_watched = self.watch.is_some();
        let is_first = self.nodes[node].starts < 2;
        if is_first || !is_watched && self.random.disk.u32(0..TWICE_IN) > 0 {
            return Ok(());
        }
        let disk = self.nodes[node].disk.fork();
        let Ok(first) = self.open(node, &disk) else { return Ok(()) };
        let (found, boot) = (first.recovered.clone(), first.identity.boot);
        drop(first);
        if is_watched {
            disk.crash(|_| Fate::Drop);
        } else {
            disk.kill();
        }
        let second = match self.open(node, &disk) {
            Ok(second) => second,
            Err(error) => {
                return Err(self.failure("recovery", format!("once it opens, then: {error}")));
            }
        };
        let mut again = second.recovered.clone();
        again.remarks.clone_from(&found.remarks);
        // What proves that something was damaged may be another batch by now.
        for (hole, before) in again.holes.iter_mut().zip(&found.holes) {
            hole.reason.clone_from(&before.reason);
        }
        if again != found || second.identity.boot != boot + 1 {
            let text = format!("recovered twice: {found:?}, then {again:?}");
            return Err(self.failure("recovery", text));
        }
        Ok(())
    }

    /// The power fails while a folder is recovered.
    fn fail_recovery(&mut self, node: usize, operations: u64, down: u64) -> Step {
        self.reached.crashes_in_recovery += 1;
        self.trace(node, |_| format!("loses power after {operations} operations of its recovery"));
        let operations = self.operations_left(node, operations);
        self.nodes[node].disk.halt_after(operations);
        let opened = self.open(node, &self.nodes[node].disk);
        drop(opened);
        self.cut_power(node);
        self.queue.push(self.now + down, node, 0, Event::Start);
        Ok(())
    }

    fn cannot_open(&mut self, node: usize, error: &impl ToString, is_full: bool) -> Step {
        let words = error.to_string();
        self.trace(node, |_| format!("cannot start: {words}"));
        if self.nodes[node].may_stop && (is_full || !self.nodes[node].is_damaged) {
            // Its disk was made to fail: somebody tries again.
            self.nodes[node].disk.kill();
            let at = self.now + self.random.process.u64(10 * MS..500 * MS);
            self.queue.push(at, node, 0, Event::Start);
            return Ok(());
        }
        if !self.nodes[node].is_damaged {
            return Err(self.failure("recovery", format!("n{node} cannot start: {words}")));
        }
        self.reached.damage_found += 1;
        self.nodes[node].given_up = Some(words);
        self.nodes[node].lost = None;
        Ok(())
    }

    /// The process ends, with the power or without; it is started again after `down`.
    pub(super) fn end_process(&mut self, node: usize, power: bool, down: u64) {
        if self.nodes[node].process.is_none() {
            return;
        }
        self.trace(node, |_| if power { "loses power" } else { "is killed" }.to_owned());
        self.write_a_part(node);
        let Some(process) = self.nodes[node].process.take() else { return };
        if power {
            self.reached.power_cuts += 1;
            self.cut_power(node);
        } else {
            self.reached.crashes += 1;
            self.nodes[node].disk.kill();
        }
        self.forget_calls(&process.calls);
        drop(process);
        if self.plan.mode == Mode::Unlimited && self.random.disk.bool() {
            self.nodes[node].image = Some(self.nodes[node].disk.fork());
        }
        self.after_end(node, down);
    }

    /// What a process leaves behind: broken connections, and a start to come.
    pub(super) fn after_end(&mut self, node: usize, down: u64) {
        let state = &mut self.nodes[node];
        state.run += 1;
        state.paused = None;
        state.leaves = None;
        self.judges.ended(node);
        self.crash_machine(node);
        for end in self.network.drop_node(node) {
            let at = self.now + self.random.network.u64(0..200 * MS);
            let run = self.nodes[end.node].run;
            self.queue.push(at, end.node, run, Event::Down { link: end.link });
        }
        if down < u64::MAX {
            self.queue.push(self.now + down, node, 0, Event::Start);
        }
    }

    /// A write that was under way may have come to any point.
    fn write_a_part(&mut self, node: usize) {
        let part = self.random.disk.u64(0..6);
        let operations = self.operations_left(node, part.saturating_sub(1));
        let state = &mut self.nodes[node];
        let Some(process) = &mut state.process else { return };
        // The one or the other has come further.
        if let Some(job) = process.snapshot_jobs.front().cloned().filter(|_| part % 2 == 1) {
            self.reached.crashes_in_snapshot += 1;
            state.disk.halt_after(operations);
            let _done = process.work_on_snapshot(&job);
        }
        let Some(job) = process.disk_jobs.front().cloned() else { return };
        if part > 0 {
            state.disk.halt_after(operations);
            let _done = process.work_on_disk(&job);
        }
    }

    /// Whatever no sync has covered is kept, lost or torn.
    pub(super) fn cut_power(&mut self, node: usize) {
        if self.watch_power(node) {
            return;
        }
        let random = &mut self.random.disk;
        self.nodes[node].disk.crash(|operation| fate(random, operation));
    }
}

/// The stretches of a log that damage has taken.
pub(super) fn lost(found: &Recovered) -> Vec<(Index, Index)> {
    found.holes.iter().map(|hole| (hole.first, hole.last.index)).collect()
}

fn fate(random: &mut fastrand::Rng, operation: &Unsynced) -> Fate {
    match random.u32(0..4) {
        0 => Fate::Keep,
        1 => Fate::Drop,
        // Torn in sectors, or in pages.
        2 => Fate::Tear((0..operation.sectors()).map(|_| random.bool()).collect()),
        _ => {
            let pages: Vec<bool> = (0..=operation.sectors() / 8).map(|_| random.bool()).collect();
            Fate::Tear((0..operation.sectors()).map(|sector| pages[sector / 8]).collect())
        }
    }
}

impl<W: Workload> World<'_, '_, W> {
    /// Whether the node's folder says that it belongs to a cluster.
    pub(super) fn is_member(&self, node: usize) -> bool {
        let process = self.nodes[node].process.as_ref();
        process.is_some_and(|process| process.replica.identity().standing == Standing::Member)
    }
}
