//! What changes a store, and its bytes.
//!
//! A command is its kind (one byte), then its fields. A text or value is its length, as a
//! little-endian base-128 number, and then its bytes. One that may be missing begins with a byte
//! that says whether it is there.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use skiff::{Encoded, Malformed};

use crate::limits::{Refusal, check_key, check_value};

const PUT: u8 = 1;
const DELETE: u8 = 2;
const COMPARE_AND_SET: u8 = 3;

/// A change to a [`Kv`](crate::Kv).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Gives a key a value.
    Put {
        /// The key.
        key: String,
        /// Its value from now on.
        value: Bytes,
    },
    /// Takes a key away.
    Delete {
        /// The key.
        key: String,
    },
    /// Gives a key a value, or takes it away, if it holds what is expected.
    CompareAndSet {
        /// The key.
        key: String,
        /// What it must hold; `None` if it must not be there.
        expected: Option<Bytes>,
        /// Its value from now on; `None` to take it away.
        value: Option<Bytes>,
    },
}

impl Command {
    /// Whether keys and values are as they may be.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub fn within_limits(&self) -> Result<(), Refusal> {
        match self {
            Self::Put { key, value } => check_key(key).and_then(|()| check_value(value)),
            Self::Delete { key } => check_key(key),
            Self::CompareAndSet { key, value, .. } => {
                check_key(key)?;
                value.as_ref().map_or(Ok(()), check_value)
            }
        }
    }

    /// A [`Put`](Self::Put).
    pub fn put(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self::Put { key: key.into(), value: value.into() }
    }

    /// A [`Delete`](Self::Delete).
    pub fn delete(key: impl Into<String>) -> Self {
        Self::Delete { key: key.into() }
    }

    fn size(&self) -> usize {
        let (key, values) = match self {
            Self::Put { key, value } => (key, value.len()),
            Self::Delete { key } => (key, 0),
            Self::CompareAndSet { key, expected, value } => {
                let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
                (key, length(expected) + length(value))
            }
        };
        // Lengths and flags take a few bytes more.
        key.len() + values + 24
    }
}

impl Encoded for Command {
    fn encode(&self) -> Result<Bytes, Malformed> {
        let mut out = BytesMut::with_capacity(self.size());
        match self {
            Self::Put { key, value } => {
                out.put_u8(PUT);
                put_bytes(&mut out, key.as_bytes());
                put_bytes(&mut out, value);
            }
            Self::Delete { key } => {
                out.put_u8(DELETE);
                put_bytes(&mut out, key.as_bytes());
            }
            Self::CompareAndSet { key, expected, value } => {
                out.put_u8(COMPARE_AND_SET);
                put_bytes(&mut out, key.as_bytes());
                put_optional(&mut out, expected.as_ref());
                put_optional(&mut out, value.as_ref());
            }
        }
        Ok(out.freeze())
    }

    fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut from = &bytes[..];
        let command = match take_u8(&mut from)? {
            PUT => Self::Put { key: take_text(&mut from)?, value: take_value(&mut from)? },
            DELETE => Self::Delete { key: take_text(&mut from)? },
            COMPARE_AND_SET => Self::CompareAndSet {
                key: take_text(&mut from)?,
                expected: take_optional(&mut from)?,
                value: take_optional(&mut from)?,
            },
            kind => return Err(Malformed::new(format!("no command has kind {kind}"))),
        };
        match from.len() {
            0 => Ok(command),
            left => Err(Malformed::new(format!("{left} bytes are left over after the command"))),
        }
    }
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    let mut length = bytes.len();
    while length >= 0x80 {
        out.put_u8(lowest_byte(length) | 0x80);
        length >>= 7;
    }
    out.put_u8(lowest_byte(length));
    out.put_slice(bytes);
}

const fn lowest_byte(number: usize) -> u8 {
    let [lowest, ..] = number.to_le_bytes();
    lowest
}

fn put_optional(out: &mut BytesMut, bytes: Option<&Bytes>) {
    out.put_u8(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_bytes(out, bytes);
    }
}

fn take_u8(from: &mut &[u8]) -> Result<u8, Malformed> {
    from.try_get_u8().map_err(|_| Malformed::new("the command ends too early"))
}

fn take_length(from: &mut &[u8]) -> Result<usize, Malformed> {
    let mut length = 0_usize;
    // Five groups of seven bits are more than any frame can hold.
    for group in 0..5 {
        let byte = take_u8(from)?;
        length |= usize::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(Malformed::new("a length in the command has too many bytes"))
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = take_length(from)?;
    let whole = *from;
    let Some((taken, rest)) = whole.split_at_checked(length) else {
        return Err(Malformed::new(format!(
            "the command ends too early: {length} bytes were announced, {} are there",
            whole.len()
        )));
    };
    *from = rest;
    Ok(taken)
}

fn take_text(from: &mut &[u8]) -> Result<String, Malformed> {
    let text = std::str::from_utf8(take_bytes(from)?);
    text.map(str::to_owned).map_err(|error| Malformed::new(format!("the key is no text: {error}")))
}

/// Copied, not shared: a small value must not keep the frame it came in.
fn take_value(from: &mut &[u8]) -> Result<Bytes, Malformed> {
    take_bytes(from).map(Bytes::copy_from_slice)
}

fn take_optional(from: &mut &[u8]) -> Result<Option<Bytes>, Malformed> {
    match take_u8(from)? {
        0 => Ok(None),
        1 => take_value(from).map(Some),
        flag => Err(Malformed::new(format!("{flag} does not say whether a value is there"))),
    }
}

#[cfg(test)]
mod tests;
