//! Messages made up by the script.

use skiff_core::{Append, AppendOutcome, AppendReply, Index, Input, Message, Round, Term};

use super::{
    Runner,
    words::{Args, Res},
};

impl Runner {
    /// `say 2 1 append term=2 ..`: node 1 receives this from 2.
    pub(super) fn say(&mut self, args: &mut Args) -> Res<()> {
        let (from, to) = (args.node()?, args.node()?);
        let kind = args.must_word()?;
        let term = Term(args.number("term")?.ok_or("term= is missing")?);
        let message = match kind.as_str() {
            "prevote" => {
                let campaign = Term(args.number_or("campaign", term.0 + 1)?);
                Message::PreVote { campaign, last: args.position("last")? }
            }
            "prevote-reply" => {
                let campaign = Term(args.number_or("campaign", term.0 + 1)?);
                Message::PreVoteReply { campaign, granted: args.switch("granted", true)? }
            }
            "vote" => Message::Vote {
                last: args.position("last")?,
                transfer: args.switch("transfer", false)?,
            },
            "vote-reply" => Message::VoteReply { granted: args.switch("granted", true)? },
            "append" => Message::Append(Append {
                seq: args.number_or("seq", 1)?,
                round: Round(args.number_or("round", 1)?),
                prev: args.position("prev")?,
                commit: Index(args.number_or("commit", 0)?),
                entries: args.entries()?,
            }),
            "matched" => append_reply(args, |args| {
                Ok(AppendOutcome::Matched(Index(args.must_word()?.parse()?)))
            })?,
            "mismatch" => append_reply(args, |args| {
                let prev = Index(args.must_word()?.parse()?);
                Ok(AppendOutcome::Mismatch { prev, hint: args.position("hint")? })
            })?,
            "timeout-now" => Message::TimeoutNow,
            "removed" => Message::Removed { index: Index(args.must_word()?.parse()?) },
            "read-index" => Message::ReadIndex { batch: args.number_or("batch", 0)? },
            "read-index-reply" => {
                let batch = self.names.batch_named(args.number_or("batch", 0)?);
                Message::ReadIndexReply { batch, index: args.number("index")?.map(Index) }
            }
            other => return Err(format!("{other} is no message").into()),
        };
        self.cluster()?.step(to, Input::Message { from, term, message });
        Ok(())
    }
}

fn append_reply(
    args: &mut Args,
    outcome: impl FnOnce(&mut Args) -> Res<AppendOutcome>,
) -> Res<Message> {
    let outcome = outcome(args)?;
    let last = match outcome {
        AppendOutcome::Matched(index) => index,
        AppendOutcome::Mismatch { hint, .. } => hint.index,
    };
    Ok(Message::AppendReply(AppendReply {
        seq: args.number_or("seq", 1)?,
        round: Round(args.number_or("round", 0)?),
        last: Index(args.number_or("last", last.0)?),
        outcome,
    }))
}
