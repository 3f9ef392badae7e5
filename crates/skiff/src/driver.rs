//! The node's task: takes all that waits, steps the replica, does what it asks for, and waits. It
//! decides nothing.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use skiff_replica::{
    Call, CommandError, Encoded, Event, Index, Input, Instant, Job, LinkId, Outcome, Refused,
    Replica, ReplicaError, Snapshots, Standing, State, StateMachine, Token,
    core::{LoadError, Write},
    is_remote, read_piece,
    storage::{Done, LogStore, SnapshotStore, StoreError, Written},
    transport::{Answer, Body, Connection, Envelope, Inbox, NotSent, Transport},
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
    time::Sleep,
};

use crate::{
    callers::{Caller, Callers},
    clock::Clock,
    ending::{MACHINE_END, SNAPSHOTS_END},
    error::NodeError,
    inbox::{Mailbox, Note},
    machine_task::{MachineEnd, Waiter, Waiting, Work, give_up},
    meters::Meters,
    snapshot_task::{SnapshotTask, SnapshotWork},
    status::Status,
};

/// At most so many notes are taken before the replica's jobs are done.
const NOTES_MAX: usize = 4096;
/// At least this often the watched status is brought up to date while anything happens.
const STATUS_EVERY: Duration = Duration::from_millis(50);
/// So often the transport is told the time.
const TICK_EVERY: Duration = Duration::from_millis(50);
/// So often it is looked how much room the log has.
const ROOM_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Driver<M: Snapshots> {
    pub(crate) replica: Replica,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Mailbox<M>,
    pub(crate) log: Box<dyn LogStore>,
    pub(crate) snapshots: Arc<dyn SnapshotStore>,
    pub(crate) snapshot_task: SnapshotTask,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) machine: mpsc::UnboundedSender<Work<M>>,
    pub(crate) machine_end: MachineEnd,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) callers: Callers<M>,
    /// Batches that the machine is not done with: their last entries and their callers.
    pub(crate) in_machine: VecDeque<(Index, Waiting<M>)>,
    pub(crate) links: HashMap<LinkId, Arc<dyn Connection>>,
    pub(crate) accepted: u64,
    pub(crate) now: Instant,
    /// When the transport was last told the time.
    pub(crate) ticked_at: Instant,
    /// When it was last begun to look at the log's room.
    pub(crate) looked_at: Option<Instant>,
    /// It is being looked at: on a file system far away that can take long.
    pub(crate) is_looking: bool,
    /// When the watched status was last brought up to date.
    pub(crate) told_at: Instant,
    pub(crate) meters: Meters,
    pub(crate) ended: Option<Result<(), NodeError>>,
}

impl<M: Snapshots> Driver<M> {
    /// Works until the node has stopped; tells why.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Note<M>>,
    ) -> Result<(), NodeError> {
        let mut notes = Vec::with_capacity(NOTES_MAX.min(64));
        let timer = tokio::time::sleep_until(self.clock.runtime_instant(self.now));
        tokio::pin!(timer);
        loop {
            self.do_jobs();
            if let Some(ended) = self.ended.take() {
                return ended.and(self.end(inbox).await);
            }
            self.tell_status(false);
            let tick = self.tick();
            let deadline = self.replica.deadline().map_or(tick, |at| at.min(tick));
            arm(timer.as_mut(), self.clock, deadline);
            tokio::select! {
                biased;
                _ = inbox.recv_many(&mut notes, NOTES_MAX) => {}
                () = &mut timer => {}
            }
            // What has arrived is stepped before the clock may end anything.
            self.now = self.clock.now();
            notes.drain(..).for_each(|note| self.take(note));
            if self.replica.deadline().is_some_and(|at| at <= self.now) {
                self.step(Input::Timeout);
            }
        }
    }

    /// Answers those who came too late, closes everything, and waits for the store to be free.
    async fn end(mut self, mut inbox: mpsc::UnboundedReceiver<Note<M>>) -> Result<(), NodeError> {
        inbox.close();
        while let Ok(note) = inbox.try_recv() {
            self.take(note);
        }
        self.do_jobs();
        // A disk that hangs keeps nobody but this task.
        let (stores, snapshots, machine) = self.close();
        let _late = tokio::time::timeout(SNAPSHOTS_END, snapshots).await;
        let _gone = tokio::task::spawn_blocking(move || drop(stores)).await;
        if !M::KEEPS_MARKS {
            return Ok(());
        }
        // What it was given last it makes durable, so that the next start has little to do.
        match tokio::time::timeout(MACHINE_END, machine).await {
            Ok(Ok(Err(reason))) => {
                Err(ReplicaError::MachineState { action: "keep", reason }.into())
            }
            Ok(_) => Ok(()),
            Err(_) => {
                tracing::warn!(
                    "the state machine has not made its data durable within {MACHINE_END:?} and is left to \
                     itself: the next start applies again what came since its last mark"
                );
                Ok(())
            }
        }
    }

    fn step(&mut self, input: Input) {
        match &input {
            Input::Applied { index } => {
                let done = self.in_machine.partition_point(|(last, _)| last <= index);
                self.in_machine.drain(..done);
            }
            Input::WriteFailed { recoverable: true, .. } => self.look_for_room(),
            Input::Room { .. } => self.is_looking = false,
            _ => {}
        }
        self.replica.step(self.now, input);
    }

    /// Looks how much room the log has, elsewhere: it may block.
    fn look_for_room(&mut self) {
        self.looked_at = Some(self.now);
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let (reader, mailbox) = (self.log.reader(), self.mailbox.clone());
        tokio::task::spawn_blocking(move || {
            let room = catch_unwind(AssertUnwindSafe(|| reader.room())).unwrap_or_default();
            mailbox.input(Input::Room { room });
        });
    }

    /// Tells the transport the time, now and then, for those that have no clock of their own, and looks
    /// for the log's room. Returns when to do so again.
    fn tick(&mut self) -> Instant {
        let every = crate::clock::nanos(TICK_EVERY);
        if self.now.since(self.ticked_at) >= every {
            self.ticked_at = self.now;
            self.transport.tick(self.now);
        }
        if self.looked_at.is_none_or(|at| self.now.since(at) >= crate::clock::nanos(ROOM_EVERY)) {
            self.look_for_room();
        }
        self.ticked_at.after(every)
    }

    fn take(&mut self, note: Note<M>) {
        match note {
            Note::Input(input) => self.step(input),
            Note::Command { command, deadline, reply } => {
                self.mailbox.taken(command.len());
                if reply.is_closed() {
                    return; // Its caller is gone.
                }
                let token = self.callers.enter(Caller::Command(reply));
                self.step(Input::Call { token, call: Call::Command(command), deadline });
            }
            Note::Session { ask, deadline, reply } => {
                self.mailbox.taken(crate::inbox::size_of(&ask));
                if reply.is_closed() {
                    return; // Its caller is gone.
                }
                let token = self.callers.enter(Caller::Session(reply));
                self.step(Input::Call { token, call: Call::Session(ask), deadline });
            }
            Note::Read { consistency, deadline, reply } => {
                let token = self.callers.enter(Caller::Read(reply));
                self.step(Input::Call { token, call: Call::Read(consistency), deadline });
            }
            Note::Order { call, deadline, reply } => {
                let token = self.callers.enter(Caller::Order(reply));
                self.step(Input::Call { token, call, deadline });
            }
            Note::Accepted(connection) => {
                self.accepted += 1;
                self.listen(LinkId::Accepted(self.accepted), connection);
            }
            Note::Status(reply) => {
                self.tell_status(true);
                let _gone = reply.send(self.status.borrow().clone());
            }
        }
    }

    fn listen(&mut self, link: LinkId, connection: Arc<dyn Connection>) {
        let mailbox = self.mailbox.clone();
        let inbox = Inbox::new(move |signal| mailbox.input(Input::Signal { link, signal }));
        self.links.insert(link, Arc::clone(&connection));
        connection.listen(inbox);
    }

    fn do_jobs(&mut self) {
        while let Some(job) = self.replica.poll() {
            self.job(job);
        }
        let committed = self.replica.raft().map(|raft| raft.committed());
        self.meters.committed(committed.unwrap_or_default());
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Connect { link, address } => match self.transport.connect(&address) {
                Ok(connection) => self.listen(link, connection),
                Err(error) => {
                    self.step(Input::ConnectFailed { link, reason: error.to_string() });
                }
            },
            Job::Send { link, envelope } => self.send(link, envelope),
            Job::Close { link } => {
                if let Some(connection) = self.links.remove(&link) {
                    connection.close();
                }
            }
            Job::Write(write) => self.write(write),
            // Only while a cluster is being formed, when there is nothing else to do: it may block.
            Job::SaveSnapshot { meta, content } => {
                let result = self.snapshots.save(&meta, &content).map_err(|e| e.to_string());
                self.step(Input::SnapshotSaved { result });
            }
            Job::Identify(identity) => {
                let result = self.log.identify(&identity).map_err(|e| e.to_string());
                self.step(Input::Identified { result });
            }
            // Only while there is no core, when there is nothing else to do: it may block.
            Job::Mend { prev, entries } => {
                let result = self.log.mend(prev, &entries).map_err(Into::into);
                self.step(Input::Mended { prev: Some(prev), result });
            }
            Job::EndWith { entry } => {
                let result = self.log.end_with(&entry).map_err(Into::into);
                self.step(Input::Mended { prev: None, result });
            }
            Job::Reload => {
                let result = self.log.load().map_err(Into::into);
                self.step(Input::Reloaded { result });
            }
            Job::Load { load, from, to, bytes_max } => {
                let (reader, mailbox) = (self.log.reader(), self.mailbox.clone());
                tokio::task::spawn_blocking(move || {
                    let read = catch_unwind(AssertUnwindSafe(|| reader.read(from, to, bytes_max)));
                    let panicked = || Err(StoreError::Other("the store panicked".to_owned()));
                    let result = read.unwrap_or_else(|_| panicked()).map_err(|error| {
                        tracing::warn!(%error, %from, "cannot read old entries back");
                        load_error(&error)
                    });
                    mailbox.input(Input::Loaded { load, result });
                });
            }
            Job::Capture => self.on_machine(Work::Capture),
            Job::Restore { content, mark } => self.on_machine(Work::Restore { content, mark }),
            Job::Apply(apply) => {
                let callers = self.callers_of(&apply.tokens);
                if let Some(last) = apply.entries.last() {
                    self.in_machine.push_back((last.index, Arc::clone(&callers)));
                }
                self.on_machine(Work::Apply { apply, callers });
            }
            Job::RestoreSnapshot { position, node } => {
                self.on_machine(Work::RestoreSnapshot { position, node });
            }
            Job::Checkpoint { mark } => self.on_machine(Work::Checkpoint { mark }),
            Job::TakeSnapshot { meta } => self.on_machine(Work::TakeSnapshot { meta }),
            Job::KeepPiece(piece) => {
                self.meters.snapshot_bytes_in.increment(piece.bytes.len() as u64);
                self.on_snapshots(SnapshotWork::Keep(piece));
            }
            Job::ForgetPieces => self.on_snapshots(SnapshotWork::Forget),
            Job::ReadPiece { transfer, position, offset, bytes_max } => {
                let (store, mailbox) = (Arc::clone(&self.snapshots), self.mailbox.clone());
                let sent = self.meters.snapshot_bytes_out.clone();
                tokio::task::spawn_blocking(move || {
                    let read = || read_piece(&*store, position, offset, bytes_max);
                    let read = catch_unwind(AssertUnwindSafe(read));
                    let panicked = || Err(StoreError::Other("the store panicked".to_owned()));
                    let result = read.unwrap_or_else(|_| panicked()).map_err(|e| e.to_string());
                    sent.increment(result.as_ref().map_or(0, |piece| piece.len() as u64));
                    mailbox.input(Input::PieceRead { transfer, offset, result });
                });
            }
            Job::Query { token, query } => self.on_machine(Work::Query { token, query }),
            Job::ReadReady { token, .. } => {
                if let Some(Caller::Read(reply)) = self.callers.leave(token) {
                    self.meters.local.done.increment(1);
                    let _gone = reply.send(Ok(()));
                }
            }
            Job::Describe { token } => {
                let status = Status::from(self.replica.status());
                let result = serde_json::to_vec(&status).map(Bytes::from).map_err(|error| {
                    Refused::Undecodable { reason: error.to_string(), outcome: Outcome::NotApplied }
                });
                self.step(Input::Responded { token, result });
            }
            Job::Respond { token, response } => self.respond(token, response),
            Job::Refuse { token, reason } => self.refuse(token, reason),
            Job::Event(event) => self.tell(event),
            Job::Stop(result) => {
                if let Err(error) = &result {
                    self.tell(Event::Error(error.clone()));
                }
                self.ended = Some(result.map_err(NodeError::from));
            }
        }
    }

    /// A local caller gets no response.
    fn refuse(&mut self, token: Token, reason: Refused) {
        self.meters.local.refused(reason.outcome());
        match self.callers.leave(token) {
            Some(Caller::Command(reply)) => {
                let _gone = reply.send(Err(reason.into()));
            }
            Some(Caller::Session(reply)) => {
                let _gone = reply.send(Err(reason.into()));
            }
            Some(Caller::Read(reply)) => {
                let _gone = reply.send(Err(reason.into()));
            }
            Some(Caller::Order(reply)) => {
                let _gone = reply.send(Err(reason));
            }
            None => self.refuse_in_machine(token, reason),
        }
    }

    fn send(&self, link: LinkId, envelope: Envelope) {
        let Some(connection) = self.links.get(&link) else { return };
        let Envelope { group, from, to, boot, .. } = envelope;
        let answered = match &envelope.body {
            Body::Answer(answer) => self.count_answer(answer),
            _ => None,
        };
        // What is not sent is lost, as on any network: the core notices and sends it again.
        match connection.send(envelope) {
            Ok(()) | Err(NotSent::Down) => {}
            Err(NotSent::Full) => {
                self.meters.queue_full.increment(1);
                tracing::debug!(%link, "the send queue is full, an envelope was dropped");
            }
            Err(NotSent::TooLarge) => {
                self.meters.too_large.increment(1);
                tracing::warn!(%link, "an envelope is above the frame limit and was dropped");
                if let Some(id) = answered {
                    // Whoever waits for it learns so, and not by its deadline.
                    let answer = Answer { id, result: Err(too_large().into()) };
                    let body = Body::Answer(Box::new(answer));
                    let _lost = connection.send(Envelope { group, from, to, boot, body });
                }
            }
        }
    }

    /// Counts an answer that leaves; names the call if it has a response.
    fn count_answer(&self, answer: &Answer) -> Option<u64> {
        match &answer.result {
            Ok(_) => self.meters.remote.done.increment(1),
            Err(refusal) => self.meters.remote.refused(refusal.outcome),
        }
        answer.result.is_ok().then_some(answer.id)
    }

    fn write(&mut self, write: Write) {
        let (id, mailbox, began) = (write.id, self.mailbox.clone(), std::time::Instant::now());
        let took = self.meters.write.clone();
        if let (Some(last), Some(raft)) = (write.entries.last(), self.replica.raft()) {
            self.meters.sent(last.index, raft.is_leader());
        }
        let done = Done::new(move |result| {
            took.record(began.elapsed());
            mailbox.input(match result {
                Ok(()) => Input::Persisted { write: id },
                Err(error) => write_failed(id, &error),
            });
        });
        match self.log.write(write, done) {
            Ok(Written::Done) => {
                self.meters.write.record(began.elapsed());
                self.step(Input::Persisted { write: id });
            }
            Ok(Written::Later) => {}
            Err(error) => self.step(write_failed(id, &error)),
        }
    }

    /// The local callers that these tokens stand for, in the same order.
    fn callers_of(&mut self, tokens: &[(Index, Token)]) -> Waiting<M> {
        let local = tokens.iter().map(|(_, token)| *token).filter(|token| !is_remote(*token));
        let mut callers = Vec::new();
        for token in local {
            match self.callers.leave(token) {
                Some(Caller::Command(reply)) => callers.push((token, Waiter::Command(reply))),
                Some(Caller::Session(reply)) => callers.push((token, Waiter::Session(reply))),
                Some(Caller::Read(_) | Caller::Order(_)) | None => {}
            }
        }
        Arc::new(Mutex::new(callers))
    }

    /// The machine has not answered this caller in time.
    fn refuse_in_machine(&self, token: Token, reason: Refused) {
        let found = self.in_machine.iter().find_map(|(_, callers)| give_up::<M>(callers, token));
        if let Some(waiter) = found {
            waiter.refuse(reason.into());
        }
    }

    fn on_machine(&self, work: Work<M>) {
        let _ended = self.machine.send(work);
    }

    fn on_snapshots(&self, work: SnapshotWork) {
        let _ended = self.snapshot_task.work.send(work);
    }

    /// Another node has answered a local caller's command, or this one something asked of itself.
    fn respond(&mut self, token: Token, response: Bytes) {
        match self.callers.leave(token) {
            Some(Caller::Command(reply)) => {
                self.meters.local.done.increment(1);
                let _gone = reply.send(decode::<M>(&response));
            }
            Some(Caller::Session(reply)) => {
                self.meters.local.done.increment(1);
                let _gone = reply.send(Ok(response));
            }
            Some(Caller::Order(reply)) => {
                let _gone = reply.send(Ok(response));
            }
            Some(Caller::Read(_)) | None => {}
        }
    }

    fn tell(&mut self, event: Event) {
        self.log_event(&event);
        self.meters.count(&event);
        let _nobody = self.events.send(event);
        self.tell_status(true);
    }

    fn log_event(&self, event: &Event) {
        let raft = self.replica.raft();
        let at = crate::story::At {
            node: &self.replica.identity().name,
            term: raft.map_or(0, |raft| raft.term().0),
            index: raft.map_or(0, |raft| raft.last().index.0),
        };
        crate::story::log(&at, event);
    }

    /// Brings the watched status up to date: at once after an event, else now and then.
    fn tell_status(&mut self, at_once: bool) {
        if at_once || self.now.since(self.told_at) >= crate::clock::nanos(STATUS_EVERY) {
            self.told_at = self.now;
            let status = self.replica.status();
            let removed = status.standing == Standing::Removed;
            if status.core.is_none() && self.status.borrow().last > 0 && !removed {
                return; // The replica has ended, and its core is gone.
            }
            let status = Status::from(status);
            self.meters.measure_transport(&self.transport.counts());
            self.meters.measure(&status, self.mailbox.queued(), self.in_machine.len());
            self.status.send_replace(status);
        }
    }

    fn close(mut self) -> (Stores, JoinHandle<()>, MachineEnd) {
        self.snapshot_task.stops.store(true, Ordering::Relaxed);
        self.on_snapshots(SnapshotWork::End);
        self.links.drain().for_each(|(_, connection)| connection.close());
        self.transport.shutdown();
        // What was last seen of the log stays to be looked at.
        self.status.send_modify(|status| {
            State::Idle.as_str().clone_into(&mut status.state);
            (status.leader, status.leader_address, status.waiting_calls) = (None, None, 0);
        });
        ((self.log, self.snapshots), self.snapshot_task.task, self.machine_end)
    }
}

type Stores = (Box<dyn LogStore>, Arc<dyn SnapshotStore>);

/// Sets the timer to the deadline, unless it goes off before anyway: too early is harmless, and
/// moving it for every message is not free.
fn arm(timer: Pin<&mut Sleep>, clock: Clock, deadline: Instant) {
    let at = clock.runtime_instant(deadline);
    if timer.is_elapsed() || at < timer.deadline() {
        timer.reset(at);
    }
}

fn write_failed(write: skiff_replica::core::WriteId, error: &StoreError) -> Input {
    let recoverable = error.is_recoverable();
    if !recoverable {
        // What is tried again and again the replica tells once.
        tracing::error!(%error, "a write failed");
    }
    Input::WriteFailed { write, recoverable, reason: error.to_string() }
}

/// A response of another node's machine. It is a user's code that reads it, and may panic at it.
fn decode<M: StateMachine>(response: &Bytes) -> Result<M::Response, CommandError> {
    let decoded = catch_unwind(|| M::Response::decode(response).map_err(|error| error.reason));
    decoded.unwrap_or_else(|_| Err("reading the response panicked".to_owned())).map_err(|reason| {
        CommandError::Undecodable { reason, outcome: Outcome::AppliedResponseLost }
    })
}

/// What is said in place of a response that no frame can hold.
fn too_large() -> Refused {
    Refused::Undecodable {
        reason: "the response is too large for one frame of this transport".to_owned(),
        outcome: Outcome::AppliedResponseLost,
    }
}

const fn load_error(error: &StoreError) -> LoadError {
    match error {
        StoreError::Compacted { .. } => LoadError::Compacted,
        StoreError::Missing { .. } => LoadError::Truncated,
        _ => LoadError::Failed,
    }
}
