//! The store.

use std::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use skiff::{At, Queries, StateMachine};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::{
    command::Command,
    query::{Answer, MAX_PAGE, Query},
    response::Response,
};

/// A page ends once its pairs have so many bytes.
const PAGE_BYTES: usize = 4 << 20;

/// Keys and their values, in memory, ordered by key. A clone shares them until one of the two changes, so it
/// costs nothing: a snapshot is taken of a store of any size without holding up who writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Pairs")]
pub struct Kv {
    pairs: OrdMap<String, Bytes>,
    /// The sum of the checksums of all pairs: the digest, which follows each change.
    #[serde(skip)]
    sum: u64,
}

/// As a store is kept.
#[derive(Deserialize)]
struct Pairs {
    pairs: OrdMap<String, Bytes>,
}

impl From<Pairs> for Kv {
    fn from(Pairs { pairs }: Pairs) -> Self {
        let sums = pairs.iter().map(|(key, value)| checksum(key, value));
        let sum = sums.fold(0, u64::wrapping_add);
        Self { pairs, sum }
    }
}

impl Kv {
    /// A store that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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
        let range = self.pairs.range::<_, str>((first, Bound::Unbounded));
        range.take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn set(&mut self, key: String, value: Option<Bytes>) -> Response {
        let held = self.pairs.get(&key).map_or(0, |held| checksum(&key, held));
        let added = value.as_ref().map_or(0, |value| checksum(&key, value));
        self.sum = self.sum.wrapping_sub(held).wrapping_add(added);
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
}

/// The checksum of a pair. The digest of a store is the sum of those of its pairs.
///
/// The same in every version of this crate, since nodes compare what becomes of it.
#[must_use]
pub fn checksum(key: &str, value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64(key.as_bytes()))
}

impl StateMachine for Kv {
    type Command = Command;
    type Response = Response;

    fn apply(&mut self, command: Command, _: At) -> Response {
        if let Err(refusal) = command.within_limits() {
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
        Some(self.sum)
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
            Query::Digest => Answer::Digest(self.sum),
        }
    }
}

#[cfg(test)]
mod tests;
