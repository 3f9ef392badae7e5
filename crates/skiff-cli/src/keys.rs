//! `skiff put`, `get`, `delete` and `list`: the store, asked from outside.

use std::io::{self, Read};

use bytes::Bytes;
use serde_json::{Map, Value};
use skiff::{Client, CommandError, Consistency, Outcome, ReadError};
use skiff_kv::{Answer, Command, Kv, MAX_PAGE, MAX_VALUE_BYTES, Query, Response};

use crate::{
    args::{Delete, Get, List, Put},
    failure::{Exit, Failure},
    nodes::Nodes,
    say,
};

pub(crate) async fn put(args: Put) -> Result<(), Failure> {
    let value = match &*args.value {
        "-" => read_stdin()?,
        value => Bytes::copy_from_slice(value.as_bytes()),
    };
    let previous = write(&args.nodes, Command::put(&args.key, value)).await?;
    if args.json {
        return say::json(&object(&args.key, "previous", previous.as_ref()));
    }
    if let Some(previous) = previous {
        say::line(format_args!("replaced {}", text(&previous)));
    }
    Ok(())
}

pub(crate) async fn delete(args: Delete) -> Result<(), Failure> {
    let previous = write(&args.nodes, Command::delete(&args.key)).await?;
    if args.json {
        say::json(&object(&args.key, "previous", previous.as_ref()))?;
    } else if let Some(previous) = &previous {
        say::line(format_args!("deleted {}", text(previous)));
    }
    previous.map(drop).ok_or_else(|| not_there(&args.key))
}

pub(crate) async fn get(args: Get) -> Result<(), Failure> {
    let query = Query::Get { key: args.key.clone() };
    let answer = ask(&args.nodes.client()?, &args.nodes, args.local, query).await?;
    let Answer::Value(value) = answer else { return Err(unexpected()) };
    if args.json {
        say::json(&object(&args.key, "value", value.as_ref()))?;
    } else if let Some(value) = &value {
        say::raw(value);
        say::raw(b"\n");
    }
    value.map(drop).ok_or_else(|| not_there(&args.key))
}

pub(crate) async fn list(args: List) -> Result<(), Failure> {
    let client = args.nodes.client()?;
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut after = None;
    while left > 0 {
        let (prefix, limit) = (args.prefix.clone(), left.min(MAX_PAGE));
        let query = Query::List { prefix, after, limit };
        let answer = ask(&client, &args.nodes, args.local, query).await?;
        let Answer::Page { pairs, more } = answer else { return Err(unexpected()) };
        for (key, value) in &pairs {
            match args.json {
                true => say::json(&object(key, "value", Some(value)))?,
                false => say::line(format_args!("{key}\t{}", text(value))),
            }
        }
        after = pairs.last().map(|(key, _)| key.clone());
        if !more || after.is_none() {
            break;
        }
        left -= pairs.len();
    }
    Ok(())
}

/// Has a command carried out; returns what the key held before.
async fn write(nodes: &Nodes, command: Command) -> Result<Option<Bytes>, Failure> {
    // Long enough for all tries, and not much longer: it is ended below, if that can be.
    let client = nodes.client()?.exactly_once(nodes.timeout.saturating_mul(4));
    let done = client.command(command).await;
    if done.is_ok() {
        client.end_sessions().await;
    }
    match done {
        Ok(Response::Done { previous }) => Ok(previous),
        Ok(Response::Refused(refusal)) => Err(Failure::usage(refusal)),
        Ok(_) => Err(unexpected()),
        Err(error) => Err(not_written(nodes, &error)),
    }
}

fn not_written(nodes: &Nodes, error: &CommandError) -> Failure {
    let (names, timeout) = (nodes.names(), nodes.timeout);
    match error.outcome() {
        // A node that does not lead was asked until the time was up.
        Outcome::NotApplied
            if matches!(error, CommandError::Timeout { .. } | CommandError::NotLeader { .. }) =>
        {
            Failure::failed(format!(
                "no leader was found within {timeout:?}; nothing was written. See how the nodes \
                 stand with `skiff status --nodes {names}`"
            ))
        }
        Outcome::NotApplied => Failure::failed(format!("{error}; nothing was written")),
        Outcome::Unknown => Failure::new(
            Exit::Unknown,
            format!(
                "{error}. Look with `skiff get` before trying again, and with `skiff status \
                 --nodes {names}` at whether a majority is up"
            ),
        ),
        Outcome::AppliedResponseLost => Failure::new(
            Exit::Unknown,
            format!("it was written, but the answer cannot be used: {error}"),
        ),
    }
}

/// Puts a question to the leader, or to the first of the nodes about what that has applied.
async fn ask(
    client: &Client<Kv>,
    nodes: &Nodes,
    local: bool,
    query: Query,
) -> Result<Answer, Failure> {
    let (at, consistency) = match local {
        true => (nodes.nodes.first().map(String::as_str), Consistency::Local),
        false => (None, Consistency::Linearizable),
    };
    let answer = client.query_at(at, consistency, query).await;
    answer.map_err(|error| match (&error, local) {
        (ReadError::Timeout | ReadError::NotLeader { .. }, false) => Failure::failed(format!(
            "no leader that a majority follows answered within {:?}. See how the nodes stand with \
             `skiff status --nodes {names}`, or read what one node has with --local",
            nodes.timeout,
            names = nodes.names()
        )),
        (ReadError::Timeout, true) => Failure::failed(format!(
            "the node at {} does not answer; is it running?",
            at.unwrap_or_default()
        )),
        _ => Failure::failed(error),
    })
}

fn read_stdin() -> Result<Bytes, Failure> {
    let mut value = Vec::new();
    // One byte more than allowed is enough to be told how much is.
    let limit = MAX_VALUE_BYTES as u64 + 1;
    io::stdin().lock().take(limit).read_to_end(&mut value)?;
    Ok(value.into())
}

fn not_there(key: &str) -> Failure {
    Failure::new(Exit::NotFound, format_args!("the key `{key}` is not there"))
}

fn unexpected() -> Failure {
    Failure::failed("the node answered something else than was asked; is it of another version?")
}

/// Bytes as text; what is none is shown as such.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A key with what it holds. What is no text stands as hexadecimal digits, under another name.
fn object(key: &str, name: &str, value: Option<&Bytes>) -> Value {
    let mut object = Map::new();
    object.insert("key".to_owned(), key.into());
    match value.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
        None => object.insert(name.to_owned(), Value::Null),
        Some(Ok(text)) => object.insert(name.to_owned(), text.into()),
        Some(Err(bytes)) => object.insert(format!("{name}_hex"), format!("{bytes:x}").into()),
    };
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_text_in_json_or_else_hexadecimal() {
        let value = Bytes::from_static(b"v\"");
        assert_eq!(object("k", "value", Some(&value)).to_string(), r#"{"key":"k","value":"v\""}"#);
        let value = Bytes::from_static(b"\xff\x00");
        assert_eq!(
            object("k", "value", Some(&value)).to_string(),
            r#"{"key":"k","value_hex":"ff00"}"#
        );
        assert_eq!(object("k", "value", None).to_string(), r#"{"key":"k","value":null}"#);
    }
}
