//! What of a node decides its future, for searches that must know whether they were here before.
//!
//! Of the time it counts how long ago things were, or how soon they will be, and no longer than it
//! matters. Left out are the numbers of writes and loads, the settings, and the dice, which a search
//! loads ([`Raft::load_dice`]). Left out too is when a leader next gives a sign of life: that is for the
//! searcher, who must let the heartbeat interval go by each time. What an entry holds is taken to follow
//! from its place, as log matching says.
//!
//! Two nodes taken for the same by mistake hide what only one of them would do; no search is led to a
//! state that cannot be, as each has steps of its own.

use core::hash::{Hash, Hasher};

use crate::{
    disk::Disk,
    entry::Entry,
    inflights::Inflight,
    local::{DOUBLINGS_MAX, Local},
    log::{Log, Stretch},
    outbox::Outbox,
    progress::{BACKOFF_MAX, Progress},
    raft::Raft,
    rng::Rng,
    role::{
        Role,
        candidate::Candidate,
        follower::Follower,
        leader::{
            DEAD, Leader,
            change::{Changes, Leaving, Milestones, PATIENCE},
            transfer::Transfer,
        },
        pre_candidate::PreCandidate,
    },
    types::{Instant, NodeId},
};

impl Raft {
    /// Feeds `to` what decides what this node will do, once nothing is left to poll. `members` are
    /// looked up in this order; ids are written as they are, by `write_u128`, which nothing else
    /// uses, so that a hasher can rename them. Not the same in other builds.
    #[doc(hidden)]
    pub fn fingerprint(&self, members: &[NodeId], to: &mut impl Hasher) {
        let local = &self.local;
        let due = local.election_at.map(|at| at.since(local.now));
        (self.stopped.is_some(), local.removed).hash(to);
        (local.hard, due, local.failed_rounds.min(DOUBLINGS_MAX)).hash(to);
        log(&local.log, to);
        disk(&local.disk, local, to);
        let machine = &local.machine;
        (machine.applied(), machine.handed(), machine.marked(), &machine.batches).hash(to);
        (&machine.proposals, &machine.reads, &machine.restore, local.snapshot).hash(to);
        list(local.loads.under_way.values(), to);
        local.members.later.hash(to);
        transfer(local.handed_over, local, to);
        promises(&local.outbox, members, to);
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

    /// From now on the dice fall as with this seed. Nodes that are alike then do the same.
    #[doc(hidden)]
    pub const fn load_dice(&mut self, seed: u64) {
        self.local.rng = Rng::new(seed);
    }
}

/// Lists begin with their length, so that no two of them together look like another two.
fn list<T: Hash>(items: impl ExactSizeIterator<Item = T>, to: &mut impl Hasher) {
    items.len().hash(to);
    items.for_each(|item| item.hash(to));
}

/// Only the order of those for one member matters.
fn promises(outbox: &Outbox, members: &[NodeId], to: &mut impl Hasher) {
    for id in members {
        let theirs = outbox.promises.iter().filter(|one| one.to == *id);
        theirs.for_each(|promise| promise.hash(to));
        to.write_u8(u8::MAX);
    }
}

fn log(log: &Log, to: &mut impl Hasher) {
    (log.base, log.last, log.last_time, &log.terms, log.cached_from(), log.uncommitted_bytes)
        .hash(to);
    (log.durable, log.committed, log.stored, log.truncate_from).hash(to);
    (log.begin_after, log.compact_to).hash(to);
    let written = |write: &Stretch| (write.kept, write.truncate_from, write.begin_after);
    log.outstanding.as_ref().map(|write| (written(write), write.compact_to, write.last)).hash(to);
}

fn disk(disk: &Disk, local: &Local, to: &mut impl Hasher) {
    let patience = local.config.max_election_timeout;
    (disk.durable, disk.retry_at.map(|at| at.since(local.now)), disk.refusals).hash(to);
    disk.outstanding
        .map(|write| (write.hard_state, age(write.since, local, patience + 1)))
        .hash(to);
    // Whether it was told that the write takes long.
    disk.deadline(patience).is_some().hash(to);
}

/// How long ago that was, as far as it matters.
fn age(at: Instant, local: &Local, matters: u64) -> u64 {
    local.now.since(at).min(matters)
}

fn follower(role: &Follower, local: &Local, to: &mut impl Hasher) {
    (role.leader(), role.hears_leader(local), role.verified, role.seq, role.round).hash(to);
    (role.told_round, role.told_matched, role.owes_reply, &role.mismatch).hash(to);
    role.reads.waiting.hash(to);
    list(role.reads.asked.iter().map(|batch| (batch.id, &batch.tokens)), to);
}

fn leader(role: &Leader, local: &Local, members: &[NodeId], to: &mut impl Hasher) {
    (role.round, role.seq_floor, role.term_start).hash(to);
    let patience = 2 * local.config.max_election_timeout;
    role.lagging.map(|(index, since)| (index, age(since, local, patience))).hash(to);
    let dead = DEAD * local.config.max_election_timeout;
    role.outdone.map(|(index, since)| (index, age(since, local, dead))).hash(to);
    role.reads.hash(to);
    transfer(role.transfer, local, to);
    role.tried_to_hand_over.hash(to);
    changes(&role.changes, local, to);
    members.iter().filter_map(|id| role.peers.get(id)).for_each(|peer| progress(peer, local, to));
}

fn transfer(transfer: Option<Transfer>, local: &Local, to: &mut impl Hasher) {
    let left = |one: Transfer| (one.token, one.to, one.until.since(local.now), one.told);
    transfer.map(left).hash(to);
}

/// The milestones matter while somebody is to become a voter.
fn changes(changes: &Changes, local: &Local, to: &mut impl Hasher) {
    let patience = PATIENCE * local.config.max_election_timeout;
    let waiting = changes.waiting.as_ref();
    waiting.map(|(token, change, since)| (token, change, age(*since, local, patience))).hash(to);
    (&changes.begun, changes.asked).hash(to);
    let left = |one: &Leaving| (age(one.since, local, patience), one.round, one.handed);
    changes.leaving.as_ref().map(left).hash(to);
    let Milestones { close, next, at } = changes.milestones;
    let matters = waiting.is_some() || !local.membership().wishes.is_empty();
    matters.then(|| (close, next, at.since(local.now))).hash(to);
}

fn progress(peer: &Progress, local: &Local, to: &mut impl Hasher) {
    let config = &local.config;
    let longest = config.min_election_timeout << BACKOFF_MAX;
    let sent = |one: &Inflight| (one.seq, one.last, one.bytes, age(one.sent_at, local, longest));
    (peer.matched, peer.next, peer.state, peer.paused, peer.seq, peer.matched_seq).hash(to);
    (peer.reverted, peer.commit_sent, peer.round_sent, peer.round_acked, peer.backoff).hash(to);
    (peer.load_failed, peer.life_due, peer.probe.as_ref().map(sent)).hash(to);
    let again = peer.supply.again_at.map(|at| at.since(local.now));
    (peer.supply.sending, again, peer.supply.failures, peer.supply.hold).hash(to);
    list(peer.loaded.iter().map(Entry::position), to);
    list(peer.inflights.queue.iter().map(sent), to);
    age(peer.heard, local, config.max_election_timeout).hash(to);
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
        started_at(Instant(0))
    }

    fn started_at(now: Instant) -> Raft {
        let membership = Membership::of(MEMBERS);
        let recovered = Recovered { membership, ..Recovered::default() };
        Raft::new(now, Config::new(NodeId(1)), recovered).unwrap()
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
    fn what_time_it_is_does_not_matter_but_how_long_it_waited_does() {
        let mut later = started_at(Instant(7));
        assert_eq!(print(&later), print(&node()));
        later.step(Instant(8), Input::Timeout);
        assert_ne!(print(&later), print(&node()));
    }

    #[test]
    fn promises_to_one_member_keep_their_order_and_to_two_have_none() {
        let asked = |order: [(u128, Message); 2]| {
            let mut node = node();
            node.step(Instant(0), refusal(1));
            for (from, message) in order {
                let (from, term) = (NodeId(from), Term(0));
                node.step(Instant(0), Input::Message { from, term, message });
            }
            print(&node)
        };
        let pre_vote = || Message::PreVote { campaign: Term(1), last: Position::ZERO };
        let vote = || Message::Vote { last: Position::ZERO, transfer: false };
        assert_eq!(asked([(2, vote()), (3, pre_vote())]), asked([(3, pre_vote()), (2, vote())]));
        assert_ne!(asked([(2, vote()), (2, pre_vote())]), asked([(2, pre_vote()), (2, vote())]));
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
