//! Faults end; a majority is left alone, and must make progress in a few election timeouts.

use super::{
    Step, World, clients::Progress, handing::Handing, millis, queue::Event, steady::Steady,
};
use crate::{
    plan::{Ailment, MS, Mode, PlannedCall, SECOND},
    workload::Workload,
};

/// An election timeout, the longest.
pub(super) const TIMEOUT: u64 = 300 * MS;
/// In so many of them there must be progress. A candidate that has failed again and again waits up to
/// eight before it tries once more.
const TIMEOUTS: u64 = 20;
/// A cluster that was not formed first hears out its lists, which stand still for ten.
const TIMEOUTS_TO_FORM: u64 = 40;
/// Where something stays wrong, the leader must leave its office first.
const TIMEOUTS_ILL: u64 = 40;
/// Where a write takes longer than an election timeout so does each step of an election; and it takes
/// long to tell a dead disk from a slow one.
const TIMEOUTS_SLOW: u64 = 100;
/// So often progress is looked at.
pub(super) const EVERY: u64 = 10 * MS;
/// How long a probe waits, beside what slow disks need.
const PATIENCE: u64 = SECOND;
/// A command is on so many disks one after the other, at most.
const WRITES: u64 = 6;

/// What has been seen since the faults ended.
#[derive(Debug, Default)]
pub(super) struct Healing {
    pub(super) since: u64,
    /// When nothing of before has an effect any more.
    late: u64,
    until: u64,
    /// Those who are left alone, and are to make progress.
    pub(super) left: Vec<usize>,
    /// What stays wrong, and where.
    pub(super) ailment: Ailment,
    ill: Option<usize>,
    /// The leader that was found.
    pub(super) steady: Option<Steady>,
    /// Calls that were made to see whether they are answered: a command and a read.
    command: Option<usize>,
    read: Option<usize>,
    /// In the end leadership is handed over.
    pub(super) handing: Option<Handing>,
    /// Calls that were made since a leader was found.
    pub(super) asked: Vec<usize>,
    /// So many messages were sent since, and so often a clock woke somebody.
    pub(super) sends: u64,
    pub(super) wakes: u64,
}

impl Healing {
    /// Others are left than before: they have all the time that there is.
    pub(super) fn begin_again(&mut self, now: u64) {
        (self.command, self.read, self.steady) = (None, None, None);
        self.asked.clear();
        (self.sends, self.wakes) = (0, 0);
        self.until = now.max(self.late) + TIMEOUTS * TIMEOUT;
    }

    /// Whether progress was asked for.
    pub(super) const fn is_waited_for(&self) -> bool {
        self.command.is_some()
    }
}

impl<W: Workload> World<'_, '_, W> {
    /// Faults end.
    pub(super) fn heal(&mut self) -> Step {
        self.calm = true;
        self.network.mend_all();
        self.cuts.clear();
        self.trace(0, |_| "the faults end".to_owned());
        for node in 0..self.nodes.len() {
            self.nodes[node].disk.forget_faults();
            self.nodes[node].slow = (0, 0);
            self.nodes[node].armed.clear();
        }
        let (ailment, ill) = self.ailment();
        self.healing.left = self.leave_some(ill);
        for node in 0..self.nodes.len() {
            if self.nodes[node].paused.is_some() {
                self.resume(node)?;
            }
            // It would be gone in a moment, and come back late.
            if self.nodes[node].leaves.is_some() {
                self.end_process(node, false, u64::MAX);
            }
            let stays = self.healing.left.contains(&node) || ill == Some(node);
            if !stays {
                self.end_process(node, true, u64::MAX);
                self.nodes[node].given_up.get_or_insert_with(|| "left dead".to_owned());
            }
            self.queue.push(self.now, node, 0, Event::Start);
            // What its disk is doing took as long as it took when it was begun.
            self.hurry(node);
        }
        self.fall_ill(ailment, ill);
        (self.healing.ailment, self.healing.ill) = (ailment, ill);
        let formed = (0..self.nodes.len()).all(|node| self.is_member(node));
        let timeouts = match ailment {
            Ailment::None if formed => TIMEOUTS,
            Ailment::None => TIMEOUTS_TO_FORM,
            Ailment::SlowDisks(each) if each < TIMEOUT => TIMEOUTS_ILL,
            Ailment::SlowDisks(_) | Ailment::Stuck(_) => TIMEOUTS_SLOW,
            Ailment::Deaf(_) | Ailment::Away(_) => TIMEOUTS_ILL,
        };
        self.healing.since = self.now;
        // What was lost has an effect too, until it is said again: a hello, once in a timeout.
        self.healing.late = self.network.last_arrival().max(self.now + 2 * TIMEOUT);
        if self.has_churn() {
            // Who asked for a change may wait for it until then.
            self.healing.late = self.healing.late.max(self.now + super::churn::PATIENCE + TIMEOUT);
        }
        if self.is_wiped() {
            // So long must one be gone before another takes its place.
            self.healing.late = self.healing.late.max(self.now + super::churn::GONE);
        }
        self.healing.until = self.now.max(self.healing.late) + timeouts * TIMEOUT;
        self.queue.push(self.now + EVERY, 0, 0, Event::Probe);
        Ok(())
    }

    /// A minority may stay dead, if the others can do without; they do without the ill one already.
    fn leave_some(&mut self, ill: Option<usize>) -> Vec<usize> {
        let count = self.nodes.len();
        let mut left: Vec<usize> = (0..count).collect();
        if self.watch.is_some() || self.plan.mode != Mode::Crash || self.has_churn() {
            return left;
        }
        let all_members = left.iter().all(|node| self.is_member(*node));
        left.retain(|node| Some(*node) != ill);
        if all_members && self.random.process.bool() {
            let most = (count - 1) / 2 - usize::from(ill.is_some());
            for _ in 0..self.random.process.usize(0..=most) {
                left.remove(self.random.process.usize(0..left.len()));
            }
        }
        left
    }

    /// What a slow disk is still doing is done soon.
    fn hurry(&mut self, node: usize) {
        let run = self.nodes[node].run;
        let Some(process) = &self.nodes[node].process else { return };
        for (load, ..) in &process.loads {
            self.queue.push(self.now + MS, node, run, Event::Loaded(*load));
        }
        if !process.disk_jobs.is_empty() {
            self.queue.push(self.now + MS, node, run, Event::DiskDone);
        }
        if !process.snapshot_jobs.is_empty() {
            self.queue.push(self.now + MS, node, run, Event::SnapshotDone);
        }
        for (transfer, _, offset, _) in &process.reads {
            self.queue.push(self.now + MS, node, run, Event::PieceRead(*transfer, *offset));
        }
    }

    /// Looks whether there is progress, and helps to see it.
    pub(super) fn probe(&mut self) -> Step {
        if !self.can_go_on() {
            // Only that nothing wrong is done is judged.
            self.finished = self.is_lost();
            self.reached.unrecoverable += u64::from(self.finished);
            self.queue.push(self.now + EVERY, 0, 0, Event::Probe);
            return Ok(());
        }
        if let Some(steady) = self.healing.steady {
            return self.is_steady(steady);
        }
        if let Some(missing) = self.missing()? {
            if self.now > self.healing.until {
                let waited = millis(self.now - self.healing.since);
                let text = format!("{missing} {waited} ms after the faults: {}", self.describe());
                return Err(self.failure("liveness", text));
            }
            self.queue.push(self.now + EVERY, 0, 0, Event::Probe);
            return Ok(());
        }
        let leader = self.leader().unwrap_or_default();
        self.settle(leader);
        self.queue.push(self.now + EVERY, 0, 0, Event::Probe);
        Ok(())
    }

    /// What is not yet as it must become.
    fn missing(&mut self) -> Result<Option<&'static str>, crate::Failure> {
        let Some(leader) = self.leader() else { return Ok(Some("nobody leads")) };
        if self.has_churn() {
            // Who is no member does not count.
            let all = 0..self.nodes.len();
            self.healing.left = all.filter(|node| self.belongs(leader, *node)).collect();
        }
        let id = self.nodes[leader].process.as_ref().map(|process| process.replica.identity().node);
        let follows = |node: &usize| {
            let raft = self.nodes[*node].process.as_ref().and_then(|p| p.replica.raft());
            raft.is_some_and(|raft| raft.leader() == id)
        };
        if !self.healing.left.iter().all(follows) {
            return Ok(Some("not all follow the leader"));
        }
        self.healing.command = self.renew(self.healing.command, leader, false)?;
        if !self.is_answered(self.healing.command) {
            return Ok(Some("no command is answered"));
        }
        if self.healing.ill == Some(leader) {
            self.healing.command = None;
            return Ok(Some("one leads who cannot do what a leader must"));
        }
        let place = self.random.client.usize(0..self.healing.left.len());
        let node = self.healing.left[place];
        self.healing.read = self.renew(self.healing.read, node, true)?;
        if !self.is_answered(self.healing.read) {
            return Ok(Some("no read is served"));
        }
        if self.has_churn() && self.changes_hang(leader) {
            return Ok(Some("a change of the members hangs"));
        }
        if self.has_churn() && !self.are_back(leader) {
            return Ok(Some("one that lost its folder has not got its place back"));
        }
        if self.has_churn() && self.somebody_is_unaware(leader) {
            return Ok(Some("a removed node does not know it"));
        }
        let last = self.last(leader);
        if !self.healing.left.iter().all(|node| self.applied(*node) == last) {
            return Ok(Some("not all have applied all"));
        }
        if self.now < self.healing.late {
            return Ok(Some("messages from before are still on their way"));
        }
        Ok(None)
    }

    /// Asks once more if what was asked before was refused.
    fn renew(
        &mut self,
        attempt: Option<usize>,
        node: usize,
        read: bool,
    ) -> Result<Option<usize>, crate::Failure> {
        let state = attempt.map(|attempt| self.attempts[attempt].state);
        if matches!(state, Some(Progress::Waiting | Progress::Answered)) {
            return Ok(attempt);
        }
        let seed = crate::random::mix(self.plan.seed ^ self.now);
        let each = match self.healing.ailment {
            Ailment::SlowDisks(each) => each,
            _ => 0,
        };
        let patience = PATIENCE + WRITES * each;
        let call = PlannedCall { at: self.now, seed, read, patience };
        self.ask(node, call, None, 0)
    }

    fn is_answered(&self, attempt: Option<usize>) -> bool {
        attempt.is_some_and(|attempt| self.attempts[attempt].state == Progress::Answered)
    }

    fn last(&self, node: usize) -> Option<skiff_replica::Index> {
        Some(self.nodes[node].process.as_ref()?.replica.raft()?.last().index)
    }

    fn applied(&self, node: usize) -> Option<skiff_replica::Index> {
        Some(self.nodes[node].process.as_ref()?.applier.applied())
    }

    /// How all nodes stand, in words.
    pub(super) fn describe(&self) -> String {
        let each = self.nodes.iter().enumerate().map(|(number, node)| {
            let Some(process) = &node.process else { return format!("n{number} is down") };
            let Some(raft) = process.replica.raft() else {
                let waiting = process.replica.status().waiting_for;
                return format!("n{number} is no member and waits for {waiting:?}");
            };
            format!(
                "n{number} {:?} t{} last {} durable {} committed {} applied {}",
                raft.state(),
                raft.term(),
                raft.last(),
                raft.durable(),
                raft.committed(),
                process.applier.applied()
            )
        });
        each.collect::<Vec<_>>().join("; ")
    }

    /// The end: all who wait are looked at, all machines are equal, and what the clients saw makes
    /// sense.
    pub(super) fn end(&mut self) -> Step {
        self.end_calls()?;
        self.end_doubts()?;
        self.place_commands();
        self.place_sessions();
        if self.healing.steady.is_some() {
            self.check_equal()?;
        }
        let judged = if self.judges.lenient { Ok(()) } else { self.workload.judge(&self.history) };
        judged.map_err(|text| self.failure("linearizable", text))
    }

    fn check_equal(&self) -> Step {
        let mut first: Option<(usize, bytes::Bytes)> = None;
        let most = self.healing.left.iter().filter_map(|node| self.applied(*node)).max();
        for node in &self.healing.left {
            let Some(process) = &self.nodes[*node].process else { continue };
            if Some(process.applier.applied()) != most {
                continue; // It has not heard of the newest entries yet.
            }
            let state = process.applier.capture();
            let state = state.map_err(|error| self.failure("equal_states", error.to_string()))?;
            let state = [&process.applier.sessions().head()[..], &state].concat().into();
            match &first {
                None => first = Some((*node, state)),
                Some((other, theirs)) if !is_same_content(theirs, &state) => {
                    let text = format!(
                        "the machines of n{other} and n{node} differ after the same entries"
                    );
                    return Err(self.failure("equal_states", text));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether two captured states hold the same. A hash map gives its content in any order, and may: only
/// what is answered from it must not depend on that.
pub(crate) fn is_same_content(first: &[u8], second: &[u8]) -> bool {
    first == second || is_reordered(first, second)
}

/// Whether two strings of bytes have the same bytes in different orders.
pub(crate) fn is_reordered(first: &[u8], second: &[u8]) -> bool {
    let count = |bytes: &[u8]| {
        let mut counts = [0_usize; 256];
        bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        counts
    };
    first != second && first.len() == second.len() && count(first) == count(second)
}
