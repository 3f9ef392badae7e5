//! The core of a member, and what becomes of all it puts out.

use std::sync::Arc;

use skiff_core::{
    self as core, Entry, Fault, Index, Instant, LoadError, LoadId, LogTime, Membership, NodeId,
    Output, Raft, Reject, StateName, Token, WriteId,
    mutants::{Mutant, planted},
};
use skiff_storage::SnapshotInfo;
use skiff_transport::{Body, Genesis};

use super::{Phase, Replica, marks::Marks, snapshots::Shelf};
use crate::{
    calls::Stage,
    error::ReplicaError,
    event::Event,
    job::Job,
    refused::{EntryPosition, Leader, Outcome, Refused},
};

/// What a member has that others have not.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) raft: Raft,
    /// The state its log begins with.
    pub(crate) genesis: Genesis,
    /// The machine has applied everything up to here.
    pub(crate) applied: Index,
    /// The driver was given everything up to here for it. The core may have more ready: entries that were
    /// read back are handed on before they are polled.
    pub(super) given: Index,
    pub(crate) shelf: Shelf,
    pub(crate) marks: Marks,
    clock: Clock,
    /// The members that were last followed, and those that were last told.
    pub(super) latest: Arc<Membership>,
    pub(super) committed: Arc<Membership>,
}

/// The log's time, as a leader tells it: that of the last entry when it was elected, plus the time
/// since. Without a leader it stands still.
#[derive(Debug)]
struct Clock {
    /// The latest time seen in the log.
    latest: LogTime,
    begun: LogTime,
    begun_at: Instant,
}

impl Member {
    pub(crate) fn new(
        raft: Raft,
        (genesis, newest): (Genesis, SnapshotInfo),
        last_time: LogTime,
        now: Instant,
    ) -> Self {
        let applied = raft.status().applied;
        let clock = Clock { latest: last_time, begun: last_time, begun_at: now };
        let latest = Arc::clone(raft.membership());
        let committed = Arc::clone(&raft.committed_membership().1);
        let (shelf, marks) = (Shelf::new(newest), Marks::default());
        Self { raft, genesis, applied, given: applied, shelf, marks, clock, latest, committed }
    }

    /// Since when this node leads, if it does.
    pub(super) const fn leads_since(&self) -> Instant {
        self.clock.begun_at
    }

    /// The time of the last entry that the machine was handed.
    pub(super) const fn latest_time(&self) -> LogTime {
        self.clock.latest
    }

    /// A snapshot tells the time of an entry.
    pub(super) fn learn_time(&mut self, time: LogTime) {
        self.clock.latest = self.clock.latest.max(time);
    }

    pub(crate) const fn log_time(&self, now: Instant) -> LogTime {
        LogTime(self.clock.begun.0.saturating_add(now.since(self.clock.begun_at)))
    }
}

impl Replica {
    /// Steps the core, if there is one.
    pub(super) fn step_core(&mut self, input: core::Input) {
        if let Phase::Member(member) = &mut self.phase {
            member.raft.step(self.now, input);
        }
    }

    /// What the core wants done. Returns the job if it is a single one.
    pub(super) fn output(&mut self, output: Output) -> Option<Job> {
        match output {
            Output::Persist(write) => {
                self.trail.note(&write, self.now);
                Some(Job::Write(write))
            }
            Output::Load { load, from, to, bytes_max } => {
                self.loads.insert(load, from);
                Some(Job::Load { load, from, to, bytes_max })
            }
            Output::Apply(mut apply) => {
                apply.tokens.retain(|(index, token)| self.calls.commit(*index, *token));
                if let (Phase::Member(member), Some(last)) = (&mut self.phase, apply.entries.last())
                {
                    member.clock.latest = member.clock.latest.max(last.time);
                    member.given = last.index;
                }
                self.handed(&apply.entries);
                self.handed_since_mark(&apply.entries);
                Some(Job::Apply(apply))
            }
            Output::RestoreSnapshot { position } => self.restore_snapshot(position),
            Output::SendSnapshot { to, position } => {
                self.send_snapshot(to, position);
                None
            }
            Output::ReadReady { token, index } => self.read_ready(token, index),
            Output::Send { to, term, message } => {
                let link = self.links.path(to)?;
                let envelope = self.envelope(to, Body::Raft { term, message });
                Some(Job::Send { link, envelope })
            }
            Output::Done { token } => {
                self.done(token);
                None
            }
            Output::Rejected { token, reason } => {
                self.rejected(token, reason);
                None
            }
            Output::Event(event) => {
                self.core_event(event);
                None
            }
            Output::Stop(fatal) => {
                let error = match fatal {
                    core::Fatal::StoreFailed => {
                        // A write looks at nothing that was there before.
                        ReplicaError::Store { reason: self.store_words(), damaged: false }
                    }
                    core::Fatal::MachineFailed { index } => {
                        let reason = self.machine_said.clone().unwrap_or_default();
                        ReplicaError::Machine { index, reason }
                    }
                    fatal => ReplicaError::Core(fatal),
                };
                self.fail(error);
                None
            }
        }
    }

    fn core_event(&mut self, event: core::Event) {
        let event = match event {
            core::Event::State(state) => {
                self.state_changed(state);
                Event::State(state.into())
            }
            core::Event::ElectionTimeout => Event::ElectionTimeout,
            core::Event::Leader { leader, term } => {
                self.release_held();
                let leader = leader.and_then(|leader| self.leader_named(leader));
                Event::LeaderChanged { leader, term }
            }
            core::Event::Reverted { node, matched, last } => {
                Event::Reverted { node, matched, last }
            }
            core::Event::Removed { .. } => return self.removed(),
            core::Event::NeedsSnapshot { node, next } => Event::NeedsSnapshot { node, next },
            core::Event::LogCompacted { base } => Event::LogCompacted { base },
            core::Event::SnapshotInstalled { position } => Event::SnapshotInstalled { position },
            core::Event::SlowDisk { write } => Event::SlowDisk { write },
            core::Event::WriteRefused { write } => {
                let reason = self.store_said.clone().unwrap_or_default();
                let is_news = self.vacancy.refuse(reason.clone());
                self.refuse_held();
                if !is_news {
                    return;
                }
                Event::WriteRefused { write, reason }
            }
            core::Event::LoadFailed { from } => Event::LoadFailed { from },
            core::Event::TransferStarted { to } => {
                Event::TransferStarted { to: self.named_or_id(to) }
            }
            core::Event::TransferDone { to } => Event::TransferDone { to: self.named_or_id(to) },
            core::Event::TransferAborted { to, why } => {
                self.release_held();
                Event::TransferAborted { to: self.named_or_id(to), why }
            }
            event => Event::Remark(format!("{event:?}")),
        };
        self.tell(event);
    }

    fn state_changed(&mut self, state: StateName) {
        let now = self.now;
        self.end_transfers(state);
        if state == StateName::Leader {
            self.stop_receiving("this node leads now");
        }
        if let Phase::Member(member) = &mut self.phase
            && state == StateName::Leader
        {
            member.clock.begun = member.clock.latest;
            member.clock.begun_at = now;
        }
    }

    pub(super) fn persisted(&mut self, write: WriteId) {
        if !self.log_begun() && !self.covered_durably() {
            self.step_core(core::Input::Persisted { write });
            let news = self.vacancy.written();
            news.into_iter().for_each(|news| self.tell(news));
        }
    }

    pub(super) fn write_failed(&mut self, write: WriteId, recoverable: bool, reason: String) {
        if matches!(self.phase, Phase::Entering(_)) {
            return self.fail(ReplicaError::Store { reason, damaged: false });
        }
        if matches!(self.phase, Phase::Mending(_)) {
            return self.cover_failed(recoverable, reason);
        }
        self.store_said = Some(reason);
        let fault = if recoverable { Fault::WriteRefused { write } } else { Fault::StoreFailed };
        self.step_core(core::Input::Fault(fault));
    }

    /// Old entries were read back, or could not be. A read may fail once; a node that cannot read what it
    /// acknowledged must not lead, nor vote as if it had it: it ends, and finds out at its next start.
    pub(super) fn loaded(&mut self, load: LoadId, result: Result<Vec<Entry>, LoadError>) {
        let failed = matches!(result, Err(LoadError::Failed));
        if let Some(from) = self.loads.remove(&load)
            && self.note_load(from, failed)
        {
            return;
        }
        self.step_core(core::Input::Loaded { load, result });
    }

    /// Notes whether entries could be read from here on. Whether that ends the node: not while it has no
    /// core, since then it is being mended anyway.
    pub(super) fn note_load(&mut self, from: Index, failed: bool) -> bool {
        if !failed {
            self.unread.remove(&from);
            return false;
        }
        let ends = !self.unread.insert(from) && self.raft().is_some();
        if ends {
            self.fail(ReplicaError::Unreadable { from });
        }
        ends
    }

    pub(super) fn applied(&mut self, index: Index) {
        if let Phase::Member(member) = &mut self.phase {
            member.applied = member.applied.max(index);
        }
        self.step_core(core::Input::Applied { index });
        self.calls.applied(index);
    }

    pub(super) fn machine_failed(&mut self, index: Index, reason: String) {
        self.machine_said = Some(reason);
        self.step_core(core::Input::Fault(Fault::MachineFailed { index }));
    }

    /// The core gives no result for a request.
    fn rejected(&mut self, token: Token, reason: Reject) {
        if let Some(Stage::Changing(change)) = self.calls.stage(token) {
            let change = change.clone();
            return self.change_rejected(token, change, reason);
        }
        let position = |position| self.entry_position(position);
        let refused = match reason {
            Reject::NotLeader { leader } => {
                if let Some(Stage::Reading(_)) = self.calls.stage(token)
                    && self.may_wait_for_leader(token)
                {
                    return self.hold_read(token);
                }
                Refused::NotLeader { leader: leader.and_then(|id| self.leader_named(id)) }
            }
            Reject::Transferring { .. } => Refused::NotLeader { leader: None },
            Reject::NotTransferred { why, .. } => Refused::NotTransferred { why },
            Reject::Busy { bytes } => Refused::Busy { bytes },
            Reject::TooLarge { size, limit } => Refused::TooLarge { size, limit },
            Reject::LeadershipLost { .. } if planted(Mutant::LostIsNotApplied) => {
                Refused::NotLeader { leader: None }
            }
            Reject::LeadershipLost { position: at, leader } => Refused::LeadershipLost {
                position: position(at),
                leader: leader.and_then(|id| self.leader_named(id)),
            },
            Reject::ResponseLost { .. } => Refused::ResponseLost,
            Reject::Stopped { position: at } => Refused::Stopped {
                outcome: if at.is_some() { Outcome::Unknown } else { Outcome::NotApplied },
                position: at.map(position),
            },
            reason => Refused::Unsupported { what: reason.to_string() },
        };
        self.refuse(token, refused);
    }

    pub(super) fn entry_position(&self, position: core::Position) -> EntryPosition {
        EntryPosition::new(self.identity.instance.unwrap_or_default(), position)
    }

    pub(super) fn leader_named(&self, id: NodeId) -> Option<Leader> {
        let node = self.membership()?.nodes.get(&id)?;
        Some(Leader { name: node.name.clone(), address: node.address.clone() })
    }
}
