//! The judges: each one property, in a file of its own, which begins with it in a sentence. Each looks
//! only at what has changed.
//!
//! What the others judge waits for its feature: memberships that change, leases.

pub(crate) mod answers;
pub(crate) mod backups;
pub(crate) mod bounds;
mod commit_rule;
mod durable_before_told;
mod election_safety;
pub(crate) mod fates;
mod leader_append_only;
mod leader_completeness;
pub(crate) mod ledger;
mod log_matching;
mod members;
mod monotonic;
pub(crate) mod no_storm;
mod one_instance;
mod one_vote;
mod reads;
pub(crate) mod sessions;
mod snapshots;
mod state_machine_safety;
pub(crate) mod transfers;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use skiff_replica::{
    Answer, Fate, Index, InstanceId, Position, SessionEntry, SessionId, Sessions as Tables, Term,
    core::{Entry, Membership, Message, NodeId, Payload, Raft, Write},
    storage::Recovered,
};

use self::{
    answers::Answers,
    election_safety::ElectionSafety,
    leader_append_only::LeaderAppendOnly,
    ledger::{Ledger, Left, entry_hash},
    log_matching::LogMatching,
    members::Members,
    monotonic::Monotonic,
    no_storm::NoStorm,
    one_instance::OneInstance,
    one_vote::OneVote,
    snapshots::Snapshots,
    state_machine_safety::StateMachineSafety,
};
use crate::{
    failure::{Failure, must},
    hash,
};

/// A judge's name and what it found.
type Judged<T = ()> = Result<T, Failure>;

/// What was last seen of a node.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    term: Term,
    leads: bool,
    committed: Index,
    /// Where its log ended when it was elected.
    elected: Index,
}

/// All judges, and what they share.
#[derive(Debug)]
pub(crate) struct Judges {
    pub(crate) now: u64,
    pub(crate) ledgers: Vec<Ledger>,
    /// Those whose folders were emptied: what they had acknowledged was true when they did.
    wiped: BTreeSet<NodeId>,
    /// Disks lie or are rolled back: what only honest disks can promise is not judged.
    pub(crate) lenient: bool,
    seen: Vec<Seen>,
    /// The newest entry that was committed in each term.
    committed_in: BTreeMap<Term, Position>,
    election_safety: ElectionSafety,
    leader_append_only: LeaderAppendOnly,
    log_matching: LogMatching,
    state_machine_safety: StateMachineSafety,
    snapshots: Snapshots,
    members: Members,
    monotonic: Monotonic,
    one_vote: OneVote,
    answers: Answers,
    one_instance: OneInstance,
    no_storm: NoStorm,
    pub(crate) sessions: sessions::Sessions,
}

/// What has changed for the better, for the count of states reached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changed {
    pub(crate) elected: bool,
    pub(crate) stepped_down: bool,
    pub(crate) same_term: bool,
    pub(crate) newly_committed: u64,
}

impl Judges {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            now: 0,
            ledgers: vec![Ledger::default(); nodes],
            wiped: BTreeSet::new(),
            lenient: false,
            seen: vec![Seen::default(); nodes],
            committed_in: BTreeMap::new(),
            election_safety: ElectionSafety::default(),
            leader_append_only: LeaderAppendOnly::new(nodes),
            log_matching: LogMatching::default(),
            state_machine_safety: StateMachineSafety::new(nodes),
            snapshots: Snapshots::default(),
            members: Members::default(),
            monotonic: Monotonic::new(nodes),
            one_vote: OneVote::default(),
            answers: Answers::default(),
            one_instance: OneInstance::default(),
            no_storm: NoStorm::new(nodes),
            sessions: sessions::Sessions::default(),
        }
    }

    /// Puts a judge's name to what it found.
    pub(crate) fn named<T>(&self, judge: &str, found: Result<T, String>) -> Judged<T> {
        found.map_err(|text| Failure { judge: judge.to_owned(), text, at: self.now })
    }

    /// As [`named`](Self::named), for what only honest disks can promise.
    fn if_honest(&self, judge: &str, found: Result<(), String>) -> Judged {
        if self.lenient { Ok(()) } else { self.named(judge, found) }
    }

    pub(crate) fn event(&mut self, now: u64, waiting: usize) -> Judged {
        self.now = now;
        let found = self.no_storm.event(now, waiting);
        self.named("no_storm", found)
    }

    pub(crate) fn job(&self, count: u32) -> Judged {
        self.named("no_storm", NoStorm::job(count))
    }

    /// The newest entry known to be committed.
    pub(crate) const fn newest(&self) -> Position {
        self.state_machine_safety.newest()
    }

    /// The newest entry that was committed by a leader of a term before this one.
    fn newest_before(&self, term: Term) -> Position {
        let before = self.committed_in.range(..term).next_back();
        before.map(|(_, at)| *at).unwrap_or_default()
    }

    /// A node puts a write out.
    pub(crate) fn writes(&mut self, node: usize, write: &Write) -> Judged {
        let ledger = &mut self.ledgers[node];
        let found = match write.entries.first() {
            Some(first) => {
                let index = first.index.prev();
                let before = match write.begin_after {
                    Some(base) if base.index == index => Some(base.term),
                    _ => ledger.term_at(index),
                };
                let prev = before.unwrap_or_default();
                let prev = if index.0 <= 1 { Term(index.0) } else { prev };
                self.log_matching.look(Position { term: prev, index }, &write.entries)
            }
            None => Ok(()),
        };
        ledger.in_flight = Some(write.clone());
        self.if_honest("log_matching", found)?;
        let seen = self.seen[node];
        for entry in write.entries.iter().filter(|entry| seen.leads && entry.term == seen.term) {
            if let Payload::Membership(members) = &entry.payload {
                let found = members::promotes(&self.ledgers, members, seen.elected);
                self.if_honest("members", found)?;
            }
        }
        Ok(())
    }

    /// A write has become durable; `unsynced` operations on files are not.
    pub(crate) fn written(&mut self, node: usize, write: &Write, unsynced: usize) -> Judged {
        self.ledgers[node].written(write);
        self.no_storm.got_on(write.entries.len());
        let found = must(unsynced == 0 || self.lenient, || {
            format!("a write is told durable, but no sync covers {unsynced} operations of it")
        });
        self.named("durable_before_told", found)
    }

    /// A write left no trace.
    pub(crate) fn write_refused(&mut self, node: usize) {
        self.ledgers[node].in_flight = None;
    }

    /// A message of the core leaves a node.
    pub(crate) fn sends(
        &mut self,
        node: usize,
        to: NodeId,
        term: Term,
        message: &Message,
    ) -> Judged {
        let found = self.no_storm.sends(node, self.now);
        self.named("no_storm", found)?;
        let ledger = &self.ledgers[node];
        let (me, found) = (ledger.node, durable_before_told::sends(ledger, to, term, message));
        self.named("durable_before_told", found)?;
        match message {
            Message::Vote { .. } => {
                let found = self.one_vote.votes(me, term, me);
                self.if_honest("one_vote", found)?;
            }
            Message::VoteReply { granted: true } => {
                let found = self.one_vote.votes(me, term, to);
                self.if_honest("one_vote", found)?;
            }
            Message::Append(append) => {
                let found = self.election_safety.leads(me, term);
                self.if_honest("election_safety", found)?;
                let found = self.log_matching.look(append.prev, &append.entries);
                self.if_honest("log_matching", found)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Something has happened to a node.
    pub(crate) fn look(
        &mut self,
        node: usize,
        instance: InstanceId,
        raft: &Raft,
    ) -> Judged<Changed> {
        let seen = self.seen[node];
        let (term, leads, committed) = (raft.term(), raft.is_leader(), raft.committed());
        let begins = leads && !(seen.leads && seen.term == term);
        let elected = if begins { began_with(raft) } else { seen.elected };
        let now = Seen { term, leads, committed, elected };
        self.seen[node] = now;
        let mut changed = Changed {
            elected: now.leads && !(seen.leads && seen.term == now.term),
            stepped_down: seen.leads && !now.leads,
            same_term: seen.term == now.term,
            newly_committed: 0,
        };
        let found = self.monotonic.look(node, raft);
        self.if_honest("monotonic", found)?;
        let found = self.leader_append_only.look(node, raft);
        self.if_honest("leader_append_only", found)?;
        if changed.elected {
            let found = self.election_safety.leads(raft.id(), now.term);
            self.if_honest("election_safety", found)?;
            self.if_honest(
                "leader_completeness",
                leader_completeness::elected(raft, self.newest_before(now.term)),
            )?;
            let found = self.one_instance.serves(instance);
            self.if_honest("one_instance", found)?;
        }
        if now.committed > seen.committed {
            if now.leads {
                self.if_honest("commit_rule", commit_rule::advanced(raft, seen.committed))?;
            }
            changed.newly_committed = self.commits(raft, seen.committed)?;
        }
        Ok(changed)
    }

    /// A node's commit index has moved: what is committed is the same everywhere, and durable.
    fn commits(&mut self, raft: &Raft, before: Index) -> Judged<u64> {
        let mut new = 0;
        // The first entry is the genesis: a snapshot, which everybody begins with.
        for index in before.0.max(1) + 1..=raft.committed().0 {
            let index = Index(index);
            let Some(term) = raft.term_at(index) else { continue };
            let hash = self.log_matching.hash_of(index, term).unwrap_or_default();
            let found = self.state_machine_safety.committed(Position { term, index }, hash);
            match found {
                Ok(first) => new += u64::from(first),
                Err(_) if self.lenient => {}
                Err(text) => return self.named("state_machine_safety", Err(text)),
            }
        }
        if new > 0 {
            let at = self.newest();
            self.committed_in.insert(raft.term(), at);
            let found = durable_before_told::committed(&self.ledgers, &self.wiped, raft, at);
            self.if_honest("durable_before_told", found)?;
        }
        Ok(new)
    }

    /// A machine was brought to its state after this entry.
    pub(crate) fn restored(&mut self, node: usize, index: Index) {
        self.state_machine_safety.restored(node, index);
    }

    /// A machine that ran was brought to its state after this entry by a snapshot.
    pub(crate) fn installed(&mut self, node: usize, index: Index) -> Judged {
        let found = self.state_machine_safety.installed(node, index);
        self.if_honest("state_machine_safety", found)
    }

    /// A machine that stands after this entry gives its state away, or was given one.
    pub(crate) fn state(&mut self, at: Position, state: &[u8]) -> Judged {
        let found = self.snapshots.state(at, hash::of(state));
        self.if_honest("snapshots", found)
    }

    /// A machine is handed an entry.
    pub(crate) fn applies(&mut self, node: usize, entry: &Entry, raft: &Raft) -> Judged {
        if let Payload::Command(bytes) = &entry.payload {
            self.answers.handed(entry.index, || hash::of(bytes));
        }
        let found = self.monotonic.applies(node, entry.index, raft);
        self.if_honest("monotonic", found)
    }

    /// A machine has applied an entry, with this response.
    pub(crate) fn applied(
        &mut self,
        node: usize,
        entry: &Entry,
        response: Option<&Bytes>,
    ) -> Judged {
        let response = response.map(|bytes| hash::of(bytes));
        let (at, hash) = (entry.position(), entry_hash(entry));
        let first = self.state_machine_safety.is_first(at.index);
        let found = self.state_machine_safety.applied(node, at, hash, response);
        self.if_honest("state_machine_safety", found)?;
        if let Payload::Membership(members) = &entry.payload {
            self.members.applied(at.index, members);
        }
        if first && let Payload::Command(bytes) = &entry.payload {
            let found = self.answers.committed(hash::of(bytes), at.index);
            self.if_honest("answers", found)?;
        }
        Ok(())
    }

    /// A node has applied an entry of a session.
    pub(crate) fn session_applied(
        &mut self,
        node: usize,
        entry: &Entry,
        bytes: &Bytes,
        answer: &Answer,
    ) -> Judged {
        let told = (answer.executed, &answer.result);
        let told = Bytes::from(format!("{told:?}"));
        self.applied(node, entry, Some(&told))?;
        let found = match SessionEntry::decode(bytes) {
            Ok(held) => self.sessions.applied(entry, &held, answer),
            Err(error) => Err(error.to_string()),
        };
        self.if_honest("sessions", found)
    }

    /// The sessions of a node after an entry.
    pub(crate) fn session_tables(&mut self, index: Index, tables: &Tables) -> Judged {
        let found = self.sessions.tables(index, hash::of(&tables.encode()));
        self.if_honest("sessions", found)
    }

    /// A client is told what a command of its session answered.
    pub(crate) fn session_told(&self, id: SessionId, number: u64, response: &[u8]) -> Judged {
        self.if_honest("sessions", self.sessions.told(id, number, response))
    }

    /// A client is told that a command of its session had no effect.
    pub(crate) fn session_refused(&self, id: SessionId, number: u64) -> Judged {
        self.if_honest("sessions", self.sessions.refused(id, number))
    }

    /// A node is asked something.
    pub(crate) fn called(&mut self, node: usize) {
        self.no_storm.asked(node);
    }

    /// Where a command was committed, if it was.
    pub(crate) fn index_of(&self, command: &Bytes) -> Option<Index> {
        self.answers.index_of(hash::of(command))
    }

    pub(crate) fn asked(&mut self, command: &Bytes) {
        self.answers.asked(hash::of(command));
    }

    pub(crate) fn refused(&mut self, command: &Bytes) -> Judged {
        let found = self.answers.refused(hash::of(command));
        self.if_honest("answers", found)
    }

    /// A caller is told that its command took effect, and that the response is lost.
    pub(crate) fn response_lost(&self, command: &Bytes) -> Judged {
        self.if_honest("answers", self.answers.response_lost(hash::of(command)))
    }

    pub(crate) fn answered(&self, command: &Bytes) -> Judged {
        self.if_honest("answers", self.answers.answered(hash::of(command)))
    }

    /// Somebody is told what became of the command at this position.
    pub(crate) fn fate(&self, fate: Fate, at: Position) -> Judged {
        let is_committed = self.state_machine_safety.is_committed(at);
        self.if_honest("fates", fates::told(fate, at, is_committed))
    }

    /// At the end: what was told of a command holds.
    pub(crate) fn fate_held(&self, fate: Fate, at: Position, command: &Bytes) -> Judged {
        let index = self.answers.only_index_of(hash::of(command));
        let is_committed = self.state_machine_safety.is_committed(at);
        self.if_honest("fates", fates::held(fate, at, is_committed, index))
    }

    pub(crate) fn read(&self, floor: Index, index: Index, applied: Index) -> Judged {
        self.if_honest("reads", reads::served(floor, index, applied))
    }

    /// Somebody is given a snapshot that ends here.
    pub(crate) fn covers(&self, floor: Index, index: Index) -> Judged {
        self.if_honest("backups", backups::covers(floor, index))
    }

    /// What somebody was given holds, or does not hold, what was applied up to its end.
    pub(crate) fn holds(&self, at: Position, state: &[u8], applied: &[u8]) -> Judged {
        self.if_honest("backups", backups::holds(at, state, applied))
    }

    /// A snapshot that ends here holds these members, or is followed with these.
    pub(crate) fn snapshot_members(&self, end: Index, members: &Membership) -> Judged {
        self.if_honest("members", self.members.snapshot(end, members))
    }

    /// Whether no state after this entry was seen yet.
    pub(crate) fn is_first_state(&self, at: Position) -> bool {
        !self.lenient && self.snapshots.is_first(at.index)
    }

    /// A process has ended.
    pub(crate) fn ended(&mut self, node: usize) {
        self.seen[node] = Seen::default();
        self.leader_append_only.ended(node);
        self.monotonic.ended(node, self.ledgers[node].hard.term);
    }

    /// A folder was emptied: whoever comes has another name.
    pub(crate) fn wiped(&mut self, node: usize) {
        self.wiped.insert(self.ledgers[node].node);
        self.ledgers[node] = Ledger::default();
        self.monotonic.ended(node, Term::ZERO);
    }

    /// A process has found this in its folder.
    pub(crate) fn recovered(&mut self, node: usize, id: NodeId, found: &Recovered) -> Judged<Left> {
        let ledger = &mut self.ledgers[node];
        ledger.node = id;
        let left = ledger.recovered(found, |at| self.state_machine_safety.is_committed(at));
        match left {
            Err(_) if self.lenient => {
                ledger.adopt(found);
                Ok(Left::Nothing)
            }
            left => self.named("recovery", left),
        }
    }

    /// An entry was read back from a folder.
    pub(crate) fn read_back(&self, node: usize, entry: &Entry) -> Judged {
        self.if_honest("recovery", self.ledgers[node].check_read(entry))
    }
}

/// Where the log of a leader ended that was just elected: before the entries of its own term.
fn began_with(raft: &Raft) -> Index {
    let mut last = raft.last().index;
    while last > Index::ZERO && raft.term_at(last) == Some(raft.term()) {
        last = last.prev();
    }
    last
}
