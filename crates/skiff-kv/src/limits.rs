//! How large keys and values may be.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
/// The largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// Why a command was refused for what it holds. It changed nothing, on any node.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no key.
    #[error("the key is empty")]
    EmptyKey,
    /// The key is too long.
    #[error("the key has {bytes} bytes, at most {limit} are allowed")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The value is too large.
    #[error("the value has {bytes} bytes, at most {limit} are allowed")]
    ValueTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

pub(crate) fn check_key(key: &str) -> Result<(), Refusal> {
    match key.len() {
        0 => Err(Refusal::EmptyKey),
        bytes if bytes > MAX_KEY_BYTES => Err(Refusal::KeyTooLong { bytes, limit: MAX_KEY_BYTES }),
        _ => Ok(()),
    }
}

pub(crate) fn check_value(value: &Bytes) -> Result<(), Refusal> {
    let bytes = value.len();
    if bytes > MAX_VALUE_BYTES {
        return Err(Refusal::ValueTooLarge { bytes, limit: MAX_VALUE_BYTES });
    }
    Ok(())
}
