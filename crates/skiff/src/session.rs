//! A session through a node: commands in it are executed once, however often they are tried.

use std::{fmt, time::Duration};

use bytes::Bytes;
use skiff_replica::{
    CommandError, Encoded, Instant, Outcome, SessionAsk, SessionId, Snapshots, StateMachine,
};
use tokio::sync::oneshot;

use crate::node::Node;

/// How long to wait before a command that was refused is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// A session, from [`Node::session`]. One command at a time, each numbered; what one answered is kept by
/// the whole cluster until the next is given. So a command whose outcome is unknown can be
/// [tried again](Self::retry), through this node or [another](Self::through), and is executed once.
///
/// A session that is not used for its [timeout](crate::Options::session_timeout) expires, in the log's own
/// time, which stands still while nobody leads. It is not ended when this is dropped, but by
/// [`end`](Self::end) or by expiring.
pub struct Session<M: Snapshots> {
    node: Node<M>,
    id: SessionId,
    /// That of the newest command.
    number: u64,
    /// That command, until its outcome is known.
    pending: Option<Pending>,
}

struct Pending {
    command: Bytes,
    /// Why its outcome is not known, if it may have been executed.
    doubt: Option<CommandError>,
}

impl<M: Snapshots> fmt::Debug for Session<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, number, .. } = self;
        f.debug_struct("Session").field("id", id).field("number", number).finish_non_exhaustive()
    }
}

impl<M: Snapshots> Session<M> {
    pub(crate) async fn begin(node: Node<M>) -> Result<Self, CommandError> {
        let options = node.options();
        let (timeout, deadline) = (options.session_timeout, options.command_timeout);
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        let answer =
            node.in_session(SessionAsk::Begin { timeout_ms }, node.after(deadline)).await?;
        let id = session_id(&answer)?;
        Ok(Self { node, id, number: 0, pending: None })
    }

    /// Names the session in its cluster.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Goes on through another node of the same cluster.
    pub fn through(&mut self, node: &Node<M>) {
        self.node = node.clone();
    }

    /// Has a command executed once, and returns the machine's response. Where that is safe it is tried
    /// again within the [command timeout](crate::Options::command_timeout).
    ///
    /// A command before it whose outcome is unknown is given up: if it was not executed by now it never
    /// will be.
    ///
    /// # Errors
    ///
    /// As [`Node::command`]. If the [outcome](CommandError::outcome) is unknown, the command can be
    /// [tried again](Self::retry). A session that has [expired](CommandError::SessionExpired) is of no
    /// more use.
    pub async fn command(
        &mut self,
        command: impl Into<M::Command>,
    ) -> Result<M::Response, CommandError> {
        let command = command.into().encode().map_err(|error| CommandError::Undecodable {
            reason: error.to_string(),
            outcome: Outcome::NotApplied,
        })?;
        self.number += 1;
        self.pending = Some(Pending { command, doubt: None });
        self.run().await
    }

    /// Tries the newest command again. If it was executed meanwhile, it is not executed again, and its
    /// response comes.
    ///
    /// # Errors
    ///
    /// As [`command`](Self::command); [`CommandError::Acknowledged`] if its outcome is known already.
    pub async fn retry(&mut self) -> Result<M::Response, CommandError> {
        self.run().await
    }

    /// Ends the session: the cluster forgets it.
    ///
    /// # Errors
    ///
    /// As [`Node::command`]. It then ends by expiring.
    pub async fn end(self) -> Result<(), CommandError> {
        let deadline = self.node.after(self.node.options().command_timeout);
        self.node.in_session(SessionAsk::End { session: self.id.0 }, deadline).await.map(drop)
    }

    async fn run(&mut self) -> Result<M::Response, CommandError> {
        let deadline = self.node.after(self.node.options().command_timeout);
        let Some(pending) = &mut self.pending else { return Err(CommandError::Acknowledged) };
        loop {
            let (session, number) = (self.id.0, self.number);
            let ask = SessionAsk::Command { session, number, command: pending.command.clone() };
            let error = match self.node.in_session(ask, deadline).await {
                Ok(response) => {
                    self.pending = None;
                    return response_of::<M>(&response);
                }
                Err(error) => error,
            };
            let again = may_again(&error) && !self.node.is_past(deadline);
            let error = note(&mut pending.doubt, error);
            if !again {
                if error.outcome() != Outcome::Unknown {
                    self.pending = None;
                }
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether a command of a session that failed so may be tried again at once.
pub(crate) const fn may_again(error: &CommandError) -> bool {
    matches!(
        error,
        CommandError::LeadershipLost { .. }
            | CommandError::Disconnected
            | CommandError::Busy { .. }
    )
}

/// What is known after a command failed so, with what was known before: a try that had no effect says
/// nothing about those before it.
pub(crate) fn note(doubt: &mut Option<CommandError>, error: CommandError) -> CommandError {
    match (error.outcome(), &*doubt) {
        (Outcome::Unknown, _) => {
            *doubt = Some(error.clone());
            error
        }
        (Outcome::NotApplied, Some(_)) if matches!(error, CommandError::SessionExpired { .. }) => {
            CommandError::SessionExpired { outcome: Outcome::Unknown }
        }
        (Outcome::NotApplied, Some(doubt)) => doubt.clone(),
        _ => error,
    }
}

/// The session that an answer names.
pub(crate) fn session_id(answer: &Bytes) -> Result<SessionId, CommandError> {
    let number = answer.as_ref().try_into().map(u64::from_le_bytes);
    number.map(SessionId).map_err(|_| CommandError::Undecodable {
        reason: "what was answered is no session".to_owned(),
        outcome: Outcome::Unknown,
    })
}

/// The machine's response in these bytes.
pub(crate) fn response_of<M: StateMachine>(response: &Bytes) -> Result<M::Response, CommandError> {
    M::Response::decode(response).map_err(|error| CommandError::Undecodable {
        reason: error.reason,
        outcome: Outcome::AppliedResponseLost,
    })
}

/// What a session needs of its node.
impl<M: Snapshots> Node<M> {
    fn after(&self, timeout: Duration) -> Instant {
        self.shared().clock.after(timeout)
    }

    fn is_past(&self, deadline: Instant) -> bool {
        self.shared().clock.now() >= deadline
    }

    async fn in_session(&self, ask: SessionAsk, deadline: Instant) -> Result<Bytes, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.shared().mailbox.session(ask, deadline, reply)?;
        answer.await.unwrap_or_else(|_| {
            Err(CommandError::Stopped { outcome: Outcome::Unknown, position: None })
        })
    }
}
