//! Calls: of local callers, of clients, and of other nodes on behalf of theirs. All take one way.

use bytes::Bytes;
use skiff_core::{
    self as core, Index, Instant, Token,
    mutants::{Mutant, planted},
};
use skiff_storage::InstanceId;
use skiff_transport::{Answer, Ask, Body, Consistency, Request};

use super::{Phase, Replica};
use crate::{
    calls::{Copy, Origin, Stage, Wanted},
    input::Input,
    job::{Job, LinkId, is_remote},
    refused::{EntryPosition, Outcome, Refused},
    sessions::Proposal,
};

/// The longest a request from elsewhere may wait, in milliseconds: an hour.
const LONGEST_MS: u64 = 3_600_000;
const MILLISECOND: u64 = 1_000_000;

impl Replica {
    /// Somebody wants something: the one way in.
    pub(super) fn call(&mut self, token: Token, wanted: Wanted, deadline: Instant) {
        self.calls.open(token, deadline);
        if deadline <= self.now {
            return self.expire(token);
        }
        if self.takes_no_more(&wanted) {
            return self.refuse_leaving(token);
        }
        match &wanted {
            Wanted::Transfer(to) => {
                let to = to.clone();
                self.transfer(token, to.as_deref());
            }
            Wanted::Fate(position) => {
                let position = *position;
                self.tell_fate(token, position);
            }
            Wanted::Snapshot => self.ask_for_snapshot(token),
            Wanted::Backup(copy) => {
                let copy = *copy;
                self.ask_for_copy(token, copy);
            }
            Wanted::Describe => {
                self.calls.advance(token, Stage::Responding);
                self.jobs.push_back(Job::Describe { token });
            }
            Wanted::Change(_) => self.route(token, wanted),
            Wanted::Command(command) => match self.judge_command(token, command) {
                Ok(()) => self.route(token, wanted),
                Err(refused) => self.refuse(token, *refused),
            },
            Wanted::Read(Consistency::Linearizable | Consistency::Local)
            | Wanted::Query {
                consistency: Consistency::Linearizable | Consistency::Local, ..
            } => {
                self.route(token, wanted);
            }
            Wanted::Read(consistency) | Wanted::Query { consistency, .. } => {
                let what = format!("reading with consistency {consistency:?}");
                self.refuse(token, Refused::Unsupported { what });
            }
        }
    }

    /// Whether a command may go on, before anybody appends it.
    fn judge_command(&self, token: Token, proposal: &Proposal) -> Result<(), Box<Refused>> {
        let (size, limit) = (proposal.size(), self.settings.core.command_bytes);
        if size > limit {
            return Err(Box::new(Refused::TooLarge { size, limit }));
        }
        if is_remote(token)
            && let Some(command) = proposal.command()
        {
            (self.settings.check)(command).map_err(|reason| {
                Box::new(Refused::Undecodable { reason, outcome: Outcome::NotApplied })
            })?;
        }
        Ok(())
    }

    /// Where a call goes on: to the core, to the leader, or nowhere yet.
    fn route(&mut self, token: Token, wanted: Wanted) {
        if let Wanted::Read(Consistency::Local)
        | Wanted::Query { consistency: Consistency::Local, .. } = wanted
        {
            return self.read_here(token, wanted);
        }
        if self.is_lone() {
            if matches!(wanted, Wanted::Command(_)) {
                self.found_alone();
            }
            return self.hold(token, wanted);
        }
        if let Wanted::Change(change) = wanted {
            return self.route_change(token, change);
        }
        let Phase::Member(member) = &mut self.phase else {
            return self.hold_or_refuse(token, wanted);
        };
        if !member.raft.is_leader() {
            return self.route_to_leader(token, wanted);
        }
        match wanted {
            // What is not in the log goes to whoever leads afterwards.
            Wanted::Command(_) if member.raft.holds_proposals() => self.hold(token, wanted),
            Wanted::Command(_) if self.vacancy.why_not().is_some() => self.refuse_for_room(token),
            Wanted::Command(proposal) => {
                let time = member.log_time(self.now);
                let input = proposal.into_input(token, time, &self.settings);
                member.raft.step(self.now, input);
                // Where it stands if it was appended; if not, the core says so next.
                let position = member.raft.last();
                self.calls.advance(token, Stage::Appended(position));
            }
            wanted => self.read_by_core(token, wanted),
        }
    }

    /// A member that does not lead.
    fn route_to_leader(&mut self, token: Token, wanted: Wanted) {
        let Some(leader) = self.raft().and_then(core::Raft::leader) else {
            return self.hold_or_refuse(token, wanted);
        };
        match wanted {
            Wanted::Command(command) if self.may_forward(token) => match self.way_to(leader) {
                Some(link) => self.forward(token, link, command),
                None => self.hold(token, Wanted::Command(command)),
            },
            Wanted::Command(_) => {
                let leader = self.leader_named(leader);
                self.refuse(token, Refused::NotLeader { leader });
            }
            wanted => self.read_by_core(token, wanted),
        }
    }

    fn read_by_core(&mut self, token: Token, wanted: Wanted) {
        let query = match wanted {
            Wanted::Query { query, .. } => Some(query),
            _ => None,
        };
        self.calls.advance(token, Stage::Reading(query));
        self.step_core(core::Input::Read { token });
    }

    /// A read of what this node has, whatever that is.
    fn read_here(&mut self, token: Token, wanted: Wanted) {
        let query = match wanted {
            Wanted::Query { query, .. } => Some(query),
            _ => None,
        };
        let index = match &self.phase {
            Phase::Member(member) => member.applied,
            // Its machine has not been brought to any state yet.
            Phase::Mending(_) => return self.refuse(token, Refused::NotLeader { leader: None }),
            Phase::Fresh | Phase::Entering(_) | Phase::Removed => Index::ZERO,
        };
        self.calls.advance(token, Stage::Reading(query));
        if let Some(job) = self.read_ready(token, index) {
            self.jobs.push_back(job);
        }
    }

    /// The machine is as far as a read needs it.
    pub(super) fn read_ready(&mut self, token: Token, index: Index) -> Option<Job> {
        match self.calls.stage(token)? {
            Stage::Reading(Some(query)) => {
                let query = query.clone();
                self.calls.advance(token, Stage::Responding);
                Some(Job::Query { token, query })
            }
            Stage::Reading(None) => {
                self.calls.close(token);
                Some(Job::ReadReady { token, index })
            }
            Stage::Covering => {
                self.await_snapshot(token, index, true);
                None
            }
            _ => None,
        }
    }

    /// Passes a command on to the leader.
    fn forward(&mut self, token: Token, link: LinkId, command: Proposal) {
        let waiting = self.calls.waiting_bytes();
        let too_much = waiting > 0 && waiting + command.size() > self.settings.waiting_bytes;
        if too_much && self.is_new(token) {
            return self.refuse(token, Refused::Busy { bytes: waiting });
        }
        let hops = self.calls.hops(token) + 1;
        self.calls.advance(token, Stage::Forwarded { link, command: command.clone() });
        let until = self.calls.deadline_of(token).unwrap_or(self.now);
        let timeout_ms = until.since(self.now).div_ceil(MILLISECOND);
        let request = Request { id: token.0, timeout_ms, hops, ask: command.into() };
        self.send(link, Body::Request(Box::new(request)));
    }

    /// Whether a call may wait here until there is a leader.
    pub(super) fn may_wait_for_leader(&self, token: Token) -> bool {
        self.may_forward(token) || self.is_sole_voter()
    }

    fn may_forward(&self, token: Token) -> bool {
        self.settings.forward && self.calls.hops(token) < self.settings.hops_max
    }

    /// Whether nobody but this node can lead: it will, shortly.
    fn is_sole_voter(&self) -> bool {
        let me = self.identity.node;
        match &self.phase {
            Phase::Fresh | Phase::Mending(_) | Phase::Removed => false,
            Phase::Entering(_) => self.founded_alone(),
            Phase::Member(member) => {
                let membership = member.raft.membership();
                membership.is_voter(me) && membership.has_quorum(|id| id == me)
            }
        }
    }

    pub(super) fn hold_or_refuse(&mut self, token: Token, wanted: Wanted) {
        let may_wait = matches!(wanted, Wanted::Change(_)) || self.may_wait_for_leader(token);
        if matches!(self.phase, Phase::Fresh | Phase::Removed) || !may_wait {
            return self.refuse(token, Refused::NotLeader { leader: None });
        }
        self.hold(token, wanted);
    }

    /// Refuses a command, which is not in the log, since there is no room for it.
    fn refuse_for_room(&mut self, token: Token) {
        let reason = self.vacancy.why_not().unwrap_or_default().to_owned();
        self.refuse(token, Refused::Full { reason });
    }

    /// Refuses all commands that wait for this node to lead: without room it will not, and nobody else
    /// can.
    pub(super) fn refuse_held(&mut self) {
        if !self.is_sole_voter() {
            return;
        }
        let waits = |_, stage: &Stage| matches!(stage, Stage::Held(Wanted::Command(_)));
        for token in self.calls.find(waits) {
            self.refuse_for_room(token);
        }
    }

    /// Lets a call wait here until there is a leader, or its deadline.
    pub(super) fn hold(&mut self, token: Token, wanted: Wanted) {
        let is_command = matches!(wanted, Wanted::Command(_));
        if is_command && self.vacancy.why_not().is_some() && self.is_sole_voter() {
            return self.refuse_for_room(token);
        }
        let waiting = self.calls.waiting_bytes();
        if self.is_new(token) && waiting > self.settings.waiting_bytes {
            return self.refuse(token, Refused::Busy { bytes: waiting });
        }
        self.calls.advance(token, Stage::Held(wanted));
        self.held.push_back(token);
        let look_again = self.now.after(self.settings.core.heartbeat_interval);
        self.held_until.get_or_insert(look_again);
    }

    /// Whether a call has just come: what was let in once is not refused as too much later.
    fn is_new(&self, token: Token) -> bool {
        matches!(self.calls.stage(token), Some(Stage::Arrived))
    }

    /// A read that the core refused, because leadership changed, is tried again.
    pub(super) fn hold_read(&mut self, token: Token) {
        let Some(Stage::Reading(query)) = self.calls.stage(token) else { return };
        let consistency = Consistency::Linearizable;
        let wanted = match query.clone() {
            Some(query) => Wanted::Query { query, consistency },
            None => Wanted::Read(consistency),
        };
        self.hold(token, wanted);
    }

    /// Lets those go on that waited for a leader, if there is one now.
    pub(super) fn release_held(&mut self) {
        self.held_until = None;
        if self.held.is_empty() {
            return;
        }
        let led = self
            .raft()
            .and_then(core::Raft::leader)
            .is_some_and(|leader| leader == self.identity.node || self.way_to(leader).is_some());
        if !led {
            self.held.retain(|token| self.calls.stage(*token).is_some());
            if !self.held.is_empty() {
                self.held_until = Some(self.now.after(self.settings.core.heartbeat_interval));
            }
            return;
        }
        for token in std::mem::take(&mut self.held) {
            if let Some(Stage::Held(wanted)) = self.calls.stage(token) {
                let wanted = wanted.clone();
                self.route(token, wanted);
            }
        }
    }

    /// Another node or a client asks for something.
    pub(super) fn request(&mut self, link: LinkId, request: Request) {
        let Request { id, timeout_ms, hops, ask } = request;
        let (wanted, bytes) = match ask {
            Ask::Command(command) => {
                let bytes = command.len();
                (Wanted::Command(Proposal::Command(command)), bytes)
            }
            Ask::Session(ask) => {
                let proposal = Proposal::Session(ask);
                let bytes = proposal.size();
                (Wanted::Command(proposal), bytes)
            }
            Ask::Query { query, consistency } => {
                let bytes = query.len();
                (Wanted::Query { query, consistency }, bytes)
            }
            Ask::Transfer { to } => {
                let bytes = to.as_ref().map_or(0, String::len);
                (Wanted::Transfer(to), bytes)
            }
            Ask::Fate { instance, position } => {
                let position = EntryPosition::new(InstanceId(instance), position);
                (Wanted::Fate(position), 0)
            }
            Ask::Snapshot => (Wanted::Snapshot, 0),
            Ask::Backup { position, offset, bytes_max } => {
                (Wanted::Backup(Copy { position, offset, bytes_max }), 0)
            }
            Ask::Status => (Wanted::Describe, 0),
            Ask::Change(change) => (Wanted::Change(change), 0),
            _ => return self.refusals.count_one(),
        };
        let under_way = self.calls.remote_bytes();
        let token = self.calls.name_remote(Origin { link, id, hops, bytes });
        let deadline = self.now.after(timeout_ms.min(LONGEST_MS) * MILLISECOND);
        if under_way > self.settings.remote_bytes {
            // Whoever is to be answered must have called.
            self.calls.open(token, deadline);
            return self.refuse(token, Refused::Busy { bytes: under_way });
        }
        self.call(token, wanted, deadline);
    }

    /// The node a call was passed on to answers.
    pub(super) fn answered(&mut self, link: LinkId, answer: Answer) {
        let token = Token(answer.id);
        if let Some(Stage::Asked { link: asked, .. }) = self.calls.stage(token)
            && *asked == link
        {
            return self.change_answered(token, answer.result.map_err(Refused::from));
        }
        let Some(Stage::Forwarded { link: asked, command }) = self.calls.stage(token) else {
            return;
        };
        if *asked != link {
            return;
        }
        let command = command.clone();
        match answer.result.map_err(Refused::from) {
            Ok(response) => self.respond(token, response),
            Err(Refused::LeadershipLost { .. }) if planted(Mutant::RetriesTheUnknown) => {
                self.hold(token, Wanted::Command(command));
            }
            // It had no effect there, so it may be tried again.
            Err(Refused::NotLeader { .. }) => self.hold(token, Wanted::Command(command)),
            Err(refused) => self.refuse(token, refused),
        }
        self.say_farewell(link);
    }

    /// The driver made the response to a call that came over a link.
    pub(super) fn responded(&mut self, token: Token, result: Result<Bytes, Refused>) {
        if !is_remote(token) {
            return;
        }
        match result {
            Ok(response) => self.respond(token, response),
            Err(refused) => self.refuse(token, refused),
        }
        self.calls.responded(token);
    }

    /// What a call asked of the node itself is done, and there is no more to say.
    pub(super) fn done(&mut self, token: Token) {
        self.respond(token, Bytes::new());
    }

    /// A call has its response.
    pub(super) fn respond(&mut self, token: Token, response: Bytes) {
        let Some((_, origin)) = self.calls.close(token) else { return };
        match origin {
            Some(origin) => self.answer(origin, Ok(response)),
            None => self.jobs.push_back(Job::Respond { token, response }),
        }
    }

    /// A call gets no response.
    pub(super) fn refuse(&mut self, token: Token, reason: Refused) {
        let Some((_, origin)) = self.calls.give_up(token) else { return };
        match origin {
            Some(origin) => self.answer(origin, Err(reason)),
            None => self.jobs.push_back(Job::Refuse { token, reason }),
        }
    }

    pub(super) fn answer(&mut self, origin: Origin, result: Result<Bytes, Refused>) {
        if self.links.peer(origin.link).is_some() {
            let answer = Answer { id: origin.id, result: result.map_err(Into::into) };
            self.send(origin.link, Body::Answer(Box::new(answer)));
        }
    }

    /// The caller is gone.
    pub(super) fn cancel(&mut self, token: Token) {
        let Some((stage, _)) = self.calls.give_up(token) else { return };
        // What is in the log stays there, and its answer finds nobody: nothing to look for.
        if let Stage::Reading(_) | Stage::Covering | Stage::Ordered | Stage::Changing(_) = stage {
            self.step_core(core::Input::Cancel { token });
        }
    }

    /// A call's deadline has passed.
    pub(super) fn expire(&mut self, token: Token) {
        let Some(stage) = self.calls.stage(token) else { return };
        if let Stage::Inviting(change) = stage {
            let refused = self.nobody_there(change);
            return self.refuse(token, refused);
        }
        let (outcome, position) = self.effect(stage);
        if let Stage::Reading(_) | Stage::Covering | Stage::Ordered | Stage::Changing(_) = stage {
            self.step_core(core::Input::Cancel { token });
        }
        if planted(Mutant::AnswersTwice) && !is_remote(token) {
            let reason = Refused::Timeout { outcome, position };
            return self.jobs.push_back(Job::Refuse { token, reason });
        }
        self.refuse(token, Refused::Timeout { outcome, position });
    }

    /// What is known of the effect of a call that ends here.
    fn effect(&self, stage: &Stage) -> (Outcome, Option<EntryPosition>) {
        match stage {
            Stage::Appended(_) if planted(Mutant::ExpiredIsNotApplied) => {
                (Outcome::NotApplied, None)
            }
            Stage::Appended(position) => (Outcome::Unknown, Some(self.entry_position(*position))),
            Stage::Committed(position) => {
                // It may be what a machine failed at, and then also fails at elsewhere.
                let failed = self.machine_said.is_some();
                let outcome = if failed { Outcome::Unknown } else { Outcome::AppliedResponseLost };
                (outcome, Some(self.entry_position(*position)))
            }
            Stage::Forwarded { .. } | Stage::Ordered | Stage::Asked { .. } | Stage::Changing(_) => {
                (Outcome::Unknown, None)
            }
            Stage::Done
            | Stage::Arrived
            | Stage::Held(_)
            | Stage::Inviting(_)
            | Stage::Reading(_)
            | Stage::Covering
            | Stage::Snapshot
            | Stage::Responding => (Outcome::NotApplied, None),
        }
    }

    /// A connection is gone: what was asked over it gets no answer any more.
    pub(super) fn lose_calls(&mut self, link: LinkId) {
        let lost = |_, stage: &Stage| matches!(stage, Stage::Forwarded { link: asked, .. } if *asked == link);
        for token in self.calls.find(lost) {
            self.refuse(token, Refused::Disconnected);
        }
        self.lose_changes(link);
        for token in self.calls.of_link(link) {
            self.cancel(token);
        }
    }

    pub(super) fn refuse_at_stop(&mut self, token: Token) {
        let Some(stage) = self.calls.stage(token) else { return };
        let (outcome, position) = self.effect(stage);
        self.refuse(token, Refused::Stopped { outcome, position });
    }

    /// A call that comes after the end.
    pub(super) fn refuse_stopped(&mut self, input: &Input) {
        if let Input::Call { token, .. } = input {
            let reason = Refused::Stopped { outcome: Outcome::NotApplied, position: None };
            self.jobs.push_back(Job::Refuse { token: *token, reason });
        }
    }
}
