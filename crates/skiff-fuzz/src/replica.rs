//! A whole node, told anything by anybody: strangers, namesakes, members that lie, clients with any
//! bytes; while it forms, alone, and as one of three. Every call is answered once, no step has more
//! to do than there is reason for, and who is gone is not taken for connected.

mod node;
mod strangers;

use bytes::Bytes;
use skiff_core::NodeId;
use skiff_kv::{Command, Query};
use skiff_replica::{Call, Consistency, Encoded, Input, LinkId};
use skiff_transport::Signal;

use self::node::Node;
use crate::{said, source::Source};

/// One decision each; more make an input slow, not better.
const STEPS: usize = 300;
const MILLISECOND: u64 = 1_000_000;

/// The life of one node, from its beginning to its end.
pub fn target(data: &[u8]) {
    let mut source = Source::new(data);
    let mut node = Node::begin(&mut source);
    for _ in 0..STEPS {
        if source.is_empty() || node.is_over() {
            break;
        }
        act(&mut node, &mut source);
    }
    node.end();
}

fn act(node: &mut Node, source: &mut Source<'_>) {
    match source.pick(32) {
        0..3 => {
            let link = link(node, source);
            node.signal(link, Signal::Up);
        }
        3..13 => {
            let link = link(node, source);
            let envelope = strangers::envelope(node, source);
            node.signal(link, Signal::Received(envelope));
        }
        13 => {
            let link = link(node, source);
            node.signal(link, Signal::Down(source.text(20)));
        }
        14 => {
            let link = link(node, source);
            node.connect_failed(link, source.text(20));
        }
        15..18 => node.due(),
        18 => node.pass(u64::from(source.byte()) * 4 * MILLISECOND),
        19..23 => node.work_disk(source),
        23..26 => node.work_machine(source),
        26 => {
            let address = match source.flag() {
                true => said::address(said::node(source)),
                false => source.text(20),
            };
            node.step(Input::Join { address });
        }
        27 => node.step(if source.flag() { Input::CloseList } else { Input::Bootstrap }),
        28 => {
            let deadline = source.short();
            node.call(call(source), u64::from(deadline) * MILLISECOND);
        }
        29 => node.cancel(u64::from(source.byte())),
        30 => {
            let command = command(source);
            node.call(Call::Command(command), 5_000 * MILLISECOND);
        }
        _ => node.restart(),
    }
}

/// Mostly one that the node knows.
fn link(node: &Node, source: &mut Source<'_>) -> LinkId {
    match source.byte() {
        number @ 0..100 => LinkId::Accepted(u64::from(number % 6) + 1),
        number @ 100..200 => node
            .dialled()
            .nth(usize::from(number % 6))
            .unwrap_or_else(|| LinkId::Accepted(u64::from(number % 6) + 1)),
        200..225 => LinkId::Accepted(source.number()),
        _ => LinkId::Dialled(source.number()),
    }
}

fn command(source: &mut Source<'_>) -> Bytes {
    let key = source.text(5);
    let command = match source.flag() {
        true => Command::put(key, source.bytes(100).to_vec()),
        false => Command::delete(key),
    };
    command.encode().unwrap_or_default()
}

fn call(source: &mut Source<'_>) -> Call {
    match source.pick(8) {
        0 => Call::Command(Bytes::copy_from_slice(source.bytes(300))),
        1 | 2 => Call::Command(command(source)),
        3 => Call::Read(Consistency::Local),
        4 => Call::Read(Consistency::BoundedStale(source.number())),
        6 => Call::Change(said::change(source)),
        7 => Call::Leave,
        _ => Call::Read(Consistency::Linearizable),
    }
}

/// A question that the machine understands, or any bytes.
fn query(source: &mut Source<'_>) -> Bytes {
    match source.pick(3) {
        0 => Query::Get { key: source.text(5) }.encode().unwrap_or_default(),
        1 => Query::Len.encode().unwrap_or_default(),
        _ => Bytes::copy_from_slice(source.bytes(100)),
    }
}

/// The node itself.
const ME: NodeId = NodeId(1);
