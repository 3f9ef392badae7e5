//! What nodes say to each other. Every message travels with the sender's current term, which is
//! part of the envelope ([`Output::Send`](crate::Output::Send),
//! [`Input::Message`](crate::Input::Message)) and not repeated in here.

use alloc::vec::Vec;

use crate::{
    entry::Entry,
    types::{Index, Position, Round, Term},
};

/// A message between the cores of two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Would you vote for me in `campaign`? Changes nothing at the receiver (dissertation 9.6).
    PreVote {
        /// The term the sender would campaign in: its own plus one.
        campaign: Term,
        /// Where the sender's log ends.
        last: Position,
    },
    /// The answer to a [`PreVote`](Self::PreVote).
    PreVoteReply {
        /// The term that was asked for.
        campaign: Term,
        /// Whether the vote would be given.
        granted: bool,
    },
    /// Vote for me in the term of this message (RequestVote, dissertation 3.4).
    Vote {
        /// Where the sender's log ends.
        last: Position,
        /// Whether the sender was told to campaign by the leader it succeeds (3.10); voters then
        /// waive that they hear a leader.
        transfer: bool,
    },
    /// The answer to a [`Vote`](Self::Vote) of the same term.
    VoteReply {
        /// Whether the vote was given.
        granted: bool,
    },
    /// Entries, a sign of life, or both (AppendEntries, dissertation 3.5).
    Append(Append),
    /// The answer to [`Append`](Self::Append)s.
    AppendReply(AppendReply),
    /// Campaign now, without pre-vote (leadership transfer, dissertation 3.10).
    TimeoutNow,
    /// The answer to somebody's wish to campaign who is no member any more. It is one no longer as of
    /// this index, and that is committed.
    Removed {
        /// Where the membership stands that is without the receiver.
        index: Index,
    },
    /// A follower asks the leader for an index at which its waiting reads are linearizable.
    ReadIndex {
        /// Names the batch of reads. Never used twice by one node, over restarts too.
        batch: u64,
    },
    /// The leader's answer to a [`ReadIndex`](Self::ReadIndex).
    ReadIndexReply {
        /// The batch that was asked for.
        batch: u64,
        /// Reads of this batch may be served once this index is applied; `None` if the node that
        /// was asked does not lead.
        index: Option<Index>,
    },
}

/// The body of [`Message::Append`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Append {
    /// The number of this Append among all that its sender sent to this peer in this term.
    pub seq: u64,
    /// The newest round of signs of life this Append belongs to.
    pub round: Round,
    /// What must stand before the entries.
    pub prev: Position,
    /// The entries that follow `prev`, without a gap.
    pub entries: Vec<Entry>,
    /// How far the leader knows the log to be committed.
    pub commit: Index,
}

/// The body of [`Message::AppendReply`]: facts about the follower as they stood when it left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppendReply {
    /// The highest [`Append::seq`] received from this leader in this term; zero if none was, and
    /// this only tells of the term.
    pub seq: u64,
    /// The highest [`Append::round`] received from this leader in this term.
    pub round: Round,
    /// How far the follower's log goes, durable or not: where it is known to equal the leader's if
    /// it [matched](AppendOutcome::Matched), where it ends if not.
    pub last: Index,
    /// What became of it.
    pub outcome: AppendOutcome,
}

/// What an [`AppendReply`] says about the follower's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendOutcome {
    /// The follower's log equals the leader's up to and including this index, and is durable there.
    Matched(Index),
    /// The Append numbered [`AppendReply::seq`] did not fit.
    Mismatch {
        /// Its [`Append::prev`].
        prev: Index,
        /// The follower's last entry at or before `prev` whose term is not above `prev`'s: where
        /// the logs may agree. One round trip per term at most (dissertation 3.5).
        hint: Position,
    },
}
