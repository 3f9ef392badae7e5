//! What a second reader looked for around the loop, the machine and the callers, each told as a test.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bytes::Bytes;
use common::soon;
use serde::{Deserialize, Serialize};
use skiff::{
    At, Client, Encoded, Malformed, Node, Outcome, StateMachine, transport::MemoryNetwork,
};

/// A number that can be decoded but not encoded if it is odd.
#[derive(Debug, PartialEq, Eq)]
struct Even(u64);

impl Encoded for Even {
    fn encode(&self) -> Result<Bytes, Malformed> {
        if self.0 % 2 == 0 { self.0.encode() } else { Err(Malformed::new("it is odd")) }
    }

    fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        u64::decode(bytes).map(Self)
    }
}

/// Answers with what it was told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Echo {
    applied: u64,
}

impl StateMachine for Echo {
    type Command = u64;
    type Response = Even;

    fn apply(&mut self, command: u64, _: At) -> Even {
        self.applied += 1;
        Even(command)
    }
}

/// A response that cannot be encoded was answered as if its command had had no effect.
#[tokio::test]
async fn a_response_that_cannot_travel_is_lost_and_not_its_command() {
    let network = MemoryNetwork::new();
    let node = Node::builder().state_machine(Echo::default()).id("a").bootstrap();
    let node = node.transport(network.transport()).start().await.unwrap();
    soon("ready", node.ready()).await.unwrap();
    let client = Client::<Echo>::over(network.transport(), "skiff", ["a"]).unwrap();
    assert_eq!(soon("a response", client.command(2_u64)).await.unwrap(), Even(2));
    let error = soon("an answer", client.command(3_u64)).await.unwrap_err();
    let applied = node.read(skiff::Consistency::Local, |machine| machine.applied).await.unwrap();
    assert_eq!(applied, 2);
    assert_eq!(error.outcome(), Outcome::AppliedResponseLost, "{error}");
}
