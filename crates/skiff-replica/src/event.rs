//! What can be heard of a node.

use std::fmt;

use skiff_core::{Index, NodeId, Position, StateName, Term, TransferFailure, WriteId};
use skiff_storage::{Hole, InstanceId};
use thiserror::Error;

use crate::{
    error::ReplicaError,
    refused::Leader,
    status::{PeerStatus, Waiting},
};

/// The names of a node's states, as the original's users know them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// Not a member of a cluster yet.
    #[default]
    Idle,
    /// Follows a leader, or waits for one.
    Follower,
    /// Tries to become leader.
    Candidate,
    /// Leads.
    Leader,
}

impl State {
    /// The original's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<StateName> for State {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Follower => Self::Follower,
            StateName::Candidate => Self::Candidate,
            StateName::Leader => Self::Leader,
        }
    }
}

/// Something worth telling happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// What the store held is loaded.
    #[doc(alias = "loaded")]
    Loaded,
    /// The state changed.
    #[doc(alias = "state")]
    State(State),
    /// No leader was heard for an election timeout.
    #[doc(alias = "election timeout")]
    ElectionTimeout,
    /// Another leader is followed now, or none.
    LeaderChanged {
        /// The leader, if one is known.
        leader: Option<Leader>,
        /// The term.
        term: Term,
    },
    /// A cluster was formed, and this node is a member of it.
    Formed {
        /// Its instance.
        instance: InstanceId,
        /// Who founded it, by name.
        founder: Option<String>,
        /// The names of all members.
        members: Vec<String>,
    },
    /// The machine began with a state of its own, which the founder's state has replaced.
    MachineReplaced {
        /// The cluster's instance.
        instance: InstanceId,
    },
    /// For whom or what the node waits before it is a member; nothing if for nobody any more.
    Waiting(Vec<Waiting>),
    /// A peer is connected and has said who it is.
    PeerConnected(PeerStatus),
    /// The last connection to a peer is gone.
    PeerDisconnected {
        /// The peer.
        peer: PeerStatus,
        /// Why.
        reason: String,
    },
    /// Somebody was turned away.
    PeerRefused {
        /// Where: the address dialled, or the one it names.
        address: String,
        /// Why.
        reason: Refusal,
    },
    /// A node that belongs to no cluster wants to belong to this one, and cannot yet.
    AdmissionWaits {
        /// Its name.
        name: String,
        /// Its incarnation.
        node: NodeId,
        /// Where it is.
        address: String,
        /// Why, and what would help.
        reason: String,
    },
    /// A node has become a member. What was so before a restart may be told again.
    #[doc(alias = "joined")]
    MemberJoined {
        /// Its name.
        name: String,
        /// Its incarnation.
        node: NodeId,
        /// Where it is.
        address: String,
        /// Whether it is a voter already.
        voter: bool,
    },
    /// A learner has become a voter.
    #[doc(alias = "promoted")]
    MemberPromoted {
        /// Its name.
        name: String,
        /// Its incarnation.
        node: NodeId,
    },
    /// A member is dialled elsewhere from now on.
    MemberMoved {
        /// Its name.
        name: String,
        /// Its incarnation.
        node: NodeId,
        /// Where it is now.
        address: String,
    },
    /// A node is a member no longer. It may be this one.
    #[doc(alias = "left")]
    MemberLeft {
        /// Its name.
        name: String,
        /// Its incarnation.
        node: NodeId,
    },
    /// This node leads, and hands leadership over. Commands wait meanwhile.
    TransferStarted {
        /// Who is to lead.
        to: Leader,
    },
    /// Leadership was handed over.
    TransferDone {
        /// Who leads.
        to: Leader,
    },
    /// Leadership was not handed over: whoever leads takes commands again.
    TransferAborted {
        /// Who was to lead.
        to: Leader,
        /// What stood in the way.
        why: TransferFailure,
    },
    /// A member lost entries that it had acknowledged.
    Reverted {
        /// The member.
        node: NodeId,
        /// What it had acknowledged.
        matched: Index,
        /// Where its log ends now.
        last: Index,
    },
    /// A follower needs entries that this node's log no longer has.
    NeedsSnapshot {
        /// The follower.
        node: NodeId,
        /// The first entry it needs.
        next: Index,
    },
    /// A snapshot of the machine is being taken.
    SnapshotStarted {
        /// The last entry it covers.
        position: Position,
    },
    /// It is durable.
    SnapshotTaken {
        /// The last entry it covers.
        position: Position,
        /// How many bytes the machine's data has in it.
        size: u64,
    },
    /// A snapshot is being sent to a member.
    SnapshotSending {
        /// The member.
        node: NodeId,
        /// The last entry it covers.
        position: Position,
    },
    /// It is durable there.
    SnapshotSent {
        /// The member.
        node: NodeId,
        /// The last entry it covers.
        position: Position,
    },
    /// A snapshot comes from another member.
    SnapshotReceiving {
        /// The member.
        from: NodeId,
        /// The last entry it covers.
        position: Position,
        /// How many bytes the machine's data has in it.
        size: u64,
    },
    /// It is durable here, and the log begins after it; the machine gets its state next.
    SnapshotInstalled {
        /// The last entry it covers.
        position: Position,
    },
    /// A snapshot that was being taken, sent or received was given up. It is tried again later.
    SnapshotAborted {
        /// The last entry it covers, or would have.
        position: Position,
        /// Why.
        reason: String,
    },
    /// The log was given up as far as a snapshot stands for it.
    LogCompacted {
        /// It begins after this.
        base: Position,
    },
    /// The local disk is slow: this write has been pending for longer than an election timeout.
    SlowDisk {
        /// The write.
        write: WriteId,
    },
    /// There is less room for the log than is kept for what is promised already: while this node
    /// leads, it takes no commands. Told once, until [`RoomAgain`](Self::RoomAgain).
    Full {
        /// How much is free, and what to do.
        reason: String,
    },
    /// The store had no room for a write; it will be tried again. Told once, until
    /// [`RoomAgain`](Self::RoomAgain).
    WriteRefused {
        /// The write.
        write: WriteId,
        /// What the store said.
        reason: String,
    },
    /// There is room again, and writes go through.
    RoomAgain,
    /// Old entries could not be read back; it will be tried again.
    LoadFailed {
        /// The first entry wanted.
        from: Index,
    },
    /// Damage has taken these entries from the log. Until others have given them back, this node
    /// neither votes nor leads nor acknowledges anything.
    Hole(Hole),
    /// The log is whole again.
    Mended,
    /// The store had no room for what others gave back; it will be tried again.
    MendRefused {
        /// What the store said.
        reason: String,
    },
    /// What the store has to say about its opening, for example about a torn tail.
    Remark(String),
    /// A command was applied here. Skiff's own entries are not told.
    #[doc(alias = "applied log")]
    AppliedLog(Index),
    /// Something went wrong that the node cannot go on with. It stops.
    #[doc(alias = "error")]
    Error(ReplicaError),
    /// The listener was too slow and missed so many events.
    Lagged(u64),
}

/// Why somebody at the other end of a connection was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It belongs to a cluster of another name.
    #[error("it belongs to cluster `{theirs}`, this node to `{ours}`")]
    OtherCluster {
        /// Ours.
        ours: String,
        /// Theirs.
        theirs: String,
    },
    /// It belongs to another instance of the cluster.
    #[error(
        "`{name}` belongs to instance {theirs} of the cluster, this node to {ours}: they were founded apart and cannot be joined"
    )]
    OtherInstance {
        /// Its name.
        name: String,
        /// Ours.
        ours: InstanceId,
        /// Theirs.
        theirs: InstanceId,
    },
    /// Another live node has the same name.
    #[error("its name `{name}` is that of another live node at {other}: give each node its own")]
    NameTaken {
        /// The name.
        name: String,
        /// Where the other is.
        other: String,
    },
    /// Two processes run with copies of the same data, or one runs with an old copy.
    #[error(
        "its data is that of a live node at {other}: one of them runs on a copy, which must stop"
    )]
    CopiedData {
        /// Where the other is.
        other: String,
    },
    /// Its data is older than data it had before.
    #[error(
        "its data was opened {theirs} times, but {seen} openings were seen: it runs on an old copy, which must stop"
    )]
    OldData {
        /// How often it says its data was opened.
        theirs: u64,
        /// How often it was known to be opened.
        seen: u64,
    },
    /// Its data says that a term was reached which is below one it had reached before.
    #[error(
        "its data is of term {theirs}, but it had reached term {seen}: it runs on an old copy, which must stop"
    )]
    OldTerm {
        /// The term its data is of.
        theirs: Term,
        /// The term it was known to have reached.
        seen: Term,
    },
    /// It was removed from the cluster.
    #[error("`{name}` was removed from its cluster")]
    Removed {
        /// Its name.
        name: String,
    },
    /// It said something before it said who it is, or what nobody may say.
    #[error("it does not keep to the protocol: {what}")]
    Protocol {
        /// What it did.
        what: &'static str,
    },
    /// What it offered as the beginning of the cluster cannot be used here.
    #[error("its genesis cannot be used here: {reason}")]
    Genesis {
        /// Why, and what to do.
        reason: String,
    },
    /// The address can never be dialled.
    #[error("{reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
}
