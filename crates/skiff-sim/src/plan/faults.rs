//! What may go wrong.

use serde::{Deserialize, Serialize};

/// Whom a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// The node of this number.
    Node(usize),
    /// Whoever leads in the highest term when the fault begins; without a leader, node 0.
    Leader,
    /// A node that does not lead then: the one so many places behind the leader.
    Follower(usize),
}

/// One thing that goes wrong. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The node ends at once, and comes back later.
    Crash {
        /// Which.
        who: Who,
        /// Whether the power fails: unsynced operations are lost, torn or kept. Otherwise only the
        /// process is killed.
        power: bool,
        /// For how long it stays away.
        down: u64,
    },
    /// The node loses power at a chosen point of its work.
    CrashAt {
        /// Which.
        who: Who,
        /// Where.
        point: Point,
        /// How often that point is passed before.
        after: u32,
        /// For how long it stays away.
        down: u64,
    },
    /// The node stands still, with everything that reaches it waiting.
    Pause {
        /// Which.
        who: Who,
        /// For how long.
        nanos: u64,
    },
    /// The node's clock leaps ahead, as after a suspend.
    Leap {
        /// Which.
        who: Who,
        /// How far.
        nanos: u64,
    },
    /// Nothing passes between some nodes.
    Cut {
        /// Between whom.
        cut: Cut,
        /// Whether the connections break. Otherwise what is sent is lost without a word.
        reset: bool,
        /// For how long.
        nanos: u64,
    },
    /// What one node sends to another arrives only after this.
    Clog {
        /// Who sends.
        from: usize,
        /// To whom.
        to: usize,
        /// For how long.
        nanos: u64,
    },
    /// What a node sends is lost for long, and what it is sent arrives only after a while, all at once:
    /// a leader is told that it was followed when it is no more.
    LateAnswers {
        /// Whom.
        who: Who,
        /// For how long it hears nothing. What it sends is lost for three times as long.
        nanos: u64,
    },
    /// Each operation of the disk takes this much longer.
    SlowDisk {
        /// Whose.
        who: Who,
        /// How much, for each.
        each: u64,
        /// For how long.
        nanos: u64,
    },
    /// Every disk is slow at once.
    SlowDisks {
        /// How much longer each operation takes.
        each: u64,
        /// For how long.
        nanos: u64,
    },
    /// A node is asked to have another one removed, and later that one is killed: if it was removed, it
    /// begins anew when it comes back, and asks to be admitted.
    Remove {
        /// Who is asked.
        asked: Who,
        /// Who is to go.
        who: Who,
        /// How long it stays as it is then.
        stays: u64,
    },
    /// A node is asked to have another one replaced by a third, at its address. The one that is replaced
    /// begins anew later, as after [`Remove`](Self::Remove).
    Replace {
        /// Who is asked.
        asked: Who,
        /// Who is to go.
        who: Who,
        /// Who is to come: refused, unless it is no member then.
        by: Who,
        /// How long the one that goes stays as it is then.
        stays: u64,
    },
    /// A member is killed, and comes back at another address.
    Move {
        /// Which.
        who: Who,
        /// For how long it stays away.
        down: u64,
    },
    /// There is no room for anything new.
    FullDisk {
        /// Where.
        who: Who,
        /// For how long.
        nanos: u64,
    },
    /// A sync fails, and what it should have made durable is lost.
    FailSync {
        /// Where.
        who: Who,
        /// The how manieth from now on.
        nth: u64,
    },
    /// A write fails half-way.
    FailWrite {
        /// Where.
        who: Who,
        /// The how manieth from now on.
        nth: u64,
    },
    /// The next reads fail.
    FailReads {
        /// Where.
        who: Who,
        /// How many.
        count: u64,
    },
    /// Something synced is damaged while the node is down; it comes back later.
    Damage {
        /// Where.
        who: Who,
        /// How.
        damage: Damage,
        /// Which place, among all there are.
        place: u64,
        /// For how long the node stays away.
        down: u64,
    },
    /// No fault, but as good as one: an operator wants another node to lead.
    Transfer {
        /// Who is asked for it.
        ask: Who,
        /// Who is to lead.
        to: Successor,
    },
    /// Likewise: a node is asked for a snapshot of what it has applied.
    Snapshot {
        /// Which.
        who: Who,
    },
    /// Likewise: somebody makes a backup of what a node gives, piece by piece.
    BackUp {
        /// Which.
        who: Who,
        /// So many bytes are asked for at once.
        piece: u32,
    },
    /// The node is told to stop, as for an upgrade, and comes back later.
    Leave {
        /// Which.
        who: Who,
        /// For how long it stays away.
        down: u64,
    },
    /// The disk says that all is well, and it is not.
    Lie {
        /// Whose.
        who: Who,
        /// About what.
        lie: Lie,
        /// Which place, among all there are.
        place: u64,
    },
}

/// Who is to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Successor {
    /// Whoever is best up to date.
    Anybody,
    /// This node, whatever its state.
    Node(Who),
    /// A name that no node has.
    Nobody,
}

/// A point in a node's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// A write was asked for and nothing of it has reached the disk.
    BeforeWrite,
    /// So many operations of a write have reached the disk, and it is not done.
    InWrite(u64),
    /// A write is durable, and the node does not know yet.
    AfterWrite,
    /// A message has left.
    AfterSend,
    /// The node was given something to do, whatever it is.
    AfterJob,
    /// So many operations of the next recovery have reached the disk.
    InRecovery(u64),
}

/// Between whom nothing passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// One node and all others.
    Isolate(Who),
    /// What one node sends.
    Outbound(Who),
    /// What one node is sent.
    Inbound(Who),
    /// The nodes with a bit set here, and the others.
    Split(u64),
    /// As [`Split`](Self::Split), but one node reaches both sides.
    Bridge {
        /// The one.
        node: usize,
        /// The sides.
        sides: u64,
    },
    /// Each node reaches only its two neighbours.
    Ring,
    /// Two nodes, one way.
    Way {
        /// Who sends.
        from: usize,
        /// To whom.
        to: usize,
    },
    /// Two nodes, both ways.
    Pair {
        /// One.
        one: usize,
        /// The other.
        other: usize,
    },
}

/// How something synced is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Damage {
    /// One bit is flipped.
    FlipBit,
    /// A sector reads as zeros.
    ZeroSector,
    /// A file is gone.
    LoseFile,
    /// The folder is as it was some time ago.
    RollBack,
    /// The folder is empty.
    Wipe,
}

impl Damage {
    /// Whether it can befall a file that is in use.
    #[must_use]
    pub const fn is_of_bytes(self) -> bool {
        matches!(self, Self::FlipBit | Self::ZeroSector)
    }
}

/// What a disk lies about. No node can know of it while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lie {
    /// The next so many syncs do nothing.
    Syncs(u64),
    /// The how manieth write from now on lands in another place.
    Astray(u64),
    /// What is read of a file at the next start, and after it, is what stood there some time ago. The
    /// node is killed, and is back after so long.
    Stale(u64),
}
