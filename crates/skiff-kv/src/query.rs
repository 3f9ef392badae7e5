//! What can be asked from elsewhere.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The most pairs in one answer to [`Query::List`]. An answer also ends once it holds a few MiB.
pub const MAX_PAGE: usize = 10_000;

/// A question to a [`Kv`](crate::Kv).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Query {
    /// What a key holds.
    Get {
        /// The key.
        key: String,
    },
    /// The pairs whose key begins with `prefix`, in the order of their keys.
    List {
        /// How the keys begin; empty for all.
        prefix: String,
        /// Only keys after this one: the last of the page before.
        after: Option<String>,
        /// How many at most; [`MAX_PAGE`] if more.
        limit: usize,
    },
    /// How many keys there are.
    Len,
    /// A number that is equal where the contents are.
    Digest,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// To [`Query::Get`]; `None` if the key is not there.
    Value(Option<Bytes>),
    /// To [`Query::List`].
    Page {
        /// The pairs.
        pairs: Vec<(String, Bytes)>,
        /// Whether there are more after the last one.
        more: bool,
    },
    /// To [`Query::Len`].
    Len(u64),
    /// To [`Query::Digest`].
    Digest(u64),
}
