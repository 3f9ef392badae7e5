//! The store.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skiff::{At, Queries, StateMachine};

use crate::{
    command::Command,
    limits::{Refusal, check_key, check_value},
    query::{Answer, MAX_PAGE, Query},
    response::Response,
};

/// A page ends once its pairs have so many bytes.
const PAGE_BYTES: usize = 4 << 20;

/// Keys and their values, in memory, ordered by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kv {
    pairs: BTreeMap<String, Bytes>,
}

impl Kv {
    /// A store that holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { pairs: BTreeMap::new() }
    }

    /// What a key holds.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Bytes> {
        self.pairs.get(key)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The pairs whose key begins with `prefix` and comes after `after`, in order.
    pub fn iter_from<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a String, &'a Bytes)> {
        let first = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = self.pairs.range::<str, _>((first, Bound::Unbounded));
        range.take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn set(&mut self, key: String, value: Option<Bytes>) -> Response {
        let previous = match value {
            Some(value) => self.pairs.insert(key, value),
            None => self.pairs.remove(&key),
        };
        Response::Done { previous }
    }

    fn page(&self, prefix: &str, after: Option<&str>, limit: usize) -> Answer {
        let mut pairs: Vec<(String, Bytes)> = Vec::new();
        let mut bytes = 0;
        for (key, value) in self.iter_from(prefix, after) {
            if pairs.len() == limit.min(MAX_PAGE) || bytes >= PAGE_BYTES {
                return Answer::Page { pairs, more: true };
            }
            bytes += key.len() + value.len();
            pairs.push((key.clone(), value.clone()));
        }
        Answer::Page { pairs, more: false }
    }

    fn checksum(&self) -> u64 {
        let mut hash = Fnv::default();
        for (key, value) in &self.pairs {
            hash.field(key.as_bytes());
            hash.field(value);
        }
        hash.0
    }
}

fn check(command: &Command) -> Result<(), Refusal> {
    match command {
        Command::Put { key, value } => check_key(key).and_then(|()| check_value(value)),
        Command::Delete { key } => check_key(key),
        Command::CompareAndSet { key, value, .. } => {
            check_key(key)?;
            value.as_ref().map_or(Ok(()), check_value)
        }
    }
}

impl StateMachine for Kv {
    type Command = Command;
    type Response = Response;

    fn apply(&mut self, command: Command, _: At) -> Response {
        if let Err(refusal) = check(&command) {
            return refusal.into();
        }
        match command {
            Command::Put { key, value } => self.set(key, Some(value)),
            Command::Delete { key } => self.set(key, None),
            Command::CompareAndSet { key, expected, value } => {
                let found = self.get(&key);
                if found != expected.as_ref() {
                    return Response::Differs { found: found.cloned() };
                }
                self.set(key, value)
            }
        }
    }

    fn digest(&self) -> Option<u64> {
        Some(self.checksum())
    }
}

impl Queries for Kv {
    type Query = Query;
    type Answer = Answer;

    fn query(&self, query: Query) -> Answer {
        match query {
            Query::Get { key } => Answer::Value(self.get(&key).cloned()),
            Query::List { prefix, after, limit } => self.page(&prefix, after.as_deref(), limit),
            Query::Len => Answer::Len(self.len() as u64),
            Query::Digest => Answer::Digest(self.checksum()),
        }
    }
}

/// FNV-1a with 64 bits.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// The length goes first, so that no two different lists of fields give the same bytes.
    fn field(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests;
