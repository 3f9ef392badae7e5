//! What can be seen of a replica from outside.

use std::fmt;

use skiff_core::{self as core, Index, NodeId, Position, Term};
use skiff_storage::{InstanceId, Room, Standing};

use crate::{event::State, refused::Leader};

/// How a replica stands, as told by [`Replica::status`](crate::Replica::status).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The node's name.
    pub name: String,
    /// Its incarnation.
    pub node: NodeId,
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's instance, once the node is a member.
    pub instance: Option<InstanceId>,
    /// Where others can dial it; empty if they cannot.
    pub address: String,
    /// How it stands to its cluster.
    pub standing: Standing,
    /// Its state.
    pub state: State,
    /// The current term.
    pub term: Term,
    /// Who leads, if known.
    pub leader: Option<Leader>,
    /// Whether this node's vote counts.
    pub voter: bool,
    /// How many more voters may fail before the cluster stops, whichever they are: of those that are
    /// connected, how many are not needed for a majority. Known to the leader only.
    pub tolerates: Option<usize>,
    /// The first entry that the log holds, or would hold.
    pub first: Index,
    /// The newest snapshot covers everything up to here; zero if there is none.
    pub snapshot: Index,
    /// The room of the log's disk, as it was last told.
    pub room: Option<Room>,
    /// All others it knows of.
    pub peers: Vec<PeerStatus>,
    /// For whom or what it waits before it is a member.
    pub waiting_for: Vec<Waiting>,
    /// How many hellos, envelopes and connections were refused since the start.
    pub refused: u64,
    /// How many calls are waiting here.
    pub waiting_calls: usize,
    /// How many bytes of them wait for a leader, or for its answer.
    pub waiting_bytes: usize,
    /// Snapshots that are being sent.
    pub sending: Vec<TransferStatus>,
    /// The snapshot that is being received.
    pub receiving: Option<TransferStatus>,
    /// The core's own view, once the node is a member.
    pub core: Option<core::Status>,
}

/// A snapshot on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferStatus {
    /// To whom, or from whom.
    pub node: NodeId,
    /// The last entry it covers.
    pub position: Position,
    /// So many bytes of it the receiver is known to have kept.
    pub kept: u64,
    /// So many it has.
    pub size: u64,
}

/// A node that this one knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerStatus {
    /// Where it is dialled, or where it says it can be.
    pub address: String,
    /// Its name, once it has said it.
    pub name: Option<String>,
    /// Its incarnation, once it has said it.
    pub node: Option<NodeId>,
    /// Whether it is connected and has said who it is.
    pub connected: bool,
    /// Whether it is a voter of the cluster this node is a member of.
    pub voter: bool,
    /// How long ago anything last came from it, in nanoseconds; `None` if nothing ever has.
    pub last_contact: Option<u64>,
    /// How far it is; known to the leader only.
    pub progress: Option<PeerProgress>,
}

/// How far a member is, as its leader sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerProgress {
    /// Up to where its log is known to be that of the leader, durably.
    pub matched: Index,
    /// What it lacks.
    pub trails_by: TrailsBy,
}

/// By how much a log trails the leader's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrailsBy {
    /// So many entries.
    pub entries: u64,
    /// So many bytes, at most; `None` if some of them were there before the leader started.
    pub bytes: Option<u64>,
    /// So long ago the leader's log got the first entry that is lacking, in nanoseconds; zero if none
    /// is, `None` if the leader started since.
    pub nanos: Option<u64>,
}

/// Something a node waits for before it is a member of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// It was told of no peers.
    Peers,
    /// Its own list of peers is not closed yet.
    OwnList,
    /// Nobody answers at this address.
    Address {
        /// The address.
        address: String,
    },
    /// The node at this address was turned away.
    Refused {
        /// The address.
        address: String,
        /// Why, in words.
        reason: String,
    },
    /// This peer's own list of peers is not closed yet.
    PeerList {
        /// The peer's name.
        name: String,
    },
    /// This peer itself waits for others.
    PeerWaits {
        /// The peer's name.
        name: String,
        /// The addresses at which nobody has answered it.
        addresses: Vec<String>,
    },
    /// This peer's list of peers is another than ours.
    OtherList {
        /// The peer's name.
        name: String,
        /// Where it is.
        address: String,
        /// The names only it has.
        only_there: Vec<String>,
        /// The names only this node has.
        only_here: Vec<String>,
    },
    /// Damage has taken these entries of its log, and others have yet to give them back.
    Entries {
        /// The first.
        first: Index,
        /// The last.
        last: Index,
    },
    /// All agree: this one, whose name is the lowest, founds the cluster.
    Founder {
        /// Its name.
        name: String,
    },
    /// This node itself is writing down the beginning of the cluster.
    Founding,
    /// This member's cluster exists already and does not hold this node yet.
    Admission {
        /// The member's name.
        name: String,
        /// Where it is.
        address: String,
        /// Its instance.
        instance: InstanceId,
        /// Why not, in its words; empty if it has said nothing.
        reason: String,
    },
    /// On the leader: a learner is to become a voter, but not while voters are silent.
    Voters {
        /// The learner's name.
        learner: String,
        /// The names of those who do not answer.
        silent: Vec<String>,
    },
    /// This node was removed from its cluster, and stays out until it is told to rejoin.
    Removed,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peers => f.write_str(
                "it was told of no peers: name them, or say that it is to be a cluster of its own",
            ),
            Self::OwnList => f.write_str("peers may still be named: its list is not closed"),
            Self::Address { address } => write!(f, "nobody answers at {address}"),
            Self::Refused { address, reason } => {
                write!(f, "the node at {address} was turned away: {reason}")
            }
            Self::PeerList { name } => write!(f, "the list of `{name}` is not closed"),
            Self::PeerWaits { name, addresses } => {
                write!(f, "`{name}` gets no answer at {}", addresses.join(", "))
            }
            Self::OtherList { name, address, only_there, only_here } => {
                write!(f, "`{name}` at {address} was given another list of peers")?;
                if !only_there.is_empty() {
                    write!(f, ", with {}", only_there.join(", "))?;
                }
                if !only_here.is_empty() {
                    write!(f, ", without {}", only_here.join(", "))?;
                }
                Ok(())
            }
            Self::Founder { name } => write!(f, "all agree; `{name}` founds the cluster"),
            Self::Entries { first, last } => write!(
                f,
                "entries {first} to {last} of its log are damaged, and no other member that answers has \
                 given them back yet"
            ),
            Self::Founding => f.write_str("this node is founding the cluster"),
            Self::Admission { name, address, instance, reason } => {
                write!(
                    f,
                    "`{name}` at {address} belongs to instance {instance}, which does not hold this node yet"
                )?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::Voters { learner, silent } => {
                let (names, one) = (silent.join(", "), silent.first().map_or("", String::as_str));
                write!(
                    f,
                    "`{learner}` stays a learner while a voter is silent ({names}): start it again, or \
                     `skiff member remove {one}`, or `skiff member replace {one} ADDRESS`"
                )
            }
            Self::Removed => f.write_str(
                "it was removed from its cluster; to belong to it again, start it with --rejoin",
            ),
        }
    }
}
