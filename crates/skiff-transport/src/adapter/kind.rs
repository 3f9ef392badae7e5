//! Which envelopes wait for an answer, and which answer which.

use skiff_core::{Message, Term};

use crate::envelope::{Body, Envelope};

/// A question that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    PreVote { campaign: Term },
    Vote { term: Term },
    Append { term: Term, seq: u64 },
    ReadIndex { batch: u64 },
}

impl Question {
    /// What `envelope` asks; `None` if it needs no answer.
    pub(super) const fn of(envelope: &Envelope) -> Option<Self> {
        let Body::Raft { term, message } = &envelope.body else { return None };
        match message {
            Message::PreVote { campaign, .. } => Some(Self::PreVote { campaign: *campaign }),
            Message::Vote { .. } => Some(Self::Vote { term: *term }),
            Message::Append(append) => Some(Self::Append { term: *term, seq: append.seq }),
            Message::ReadIndex { batch } => Some(Self::ReadIndex { batch: *batch }),
            Message::PreVoteReply { .. }
            | Message::VoteReply { .. }
            | Message::AppendReply(_)
            | Message::TimeoutNow
            | Message::Removed { .. }
            | Message::ReadIndexReply { .. } => None,
        }
    }

    /// Whether `envelope` answers this. A reply of a later term answers all before it.
    pub(super) fn is_answered_by(self, envelope: &Envelope) -> bool {
        let Body::Raft { term, message } = &envelope.body else { return false };
        match (self, message) {
            (Self::PreVote { campaign }, Message::PreVoteReply { campaign: of, .. }) => {
                campaign <= *of
            }
            (Self::Vote { term: of }, Message::VoteReply { .. }) => of <= *term,
            (Self::Append { term: of, seq }, Message::AppendReply(reply)) => {
                of < *term || (of == *term && seq <= reply.seq)
            }
            (Self::ReadIndex { batch }, Message::ReadIndexReply { batch: of, .. }) => batch == *of,
            _ => false,
        }
    }
}
