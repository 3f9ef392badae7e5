//! What of a node decides its future, for searches that must know whether they were here before.
//!
//! Time is left out but for what it has led to: whether a timer is armed, a leader counts as heard, a
//! message as lost, the disk as stuck. When a timer fires is for the searcher to choose. Left out too
//! are the numbers of writes and loads, the dice and the settings. What an entry holds is taken to
//! follow from its place, as log matching says. Two nodes taken for the same by mistake hide what
//! only one of them would do; no search is led to a state that cannot be, as each has steps of its own.

use core::hash::{Hash, Hasher};

use crate::{
    disk::Disk,
    entry::Entry,
    inflights::Inflight,
    local::Local,
    log::Log,
    progress::Progress,
    raft::Raft,
    role::{
        Role, candidate::Candidate, follower::Follower, leader::Leader, pre_candidate::PreCandidate,
    },
    types::NodeId,
};

impl Raft {
    /// Feeds `to` what decides what this node will do, once nothing is left to poll. `members` are
    /// looked up in this order; ids are written as they are, by `write_u128`, which nothing else
    /// uses, so that a hasher can rename them. Not the same in other builds.
    #[doc(hidden)]
    pub fn fingerprint(&self, members: &[NodeId], to: &mut impl Hasher) {
        let local = &self.local;
        (self.stopped.is_some(), local.hard, local.election_at.is_some()).hash(to);
        log(&local.log, to);
        disk(&local.disk, local, to);
        let machine = &local.machine;
        (machine.applied(), machine.handed(), &machine.batches).hash(to);
        (&machine.proposals, &machine.reads).hash(to);
        list(local.loads.under_way.values(), to);
        (&local.members.later, &local.outbox.promises).hash(to);
        core::mem::discriminant(&self.role).hash(to);
        match &self.role {
            Role::PreCandidate(PreCandidate { granted })
            | Role::Candidate(Candidate { granted }) => {
                list(members.iter().map(|id| granted.contains(id)), to);
            }
            Role::Follower(role) => follower(role, local, to),
            Role::Leader(role) => leader(role, local, members, to),
        }
    }
}

/// Lists begin with their length, so that no two of them together look like another two.
fn list<T: Hash>(items: impl ExactSizeIterator<Item = T>, to: &mut impl Hasher) {
    items.len().hash(to);
    items.for_each(|item| item.hash(to));
}

fn log(log: &Log, to: &mut impl Hasher) {
    (log.base, log.last, log.last_time, &log.terms, log.cached_from(), log.uncommitted_bytes)
        .hash(to);
    (log.durable, log.committed, log.stored, log.truncate_from).hash(to);
    log.outstanding.map(|write| (write.kept, write.truncate_from, write.last)).hash(to);
}

fn disk(disk: &Disk, local: &Local, to: &mut impl Hasher) {
    let patience = local.config.max_election_timeout;
    let stuck_at = |at| disk.is_stuck(at, patience);
    (disk.durable, disk.retry_at.is_some(), disk.outstanding.map(|write| write.hard_state))
        .hash(to);
    // Whether this node may campaign now, and when its timer fires.
    (stuck_at(local.now), local.election_at.map(|at| stuck_at(at.max(local.now)))).hash(to);
}

fn follower(role: &Follower, local: &Local, to: &mut impl Hasher) {
    (role.leader(), role.hears_leader(local), role.verified, role.seq, role.round).hash(to);
    (role.told_round, role.told_matched, role.owes_reply, &role.mismatch).hash(to);
    role.reads.waiting.hash(to);
    list(role.reads.asked.iter().map(|batch| (batch.id, &batch.tokens)), to);
}

fn leader(role: &Leader, local: &Local, members: &[NodeId], to: &mut impl Hasher) {
    (role.round, role.seq_floor, role.term_start, role.lagging.map(|(index, _)| index)).hash(to);
    role.reads.hash(to);
    members.iter().filter_map(|id| role.peers.get(id)).for_each(|peer| progress(peer, local, to));
}

fn progress(peer: &Progress, local: &Local, to: &mut impl Hasher) {
    let config = &local.config;
    let overdue = |at| local.now.since(at) >= config.min_election_timeout << peer.backoff;
    let sent = |one: &Inflight| (one.seq, one.last, one.bytes, overdue(one.sent_at));
    (peer.matched, peer.next, peer.state, peer.paused, peer.seq, peer.matched_seq).hash(to);
    (peer.reverted, peer.commit_sent, peer.round_sent, peer.round_acked, peer.backoff).hash(to);
    (peer.load_failed, peer.life_due, peer.probe.as_ref().map(sent)).hash(to);
    list(peer.loaded.iter().map(Entry::position), to);
    list(peer.inflights.queue.iter().map(sent), to);
    (local.now.since(peer.heard) >= config.max_election_timeout).hash(to);
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::hash::DefaultHasher;

    use super::*;
    use crate::{
        config::{Config, Recovered},
        input::Input,
        membership::Membership,
        message::Message,
        output::Output,
        types::{Instant, Position, Term},
    };

    const MEMBERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

    fn node() -> Raft {
        let membership = Membership::of(MEMBERS);
        let recovered = Recovered { membership, ..Recovered::default() };
        Raft::new(Instant(0), Config::new(NodeId(1)), recovered).unwrap()
    }

    fn print(raft: &Raft) -> u64 {
        let mut hasher = DefaultHasher::new();
        raft.fingerprint(&MEMBERS, &mut hasher);
        hasher.finish()
    }

    fn vote(from: u128) -> Input {
        let message = Message::Vote { last: Position::ZERO, transfer: false };
        Input::Message { from: NodeId(from), term: Term(1), message }
    }

    #[test]
    fn time_alone_changes_nothing() {
        let mut later = node();
        later.step(Instant(7), Input::Timeout);
        assert_eq!(print(&later), print(&node()));
    }

    #[test]
    fn a_vote_changes_it_and_so_does_who_got_it() {
        let (mut one, mut other) = (node(), node());
        one.step(Instant(0), vote(2));
        other.step(Instant(0), vote(3));
        assert_ne!(print(&one), print(&node()));
        assert_ne!(print(&one), print(&other));
    }

    #[test]
    fn the_number_of_a_write_does_not_matter() {
        let (mut one, mut other) = (node(), node());
        one.step(Instant(0), refusal(2));
        other.step(Instant(0), refusal(1));
        written(&mut other);
        other.step(Instant(0), refusal(2));
        [&mut one, &mut other].into_iter().for_each(written);
        assert_eq!(print(&one), print(&other));
    }

    fn refusal(term: u64) -> Input {
        let message = Message::VoteReply { granted: false };
        Input::Message { from: NodeId(2), term: Term(term), message }
    }

    /// Polls everything, and lets the write be done that is among it.
    fn written(node: &mut Raft) {
        while let Some(output) = node.poll() {
            if let Output::Persist(write) = output {
                node.step(Instant(0), Input::Persisted { write: write.id });
            }
        }
    }
}
