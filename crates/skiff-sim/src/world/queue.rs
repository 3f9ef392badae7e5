//! What is still to happen, in order of time.

use std::{cmp::Ordering, collections::BinaryHeap};

use bytes::Bytes;
use skiff_replica::{Input, LinkId, core::LoadId};

/// Something that happens to the world, or to one node.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A node may be due to look at its clock.
    Wake,
    /// A node is to be told of a peer.
    Join(usize),
    /// A node has been told of all peers.
    CloseList,
    /// A node is to be a cluster by itself.
    Bootstrap,
    /// A dialled connection is tried.
    Dial(LinkId),
    /// A connection has come up.
    Up { connection: u32, link: LinkId },
    /// A connection has gone.
    Down { link: LinkId },
    /// An envelope arrives.
    Arrive { connection: u32, link: LinkId, bytes: Bytes },
    /// The disk is done with the first job of its lane.
    DiskDone,
    /// The machine is done with the first job of its lane.
    MachineDone,
    /// The disk is done with the first job of its lane for snapshots.
    SnapshotDone,
    /// A piece of a snapshot was read: for which transfer, at which place.
    PieceRead(u64, u64),
    /// Old entries were read.
    Loaded(LoadId),
    /// A node looks how much room its log has.
    LookForRoom,
    /// A node goes on after a pause.
    Resume,
    /// A node starts.
    Start,
    /// A node that was removed is started anew.
    Comeback,
    /// A call of the plan is made.
    Call(usize),
    /// It is made again, after so many tries.
    CallAgain(usize, u32),
    /// A client with a session has its turn.
    SessionTurn(usize),
    /// A call reached the node during a pause.
    Asked(Box<Input>),
    /// Somebody wants to know what became of a command whose outcome was unknown.
    AskAfterwards(usize),
    /// Somebody who makes a backup asks for the next piece.
    CopyOn(usize),
    /// A fault of the plan begins.
    Fault(usize),
    /// Nothing is cut any more for this reason.
    Mend(usize),
    /// Faults end, and progress is due.
    Heal,
    /// Progress is looked at.
    Probe,
}

/// When, to whom, in which run of it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) at: u64,
    sequence: u64,
    pub(crate) node: usize,
    /// An event for another run of the node is of the past. Zero: for any.
    pub(crate) run: u32,
    pub(crate) event: Event,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Item>,
    sequence: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: u64, node: usize, run: u32, event: Event) {
        self.sequence += 1;
        self.heap.push(Item { at, sequence: self.sequence, node, run, event });
    }

    pub(crate) fn pop(&mut self) -> Option<Item> {
        self.heap.pop()
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    /// The earliest is the greatest: the heap gives that first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}
