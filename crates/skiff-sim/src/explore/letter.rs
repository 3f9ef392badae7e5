//! A message on its way.

use std::fmt;

use skiff_replica::{
    Term,
    core::{AppendOutcome, Message},
};

use super::{
    print,
    step::{Node, name},
};

/// Names no node but in `from` and `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) from: Node,
    pub(super) to: Node,
    pub(super) term: Term,
    pub(super) message: Message,
    /// The number of term and message.
    pub(super) print: u64,
}

impl Letter {
    pub(super) fn new(from: Node, to: Node, term: Term, message: Message) -> Self {
        let print = print::of(&(term, &message));
        Self { from, to, term, message, print }
    }

    /// Whom it goes to, and from whom.
    pub(super) const fn link(&self) -> (Node, Node) {
        (self.to, self.from)
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} of term {}: ", name(self.from), self.term)?;
        say(&self.message, f)
    }
}

fn say(message: &Message, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match message {
        Message::PreVote { campaign, last } => {
            write!(f, "would you vote for me in term {campaign}? my log ends at {last}")
        }
        Message::PreVoteReply { campaign, granted: true } => {
            write!(f, "I would vote for you in term {campaign}")
        }
        Message::PreVoteReply { campaign, granted: false } => {
            write!(f, "I would not vote for you in term {campaign}")
        }
        Message::Vote { last, .. } => write!(f, "vote for me, my log ends at {last}"),
        Message::VoteReply { granted: true } => f.write_str("my vote is yours"),
        Message::VoteReply { granted: false } => f.write_str("you do not get my vote"),
        Message::Append(append) => {
            write!(f, "append ")?;
            for entry in &append.entries {
                write!(f, "{} ", entry.position())?;
            }
            let (prev, commit) = (append.prev, append.commit);
            write!(f, "after {prev}, committed {commit} (number {}, ", append.seq)?;
            write!(f, "round {})", append.round)
        }
        Message::AppendReply(reply) => {
            match reply.outcome {
                AppendOutcome::Matched(index) => write!(f, "I hold everything up to {index}, ")?,
                AppendOutcome::Mismatch { prev, hint } => {
                    write!(f, "I have nothing that fits at {prev}, try {hint}, ")?;
                }
            }
            let (seq, round) = (reply.seq, reply.round);
            write!(f, "my log goes to {} (number {seq}, round {round})", reply.last)
        }
        other => write!(f, "{other:?}"),
    }
}
