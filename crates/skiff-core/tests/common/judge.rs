//! What is known of all nodes over all time, and must hold whatever happens. A judge sees each thing
//! as it leaves its node.

use std::collections::BTreeMap;

use skiff_core::{
    Append, AppendOutcome, AppendReply, Entry, Index, Input, Message, NodeId, Output, Position,
    Term, Token,
};

use super::{Cluster, Store};

#[derive(Debug, Default)]
pub struct Judge {
    /// Who led each term.
    pub leaders: BTreeMap<Term, NodeId>,
    /// Who voted for whom.
    votes: BTreeMap<(NodeId, Term), NodeId>,
    /// What was ever applied: it is committed.
    pub applied: BTreeMap<Index, Entry>,
    /// What the leader of each term said its log holds.
    logs: BTreeMap<(Term, Index), Term>,
    /// Commands that were answered, and where they stand.
    pub acknowledged: BTreeMap<Token, Index>,
    /// What was committed anywhere when a read was asked.
    floors: BTreeMap<Token, Index>,
}

impl Judge {
    /// A read is asked for: whatever is committed anywhere by now, it must see.
    pub fn asked(&mut self, cluster: &Cluster, input: &Input) {
        if let Input::Read { token } = input {
            let up = cluster.members.values().filter_map(|member| member.raft.as_ref());
            let floor = up.map(|raft| raft.committed()).max().unwrap_or_default();
            self.floors.insert(*token, floor);
        }
    }

    /// A node has done all it wanted for now.
    pub fn settled(&mut self, cluster: &Cluster, id: NodeId) {
        let member = &cluster.members[&id];
        let Some(raft) = member.raft.as_ref().filter(|raft| raft.is_leader()) else { return };
        let first = *self.leaders.entry(raft.term()).or_insert_with(|| {
            for entry in self.applied.values() {
                has_committed(&member.store, raft.durable(), raft.last(), entry);
            }
            id
        });
        assert_eq!(first, id, "two leaders in term {}", raft.term());
    }

    /// A node wants this done, which is not done yet.
    pub fn put_out(&mut self, cluster: &Cluster, node: NodeId, output: &Output) {
        match output {
            Output::Apply(apply) => {
                for entry in &apply.entries {
                    let first = self.applied.entry(entry.index).or_insert_with(|| entry.clone());
                    assert_eq!(first, entry, "one entry at {}", entry.index);
                }
                self.acknowledged
                    .extend(apply.tokens.iter().map(|(index, token)| (*token, *index)));
            }
            Output::ReadReady { token, index } => {
                assert!(*index >= self.floors[token], "read {token} missed a commit");
            }
            Output::Send { to, term, message } => {
                self.said(cluster, node, *to, *term, message);
            }
            _ => {}
        }
    }

    /// Promises and facts are judged as they leave: they must be durable by then.
    fn said(&mut self, cluster: &Cluster, from: NodeId, to: NodeId, term: Term, message: &Message) {
        let store = &cluster.members[&from].store;
        assert!(store.hard.term >= term, "{from} spoke in a term that is not durable");
        match message {
            Message::VoteReply { granted: true } => self.voted(store, from, term, to),
            Message::Vote { .. } => self.voted(store, from, term, from),
            Message::Append(append) => self.appended(term, append),
            Message::AppendReply(AppendReply {
                outcome: AppendOutcome::Matched(index), ..
            }) => {
                self.matched(cluster, store, term, *index, to);
            }
            _ => {}
        }
    }

    fn voted(&mut self, store: &Store, voter: NodeId, term: Term, candidate: NodeId) {
        let vote = *self.votes.entry((voter, term)).or_insert(candidate);
        assert_eq!(vote, candidate, "{voter} voted twice in term {term}");
        let durable = store.hard.term > term || store.hard.vote == Some(candidate);
        assert!(durable, "{voter} voted before that was durable");
    }

    /// A leader's log only grows: what it said once of a place holds for its whole term.
    fn appended(&mut self, term: Term, append: &Append) {
        let said = append.entries.iter().map(Entry::position).chain([append.prev]);
        for Position { term: of, index } in said.filter(|position| *position != Position::ZERO) {
            let first = *self.logs.entry((term, index)).or_insert(of);
            assert_eq!(first, of, "the leader of term {term} changed its entry {index}");
        }
    }

    /// What is acknowledged is durable and equals the leader's.
    fn matched(&self, cluster: &Cluster, store: &Store, term: Term, index: Index, leader: NodeId) {
        assert!(index <= store.last().index, "acknowledged {index} before it was durable");
        for ((_, at), of) in self.logs.range((term, Index::ZERO)..=(term, index)) {
            let held = store.get(*at).map(|entry| entry.term);
            assert!(held == Some(*of) || *at <= store.base.index, "acknowledged another's {at}");
        }
        let other = &cluster.members[&leader];
        if let Some(raft) = other.raft.as_ref().filter(|r| r.is_leader() && r.term() == term) {
            let both = index.min(raft.durable()).0;
            (1..=both).map(Index).for_each(|at| assert_eq!(store.get(at), other.store.get(at)));
        }
    }
}

/// Leader completeness: a new leader has all that is committed.
fn has_committed(store: &Store, durable: Index, last: Position, entry: &Entry) {
    assert!(entry.index <= last.index, "a leader without the committed {}", entry.index);
    if entry.index <= durable {
        assert_eq!(store.get(entry.index), Some(entry), "a leader with another committed entry");
    }
}
