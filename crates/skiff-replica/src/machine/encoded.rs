//! How commands and responses become bytes.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Something that can travel and be kept as bytes.
///
/// Every serde type has this: as MessagePack with the names of its fields, so that a struct may
/// grow (new fields want `#[serde(default)]`). A type that is not a serde type may implement it to
/// have an encoding of its own, as [`Raw`] does.
pub trait Encoded: Sized + Send + 'static {
    /// Its bytes.
    ///
    /// # Errors
    ///
    /// If it cannot be encoded, for example a map whose keys serde refuses.
    fn encode(&self) -> Result<Bytes, Malformed>;

    /// What these bytes are.
    ///
    /// # Errors
    ///
    /// If they are nothing of this type.
    fn decode(bytes: &Bytes) -> Result<Self, Malformed>;

    /// Whether these bytes are one of this type, all of them. Asked before they enter the log.
    ///
    /// # Errors
    ///
    /// If they are not.
    fn check(bytes: &Bytes) -> Result<(), Malformed> {
        Self::decode(bytes).map(drop)
    }
}

/// Bytes that do not make what they should, or a value that does not make bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Malformed {
    /// What is wrong.
    pub reason: String,
}

impl Malformed {
    /// An error with this reason.
    pub fn new(reason: impl ToString) -> Self {
        Self { reason: reason.to_string() }
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Encoded for T {
    fn encode(&self) -> Result<Bytes, Malformed> {
        rmp_serde::to_vec_named(self).map(Bytes::from).map_err(Malformed::new)
    }

    fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        rmp_serde::from_slice(bytes).map_err(Malformed::new)
    }

    fn check(bytes: &Bytes) -> Result<(), Malformed> {
        let mut from = rmp_serde::Deserializer::new(&bytes[..]);
        Self::deserialize(&mut from).map_err(Malformed::new)?;
        match from.get_ref().len() {
            0 => Ok(()),
            left => Err(Malformed::new(format!("{left} bytes are left over at the end"))),
        }
    }
}

/// Bytes as they are, not copied: for commands that are bytes already.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Raw(pub Bytes);

impl Encoded for Raw {
    fn encode(&self) -> Result<Bytes, Malformed> {
        Ok(self.0.clone())
    }

    fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        Ok(Self(bytes.clone()))
    }
}

impl From<Bytes> for Raw {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Raw {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<String> for Raw {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Raw {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<&[u8]> for Raw {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}
