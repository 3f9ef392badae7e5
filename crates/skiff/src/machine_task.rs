//! The machine lane: a task of its own, or a thread, applies commands and answers their callers, so
//! that a slow machine delays neither heartbeats nor elections.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use metrics::{Counter, Gauge, Histogram};
use skiff_replica::{
    Applier, Apply, CommandError, Encoded, Event, Input, Mark, NotKept, Outcome, Position, Refused,
    Sessions, Snapshots, StateMachine, Token,
    core::{NodeId, Payload},
    is_remote, restore_snapshot,
    storage::{SnapshotMeta, SnapshotStore},
};
use tokio::{
    runtime::Handle,
    sync::{RwLock, broadcast, mpsc},
    task::JoinHandle,
};

use crate::{
    inbox::{CommandReply, Mailbox, SessionReply},
    snapshot_task::SnapshotWork,
};

/// Answers an encoded question; there is none if the machine answers no questions from elsewhere.
pub(crate) type QueryFn<M> = fn(&Applier<M>, &Bytes) -> Result<Bytes, Refused>;

/// The local callers that a batch answers, in the order of their entries: mostly, but not always, that
/// of their tokens, as some waited for a leader while others came. The node's task keeps a hand on
/// them, so that whoever has waited long enough is told so although the machine is not done.
pub(crate) type Waiting<M> = Arc<Mutex<Vec<(Token, Waiter<M>)>>>;

/// A local caller whose entry is committed.
pub(crate) enum Waiter<M: StateMachine> {
    Command(CommandReply<M>),
    Session(SessionReply),
}

impl<M: StateMachine> Waiter<M> {
    pub(crate) fn refuse(self, reason: CommandError) {
        match self {
            Self::Command(reply) => drop(reply.send(Err(reason))),
            Self::Session(reply) => drop(reply.send(Err(reason))),
        }
    }
}

/// Takes a caller out that has waited long enough, if it is among these.
pub(crate) fn give_up<M: Snapshots>(callers: &Waiting<M>, token: Token) -> Option<Waiter<M>> {
    let mut callers = callers.lock().unwrap_or_else(PoisonError::into_inner);
    let at = callers.iter().position(|(one, _)| *one == token)?;
    Some(callers.remove(at).1)
}

/// The end of a machine's task: whether what it was to make durable last is so.
pub(crate) type MachineEnd = JoinHandle<Result<(), String>>;

/// One thing to do on the machine, in order.
pub(crate) enum Work<M: Snapshots> {
    Apply { apply: Apply, callers: Waiting<M> },
    Capture,
    Restore { content: Bytes, mark: Box<Mark> },
    RestoreSnapshot { position: Position, node: NodeId },
    Checkpoint { mark: Box<Mark> },
    TakeSnapshot { meta: Box<SnapshotMeta> },
    Query { token: Token, query: Bytes },
}

pub(crate) struct MachineTask<M: Snapshots> {
    pub(crate) machine: Arc<RwLock<Applier<M>>>,
    pub(crate) mailbox: Mailbox<M>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) query: Option<QueryFn<M>>,
    /// Counts the responses that local callers get.
    pub(crate) done: Counter,
    /// How long batches take.
    pub(crate) took: Histogram,
    /// How many sessions there are, and how many bytes they keep.
    pub(crate) sessions: [Gauge; 2],
    pub(crate) store: Arc<dyn SnapshotStore>,
    pub(crate) snapshots: mpsc::UnboundedSender<SnapshotWork>,
}

impl<M: Snapshots> MachineTask<M> {
    /// Works until the node's task is gone. If a user's code panics where it is not caught, such as
    /// in the `Drop` of a response, the node stops: without this task it would apply nothing more.
    ///
    /// Returns whether what the machine was to make durable last is so.
    pub(crate) fn spawn(self, work: mpsc::UnboundedReceiver<Work<M>>) -> MachineEnd {
        let (machine, mailbox) = (Arc::clone(&self.machine), self.mailbox.clone());
        let run = self.run(work);
        // Whatever blocks a worker of the runtime holds up more than its own tasks: also the one that
        // was woken last there, and at times the runtime's timers.
        let task = if M::OWN_THREAD {
            let runtime = Handle::current();
            tokio::task::spawn_blocking(move || runtime.block_on(run))
        } else {
            tokio::spawn(run)
        };
        tokio::spawn(async move {
            match task.await {
                Ok(last) => last,
                Err(error) if error.is_panic() => {
                    let index = machine.read().await.applied();
                    let reason = "it panicked while its responses were handed over".to_owned();
                    mailbox.input(Input::MachineFailed { index, reason: reason.clone() });
                    Err(reason)
                }
                Err(_) => Ok(()),
            }
        })
    }

    async fn run(self, mut work: mpsc::UnboundedReceiver<Work<M>>) -> Result<(), String> {
        let mut last = Ok(());
        while let Some(one) = work.recv().await {
            match one {
                Work::Apply { apply, callers } => self.apply(&apply, &callers).await,
                Work::Capture => self.capture().await,
                Work::Restore { content, mark } => self.restore(&content, *mark).await,
                Work::RestoreSnapshot { position, node } => {
                    self.restore_snapshot(position, node).await;
                }
                Work::Checkpoint { mark } => last = self.checkpoint(*mark).await,
                Work::TakeSnapshot { meta } => self.take_snapshot(meta).await,
                Work::Query { token, query } => self.answer(token, &query).await,
            }
            if !work.is_empty() {
                // Those who were answered, and the loop, have their turn before the next.
                tokio::task::yield_now().await;
            }
        }
        last
    }

    async fn apply(&self, apply: &Apply, callers: &Waiting<M>) {
        let mut responses = Vec::with_capacity(apply.tokens.len());
        let mut machine = self.machine.write().await;
        let began = Instant::now();
        let result = machine.apply(apply, &mut responses);
        let answers = machine.take_answers();
        self.measure(machine.sessions());
        drop(machine);
        self.took.record(began.elapsed());
        let callers = std::mem::take(&mut *callers.lock().unwrap_or_else(PoisonError::into_inner));
        let mut callers = callers.into_iter().peekable();
        let mut responses = responses.into_iter().peekable();
        let mut answers = answers.into_iter().filter(|one| one.token.is_some()).peekable();
        for (_, token) in &apply.tokens {
            let told = if let Some((_, response)) = responses.next_if(|(one, _)| one == token) {
                Told::Response(response)
            } else if let Some(answer) = answers.next_if(|one| one.token == Some(*token)) {
                Told::Answer(answer.result)
            } else {
                continue;
            };
            if is_remote(*token) {
                self.respond(*token, told.encode());
            } else if let Some((_, waiter)) = callers.next_if(|(one, _)| one == token) {
                // Those that have given up are not among the callers any more.
                self.done.increment(1);
                told.tell(waiter);
            }
        }
        match result {
            Ok(index) => {
                self.tell_applied(apply);
                self.mailbox.input(Input::Applied { index });
            }
            Err(error) => {
                for (_, waiter) in callers {
                    waiter.refuse(CommandError::Stopped {
                        outcome: Outcome::Unknown,
                        position: None,
                    });
                }
                self.mailbox
                    .input(Input::MachineFailed { index: error.index, reason: error.reason });
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
    fn measure(&self, sessions: &Sessions) {
        let [count, bytes] = &self.sessions;
        count.set(sessions.len() as f64);
        bytes.set(sessions.bytes() as f64);
    }

    fn tell_applied(&self, apply: &Apply) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let is_command =
            |payload: &Payload| matches!(payload, Payload::Command(_) | Payload::Session(_));
        for entry in apply.entries.iter().filter(|entry| is_command(&entry.payload)) {
            let _nobody = self.events.send(Event::AppliedLog(entry.index));
        }
    }

    async fn capture(&self) {
        let result = self.machine.read().await.capture().map_err(|error| error.to_string());
        self.mailbox.input(Input::Captured { result });
    }

    async fn restore(&self, content: &Bytes, mark: Mark) {
        let result = self.machine.write().await.restore(content, mark);
        let result = result.map_err(|error| error.to_string());
        self.mailbox.input(Input::Restored { result });
    }

    /// Reads a snapshot, which may be large, elsewhere.
    async fn restore_snapshot(&self, position: Position, node: NodeId) {
        let mut machine = Arc::clone(&self.machine).write_owned().await;
        let store = Arc::clone(&self.store);
        let restored = tokio::task::spawn_blocking(move || {
            restore_snapshot(&mut machine, &*store, position, node)
        });
        let result = match restored.await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(error) => Err(format!("restoring panicked: {error}")),
        };
        self.mailbox.input(Input::Restored { result });
    }

    /// The machine makes its data durable: on its own thread, if it asked for one.
    async fn checkpoint(&self, mark: Mark) -> Result<(), String> {
        let position = mark.position;
        let result = self.machine.write().await.checkpoint(mark).map_err(|error| error.to_string());
        if let Err(reason) = &result {
            // At the end nobody takes it in any more.
            tracing::error!(%reason, %position, "the state machine could not make its data durable");
        }
        self.mailbox.input(Input::Checkpointed { position, result: result.clone() });
        result
    }

    /// Captures the machine's state; it is written elsewhere.
    async fn take_snapshot(&self, meta: Box<SnapshotMeta>) {
        let position = meta.position;
        let view = self.machine.read().await.view(position.index);
        match view {
            Ok(view) => {
                let _ended = self.snapshots.send(SnapshotWork::Write { meta, view });
            }
            Err(error) => {
                let result = Err(NotKept { recoverable: true, reason: error.to_string() });
                self.mailbox.input(Input::SnapshotTaken { position, result });
            }
        }
    }

    async fn answer(&self, token: Token, query: &Bytes) {
        let unsupported = || Refused::Unsupported { what: "a question from elsewhere".to_owned() };
        let result = match self.query {
            Some(ask) => ask(&*self.machine.read().await, query),
            None => Err(unsupported()),
        };
        self.respond(token, result);
    }

    fn respond(&self, token: Token, result: Result<Bytes, Refused>) {
        self.mailbox.input(Input::Responded { token, result });
    }
}

/// What a caller is told.
enum Told<R> {
    Response(R),
    Answer(Result<Bytes, Refused>),
}

impl<R: Encoded> Told<R> {
    fn encode(self) -> Result<Bytes, Refused> {
        match self {
            Self::Response(response) => encode(&response),
            Self::Answer(result) => result,
        }
    }

    /// Tells one that waits here. Whoever does not wait any more does not want it.
    fn tell<M: StateMachine<Response = R>>(self, waiter: Waiter<M>) {
        match (waiter, self) {
            (Waiter::Command(reply), Self::Response(response)) => {
                let _gone = reply.send(Ok(response));
            }
            (Waiter::Session(reply), told) => {
                let _gone = reply.send(told.encode().map_err(Into::into));
            }
            // A command is answered by the machine.
            (Waiter::Command(_), Self::Answer(_)) => {}
        }
    }
}

/// A response for somebody elsewhere.
fn encode<R: Encoded>(response: &R) -> Result<Bytes, Refused> {
    response.encode().map_err(|error| Refused::Undecodable {
        reason: error.to_string(),
        outcome: Outcome::AppliedResponseLost,
    })
}

#[cfg(test)]
mod tests {
    use skiff_replica::KeepsNothing;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn callers_are_found_in_whatever_order_they_came() {
        let tokens = [5, 1, 2, 4, 3].map(Token);
        let callers = tokens.map(|token| (token, Waiter::Command(oneshot::channel().0)));
        let callers: Waiting<KeepsNothing> = Arc::new(Mutex::new(Vec::from(callers)));
        for token in tokens {
            assert!(give_up::<KeepsNothing>(&callers, token).is_some(), "{token}");
            assert!(give_up::<KeepsNothing>(&callers, token).is_none());
        }
    }
}
