//! The bytes of an entry's payload, the same on disk and on the wire: a kind number and a body.
//!
//! A membership is three lists of ids and one of nodes, each preceded by its length, and then further
//! fields, each a number, a length and so many bytes. A field whose number is not known is ignored. All
//! numbers are little-endian. A length is checked against the bytes that are left before it is believed.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use bytes::{Buf, BufMut, Bytes};
use thiserror::Error;

use crate::{
    entry::Payload,
    membership::{Membership, Node},
    types::NodeId,
};

/// Kind numbers. They are part of the disk and wire formats and never reused.
const NOOP: u32 = 0;
const COMMAND: u32 = 1;
const MEMBERSHIP: u32 = 2;
const SESSION: u32 = 3;

/// The field of a membership that holds its wishes: a list of two ids each, the second zero if nobody is
/// to be replaced.
const WISHES: u32 = 1;

/// Bytes that do not make a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed {what}")]
pub struct Malformed {
    /// Which part is wrong.
    pub what: &'static str,
}

impl Payload {
    /// The number of its kind, on disk and on the wire.
    #[must_use]
    pub const fn kind(&self) -> u32 {
        match self {
            Self::Noop => NOOP,
            Self::Command(_) => COMMAND,
            Self::Membership(_) => MEMBERSHIP,
            Self::Session(_) => SESSION,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// Its content as bytes. A command is not copied.
    #[must_use]
    pub fn body(&self) -> Bytes {
        match self {
            Self::Noop => Bytes::new(),
            Self::Command(bytes) | Self::Session(bytes) | Self::Unknown { body: bytes, .. } => {
                bytes.clone()
            }
            Self::Membership(membership) => membership.encode().into(),
        }
    }

    /// The payload of this kind and content. A kind that is not known is kept as it is.
    ///
    /// # Errors
    ///
    /// If the kind is known and the content is not of its form.
    pub fn from_parts(kind: u32, body: Bytes) -> Result<Self, Malformed> {
        match kind {
            NOOP if body.is_empty() => Ok(Self::Noop),
            NOOP => Err(Malformed { what: "empty entry" }),
            COMMAND => Ok(Self::Command(body)),
            MEMBERSHIP => Ok(Self::Membership(Box::new(Membership::decode(&body)?))),
            SESSION => Ok(Self::Session(body)),
            kind => Ok(Self::Unknown { kind, body }),
        }
    }
}

impl Membership {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size() + 16);
        for set in [&self.voters, &self.outgoing, &self.learners] {
            put_length(&mut out, set.len());
            set.iter().for_each(|id| out.put_u128_le(id.0));
        }
        put_length(&mut out, self.nodes.len());
        for (id, node) in &self.nodes {
            out.put_u128_le(id.0);
            for text in [&node.name, &node.address] {
                put_length(&mut out, text.len());
                out.put_slice(text.as_bytes());
            }
        }
        if !self.wishes.is_empty() {
            out.put_u32_le(WISHES);
            put_length(&mut out, 4 + 32 * self.wishes.len());
            put_length(&mut out, self.wishes.len());
            for (id, replaces) in &self.wishes {
                out.put_u128_le(id.0);
                out.put_u128_le(replaces.unwrap_or_default().0);
            }
        }
        out
    }

    /// The membership that these bytes are, all of them.
    ///
    /// # Errors
    ///
    /// If they are not exactly one membership, or a member is not among its nodes.
    pub fn decode(mut from: &[u8]) -> Result<Self, Malformed> {
        const MALFORMED: Malformed = Malformed { what: "membership" };
        let voters = take_ids(&mut from).ok_or(MALFORMED)?;
        let outgoing = take_ids(&mut from).ok_or(MALFORMED)?;
        let learners = take_ids(&mut from).ok_or(MALFORMED)?;
        let mut membership = Self { voters, outgoing, learners, ..Self::default() };
        for _ in 0..take_length(&mut from, 24).ok_or(MALFORMED)? {
            let id = NodeId(from.try_get_u128_le().map_err(|_| MALFORMED)?);
            let name = take_text(&mut from).ok_or(MALFORMED)?;
            let address = take_text(&mut from).ok_or(MALFORMED)?;
            membership.nodes.insert(id, Node { name, address });
        }
        while !from.is_empty() {
            let number = from.try_get_u32_le().map_err(|_| MALFORMED)?;
            let field = take_bytes(&mut from).ok_or(MALFORMED)?;
            if number == WISHES {
                membership.wishes = take_wishes(field).ok_or(MALFORMED)?;
            }
        }
        let named = membership.members().all(|id| membership.nodes.contains_key(&id));
        let learn = membership.wishes.keys().all(|id| membership.learners.contains(id));
        if named && learn { Ok(membership) } else { Err(MALFORMED) }
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // Nothing in a membership comes near 2^32: it is limited by the size of a command.
    out.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
}

/// A count of things that take at least `each` bytes, if so many bytes are there.
fn take_length(from: &mut &[u8], each: usize) -> Option<usize> {
    let length = usize::try_from(from.try_get_u32_le().ok()?).ok()?;
    (length.checked_mul(each)? <= from.len()).then_some(length)
}

fn take_ids(from: &mut &[u8]) -> Option<BTreeSet<NodeId>> {
    let length = take_length(from, 16)?;
    (0..length).map(|_| from.try_get_u128_le().ok().map(NodeId)).collect()
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    core::str::from_utf8(take_bytes(from)?).ok().map(String::from)
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(from, 1)?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

fn take_wishes(mut from: &[u8]) -> Option<BTreeMap<NodeId, Option<NodeId>>> {
    let length = take_length(&mut from, 32)?;
    let mut wishes = BTreeMap::new();
    for _ in 0..length {
        let id = NodeId(from.try_get_u128_le().ok()?);
        let replaces = NodeId(from.try_get_u128_le().ok()?);
        wishes.insert(id, (replaces != NodeId::default()).then_some(replaces));
    }
    from.is_empty().then_some(wishes)
}
