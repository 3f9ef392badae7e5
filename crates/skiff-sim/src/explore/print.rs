//! Short numbers for large things: two things with the same number are taken for the same.
//!
//! Nobody is special among three nodes, so states that differ only by who is who are the same too.
//! There are six ways to name three nodes; seen from one of them there are only two, which tell which
//! of the others comes first.

use std::hash::{DefaultHasher, Hash, Hasher};

use skiff_replica::core::NodeId;

use super::step::Node;

/// How many nodes there are.
pub(super) const NODES: usize = 3;

/// All of them.
pub(super) const ALL: [Node; NODES] = [0, 1, 2];

/// The two ways round.
pub(super) const WAYS: [Way; 2] = [Way::Up, Way::Down];

/// In which order the others are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

impl Way {
    /// The place of `node` if `first` stands first.
    pub(super) const fn place(self, first: Node, node: Node) -> Node {
        match self {
            Self::Up => (node + 3 - first) % 3,
            Self::Down => (first + 3 - node) % 3,
        }
    }

    /// The node at this place if `first` stands first.
    const fn at(self, first: Node, place: Node) -> Node {
        match self {
            Self::Up => (first + place) % 3,
            Self::Down => (first + 3 - place) % 3,
        }
    }
}

/// The identity of a node.
pub(super) fn id(node: Node) -> NodeId {
    NodeId(u128::from(node) + 1)
}

/// The node of an identity. There are only these three.
pub(super) fn node(id: NodeId) -> Node {
    match id.0 {
        1 => 0,
        2 => 1,
        _ => 2,
    }
}

/// Spreads a number over all bits (the finalizer of SplitMix64).
pub(super) const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The number of anything in which no node is named.
pub(super) fn of(thing: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

/// A hasher that names nodes as one of them sees them.
#[derive(Debug)]
pub(super) struct SeenFrom {
    me: Node,
    way: Way,
    hasher: DefaultHasher,
}

impl SeenFrom {
    pub(super) fn new(me: Node, way: Way) -> Self {
        Self { me, way, hasher: DefaultHasher::new() }
    }

    /// All nodes in the order in which this one names them.
    pub(super) fn members(&self) -> [NodeId; NODES] {
        ALL.map(|place| id(self.way.at(self.me, place)))
    }
}

impl Hasher for SeenFrom {
    fn finish(&self) -> u64 {
        self.hasher.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
    }

    /// Only ids of nodes are written so.
    fn write_u128(&mut self, id: u128) {
        self.hasher.write_u8(self.way.place(self.me, node(NodeId(id))));
    }
}
