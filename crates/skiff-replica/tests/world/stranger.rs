//! Somebody who is no node of a world, but speaks like one.

use skiff_core::{Append, Index, Membership, Message, NodeId, Position, Round, Term};
use skiff_replica::LinkId;
use skiff_transport::{Body, Envelope, Genesis, Hello, Standing};

use super::{MS, Spec, World, bytes};

/// Somebody who is no node of the world, but speaks like one.
pub(crate) struct Stranger {
    pub(crate) node: u128,
    pub(crate) boot: u64,
    pub(crate) hello: Hello,
}

impl Stranger {
    pub(crate) fn new(node: u128, name: &str) -> Self {
        let hello = Hello {
            cluster: "orders".into(),
            name: name.into(),
            address: format!("{name}:9"),
            nonce: 77,
            ..Hello::default()
        };
        Self { node, boot: 1, hello }
    }

    /// A node `b` of this kind that belongs to the stranger's cluster, the stranger, who leads it in this
    /// term, and their connection. `patience` is the time that `b` gets to make the genesis its own.
    pub(crate) fn leads(b: Spec, term: Term, patience: u64) -> (World, Self, LinkId) {
        let mut world = World::new();
        world.add("b", b);
        world.run(10 * MS);
        let me = world.status("b").node;
        let mut leader = Self::new(5, "a");
        leader.hello.standing = Standing::Member;
        leader.hello.instance = Some(9);
        let link = leader.meets(&mut world, "b");
        let genesis = Genesis {
            cluster: "orders".into(),
            instance: 9,
            position: Position::new(1, 1),
            membership: Membership::of([NodeId(5), me]),
            machine_version: 0,
            codec: "own".into(),
            content: bytes(""),
        };
        world.strange("b", link, leader.says(Body::Genesis(Box::new(genesis))));
        world.run(patience);
        let append = Append {
            seq: 1,
            round: Round(1),
            prev: Position::new(1, 1),
            entries: Vec::new(),
            commit: Index(1),
        };
        let message = Message::Append(append);
        world.strange("b", link, leader.says(Body::Raft { term, message }));
        world.run(patience / 2);
        (world, leader, link)
    }

    pub(crate) fn says(&self, body: Body) -> Envelope {
        let (from, boot) = (NodeId(self.node), self.boot);
        Envelope { group: 0, from, to: NodeId(0), boot, body }
    }

    /// Connects to a node and says hello.
    pub(crate) fn meets(&self, world: &mut World, name: &str) -> LinkId {
        let link = world.stranger(name);
        self.says_hello(world, name, link);
        link
    }

    pub(crate) fn says_hello(&self, world: &mut World, name: &str, link: LinkId) {
        world.strange(name, link, self.says(Body::Hello(Box::new(self.hello.clone()))));
        world.run(5 * MS);
    }
}
