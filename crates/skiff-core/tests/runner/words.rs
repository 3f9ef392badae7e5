//! How a script writes things: `3/t2=x` is the entry at index 3 of term 2 with command `x`.

use std::{collections::BTreeSet, error::Error, str::FromStr};

use bytes::Bytes;
use goldenscript::{Argument, Command};
use skiff_core::{Entry, Index, LogTime, Membership, NodeId, Payload, Position, Term};

pub type Res<T> = Result<T, Box<dyn Error>>;

/// The arguments of a command, taken one by one; what is left over is an error.
pub struct Args {
    positional: std::collections::VecDeque<String>,
    keyed: Vec<(String, String)>,
}

impl Args {
    pub fn of(command: &Command) -> Self {
        let mut args = Self { positional: [].into(), keyed: Vec::new() };
        for argument in &command.args {
            match argument {
                Argument::KeyValue(key, value) => args.keyed.push((key.clone(), value.clone())),
                other => args.positional.push_back(match other {
                    Argument::Positional(value) => value.clone(),
                    _ => other.to_string(),
                }),
            }
        }
        args
    }

    /// The next word, if there is one.
    pub fn word(&mut self) -> Option<String> {
        self.positional.pop_front()
    }

    pub fn must_word(&mut self) -> Res<String> {
        self.word().ok_or_else(|| "a word is missing".into())
    }

    /// The next word, which names a node.
    pub fn node(&mut self) -> Res<NodeId> {
        node(&self.must_word()?)
    }

    /// All words that are left, which name nodes.
    pub fn nodes(&mut self) -> Res<Vec<NodeId>> {
        self.positional.drain(..).map(|word| node(&word)).collect()
    }

    pub fn key(&mut self, name: &str) -> Option<String> {
        let at = self.keyed.iter().position(|(key, _)| key == name)?;
        Some(self.keyed.remove(at).1)
    }

    pub fn number<T: FromStr>(&mut self, name: &str) -> Res<Option<T>>
    where
        T::Err: Error + 'static,
    {
        self.key(name).map(|text| Ok(text.parse()?)).transpose()
    }

    pub fn number_or<T: FromStr>(&mut self, name: &str, default: T) -> Res<T>
    where
        T::Err: Error + 'static,
    {
        Ok(self.number(name)?.unwrap_or(default))
    }

    /// `name=yes` or `name=no`.
    pub fn switch(&mut self, name: &str, default: bool) -> Res<bool> {
        match self.key(name).as_deref() {
            None => Ok(default),
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            Some(other) => Err(format!("{name} is yes or no, not {other}").into()),
        }
    }

    /// `name="1 2 3"`.
    pub fn id_set(&mut self, name: &str) -> Res<BTreeSet<NodeId>> {
        let text = self.key(name).unwrap_or_default();
        text.split_whitespace().map(node).collect()
    }

    /// `voters="1 2" outgoing="2 3" learners="4"`.
    pub fn membership(&mut self) -> Res<Membership> {
        let mut membership = Membership {
            voters: self.id_set("voters")?,
            outgoing: self.id_set("outgoing")?,
            learners: self.id_set("learners")?,
            ..Membership::default()
        };
        membership.nodes = membership.members().map(|id| (id, Default::default())).collect();
        Ok(membership)
    }

    pub fn position(&mut self, name: &str) -> Res<Position> {
        self.key(name).map_or(Ok(Position::ZERO), |text| position(&text))
    }

    /// All that is left of the form `3/t2=x`. `noop`, `unknown` and `voters:1:2` are special.
    pub fn entries(&mut self) -> Res<Vec<Entry>> {
        let mut entries = Vec::new();
        for (key, value) in std::mem::take(&mut self.keyed) {
            let Position { term, index } = position(&key)?;
            let payload = payload(&value)?;
            entries.push(Entry { term, index, time: LogTime::ZERO, payload });
        }
        Ok(entries)
    }

    pub fn nothing_else(self) -> Res<()> {
        match (self.positional.front(), self.keyed.first()) {
            (Some(word), _) | (_, Some((word, _))) => Err(format!("what is {word}?").into()),
            (None, None) => Ok(()),
        }
    }
}

/// `voters 1 2 outgoing 2 3 learners 4`.
fn membership_of(text: &str) -> Res<Membership> {
    let mut membership = Membership::default();
    let mut into = &mut membership.voters;
    for word in text.split_whitespace() {
        match word {
            "voters" => into = &mut membership.voters,
            "outgoing" => into = &mut membership.outgoing,
            "learners" => into = &mut membership.learners,
            id => drop(into.insert(node(id)?)),
        }
    }
    membership.nodes = membership.members().map(|id| (id, Default::default())).collect();
    Ok(membership)
}

fn payload(text: &str) -> Res<Payload> {
    if text.starts_with("voters ") {
        return Ok(Payload::Membership(Box::new(membership_of(text)?)));
    }
    Ok(match text {
        "noop" => Payload::Noop,
        "unknown" => Payload::Unknown { kind: 77, body: Bytes::new() },
        command => Payload::Command(Bytes::from(command.to_owned())),
    })
}

pub fn node(text: &str) -> Res<NodeId> {
    Ok(NodeId(text.strip_prefix('n').unwrap_or(text).parse()?))
}

pub fn index(text: &str) -> Res<Index> {
    Ok(Index(text.parse()?))
}

/// `3/t2`.
pub fn position(text: &str) -> Res<Position> {
    let (index, term) = text.split_once("/t").ok_or_else(|| format!("{text} is no position"))?;
    Ok(Position { term: Term(term.parse()?), index: Index(index.parse()?) })
}
