//! Does what replicas ask for.

use bytes::{Bytes, BytesMut};
use skiff_replica::{
    Apply, Encoded, Index, Input, Job, LinkId, Refused, Token,
    core::{AppendOutcome, Entry, LoadId, Message, Payload},
    is_remote,
    storage::{LogReader, Room},
    transport::{Body, Envelope, wire},
};

use skiff_wal::disk::sim::{SimDisk, Unsynced};

use super::{
    Step, World,
    clients::{Answer, Attempt},
    network::End,
    process::lost,
    queue::Event,
};
use crate::{
    checker::bounds,
    plan::{MS, Point, SECOND},
    random::chance,
    workload::Workload,
};

/// Tokens of entries nobody waits for: all responses are looked at.
const NOBODY: u64 = 1 << 62;

impl<W: Workload> World<'_, '_, W> {
    pub(super) fn job(&mut self, node: usize, job: Job) -> Step {
        match job {
            Job::Connect { link, address } => self.connect(node, link, &address),
            Job::Send { link, envelope } => {
                if let Body::Offer(offer) = &envelope.body {
                    self.note_offer(node, offer.transfer);
                }
                return self.send(node, link, &envelope);
            }
            Job::Close { link } => self.close(node, link),
            Job::Write(write) => {
                self.judges.writes(node, &write)?;
                let process = self.nodes[node].process.as_ref();
                if let Some(raft) = process.and_then(|process| process.replica.raft()) {
                    let most = self.plan.knobs.uncommitted_bytes;
                    let found = bounds::uncommitted(raft, &write.entries, most);
                    self.judges.named("bounds", found)?;
                }
                let ledger = &self.judges.ledgers[node];
                let cuts = write.truncate_from.is_some_and(|from| from <= ledger.last());
                self.reached.truncations += u64::from(cuts && write.begin_after.is_none());
                self.trace(node, |_| super::says::write(&write));
                self.give_to_disk(node, Job::Write(write))?;
                return self.trip(node, |point| point == Point::BeforeWrite);
            }
            Job::EndWith { entry } => {
                self.judges.ledgers[node].ends_with(&entry);
                return self.give_to_disk(node, Job::EndWith { entry });
            }
            Job::SaveSnapshot { .. } | Job::Identify(_) | Job::Mend { .. } | Job::Reload => {
                return self.give_to_disk(node, job);
            }
            Job::Load { load, from, to, bytes_max } => {
                self.reached.loads += 1;
                let at = self.now + self.read_time(node);
                let run = self.nodes[node].run;
                if let Some(process) = &mut self.nodes[node].process {
                    process.loads.push((load, from, to, bytes_max));
                }
                self.queue.push(at, node, run, Event::Loaded(load));
            }
            Job::KeepPiece(_) | Job::ForgetPieces | Job::ReadPiece { .. } => {
                return self.snapshot_job(node, job);
            }
            Job::Capture
            | Job::Restore { .. }
            | Job::RestoreSnapshot { .. }
            | Job::TakeSnapshot { .. }
            | Job::Checkpoint { .. }
            | Job::Query { .. } => {
                return self.give_to_machine(node, job);
            }
            Job::Apply(apply) => {
                if let Some(raft) = self.nodes[node].process.as_ref().and_then(|p| p.replica.raft())
                {
                    for entry in &apply.entries {
                        self.judges.applies(node, entry, raft)?;
                    }
                }
                return self.give_to_machine(node, Job::Apply(apply));
            }
            Job::ReadReady { token, index } => return self.read_ready(node, token, index),
            Job::Describe { token } => {
                self.step(node, Input::Responded { token, result: Ok(Bytes::from_static(b"{}")) });
            }
            Job::Respond { token, response } => {
                self.reached.commands_forwarded += 1;
                return self.answered(node, token, Answer::Response(response));
            }
            Job::Refuse { token, reason } => {
                return self.answered(node, token, Answer::Refused(reason));
            }
            Job::Event(event) => return self.told(node, &event),
            Job::Stop(result) => return self.stopped(node, result),
        }
        Ok(())
    }

    /// Loses power if that was planned for here.
    fn trip(&mut self, node: usize, is_here: impl Fn(Point) -> bool) -> Step {
        if let Some((point, down)) = self.nodes[node].trips(is_here) {
            match point {
                Point::BeforeWrite => self.reached.crashes_before_write += 1,
                Point::AfterWrite => self.reached.crashes_after_write += 1,
                Point::AfterSend => self.reached.crashes_after_send += 1,
                Point::InWrite(_) | Point::AfterJob | Point::InRecovery(_) => {}
            }
            if point == Point::BeforeWrite
                && let Some(process) = &mut self.nodes[node].process
            {
                process.disk_jobs.clear();
            }
            self.end_process(node, true, down);
        }
        Ok(())
    }

    fn connect(&mut self, node: usize, link: LinkId, address: &str) {
        let parts = address.strip_prefix('n').and_then(|rest| rest.split_once(':'));
        let number = parts.and_then(|(number, _)| number.parse().ok());
        let target: usize = number.filter(|at| *at < self.nodes.len()).unwrap_or(node);
        let run = self.nodes[node].run;
        let port = parts.and_then(|(_, port)| port.parse().ok()).unwrap_or(1);
        if let Some(process) = &mut self.nodes[node].process {
            process.dialled.push((link, target, port));
        }
        let at = self.now + self.random.network.u64(0..MS);
        self.queue.push(at, node, run, Event::Dial(link));
    }

    /// Tries to connect.
    pub(super) fn dial(&mut self, node: usize, link: LinkId) {
        let Some(target) = self.nodes[node].process.as_ref().and_then(|p| p.target(link)) else {
            return;
        };
        if self.network.other(node, link).is_some() {
            return;
        }
        let is_cut = self.network.is_cut(node, target) || self.network.is_cut(target, node);
        let port = self.nodes[node].process.as_ref().and_then(|process| process.port(link));
        let is_there = port == Some(self.nodes[target].moves + 1);
        let runs = self.nodes[target].process.is_some() && self.nodes[target].paused.is_none();
        let listens = is_there && runs;
        if is_cut || !listens {
            return self.redial(node, link);
        }
        let Some(process) = &mut self.nodes[target].process else { return };
        process.accepted += 1;
        let accepted = LinkId::Accepted(process.accepted);
        let (here, there) = (End { node, link }, End { node: target, link: accepted });
        let connection = self.network.connect(here, there);
        let mut at = self.now;
        // Whoever accepts a connection knows of it before anything is sent on it.
        for end in [there, here] {
            at += self.travel();
            let run = self.nodes[end.node].run;
            self.queue.push(at, end.node, run, Event::Up { connection, link: end.link });
        }
    }

    /// Tries again later, if the link is one to dial.
    pub(super) fn redial(&mut self, node: usize, link: LinkId) {
        let dials = self.nodes[node].process.as_ref().is_some_and(|p| p.target(link).is_some());
        if dials {
            let at = self.now + self.random.network.u64(10 * MS..100 * MS);
            let run = self.nodes[node].run;
            self.queue.push(at, node, run, Event::Dial(link));
        }
    }

    fn close(&mut self, node: usize, link: LinkId) {
        if let Some(process) = &mut self.nodes[node].process {
            process.dialled.retain(|(one, ..)| *one != link);
        }
        if let Some(other) = self.network.close(node, link) {
            let at = self.now + self.travel();
            let run = self.nodes[other.node].run;
            self.queue.push(at, other.node, run, Event::Down { link: other.link });
        }
    }

    /// How long a message travels.
    fn travel(&mut self) -> u64 {
        let (knobs, random) = (&self.plan.knobs, &mut self.random.network);
        if self.calm {
            return random.u64(200_000..=MS);
        }
        if chance(random, knobs.late) {
            return random.u64(0..=knobs.late_max);
        }
        random.u64(knobs.latency_min..=knobs.latency_max)
    }

    fn send(&mut self, node: usize, link: LinkId, envelope: &Envelope) -> Step {
        self.healing.sends += u64::from(self.healing.steady.is_some());
        let is_core = if let Body::Raft { term, message } = &envelope.body {
            self.judges.sends(node, envelope.to, *term, message)?;
            if *message == Message::TimeoutNow {
                self.judge_successor(node, envelope.to)?;
            }
            true
        } else {
            false
        };
        let Some((connection, other)) = self.network.other(node, link) else { return Ok(()) };
        self.trace(node, |_| super::says::envelope(other.node, envelope));
        let knobs = &self.plan.knobs;
        let (loss, duplicate) = if self.calm { (0, 0) } else { (knobs.loss, knobs.duplicate) };
        if self.network.is_cut(node, other.node) || chance(&mut self.random.network, loss) {
            self.reached.messages_lost += 1;
            return self.trip(node, |point| point == Point::AfterSend);
        }
        let mut bytes = BytesMut::with_capacity(128);
        wire::encode(envelope, &mut bytes);
        let bytes = bytes.freeze();
        let keeps_order = !is_core || self.calm || !knobs.reorder;
        let mut at = self.now + self.travel();
        let way = self.network.way(node, other.node);
        at = at.max(way.clogged_until);
        self.reached.messages_overtaken += u64::from(!keeps_order && at < way.last_arrival);
        if keeps_order {
            at = at.max(way.last_arrival);
        }
        way.last_arrival = way.last_arrival.max(at);
        let run = self.nodes[other.node].run;
        if is_core && chance(&mut self.random.network, duplicate) {
            self.reached.messages_doubled += 1;
            let (again, bytes) = (at + self.travel(), bytes.clone());
            let event = Event::Arrive { connection, link: other.link, bytes };
            self.queue.push(again, other.node, run, event);
        }
        self.queue.push(at, other.node, run, Event::Arrive { connection, link: other.link, bytes });
        self.trip(node, |point| point == Point::AfterSend)
    }

    /// Counts what arrives where it tells of a state worth reaching.
    pub(super) fn note_arrival(&mut self, node: usize, from: usize, envelope: &Envelope) {
        self.trace(node, |_| super::says::arrival(from, envelope));
        let Body::Raft { message, .. } = &envelope.body else { return };
        match message {
            Message::Vote { last, .. } => {
                let raft = self.nodes[node].process.as_ref().and_then(|p| p.replica.raft());
                let better = raft.is_some_and(|raft| !last.is_as_up_to_date_as(raft.last()));
                self.reached.votes_lost_by_log += u64::from(better);
            }
            Message::PreVoteReply { granted: false, .. } => self.reached.pre_votes_lost += 1,
            Message::AppendReply(reply) => {
                let lost = matches!(reply.outcome, AppendOutcome::Mismatch { .. });
                self.reached.mismatches += u64::from(lost);
            }
            _ => {}
        }
    }

    /// What stays slow when faults have ended is slow at writes: reading back a long log entry by entry
    /// would take as long as it takes, and only the log of a stuck disk may have what all others lack.
    pub(super) fn read_time(&mut self, node: usize) -> u64 {
        if self.calm {
            return self.random.disk.u64(100_000..=500_000);
        }
        self.disk_time(node)
    }

    pub(super) fn disk_time(&mut self, node: usize) -> u64 {
        let (knobs, random) = (&self.plan.knobs, &mut self.random.disk);
        let (each, until) = self.nodes[node].slow;
        let slow = if self.now < until { each } else { 0 };
        if self.calm {
            return random.u64(100_000..=500_000) + slow;
        }
        random.u64(knobs.disk_min..=knobs.disk_max) + slow
    }

    fn give_to_disk(&mut self, node: usize, job: Job) -> Step {
        let at = self.now + self.disk_time(node);
        let state = &mut self.nodes[node];
        let Some(process) = &mut state.process else { return Ok(()) };
        process.disk_jobs.push_back(job);
        let jobs = process.disk_jobs.len();
        if jobs == 1 {
            self.queue.push(at, node, state.run, Event::DiskDone);
        }
        self.judges.named("bounds", bounds::at_disk(jobs))
    }

    pub(super) fn disk_done(&mut self, node: usize) -> Step {
        let in_write = self.nodes[node].trips(|point| matches!(point, Point::InWrite(_)));
        if let Some((Point::InWrite(operations), down)) = in_write {
            self.reached.crashes_in_write += 1;
            let operations = self.operations_left(node, operations);
            let state = &mut self.nodes[node];
            if let Some(process) = &mut state.process
                && let Some(job) = process.disk_jobs.pop_front()
            {
                state.disk.halt_after(operations);
                let _halted = process.work_on_disk(&job);
                process.disk_jobs.clear();
            }
            self.end_process(node, true, down);
            return Ok(());
        }
        self.watch_disk(node);
        let state = &mut self.nodes[node];
        let Some(process) = &mut state.process else { return Ok(()) };
        let Some(job) = process.disk_jobs.pop_front() else { return Ok(()) };
        if let (true, Job::Write(write)) = (self.plan.canary, &job) {
            // Nothing was written, and it is told durable.
            let input = Input::Persisted { write: write.id };
            self.step(node, input);
            return Ok(());
        }
        let unsynced = unsynced_writes(&state.disk);
        let Some(input) = process.work_on_disk(&job) else { return Ok(()) };
        let has_more = !process.disk_jobs.is_empty();
        let unsynced = unsynced_writes(&state.disk).saturating_sub(unsynced);
        if self.watch_done(node, &job, &input) {
            return Ok(());
        }
        self.disk_did(node, &job, &input, unsynced)?;
        if has_more {
            let (at, run) = (self.now + self.disk_time(node), self.nodes[node].run);
            self.queue.push(at, node, run, Event::DiskDone);
        }
        self.trip(node, |point| point == Point::AfterWrite)?;
        let was_refused = matches!(input, Input::WriteFailed { recoverable: true, .. });
        self.step(node, input);
        if was_refused && self.plan.knobs.reserve_bytes.is_some() {
            self.look_for_room(node);
        }
        Ok(())
    }

    /// A disk tells its room. It is others who have filled it, and it is large.
    fn look_for_room(&mut self, node: usize) {
        let Some(process) = &self.nodes[node].process else { return };
        let room = process.reader.room().map(|room| Room { total: u64::MAX, ..room });
        self.step(node, Input::Room { room });
    }

    /// Likewise, now and once a second from now on.
    pub(super) fn look_again(&mut self, node: usize) {
        self.look_for_room(node);
        let (at, run) = (self.now + SECOND, self.nodes[node].run);
        self.queue.push(at, node, run, Event::LookForRoom);
    }

    fn disk_did(&mut self, node: usize, job: &Job, input: &Input, unsynced: usize) -> Step {
        match (job, input) {
            (Job::Write(write), Input::Persisted { .. }) => {
                self.judges.written(node, write, unsynced)?;
            }
            (Job::Reload, Input::Reloaded { result: Ok(found) }) => {
                let id = self.judges.ledgers[node].node;
                self.judges.recovered(node, id, found)?;
                self.read_back(node, found, u64::MAX)?;
                self.nodes[node].lost = Some(lost(found));
                self.reached.mends += u64::from(found.holes.is_empty());
            }
            (_, Input::WriteFailed { recoverable: true, .. }) => {
                self.reached.full_disks += 1;
                self.judges.write_refused(node);
            }
            (_, Input::WriteFailed { reason, .. }) => {
                self.trace(node, |_| format!("a write failed: {reason}"));
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn loaded(&mut self, node: usize, load: LoadId) -> Step {
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let place = process.loads.iter().position(|(one, ..)| *one == load);
        let Some(place) = place else { return Ok(()) };
        let (_, from, to, bytes_max) = process.loads.remove(place);
        let input = process.load(load, (from, to), bytes_max);
        if let Input::Loaded { result: Ok(entries), .. } = &input {
            for entry in entries {
                self.judges.read_back(node, entry)?;
            }
        }
        if let Input::Loaded { result: Err(skiff_replica::core::LoadError::Failed), .. } = &input {
            self.reached.failed_loads += 1;
        }
        self.step(node, input);
        Ok(())
    }

    fn give_to_machine(&mut self, node: usize, job: Job) -> Step {
        let most = if self.calm { 100_000 } else { self.plan.knobs.machine_max };
        let at = self.now + self.random.process.u64(0..=most);
        let state = &mut self.nodes[node];
        let Some(process) = &mut state.process else { return Ok(()) };
        process.machine_jobs.push_back(job);
        if process.machine_jobs.len() == 1 {
            self.queue.push(at, node, state.run, Event::MachineDone);
        }
        let found = bounds::at_machine(process.machine_jobs.iter(), self.plan.knobs.apply_bytes);
        self.judges.named("bounds", found)
    }

    pub(super) fn machine_done(&mut self, node: usize) -> Step {
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let Some(job) = process.machine_jobs.pop_front() else { return Ok(()) };
        match job {
            Job::Apply(apply) => self.apply(node, apply)?,
            Job::Capture => {
                let result = process.applier.capture().map_err(|error| error.to_string());
                self.step(node, Input::Captured { result });
            }
            Job::Restore { content, mark } => {
                let index = mark.position.index;
                let restored = process.applier.restore(&content, *mark);
                let result = restored.map_err(|error| error.to_string());
                self.judges.restored(node, index);
                self.step(node, Input::Restored { result });
            }
            Job::RestoreSnapshot { position, node: id } => self.restore(node, position, id)?,
            Job::TakeSnapshot { meta } => self.take_snapshot(node, meta)?,
            Job::Checkpoint { mark } => self.checkpoint(node, *mark)?,
            Job::Query { token, .. } => {
                let what = "a question from elsewhere".to_owned();
                let result = Err(Refused::Unsupported { what });
                self.step(node, Input::Responded { token, result });
            }
            _ => {}
        }
        let most = if self.calm { 100_000 } else { self.plan.knobs.machine_max };
        let at = self.now + self.random.process.u64(0..=most);
        let state = &self.nodes[node];
        if state.process.as_ref().is_some_and(|process| !process.machine_jobs.is_empty()) {
            self.queue.push(at, node, state.run, Event::MachineDone);
        }
        Ok(())
    }

    /// Applies entries, looks at every response, and answers those who wait.
    pub(super) fn apply(&mut self, node: usize, apply: Apply) -> Step {
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let mut waiting = apply.tokens.iter().copied().peekable();
        let is_answered =
            |payload: &Payload| matches!(payload, Payload::Command(_) | Payload::Session(_));
        // What the machine has stored already is not applied again.
        let stood = process.applier.applied();
        let is_new = |entry: &&Entry| entry.index > stood;
        let answered = apply.entries.iter().filter(is_new);
        let answered = answered.filter(|entry| is_answered(&entry.payload));
        // Each response is looked at; an entry of a session is answered also if nobody waits for it.
        let tokens = answered.filter_map(|entry| {
            let token = waiting.next_if(|(index, _)| *index == entry.index);
            let is_command = matches!(entry.payload, Payload::Command(_));
            token.or_else(|| is_command.then_some((entry.index, Token(NOBODY | entry.index.0))))
        });
        let all = Apply { tokens: tokens.collect(), entries: apply.entries };
        let mut responses = Vec::new();
        let index = match process.applier.apply(&all, &mut responses) {
            Ok(index) => index,
            Err(error) => {
                let text = error.to_string();
                self.step(node, Input::MachineFailed { index: error.index, reason: error.reason });
                return Err(self.failure("state_machine", text));
            }
        };
        let answers = process.applier.take_answers();
        let tables = process.applier.sessions().clone();
        if !tables.is_empty() || !answers.is_empty() {
            self.judges.session_tables(index, &tables)?;
        }
        let instance = process.replica.identity().instance.unwrap_or_default();
        self.reference.note(instance, &all.entries);
        let (mut responses, mut answers) = (responses.into_iter(), answers.into_iter());
        for entry in all.entries.iter().filter(is_new) {
            match &entry.payload {
                Payload::Command(_) => {
                    let Some((token, response)) = responses.next() else { break };
                    let response = response
                        .encode()
                        .map_err(|error| self.failure("state_machine", error.to_string()))?;
                    self.judges.applied(node, entry, Some(&response))?;
                    self.tell(node, token, Ok(response))?;
                }
                Payload::Session(bytes) => {
                    let Some(answer) = answers.next() else { break };
                    self.judges.session_applied(node, entry, bytes, &answer)?;
                    if let Some(token) = answer.token {
                        self.tell(node, token, answer.result)?;
                    }
                }
                _ => self.judges.applied(node, entry, None)?,
            }
        }
        self.step(node, Input::Applied { index });
        Ok(())
    }

    /// Whoever waits for an entry is told what came of it.
    fn tell(&mut self, node: usize, token: Token, result: Result<Bytes, Refused>) -> Step {
        if is_remote(token) {
            self.step(node, Input::Responded { token, result });
        } else if self.attempt_of(node, token).is_some_and(Attempt::is_waiting) {
            // Whoever was refused meanwhile does not wait any more.
            let answer = result.map_or_else(Answer::Refused, Answer::Response);
            self.answered(node, token, answer)?;
        }
        Ok(())
    }

    fn read_ready(&mut self, node: usize, token: Token, index: Index) -> Step {
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        let Some(attempt) = self.attempt_of(node, token) else { return Ok(()) };
        let (seed, floor, applied) = (attempt.seed, attempt.floor, process.applier.applied());
        self.judges.read(floor, index, applied)?;
        let answer = self.workload.read(seed, process.applier.machine().machine());
        let leads = process.replica.raft().is_some_and(skiff_replica::core::Raft::is_leader);
        if let Some(attempt) = self.attempt_mut(node, token) {
            attempt.read_at = Some(applied);
        }
        self.reached.reads_served += 1;
        self.reached.reads_by_followers += u64::from(!leads);
        self.answered(node, token, Answer::Response(answer))
    }
}

/// How many writes no sync has covered. Some are left over from processes that are gone.
fn unsynced_writes(disk: &SimDisk) -> usize {
    disk.unsynced().iter().filter(|one| matches!(one, Unsynced::Write { .. })).count()
}
