//! What reaches a node's task, from wherever it comes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use skiff_replica::{
    Call, CommandError, Input, Instant, Outcome, ReadError, Refused, StateMachine,
    core::Entry,
    transport::{Connection, Consistency, SessionAsk},
};
use tokio::sync::{mpsc, oneshot};

use crate::status::Status;

/// How a command's caller gets its answer.
pub(crate) type CommandReply<M> =
    oneshot::Sender<Result<<M as StateMachine>::Response, CommandError>>;
/// How the caller of something of a session gets its answer.
pub(crate) type SessionReply = oneshot::Sender<Result<bytes::Bytes, CommandError>>;
/// How whoever wants something of the node itself gets its answer, encoded.
pub(crate) type OrderReply = oneshot::Sender<Result<bytes::Bytes, Refused>>;
/// How a reader learns that it may read.
pub(crate) type ReadReply = oneshot::Sender<Result<(), ReadError>>;

/// One thing for a node's task.
pub(crate) enum Note<M: StateMachine> {
    Input(Input),
    Command {
        command: bytes::Bytes,
        deadline: Instant,
        reply: CommandReply<M>,
    },
    Session {
        ask: SessionAsk,
        deadline: Instant,
        reply: SessionReply,
    },
    Read {
        consistency: Consistency,
        deadline: Instant,
        reply: ReadReply,
    },
    /// Something is wanted of the node itself, not of its machine.
    Order {
        call: Call,
        deadline: Instant,
        reply: OrderReply,
    },
    Accepted(Arc<dyn Connection>),
    Status(oneshot::Sender<Status>),
}

/// The way to a node's task. Cheap to clone; never blocks.
pub(crate) struct Mailbox<M: StateMachine> {
    notes: mpsc::UnboundedSender<Note<M>>,
    /// Bytes of commands that the task has not taken yet.
    queued: Arc<AtomicUsize>,
    limit: usize,
}

impl<M: StateMachine> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self { notes: self.notes.clone(), queued: Arc::clone(&self.queued), limit: self.limit }
    }
}

impl<M: StateMachine> Mailbox<M> {
    /// A mailbox that holds up to `limit` bytes of commands, and its other end.
    pub(crate) fn new(limit: usize) -> (Self, mpsc::UnboundedReceiver<Note<M>>) {
        let (notes, receiver) = mpsc::unbounded_channel();
        (Self { notes, queued: Arc::default(), limit }, receiver)
    }

    /// Puts something in. If the task has ended, it is dropped, and whoever waits for its answer
    /// notices.
    pub(crate) fn put(&self, note: Note<M>) {
        let _ended = self.notes.send(note);
    }

    pub(crate) fn input(&self, input: Input) {
        self.put(Note::Input(input));
    }

    /// Puts a command in, unless too much waits already or the task has ended.
    pub(crate) fn command(
        &self,
        command: bytes::Bytes,
        deadline: Instant,
        reply: CommandReply<M>,
    ) -> Result<(), CommandError> {
        let size = command.len();
        self.put_sized(size, Note::Command { command, deadline, reply })
    }

    /// Puts something of a session in, likewise.
    pub(crate) fn session(
        &self,
        ask: SessionAsk,
        deadline: Instant,
        reply: SessionReply,
    ) -> Result<(), CommandError> {
        let size = size_of(&ask);
        self.put_sized(size, Note::Session { ask, deadline, reply })
    }

    fn put_sized(&self, size: usize, note: Note<M>) -> Result<(), CommandError> {
        let size = Self::weight(size);
        let before = self.queued.fetch_add(size, Ordering::Relaxed);
        if before > 0 && before + size > self.limit {
            self.queued.fetch_sub(size, Ordering::Relaxed);
            return Err(CommandError::Busy { bytes: before });
        }
        self.notes.send(note).map_err(|_| {
            self.queued.fetch_sub(size, Ordering::Relaxed);
            CommandError::Stopped { outcome: Outcome::NotApplied, position: None }
        })
    }

    /// How many bytes of commands the task has not taken yet.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// The task has taken a command of this size.
    pub(crate) fn taken(&self, size: usize) {
        self.queued.fetch_sub(Self::weight(size), Ordering::Relaxed);
    }

    const fn weight(size: usize) -> usize {
        size + Entry::OVERHEAD
    }
}

/// How many bytes a session's command has; nothing else of a session has any.
pub(crate) fn size_of(ask: &SessionAsk) -> usize {
    match ask {
        SessionAsk::Command { command, .. } => command.len(),
        SessionAsk::Begin { .. } | SessionAsk::End { .. } => 0,
    }
}
