//! What waits to leave: promises that are held back until they are durable, and what can be told
//! at once.

use alloc::collections::VecDeque;
use core::mem::discriminant;

use crate::{
    disk::Disk,
    message::Message,
    output::{Event, Output},
    types::{HardState, NodeId},
};

/// What must be durable before a promise may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Gate {
    /// The current term.
    Term,
    /// The current term and the vote in it.
    Vote,
}

/// A message whose content was fixed when it was decided. It is dropped when the term or the role
/// that made it is gone.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Promise {
    pub(crate) to: NodeId,
    message: Message,
    gate: Gate,
}

/// Whether somebody waits for this very message, and no later one will do.
const fn is_granted(message: &Message) -> bool {
    matches!(
        message,
        Message::Vote { .. }
            | Message::VoteReply { granted: true }
            | Message::ReadIndexReply { index: Some(_), .. }
    )
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) promises: VecDeque<Promise>,
    /// Events and refusals, which wait for nothing.
    news: VecDeque<Output>,
}

impl Outbox {
    pub(crate) fn promise(&mut self, to: NodeId, message: Message, gate: Gate) {
        // While the disk is stuck refusals would pile up: only the newest of a kind is kept for
        // each peer. What was granted stays as it is.
        let kind = discriminant(&message);
        self.promises.retain(|one| {
            one.to != to || is_granted(&one.message) || discriminant(&one.message) != kind
        });
        self.promises.push_back(Promise { to, message, gate });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.news.push_back(Output::Event(event));
    }

    pub(crate) fn tell(&mut self, output: Output) {
        self.news.push_back(output);
    }

    /// Drops all that was promised: the term or the role is gone.
    pub(crate) fn forget_promises(&mut self) {
        self.promises.clear();
    }

    pub(crate) fn next_news(&mut self) -> Option<Output> {
        self.news.pop_front()
    }

    /// The next promise that may leave.
    pub(crate) fn next_promise(
        &mut self,
        disk: &Disk,
        hard: HardState,
    ) -> Option<(NodeId, Message)> {
        let next = self.promises.iter().position(|promise| match promise.gate {
            Gate::Term => disk.holds_term(hard),
            Gate::Vote => disk.holds_vote(hard),
        })?;
        self.promises.remove(next).map(|promise| (promise.to, promise.message))
    }
}
