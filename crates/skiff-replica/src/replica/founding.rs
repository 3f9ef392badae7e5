//! How a node becomes a member: by founding a cluster, by taking the genesis of one, or by coming
//! back to it with what its store holds.
//!
//! The steps are the same for founder and others, and each is durable before the next begins: the
//! genesis as a snapshot, the log that begins after it, the identity that says *member*. Only then
//! is the genesis sent to anybody, and is the machine brought to its state. A crash in between
//! leaves a fresh node, which forms anew, or a member, whose machine is restored at its start.

use std::convert::Infallible;

use bytes::Bytes;
use skiff_core::{
    self as core, HardState, Index, Instant, LogTime, Membership, Node, NodeId, Position, Raft,
    Write, WriteId,
    mutants::{Mutant, planted},
};
use skiff_storage::{
    Identity, InstanceId, Recovered, SnapshotInfo, SnapshotMeta, Standing, measure,
};
use skiff_transport::{self as wire, Genesis, Hello};

use super::{
    Member, Phase, Replica,
    arriving::{first_state, only},
    genesis::{GENESIS, NOT_HERE, genesis_of, meta_of},
    marks::{self, Marks},
};
use crate::{
    error::{ReplicaError, StartError},
    event::Event,
    job::Job,
    links::Peer,
    machine::{Mark, Opened},
};

/// The write that begins the log. The core's own are numbered from 1.
const FIRST_WRITE: WriteId = WriteId(0);

/// A node on its way to membership.
#[derive(Debug)]
pub(crate) struct Entering {
    pub(super) step: Step,
    pub(super) genesis: Genesis,
    /// The newest snapshot, if there is one besides the genesis.
    pub(super) newest: Option<SnapshotInfo>,
    /// Whether the genesis is made here, from the machine's state.
    pub(super) founds: bool,
    /// The core, if it is ready before the machine is.
    pub(super) raft: Option<Raft>,
    /// The time of the last entry in the log.
    pub(super) last_time: LogTime,
}

impl Entering {
    /// The core, if it is there already.
    pub(super) const fn raft(&self) -> Option<&Raft> {
        self.raft.as_ref()
    }
}

/// What is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The machine's state.
    Capture,
    /// The genesis as a snapshot.
    Save,
    /// The log that begins after it.
    Begin,
    /// The identity that says *member*.
    Identify,
    /// The machine in the state of the genesis.
    Restore,
}

impl Replica {
    /// Looks at all fresh nodes, and founds the cluster if it is up to this one.
    pub(super) fn survey(&mut self) {
        if self.is_lone() {
            if self.now >= self.lone_at() {
                self.found_alone();
            }
            return;
        }
        let survey =
            self.forming.survey(self.now, &self.identity, &self.settings.address, &self.links);
        let said = Hello {
            list_closed: survey.closed,
            list: survey.list.into_iter().collect(),
            unresolved: survey.unresolved,
            ..Hello::default()
        };
        if said != self.said {
            self.said = said;
            self.say_hello_to_all();
        }
        if let Some(waits) = self.forming.note(self.now, survey.waits) {
            self.tell(Event::Waiting(waits));
        }
        if let Some(members) = survey.found {
            self.found(members);
        }
    }

    pub(super) fn fresh_deadline(&self) -> Option<Instant> {
        if self.is_lone() { Some(self.lone_at()) } else { self.forming.deadline(self.now) }
    }

    /// Whether this node belongs to no cluster and there is nobody it could form one with.
    pub(super) fn is_lone(&self) -> bool {
        let named = self.links.dials().iter().any(|dial| dial.listed);
        matches!(self.phase, Phase::Fresh) && self.settings.lone && !named
    }

    const fn lone_at(&self) -> Instant {
        self.started_at.after(self.settings.core.max_election_timeout)
    }

    pub(super) fn bootstrap(&mut self) {
        if matches!(self.phase, Phase::Fresh) {
            self.found_alone();
        }
    }

    pub(super) fn found_alone(&mut self) {
        let Identity { node, name, .. } = &self.identity;
        let address = self.settings.address.clone();
        let myself = (*node, Node { name: name.clone(), address });
        self.found(vec![myself]);
    }

    fn found(&mut self, members: Vec<(NodeId, Node)>) {
        let membership = Membership {
            voters: members.iter().map(|(id, _)| *id).collect(),
            nodes: members.into_iter().collect(),
            ..Membership::default()
        };
        self.enter(Entering {
            step: Step::Capture,
            genesis: Genesis {
                cluster: self.identity.cluster.clone(),
                instance: self.settings.instance_seed,
                position: GENESIS,
                membership,
                machine_version: self.settings.machine.version,
                codec: self.settings.machine.codec.clone(),
                content: Bytes::new(),
            },
            newest: None,
            founds: true,
            raft: None,
            last_time: LogTime::ZERO,
        });
    }

    /// Takes over a genesis that was made elsewhere.
    pub(super) fn adopt(&mut self, mut genesis: Genesis) {
        if planted(Mutant::InstanceDrawnAgain) {
            genesis.instance = self.settings.instance_seed;
        }
        let (step, last_time) = (Step::Capture, LogTime::ZERO);
        let (newest, raft) = (None, None);
        self.enter(Entering { step, genesis, newest, founds: false, raft, last_time });
    }

    fn enter(&mut self, entering: Entering) {
        self.stop_receiving("this node becomes a member by what its cluster began with");
        self.phase = Phase::Entering(Box::new(entering));
        self.jobs.push_back(Job::Capture);
    }

    /// The way to membership, if it is at this step.
    fn entering(&mut self, step: Step) -> Option<&mut Entering> {
        match &mut self.phase {
            Phase::Entering(entering) if entering.step == step => Some(entering),
            _ => None,
        }
    }

    /// Takes the next step, which `job` does.
    fn next_step(&mut self, step: Step, job: impl FnOnce(&Entering, &Identity) -> Job) {
        if let Phase::Entering(entering) = &mut self.phase {
            entering.step = step;
            self.jobs.push_back(job(entering, &self.identity));
        }
    }

    pub(super) fn captured(&mut self, result: Result<Bytes, String>) {
        let Some(entering) = self.entering(Step::Capture) else { return };
        let genesis = &mut entering.genesis;
        if entering.founds {
            match result {
                Ok(content) => genesis.content = content,
                Err(reason) => {
                    return self.fail(ReplicaError::MachineState { action: "give", reason });
                }
            }
        } else if result.is_ok_and(|own| own != genesis.content) {
            let instance = InstanceId(genesis.instance);
            self.tell(Event::MachineReplaced { instance });
        }
        self.next_step(Step::Save, |entering, _| {
            let genesis = &entering.genesis;
            let meta = Box::new(meta_of(genesis));
            Job::SaveSnapshot { meta, content: genesis.content.clone() }
        });
    }

    pub(super) fn snapshot_saved(&mut self, result: Result<(), String>) {
        if self.entering(Step::Save).is_none() {
            return;
        }
        if let Err(reason) = result {
            return self.fail(ReplicaError::Store { reason, damaged: false });
        }
        self.begin_log(GENESIS);
    }

    /// The log is to begin after what is in the store.
    pub(super) fn begin_log(&mut self, position: Position) {
        self.next_step(Step::Begin, |_, _| {
            Job::Write(Write {
                id: FIRST_WRITE,
                hard_state: first_state(position),
                begin_after: Some(position),
                ..Write::default()
            })
        });
    }

    /// The log begins, durably. Whether it was this write.
    pub(super) fn log_begun(&mut self) -> bool {
        if self.entering(Step::Begin).is_none() {
            return false;
        }
        self.next_step(Step::Identify, |entering, identity| {
            Job::Identify(Box::new(Identity {
                standing: Standing::Member,
                instance: Some(InstanceId(entering.genesis.instance)),
                ..identity.clone()
            }))
        });
        if planted(Mutant::MemberTooEarly) {
            self.identified(Ok(()));
        }
        true
    }

    pub(super) fn identified(&mut self, result: Result<(), String>) {
        if matches!(self.phase, Phase::Removed) {
            return self.removal_identified(result);
        }
        let Some(entering) = self.entering(Step::Identify) else { return };
        let instance = InstanceId(entering.genesis.instance);
        if let Err(reason) = result {
            return self.fail(ReplicaError::Store { reason, damaged: false });
        }
        self.identity.standing = Standing::Member;
        self.identity.instance = Some(instance);
        self.say_hello_to_all();
        self.next_step(Step::Restore, restore);
    }

    pub(super) fn restored(&mut self, result: Result<(), String>) {
        if self.entering(Step::Restore).is_none() {
            return self.snapshot_restored(result);
        }
        if let Err(reason) = result {
            return self.fail(ReplicaError::MachineState { action: "take", reason });
        }
        let Phase::Entering(entering) = std::mem::replace(&mut self.phase, Phase::Fresh) else {
            return;
        };
        let Entering { genesis, newest, raft, last_time, .. } = *entering;
        let newest = newest.unwrap_or_else(|| info_of(&genesis));
        let restored = newest.meta.position.index;
        self.opened_at = (restored, restored);
        let is_new = raft.is_none();
        let marked = self.settings.marks.kept.then_some(restored);
        let first = || self.core(core::Recovered { marked, ..only(&newest.meta) });
        let raft = raft.map_or_else(first, Ok);
        match raft {
            Ok(raft) => self.begin(raft, (genesis, newest), last_time, is_new),
            Err(error) => self.fail(error.into()),
        }
    }

    fn core(&self, recovered: core::Recovered) -> Result<Raft, StartError> {
        let mut config = self.settings.core.clone();
        config.id = self.identity.node;
        // What is drawn must differ between the runs of one node too.
        config.seed = config.seed.wrapping_add(self.identity.boot.wrapping_mul(0x9e37_79b9));
        Ok(Raft::new(self.now, config, recovered)?)
    }

    /// Is a member from now on.
    fn begin(
        &mut self,
        raft: Raft,
        (mut genesis, newest): (Genesis, SnapshotInfo),
        last_time: LogTime,
        is_new: bool,
    ) {
        let is_genesis = genesis.position == GENESIS;
        if is_new && is_genesis && genesis.membership.contains(self.identity.node) {
            let names = genesis.membership.nodes.values().map(|node| node.name.clone());
            let mut members: Vec<String> = names.collect();
            members.sort();
            // The lowest name founds.
            let founder = members.first().cloned();
            let instance = InstanceId(genesis.instance);
            self.tell(Event::Formed { instance, founder, members });
        }
        if let Some(waits) = self.forming.note(self.now, Vec::new()) {
            self.tell(Event::Waiting(waits));
        }
        let came = is_new && newest.size != genesis.content.len() as u64;
        if came || genesis.content.len() > self.settings.genesis_bytes {
            (genesis.position, genesis.content) = (NOT_HERE, Bytes::new());
        }
        let mut member = Member::new(raft, (genesis, newest), last_time, self.now);
        let (mark, stored) = self.opened_at;
        member.marks = Marks::new(mark, stored);
        let members = member.raft.committed_membership().1.clone();
        self.phase = Phase::Member(Box::new(member));
        self.dial_members();
        let is_fresh = |peer: &Peer| peer.hello.standing == wire::Standing::Fresh;
        let is_member = |peer: &Peer| members.contains(peer.node) && is_fresh(peer);
        let fresh = self.links.peers().filter(|(_, peer)| is_member(peer));
        for link in fresh.map(|(link, _)| link).collect::<Vec<_>>() {
            self.welcome(link, &members);
        }
        self.release_held();
    }

    /// Comes back to the cluster with what the store holds.
    pub(super) fn return_to_cluster(
        &mut self,
        log: Recovered,
        snapshot: Option<SnapshotInfo>,
        genesis: Option<(SnapshotMeta, Bytes)>,
        machine: Opened,
    ) -> Result<(), StartError> {
        let name = self.identity.name.clone();
        let snapshot = snapshot.ok_or(StartError::NoSnapshot { name })?;
        let meta = &snapshot.meta;
        if meta.position.index < log.base.index {
            return Err(StartError::Gap { log: log.base, snapshot: meta.position });
        }
        self.judge_format(meta.machine_version, &meta.codec)
            .map_err(|reason| StartError::Format { reason })?;
        let absent = || (SnapshotMeta { position: NOT_HERE, ..meta.clone() }, Bytes::new());
        let genesis = genesis.unwrap_or_else(absent);
        let genesis = genesis_of(&self.identity.cluster, genesis.0, genesis.1);
        let is_whole = log.holes.is_empty() || !follows(&log, meta.position);
        if is_whole || planted(Mutant::HolesForgotten) {
            return self.go_on(log, (genesis, snapshot), machine);
        }
        self.identity.instance = Some(self.identity.instance.unwrap_or(meta.instance));
        self.mend(log, (genesis, snapshot), machine)
    }

    /// Goes on with a log that is whole.
    pub(super) fn go_on(
        &mut self,
        log: Recovered,
        (genesis, snapshot): (Genesis, SnapshotInfo),
        machine: Opened,
    ) -> Result<(), StartError> {
        let meta = &snapshot.meta;
        let store = self.identity.instance.unwrap_or(meta.instance);
        let stands = marks::standing(&machine, store)?;
        let last_time = log.last_time.max(meta.time);
        let base = if follows(&log, meta.position) { log.base } else { meta.position };
        // What the machine has stored since its mark is not applied again, but the sessions learn of it.
        let applied = stands.map(|(mark, _)| mark.index).filter(|index| *index >= base.index);
        let mut recovered = recovered(log, meta, applied);
        if let Some((mark, stored)) = stands {
            marks::must_be_in_log(&recovered, mark, stored)?;
            self.opened_at = (mark.index, stored);
        }
        recovered.marked = self.settings.marks.kept.then_some(recovered.applied);
        let raft = self.core(recovered)?;
        self.identity.instance = Some(store);
        if applied.is_some() {
            self.begin(raft, (genesis, snapshot), last_time, false);
        } else {
            let (raft, position) = (Some(raft), meta.position);
            let (step, newest) = (Step::Restore, Some(snapshot));
            let entering = Entering { step, genesis, newest, founds: false, raft, last_time };
            self.phase = Phase::Entering(Box::new(entering));
            self.next_step(step, |_, identity| Job::RestoreSnapshot {
                position,
                node: identity.node,
            });
        }
        Ok(())
    }

    /// Whether this node founded its cluster without asking anybody.
    pub(super) fn founded_alone(&self) -> bool {
        let genesis = match &self.phase {
            // With nobody else in the cluster there is nobody to mend it.
            Phase::Fresh | Phase::Mending(_) | Phase::Removed => return false,
            Phase::Entering(entering) => &entering.genesis,
            Phase::Member(member) => &member.genesis,
        };
        genesis.position == GENESIS && genesis.membership.members().eq([self.identity.node])
    }

    pub(super) fn fail_of_second_instance(&mut self, theirs: InstanceId, peer: String) {
        let name = self.identity.name.clone();
        let ours = self.identity.instance.unwrap_or_default();
        self.fail(ReplicaError::SecondInstance { name, ours, theirs, peer });
    }
}

/// Whether a log holds what a snapshot ends with, or begins after it.
pub(super) fn follows(log: &Recovered, position: Position) -> bool {
    log.term_at(position.index) == Some(position.term)
        // In a hole nobody knows, unless the hole ends with it: that will be known once it is mended.
        || log.holes.iter().any(|hole| hole.first <= position.index && position.index < hole.last.index)
}

/// What the core begins with.
fn recovered(mut log: Recovered, meta: &SnapshotMeta, applied: Option<Index>) -> core::Recovered {
    let position = meta.position;
    // It was about to begin anew after the snapshot: nothing of it is needed.
    let begin_anew = !follows(&log, position);
    if begin_anew {
        log.begin_after(position);
    }
    // The snapshot's own members, where they stand in the log, and those of later entries.
    let newer = log.memberships.partition_point(|(index, _)| *index <= position.index);
    let memberships = log.memberships.split_off(newer.saturating_sub(1));
    let term = log.hard_state.term.max(position.term);
    let vote = log.hard_state.vote.filter(|_| term == log.hard_state.term);
    core::Recovered {
        hard_state: HardState { term, vote },
        base: log.base,
        last: log.last,
        terms: log.terms,
        membership: meta.membership.clone(),
        memberships,
        last_time: log.last_time.max(meta.time),
        applied: applied.unwrap_or(position.index),
        marked: None,
        snapshot: position,
        begin_anew,
        past: meta.terms.clone(),
    }
}

/// The genesis, as the newest snapshot there is.
fn info_of(genesis: &Genesis) -> SnapshotInfo {
    let content = &genesis.content;
    let rest = |at: u64| {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(content.len());
        Ok::<_, Infallible>(content.slice(from..))
    };
    let Ok((size, checksum)) = measure(rest);
    SnapshotInfo { meta: meta_of(genesis), size, checksum }
}

fn restore(entering: &Entering, identity: &Identity) -> Job {
    if let Some(newest) = &entering.newest {
        return Job::RestoreSnapshot { position: newest.meta.position, node: identity.node };
    }
    let Genesis { instance, position, membership, content, .. } = &entering.genesis;
    let mark = Mark::new(InstanceId(*instance), identity.node, *position, membership.clone());
    Job::Restore { content: content.clone(), mark: Box::new(mark) }
}

#[cfg(test)]
mod tests {
    use skiff_core::Term;

    use super::*;

    /// A removal was taken for an old one, since the members of the snapshot seemed to stand where the log
    /// begins.
    #[test]
    fn the_members_of_a_snapshot_stand_where_the_log_has_them() {
        let members = |ids: &[u128]| Membership::of(ids.iter().map(|id| NodeId(*id)));
        let log = Recovered {
            hard_state: HardState { term: Term(1), vote: None },
            base: Position::new(1, 1),
            last: Position::new(1, 12),
            terms: vec![(Index(2), Term(1))],
            memberships: vec![
                (Index(3), members(&[1, 2, 3])),
                (Index(6), members(&[1, 2])),
                (Index(10), members(&[1])),
            ],
            ..Recovered::default()
        };
        let position = Position::new(1, 8);
        let meta =
            SnapshotMeta { position, membership: members(&[1, 2]), ..SnapshotMeta::default() };
        let found = recovered(log.clone(), &meta, None).memberships;
        assert_eq!(found, log.memberships[1..]);
        // Where it is compacted it stands where the log begins, at the latest.
        let log = Recovered { memberships: vec![(Index(10), members(&[1]))], ..log };
        assert_eq!(recovered(log.clone(), &meta, None).memberships, log.memberships);
    }
}
