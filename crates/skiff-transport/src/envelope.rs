//! What travels between nodes, and between clients and nodes.

use bytes::Bytes;
use skiff_core::{Entry, Index, LogTime, Membership, Message, NodeId, Position, Term};

/// A request or an answer of so many bytes delays nothing.
const LIGHT: usize = 16 << 10;

/// One thing said on a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The Raft group. One per node today; carried so that many can share a connection later.
    pub group: u64,
    /// Who says it; zero for a client.
    pub from: NodeId,
    /// To whom; zero while the other side is not known yet.
    pub to: NodeId,
    /// The boot counter of the sender.
    pub boot: u64,
    /// What is said.
    pub body: Body,
}

impl Envelope {
    /// Whether it carries a snapshot, or some of one: that can be a gigabyte, and must delay neither signs of
    /// life nor entries where a transport can help it.
    #[must_use]
    pub const fn is_snapshot(&self) -> bool {
        matches!(self.body, Body::Offer(_) | Body::Piece(_))
    }

    /// Whether it carries a snapshot or entries of the log, or a request or an answer that is not small: bulk, which
    /// must not delay signs of life where a transport can help it.
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        match &self.body {
            Body::Raft { message: Message::Append(append), .. } => !append.entries.is_empty(),
            Body::Request(request) => match &request.ask {
                Ask::Command(bytes) | Ask::Query { query: bytes, .. } => bytes.len() > LIGHT,
                Ask::Session(SessionAsk::Command { command, .. }) => command.len() > LIGHT,
                Ask::Status
                | Ask::Session(_)
                | Ask::Transfer { .. }
                | Ask::Fate { .. }
                | Ask::Snapshot
                | Ask::Backup { .. }
                | Ask::Change(_) => false,
            },
            Body::Answer(answer) => answer.result.as_ref().is_ok_and(|bytes| bytes.len() > LIGHT),
            Body::Fetched(fetched) => !fetched.entries.is_empty(),
            Body::Offer(_) | Body::Piece(_) => true,
            _ => false,
        }
    }
}

/// What an [`Envelope`] holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// Who I am. The first thing each side says on every connection, said again when it changes.
    Hello(Box<Hello>),
    /// The state a cluster begins with, for a node that belongs to it and does not know yet.
    Genesis(Box<Genesis>),
    /// A message of the Raft core with its sender's term.
    Raft {
        /// The sender's term.
        term: Term,
        /// What it says.
        message: Message,
    },
    /// A client, or a node on behalf of one, asks for something.
    Request(Box<Request>),
    /// What became of a request.
    Answer(Box<Answer>),
    /// A member asks another for entries that damage took from its log.
    Fetch(Box<Fetch>),
    /// What the other has of them.
    Fetched(Box<Fetched>),
    /// A snapshot is offered, for the first time or once more.
    Offer(Box<Offer>),
    /// A piece of a snapshot that was offered.
    Piece(Box<SnapshotPiece>),
    /// How far the receiver of a snapshot is.
    Got(Box<Got>),
    /// A member tells a fresh node that it belongs to the cluster from now on.
    Admission(Box<Admission>),
    /// A member tells the leader of a fresh node that wants to belong to the cluster.
    Newcomer(Box<Newcomer>),
    /// A member tells a fresh node why it does not belong to the cluster yet.
    NotYet {
        /// Why, in words.
        reason: String,
        /// It was a member once, and can be one again only as a new node.
        removed: bool,
    },
}

/// The body of [`Body::Admission`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The members, the receiver among them. That is committed.
    pub membership: Membership,
    /// What the log begins with.
    pub genesis: Genesis,
}

/// The body of [`Body::Newcomer`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newcomer {
    /// The fresh node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Where it can be dialled.
    pub address: String,
    /// What it wants to be.
    pub joins: Joins,
    /// Whether its user gave it its name.
    pub named: bool,
}

/// What a fresh node wants to be in a cluster that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Joins {
    /// Nothing: it was told of no peers, and waits to be invited.
    #[default]
    Not,
    /// A voter.
    AsVoter,
    /// One that receives the log without counting.
    AsLearner,
}

/// The body of [`Body::Fetch`]: entries are wanted, the last of which stands at a known position.
/// Whoever has an entry there has the right ones before it (log matching, dissertation 3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// Names the request among those of its sender.
    pub id: u64,
    /// No entry before this one is wanted.
    pub from: Index,
    /// The last one wanted.
    pub last: Position,
}

/// The body of [`Body::Fetched`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The request's id.
    pub id: u64,
    /// What the entries are, or why there are none.
    pub found: Found,
    /// The entry before the first of them.
    pub prev: Position,
    /// The entries, without a gap.
    pub entries: Vec<Entry>,
}

/// What was found of the entries that were wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Found {
    /// As many of them as fit into one answer, the last one included.
    Entries,
    /// An entry, alone, that is committed where the last one wanted would be, or before that and in a
    /// later term. So what was wanted never was committed, nor will it be.
    Committed,
    /// Nothing: the log has no such entry, which says no more.
    #[default]
    Differs,
    /// Nothing: the log is damaged there too.
    Damaged,
    /// Nothing: the log begins after it.
    Compacted,
}

/// The body of [`Body::Offer`]: what a snapshot is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Names the transfer among those of its sender.
    pub transfer: u64,
    /// The last entry it covers.
    pub position: Position,
    /// The log's time at that entry.
    pub time: LogTime,
    /// The members at that entry.
    pub membership: Membership,
    /// The terms of the log up to that entry, each with the index of its first entry.
    pub terms: Vec<(Index, Term)>,
    /// The version of the state machine's data.
    pub machine_version: u32,
    /// How the state machine's data is encoded.
    pub codec: String,
    /// How many bytes that data has.
    pub size: u64,
    /// The CRC-32C of that data.
    pub checksum: u32,
    /// The members by now, with the receiver among them, if it belongs to no cluster yet.
    pub admits: Option<Membership>,
}

/// The body of [`Body::Piece`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPiece {
    /// The transfer it belongs to.
    pub transfer: u64,
    /// Where in the content it begins.
    pub offset: u64,
    /// The piece.
    pub bytes: Bytes,
}

/// The body of [`Body::Got`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Got {
    /// The transfer.
    pub transfer: u64,
    /// So many bytes, from the beginning on, are with the receiver.
    pub kept: u64,
    /// How it stands.
    pub progress: Progress,
}

/// How the transfer of a snapshot stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Progress {
    /// More is to come.
    Going,
    /// Something is missing: what comes next must begin at what is kept.
    Gap,
    /// All of it is durable and verified.
    Done,
    /// It is of no use here.
    Refused,
    /// It could not be kept, or is not what was offered.
    #[default]
    Failed,
}

/// How a node stands to its cluster, as it tells others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It has never belonged to one.
    #[default]
    Fresh,
    /// It belongs to one.
    Member,
    /// It was removed from one.
    Removed,
    /// It is no node at all, but a client.
    Client,
}

/// The body of [`Body::Hello`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's instance; `None` while the sender belongs to none.
    pub instance: Option<u128>,
    /// The sender's name.
    pub name: String,
    /// Where the sender can be dialled; empty if it cannot.
    pub address: String,
    /// How it stands to its cluster.
    pub standing: Standing,
    /// A random number of this run of the sender: tells two runs of one boot counter apart.
    pub nonce: u64,
    /// The sender's term.
    pub term: Term,
    /// The last index that is durable at the sender.
    pub durable: Index,
    /// The highest feature level the sender can use.
    pub feature_level: u32,
    /// While the sender is fresh: whether its list of peers is closed, that is, will not grow.
    pub list_closed: bool,
    /// While the sender is fresh: all it was told to form a cluster with, itself included, as far
    /// as they have answered.
    pub list: Vec<Listed>,
    /// While the sender is fresh: addresses of its list that nobody has answered at yet.
    pub unresolved: Vec<String>,
    /// The sender is about to stop: nothing should be asked of it any more.
    pub leaving: bool,
    /// The receiver is about to stop, and the sender waits for no answer of it.
    pub farewell: bool,
    /// The sender has no room for new entries.
    pub full: bool,
    /// While the sender is fresh: what it wants to be in a cluster that exists.
    pub joins: Joins,
    /// Whether the sender's user gave it its name.
    pub named: bool,
}

/// A node on the list of a fresh node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its incarnation.
    pub node: NodeId,
}

/// The body of [`Body::Genesis`]: a snapshot, small enough for one envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's instance.
    pub instance: u128,
    /// The position it stands for: index 1 of term 1.
    pub position: Position,
    /// The members.
    pub membership: Membership,
    /// The version of the state machine's data.
    pub machine_version: u32,
    /// How the state machine's data is encoded.
    pub codec: String,
    /// The state machine's data.
    pub content: Bytes,
}

/// The body of [`Body::Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Names the request among those of one sender on one connection; the answer carries it.
    pub id: u64,
    /// How long the sender will wait, in milliseconds.
    pub timeout_ms: u64,
    /// How many nodes have passed it on.
    pub hops: u32,
    /// What is asked for.
    pub ask: Ask,
}

/// What a [`Request`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// Replicate this command and tell the state machine's response.
    Command(Bytes),
    /// Put this question to the state machine.
    Query {
        /// The question, encoded as the machine says.
        query: Bytes,
        /// What the answer may be.
        consistency: Consistency,
    },
    /// Tell how you are, as JSON.
    Status,
    /// Let another member lead.
    Transfer {
        /// Its name; whoever is best up to date if there is none.
        to: Option<String>,
    },
    /// Tell what became of an entry, in a word.
    Fate {
        /// The instance of the cluster.
        instance: u128,
        /// Where the entry was appended.
        position: Position,
    },
    /// Take a snapshot, unless the newest holds all that was applied.
    Snapshot,
    /// Give a copy of a snapshot, piece by piece.
    Backup {
        /// Which one; `None`: take one that holds all that was acknowledged, and tell what it is.
        position: Option<Position>,
        /// Where in its content.
        offset: u64,
        /// At most so many bytes.
        bytes_max: u32,
    },
    /// Something of a session: begin one, a command in it, end it.
    Session(SessionAsk),
    /// Change who the members are.
    Change(MemberChange),
}

/// What is asked for about a session (dissertation 6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionAsk {
    /// Begin one, which lives for so long without being used, in milliseconds of the log's time. The
    /// answer is its number, in eight bytes, little-endian.
    Begin {
        /// How long it lives.
        timeout_ms: u64,
    },
    /// Replicate this command, unless that was done already, and tell the state machine's response.
    Command {
        /// The session.
        session: u64,
        /// The number of the command in it, from 1 on. A higher one acknowledges all below it.
        number: u64,
        /// The command.
        command: Bytes,
    },
    /// Forget the session.
    End {
        /// The session.
        session: u64,
    },
}

/// A change of the members, by the names and addresses that people know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MemberChange {
    /// The fresh node at this address is to receive the log without counting.
    AddLearner {
        /// Where it is.
        address: String,
    },
    /// The fresh node at this address is to become a voter.
    AddVoter {
        /// Where it is.
        address: String,
    },
    /// The member of this name is to be one no longer.
    Remove {
        /// Its name.
        name: String,
    },
    /// The fresh node at this address is to take the place of the member of this name.
    Replace {
        /// Who goes.
        name: String,
        /// Where who comes is.
        address: String,
    },
}

/// What a read may return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Consistency {
    /// The newest state: everything that was acknowledged to anyone before the read was asked
    /// (ReadIndex, dissertation 6.4).
    #[default]
    Linearizable,
    /// What this node has applied, at once: it may be old, also far older than the newest.
    Local,
    /// As linearizable, by the leader's lease, without asking others. Not available yet.
    Lease,
    /// At most so old, in milliseconds. Not available yet.
    BoundedStale(u64),
}

/// The body of [`Body::Answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's id.
    pub id: u64,
    /// What came of it: the encoded response, or why there is none.
    pub result: Result<Bytes, Refusal>,
}

/// Why a request got no response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// A short word for programs, such as `ENOTLEADER`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Name and address of the leader, if known.
    pub leader: Option<(String, String)>,
    /// What is known of the request's effect.
    pub outcome: Outcome,
    /// Where the entry of the request stands, if it was appended: instance and position.
    pub position: Option<(u128, Position)>,
}

/// What is known of the effect of a request that got no response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It had none and will have none: it may be tried again.
    #[default]
    NotApplied,
    /// It may have taken effect, or do so later.
    Unknown,
    /// It took effect; only the response is lost.
    AppliedResponseLost,
}
