//! The small parts that all messages share, from and to those of the schema.

use skiff_core::{NodeId, Position};

use super::generated as pb;

/// Numbers of the bodies, as in the schema.
pub(super) mod body {
    pub(in crate::wire) const FIRST: u32 = 16;
    pub(in crate::wire) const HELLO: u32 = 16;
    pub(in crate::wire) const GENESIS: u32 = 17;
    pub(in crate::wire) const REQUEST: u32 = 18;
    pub(in crate::wire) const ANSWER: u32 = 19;
    pub(in crate::wire) const OFFER: u32 = 20;
    pub(in crate::wire) const FETCH: u32 = 21;
    pub(in crate::wire) const FETCHED: u32 = 22;
    pub(in crate::wire) const ADMISSION: u32 = 23;
    pub(in crate::wire) const NEWCOMER: u32 = 24;
    pub(in crate::wire) const NOT_YET: u32 = 25;
    pub(in crate::wire) const PIECE: u32 = 30;
    pub(in crate::wire) const GOT: u32 = 31;
    pub(in crate::wire) const PRE_VOTE: u32 = 32;
    pub(in crate::wire) const PRE_VOTE_REPLY: u32 = 33;
    pub(in crate::wire) const VOTE: u32 = 34;
    pub(in crate::wire) const VOTE_REPLY: u32 = 35;
    pub(in crate::wire) const APPEND: u32 = 36;
    pub(in crate::wire) const APPEND_REPLY: u32 = 37;
    pub(in crate::wire) const TIMEOUT_NOW: u32 = 38;
    pub(in crate::wire) const READ_INDEX: u32 = 39;
    pub(in crate::wire) const READ_INDEX_REPLY: u32 = 40;
    pub(in crate::wire) const REMOVED: u32 = 41;
}

pub(super) const fn id(id: u128) -> pb::Id {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
    let (high, low) = ((id >> 64) as u64, id as u64);
    pb::Id { high, low }
}

pub(super) fn number(id: pb::Id) -> u128 {
    u128::from(id.high) << 64 | u128::from(id.low)
}

/// Zero is left out.
pub(super) fn node(node: NodeId) -> Option<pb::Id> {
    (node != NodeId::default()).then(|| id(node.0))
}

pub(super) fn node_id(id: Option<pb::Id>) -> NodeId {
    NodeId(id.map_or(0, number))
}

pub(super) const fn position(position: Position) -> pb::Position {
    pb::Position { term: position.term.0, index: position.index.0 }
}

pub(super) fn core_position(position: Option<pb::Position>) -> Position {
    let position = position.unwrap_or_default();
    Position::new(position.term, position.index)
}
