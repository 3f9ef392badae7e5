//! Puts what happens into words, for traces.

use skiff_replica::{
    core::{AppendOutcome, Message, Write},
    transport::{Body, Envelope},
};

pub(super) fn write(write: &Write) -> String {
    let mut words = format!("writes {}", write.id);
    if let Some(base) = write.begin_after {
        words += &format!(", beginning after {base}");
    }
    if let Some(from) = write.truncate_from {
        words += &format!(", cut from {from}");
    }
    if let (Some(first), Some(last)) = (write.entries.first(), write.entries.last()) {
        words += &format!(", {} to {}", first.position(), last.position());
    }
    let (term, vote) = (write.hard_state.term, write.hard_state.vote);
    let vote = vote.map_or_else(|| "none".to_owned(), |id| id.to_string());
    words + &format!(", term {term}, vote {vote}")
}

pub(super) fn envelope(to: usize, envelope: &Envelope) -> String {
    format!("-> n{to}  {}", body(&envelope.body))
}

pub(super) fn arrival(from: usize, envelope: &Envelope) -> String {
    format!("<- n{from}  {}", body(&envelope.body))
}

fn body(body: &Body) -> String {
    match body {
        Body::Raft { term, message } => format!("t{term} {}", self::message(message)),
        Body::Hello(hello) => format!("Hello {:?} boot nonce {:x}", hello.standing, hello.nonce),
        Body::Genesis(genesis) => format!("Genesis {:x}", genesis.instance >> 96),
        Body::Request(request) => format!("Request {}", request.id),
        Body::Fetch(fetch) => format!("Fetch {}: {} to {}", fetch.id, fetch.from, fetch.last),
        Body::Fetched(fetched) => {
            let (id, found, count) = (fetched.id, fetched.found, fetched.entries.len());
            format!("Fetched {id}: {found:?}, {count} entries after {}", fetched.prev)
        }
        Body::Answer(answer) => format!("Answer {}, ok: {}", answer.id, answer.result.is_ok()),
        _ => "something".to_owned(),
    }
}

fn message(message: &Message) -> String {
    match message {
        Message::Append(append) => {
            let last = append.entries.last().map_or(append.prev, |entry| entry.position());
            let (prev, commit, round) = (append.prev, append.commit, append.round);
            format!(
                "Append after {prev} to {last}, commit {commit}, round {round}, #{}",
                append.seq
            )
        }
        Message::AppendReply(reply) => match reply.outcome {
            AppendOutcome::Matched(matched) => {
                format!("AppendReply matched {matched}, last {}, #{}", reply.last, reply.seq)
            }
            AppendOutcome::Mismatch { prev, hint } => {
                format!("AppendReply mismatch at {prev}, hint {hint}, #{}", reply.seq)
            }
        },
        other => format!("{other:?}"),
    }
}
