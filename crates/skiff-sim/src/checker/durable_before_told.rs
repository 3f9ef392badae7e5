//! Nothing leaves a node that is not durable there: terms, votes, acknowledgements; and what is taken
//! for committed is durable on a quorum (dissertation 3.8).

use std::collections::BTreeSet;

use skiff_replica::{
    Position, Term,
    core::{AppendOutcome, HardState, Message, NodeId, Raft},
};

use super::ledger::Ledger;
use crate::failure::{Verdict, must};

/// This message leaves the node.
pub(crate) fn sends(ledger: &Ledger, to: NodeId, term: Term, message: &Message) -> Verdict {
    must(ledger.hard.term >= term, || {
        format!("a message of term {term} leaves, {} is durable", ledger.hard.term)
    })?;
    let vote_for = match message {
        Message::Vote { .. } => Some(ledger.node),
        Message::VoteReply { granted: true } => Some(to),
        _ => None,
    };
    if let Some(vote) = vote_for {
        let given = HardState { term, vote: Some(vote) };
        must(ledger.hard == given, || {
            format!("a vote for {vote} in term {term} leaves, {:?} is durable", ledger.hard)
        })?;
    }
    if let Message::AppendReply(reply) = message
        && let AppendOutcome::Matched(matched) = reply.outcome
    {
        must(matched <= ledger.reach(), || {
            format!("{matched} is acknowledged, {} is durable", ledger.reach())
        })?;
    }
    Ok(())
}

/// Somebody takes this entry for committed.
pub(crate) fn committed(
    ledgers: &[Ledger],
    wiped: &BTreeSet<NodeId>,
    raft: &Raft,
    at: Position,
) -> Verdict {
    let holds = |id| {
        wiped.contains(&id) || ledgers.iter().any(|ledger| ledger.node == id && ledger.holds(at))
    };
    // Who commits an entry may have had a later membership by then than was in force at the entry.
    let mut memberships = raft.memberships_from(at.index);
    must(memberships.any(|members| members.has_quorum(holds)), || {
        let members = raft.membership();
        let holders: Vec<_> = members.voters.iter().filter(|id| holds(**id)).collect();
        format!("{at} is committed, but durable only on {holders:?} of {:?}", members.voters)
    })
}
