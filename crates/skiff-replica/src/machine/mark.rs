//! Skiff's own state beside the machine's.

use bytes::{Buf, BufMut, Bytes};
use skiff_core::{Index, Membership, NodeId, Position, Term};
use skiff_storage::InstanceId;

use super::Malformed;

/// What Skiff itself must know again about a machine's data. A machine that is durable by itself
/// keeps the newest one with its data, in the same transaction, as [bytes](Self::encode).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// The instance of the cluster the data belongs to.
    pub instance: InstanceId,
    /// The node whose data it is.
    pub node: NodeId,
    /// The last entry that is in the data.
    pub position: Position,
    /// The members at that entry.
    pub membership: Membership,
    /// The sessions of clients at that entry, as [bytes](crate::Sessions::encode); none if empty.
    pub sessions: Bytes,
}

impl Mark {
    /// The format of its bytes.
    const VERSION: u8 = 2;
    /// The format without sessions, which is still read.
    const WITHOUT_SESSIONS: u8 = 1;

    /// A mark of these parts.
    #[must_use]
    pub fn new(
        instance: InstanceId,
        node: NodeId,
        position: Position,
        membership: Membership,
    ) -> Self {
        Self { instance, node, position, membership, sessions: Bytes::new() }
    }

    /// The same with these sessions.
    #[must_use]
    pub fn with_sessions(self, sessions: Bytes) -> Self {
        Self { sessions, ..self }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_u8(Self::VERSION);
        out.put_u128_le(self.instance.0);
        out.put_u128_le(self.node.0);
        out.put_u64_le(self.position.term.0);
        out.put_u64_le(self.position.index.0);
        let membership = self.membership.encode();
        out.put_u64_le(membership.len() as u64);
        out.put_slice(&membership);
        out.put_slice(&self.sessions);
        out.into()
    }

    /// The mark that these bytes are.
    ///
    /// # Errors
    ///
    /// If they are none, or one of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = bytes;
        let short = |_| Malformed::new("the mark is too short");
        let version = from.try_get_u8().map_err(short)?;
        if ![Self::VERSION, Self::WITHOUT_SESSIONS].contains(&version) {
            return Err(Malformed::new(format!(
                "the mark has version {version}, this version of skiff knows {}",
                Self::VERSION
            )));
        }
        let instance = InstanceId(from.try_get_u128_le().map_err(short)?);
        let node = NodeId(from.try_get_u128_le().map_err(short)?);
        let term = Term(from.try_get_u64_le().map_err(short)?);
        let index = Index(from.try_get_u64_le().map_err(short)?);
        let length = match version {
            Self::WITHOUT_SESSIONS => from.len() as u64,
            _ => from.try_get_u64_le().map_err(short)?,
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((membership, sessions)) = from.split_at_checked(length) else {
            return Err(Malformed::new("the mark is too short"));
        };
        let membership = Membership::decode(membership).map_err(Malformed::new)?;
        let position = Position { term, index };
        let sessions = Bytes::copy_from_slice(sessions);
        Ok(Self { instance, node, position, membership, sessions })
    }
}

/// What a machine held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Opened {
    /// Nothing: it is in its first state, and must be brought up to date. A machine that lives in
    /// memory is always so.
    #[default]
    Empty,
    /// Data.
    At {
        /// The mark that was kept with it.
        mark: Box<Mark>,
        /// What was kept of each batch since the mark ([`Batch::stored`](super::Batch::stored)), in
        /// their order. None of these is applied again.
        stored: Vec<Bytes>,
    },
}

/// What an engine that commits by itself keeps of a batch, as bytes, besides the batch's own effects:
/// where it ends, and what commands of sessions answered in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The last entry of the batch.
    pub(crate) last: Index,
    /// By entry.
    pub(crate) answers: Vec<(Index, Bytes)>,
}

impl Stored {
    const VERSION: u8 = 1;

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_u8(Self::VERSION);
        out.put_u64_le(self.last.0);
        for (index, answer) in &self.answers {
            out.put_u64_le(index.0);
            out.put_u64_le(answer.len() as u64);
            out.put_slice(answer);
        }
        out.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = bytes;
        let short = |_| Malformed::new("what was kept of a batch is too short");
        let version = from.try_get_u8().map_err(short)?;
        if version != Self::VERSION {
            let known = Self::VERSION;
            return Err(Malformed::new(format!(
                "what was kept of a batch has version {version}, this version of skiff knows {known}"
            )));
        }
        let last = Index(from.try_get_u64_le().map_err(short)?);
        let mut answers = Vec::new();
        while !from.is_empty() {
            let index = Index(from.try_get_u64_le().map_err(short)?);
            let length = from.try_get_u64_le().map_err(short)?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some((answer, rest)) = from.split_at_checked(length) else {
                return Err(Malformed::new("what was kept of a batch is too short"));
            };
            answers.push((index, Bytes::copy_from_slice(answer)));
            from = rest;
        }
        Ok(Self { last, answers })
    }
}

impl Opened {
    /// The last entry that is in the data.
    ///
    /// # Errors
    ///
    /// If what was kept since the mark cannot be read.
    pub(crate) fn last(&self) -> Result<Index, Malformed> {
        let Self::At { mark, stored } = self else { return Ok(Index::ZERO) };
        let last = stored.last().map_or(Ok(Index::ZERO), |one| Ok(Stored::decode(one)?.last))?;
        Ok(last.max(mark.position.index))
    }
}
