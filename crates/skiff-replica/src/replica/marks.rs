//! When a machine that is durable by itself makes its data durable, and where it stands at a start.

use skiff_core::{self as core, Entry, Index, Instant, Position};
use skiff_storage::InstanceId;

use super::{Phase, Replica};
use crate::{
    error::{ReplicaError, StartError},
    job::Job,
    machine::{Mark, Opened},
};

/// The marks of a member's machine.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// The machine has everything up to here after a crash.
    newest: Index,
    /// What it had stored when it was opened, beyond its mark: before it is handed that much it stands
    /// further than its sessions.
    stored: Index,
    /// The mark that is being made.
    making: Option<Index>,
    /// So many bytes of entries were handed to the machine since the last mark was asked for.
    bytes: u64,
    /// When to make one, if nothing more comes.
    idle_at: Option<Instant>,
}

impl Marks {
    /// Those of a machine that was opened with its mark here, and has stored something since.
    pub(super) fn new(newest: Index, stored: Index) -> Self {
        Self { newest, stored, ..Self::default() }
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.idle_at
    }

    /// Up to where a machine was when it was opened: ahead of what is known to be committed, perhaps.
    pub(super) const fn stored(&self) -> Index {
        self.stored
    }

    /// Until it was handed what it has stored already, nobody may look at it as of an entry.
    pub(super) fn stands_at(&self, index: Index) -> bool {
        index >= self.stored
    }
}

impl Replica {
    /// These entries were handed to the machine: perhaps it is time for a mark.
    pub(super) fn handed_since_mark(&mut self, entries: &[Entry]) {
        let (policy, now) = (self.settings.marks, self.now);
        let Phase::Member(member) = &mut self.phase else { return };
        let Some(last) = entries.last().filter(|_| policy.kept) else { return };
        let marks = &mut member.marks;
        marks.bytes += entries.iter().map(Entry::size).sum::<usize>() as u64;
        marks.idle_at = Some(now.after(policy.idle));
        let count = last.index.0.saturating_sub(marks.newest.0);
        if count >= policy.entries || marks.bytes >= policy.bytes {
            self.make_mark();
        }
    }

    /// Whether nothing has come for long enough.
    pub(super) fn tend_marks(&mut self) {
        let now = self.now;
        let Phase::Member(member) = &mut self.phase else { return };
        if member.marks.idle_at.take_if(|at| *at <= now).is_some() {
            self.make_mark();
        }
    }

    /// Lets the machine make durable what it was handed so far, unless it has that already, or is at it.
    pub(super) fn make_mark(&mut self) {
        let Phase::Member(member) = &mut self.phase else { return };
        if !self.settings.marks.kept || member.marks.making.is_some() {
            return;
        }
        let Some(mark) = self.mark_due() else { return };
        let Phase::Member(member) = &mut self.phase else { return };
        let marks = &mut member.marks;
        (marks.making, marks.bytes, marks.idle_at) = (Some(mark.position.index), 0, None);
        self.jobs.push_back(Job::Checkpoint { mark: Box::new(mark) });
    }

    /// The mark of what the machine was handed so far, if it has none of that.
    fn mark_due(&self) -> Option<Mark> {
        let Phase::Member(member) = &self.phase else { return None };
        let (position, membership) = member.raft.mark_point()?;
        let Position { index, .. } = position;
        // What the core has ready comes to the machine after what is asked of it now.
        let is_given = index == member.given;
        let is_new = index > member.marks.newest && member.marks.stands_at(index) && is_given;
        let instance = self.identity.instance.unwrap_or_default();
        is_new.then(|| Mark::new(instance, self.identity.node, position, membership))
    }

    /// The node ends in good order: what the machine was handed is made durable before.
    pub(super) fn last_mark(&mut self) {
        if self.settings.marks.kept
            && let Some(mark) = self.mark_due()
            && !self.is_making(mark.position.index)
        {
            self.jobs.push_back(Job::Checkpoint { mark: Box::new(mark) });
        }
    }

    fn is_making(&self, index: Index) -> bool {
        matches!(&self.phase, Phase::Member(member) if member.marks.making == Some(index))
    }

    /// The machine has made its data durable, or could not.
    pub(super) fn checkpointed(&mut self, position: Position, result: Result<(), String>) {
        let policy = self.settings.marks;
        let Phase::Member(member) = &mut self.phase else { return };
        let Position { index, .. } = position;
        member.marks.making.take_if(|making| *making == index);
        if let Err(reason) = result {
            if self.machine_said.is_some() {
                return; // It has failed before, and that is told.
            }
            return self.fail(ReplicaError::MachineState { action: "keep", reason });
        }
        member.marks.newest = member.marks.newest.max(index);
        self.step_core(core::Input::Marked { index });
        // What has come meanwhile.
        let Phase::Member(member) = &mut self.phase else { return };
        let handed = member.raft.mark_point().map_or(index, |(position, _)| position.index);
        let count = handed.0.saturating_sub(member.marks.newest.0);
        if count >= policy.entries || member.marks.bytes >= policy.bytes {
            self.make_mark();
        }
    }

    /// The machine was given a state, and keeps it with its mark.
    pub(super) fn mark_restored(&mut self, position: Position) {
        let Phase::Member(member) = &mut self.phase else { return };
        member.marks = Marks {
            newest: position.index,
            making: member.marks.making,
            idle_at: member.marks.idle_at,
            ..Marks::default()
        };
    }
}

/// Where a machine stands that was opened like this: up to where its mark is, and what it has stored.
/// `None` if it is empty.
pub(super) fn standing(
    machine: &Opened,
    store: InstanceId,
) -> Result<Option<(Position, Index)>, StartError> {
    let Opened::At { mark, .. } = machine else { return Ok(None) };
    if mark.instance != store {
        return Err(StartError::OtherInstance { machine: mark.instance, store });
    }
    let stored = machine.last().map_err(|error| StartError::Mark { reason: error.reason })?;
    Ok(Some((mark.position, stored)))
}

/// Whether what the machine has stored is in the log.
pub(super) fn must_be_in_log(
    recovered: &core::Recovered,
    mark: Position,
    stored: Index,
) -> Result<(), StartError> {
    let last = recovered.last.index;
    if stored > last {
        return Err(core::StartError::AppliedBeyondLog { applied: stored, last }.into());
    }
    let base = recovered.base;
    let run = recovered.terms.iter().rev().find(|(first, _)| *first <= mark.index);
    let term = if mark.index == base.index { Some(base.term) } else { run.map(|run| run.1) };
    match term.filter(|term| mark.index >= base.index && *term != mark.term) {
        Some(term) => {
            let log = Position { term, index: mark.index };
            Err(StartError::OtherLog { machine: mark, log })
        }
        None => Ok(()),
    }
}
