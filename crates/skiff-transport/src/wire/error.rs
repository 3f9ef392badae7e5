//! Why bytes are no envelope.

use thiserror::Error;

/// Why bytes are no [`Envelope`](crate::Envelope).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// They are no protobuf message, or end in the middle of one.
    #[error("not a message: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// They are a message that says what cannot be.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// They are of a kind that this version does not know; a later one may.
    #[error("unknown kind of {what}: number {number}")]
    Unknown {
        /// What there are kinds of.
        what: &'static str,
        /// The number of the kind.
        number: u32,
    },
    /// They hold more of something than is allowed.
    #[error("too large {what}: more than {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
}

impl WireError {
    /// Whether the bytes are sound, but of a kind that this version does not know.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}
