//! Somebody who is no node of a world, but speaks like one.

use skiff_core::NodeId;
use skiff_replica::LinkId;
use skiff_transport::{Body, Envelope, Hello};

use super::{MS, World};

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
