//! How a node judges the terms and votes of others (dissertation 3.4, 3.6.1, 4.2.3, 9.6).

use crate::{
    message::{AppendOutcome, AppendReply, Message},
    mutants::{Mutant, planted},
    outbox::Gate,
    output::Event,
    raft::Raft,
    role::{Role, Transition},
    types::{Index, NodeId, Position, Round, Term},
};

/// No honest node is so many elections ahead: whoever claims to be would use up all terms there are,
/// and leave none to campaign in.
const TERM_LEAP_MAX: u64 = 1 << 32;

/// What a message's term means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Of this term: the role takes it.
    Current,
    /// Answered already, or not worth an answer.
    Settled,
}

impl Raft {
    /// Compares terms: a higher one is obeyed, a lower one is told so. Pre-votes change nothing,
    /// and a vote that is refused because a leader is heard does not raise the term.
    pub(crate) fn judge_term(&mut self, from: NodeId, term: Term, message: &Message) -> Verdict {
        let mine = self.local.hard.term;
        if term.0.saturating_sub(mine.0) > TERM_LEAP_MAX {
            return Verdict::Settled;
        }
        match message {
            Message::PreVote { campaign, last } => {
                self.answer_pre_vote(from, *campaign, *last);
                Verdict::Settled
            }
            // The answer of one whose term is lower is as good: the term asked for is in it.
            Message::Removed { index } => {
                self.hear_removed(*index);
                Verdict::Settled
            }
            Message::PreVoteReply { .. } if term <= mine || planted(Mutant::PreVoteTermIgnored) => {
                Verdict::Current
            }
            _ if term < mine => {
                self.answer_stale(from, message);
                Verdict::Settled
            }
            Message::Vote { .. } if self.tell_removed(from) && self.refuses_votes() => {
                self.local.promise(from, Message::VoteReply { granted: false }, Gate::Term);
                Verdict::Settled
            }
            Message::Vote { transfer: false, .. } if term > mine && self.refuses_votes() => {
                if planted(Mutant::RefusalRaisesTerm) {
                    self.transition(Transition::Follow { term, leader: None });
                }
                self.local.promise(from, Message::VoteReply { granted: false }, Gate::Term);
                Verdict::Settled
            }
            _ if term > mine => {
                let leader = matches!(message, Message::Append(_)).then_some(from);
                self.transition(Transition::Follow { term, leader });
                Verdict::Current
            }
            _ => Verdict::Current,
        }
    }

    /// Whether votes are refused because a leader is heard.
    fn refuses_votes(&self) -> bool {
        self.local.config.options.refuse_while_led && self.role.hears_leader(&self.local)
    }

    /// Would this node vote for `from` in `campaign`?
    fn answer_pre_vote(&mut self, from: NodeId, campaign: Term, last: Position) {
        let granted = campaign > self.local.hard.term
            && last.is_as_up_to_date_as(self.local.log.last())
            && !self.refuses_votes();
        if granted && let Some(at) = self.local.election_at {
            // Two that ask at once would split the votes.
            let later = self.local.now.after(self.local.config.heartbeat_interval);
            self.local.election_at =
                (!planted(Mutant::PreVoteGrantStopsTimer)).then_some(at.max(later));
        }
        if granted && planted(Mutant::PreVoteRaisesTerm) {
            self.transition(Transition::Follow { term: campaign, leader: None });
        }
        self.local.promise(from, Message::PreVoteReply { campaign, granted }, Gate::Term);
        self.tell_removed(from);
    }

    /// Tells somebody who wants to campaign that it is no member any more, if that is so and committed. It
    /// is answered all the same: it may know of a later membership. Whether it was told.
    fn tell_removed(&mut self, from: NodeId) -> bool {
        let Some(index) = self.removed_as_of(from) else { return false };
        self.local.promise(from, Message::Removed { index }, Gate::Term);
        true
    }

    /// A node that cannot campaign and hears nobody asks whether it is still a member. It names no log, so
    /// that nobody grants it anything.
    pub(crate) fn ask_whether_removed(&mut self) {
        let (me, local) = (self.id(), &mut self.local);
        let is_member = local.members.ever_contained(me) && !local.removed;
        if is_member && !local.membership().is_voter(me) && !local.config.options.fixed_membership {
            let (campaign, last) = (local.hard.term.next(), Position::ZERO);
            local.promise_others(&Message::PreVote { campaign, last }, Gate::Term);
        }
    }

    /// Somebody says that this node is no member any more. What is known here may be newer.
    fn hear_removed(&mut self, index: Index) {
        let is_news = self.local.members.is_news(index, self.id(), self.local.log.committed());
        if (is_news || planted(Mutant::OldRemovalObeyed)) && !self.is_leader() {
            self.be_removed(index);
        }
    }

    /// What is committed here may say that this node is no member any more. A leader leaves first.
    pub(crate) fn note_removal(&mut self) {
        if !self.local.removed
            && !self.is_leader()
            && let Some(index) = self.local.is_without(self.id())
        {
            self.be_removed(index);
        }
    }

    /// A node that was never a member, as far as it knows, is one to be.
    fn be_removed(&mut self, index: Index) {
        let local = &mut self.local;
        if local.removed || !local.members.ever_contained(local.id()) {
            return;
        }
        local.removed = true;
        local.outbox.event(Event::Removed { index });
        let term = local.hard.term;
        self.transition(Transition::Follow { term, leader: None });
    }

    /// Somebody asks for this node's vote in the current term. Receivers do not look at their own
    /// membership: whether a vote counts is decided by who asked for it.
    pub(crate) fn answer_vote(&mut self, from: NodeId, last: Position) {
        let vote = self.local.hard.vote;
        let led = self.role.leader(self.local.id()).is_some();
        let free = vote == Some(from) || (vote.is_none() && !led) || planted(Mutant::VotesTwice);
        let may_vote = matches!(self.role, Role::Follower(_) | Role::PreCandidate(_));
        let up_to_date =
            last.is_as_up_to_date_as(self.local.log.last()) || planted(Mutant::VotesForShorterLog);
        let granted = free && may_vote && up_to_date;
        if !granted {
            return self.local.promise(from, Message::VoteReply { granted }, Gate::Term);
        }
        if matches!(self.role, Role::PreCandidate(_)) {
            let term = self.local.hard.term;
            self.transition(Transition::Follow { term, leader: None });
        }
        self.local.hard.vote = Some(from);
        // The timer starts when the vote leaves, not before: the disk may take its time.
        if !planted(Mutant::TimerRunsDuringSync) {
            self.local.election_at = None;
        }
        let gate = if planted(Mutant::VoteReplyUngated) { Gate::Term } else { Gate::Vote };
        self.local.promise(from, Message::VoteReply { granted }, gate);
    }

    /// Tells the sender of an old term that there is a newer one, where it waits for an answer. It may
    /// lead the newer one by now: what it numbered in the old one must not pass for something of this.
    fn answer_stale(&mut self, from: NodeId, message: &Message) {
        let reply = match message {
            Message::Append(_) if planted(Mutant::StaleAppendUnanswered) => return,
            Message::Append(append) => Message::AppendReply(AppendReply {
                seq: if planted(Mutant::OldAnswerNumbered) { append.seq } else { 0 },
                round: Round::ZERO,
                last: Index::ZERO,
                outcome: AppendOutcome::Mismatch { prev: append.prev.index, hint: Position::ZERO },
            }),
            Message::Vote { .. } => Message::VoteReply { granted: false },
            Message::ReadIndex { batch } => Message::ReadIndexReply { batch: *batch, index: None },
            Message::PreVote { .. }
            | Message::PreVoteReply { .. }
            | Message::VoteReply { .. }
            | Message::AppendReply(_)
            | Message::TimeoutNow
            | Message::Removed { .. }
            | Message::ReadIndexReply { .. } => return,
        };
        self.local.promise(from, reply, Gate::Term);
    }
}
