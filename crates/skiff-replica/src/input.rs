//! Everything that can happen to a replica.

use bytes::Bytes;
use skiff_core::{Entry, Index, Instant, LoadError, LoadId, Position, Token, WriteId};
use skiff_storage::{Recovered, Room, SnapshotInfo, StoreError};
use skiff_transport::{Consistency, MemberChange, SessionAsk, Signal};

use crate::{
    job::LinkId,
    refused::{EntryPosition, Refused},
};

/// One thing that happened, for [`Replica::step`](crate::Replica::step). Plain data, so that a run
/// can be recorded and replayed.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The moment given by [`Replica::deadline`](crate::Replica::deadline) has come. Too early is
    /// harmless. What has arrived before must be stepped before.
    Timeout,
    /// The user names a peer to form a cluster with. Saying one twice is harmless.
    Join {
        /// Where it is, in the transport's own notation.
        address: String,
    },
    /// The user has named all peers: nobody else is waited for.
    CloseList,
    /// The user wants a cluster of one, now. Does nothing on a member.
    Bootstrap,
    /// A link tells something. One that was accepted is known from its first [`Signal::Up`] on.
    Signal {
        /// The link.
        link: LinkId,
        /// What it tells.
        signal: Signal,
    },
    /// A [`Job::Connect`](crate::Job::Connect) can never succeed: this is no address.
    ConnectFailed {
        /// The link that was to be.
        link: LinkId,
        /// What is wrong, in words.
        reason: String,
    },
    /// A caller wants something.
    Call {
        /// Names the call. The driver numbers its calls from 1 without a gap, in the order it
        /// hands them in; so it can keep its callers in a queue.
        token: Token,
        /// What is wanted.
        call: Call,
        /// When the caller stops waiting: by then it has its answer.
        deadline: Instant,
    },
    /// The caller is gone: nothing is answered to it any more. A command that is not in the log by
    /// now will not get there.
    Cancel {
        /// The call.
        token: Token,
    },
    /// This write and all before it are durable.
    Persisted {
        /// The newest of them.
        write: WriteId,
    },
    /// This write failed.
    WriteFailed {
        /// The write.
        write: WriteId,
        /// Whether the store is as before and can go on.
        recoverable: bool,
        /// Why, in words.
        reason: String,
    },
    /// The log's room, as it tells it. The driver looks about once a second, and after a write was
    /// refused; never for a command.
    Room {
        /// `None` if that is not known.
        room: Option<Room>,
    },
    /// The answer to a [`Job::Load`](crate::Job::Load).
    Loaded {
        /// Which one.
        load: LoadId,
        /// The entries from the index asked for, in order, at least one.
        result: Result<Vec<Entry>, LoadError>,
    },
    /// The answer to a [`Job::Mend`](crate::Job::Mend) or [`Job::EndWith`](crate::Job::EndWith):
    /// durable, or why not.
    Mended {
        /// What the entries that were kept follow; `None` if the log was ended.
        prev: Option<Position>,
        /// Why not.
        result: Result<(), NotMended>,
    },
    /// The answer to a [`Job::Reload`](crate::Job::Reload).
    Reloaded {
        /// What the log holds, or why that is not known.
        result: Result<Recovered, NotMended>,
    },
    /// The answer to a [`Job::SaveSnapshot`](crate::Job::SaveSnapshot): durable, or why not.
    SnapshotSaved {
        /// Why not, in words.
        result: Result<(), String>,
    },
    /// The answer to a [`Job::TakeSnapshot`](crate::Job::TakeSnapshot): durable, or why not.
    SnapshotTaken {
        /// Which one.
        position: Position,
        /// What it is.
        result: Result<Box<SnapshotInfo>, NotKept>,
    },
    /// The answer to a [`Job::KeepPiece`](crate::Job::KeepPiece): written, and with the last piece
    /// durable and verified; or why not, and then nothing of the snapshot is left.
    PieceKept {
        /// Of which snapshot.
        position: Position,
        /// Up to here its content is kept.
        upto: u64,
        /// Why not.
        result: Result<(), NotKept>,
    },
    /// The answer to a [`Job::ReadPiece`](crate::Job::ReadPiece).
    PieceRead {
        /// The transfer it is for.
        transfer: u64,
        /// Where in the content.
        offset: u64,
        /// The piece, or why there is none, in words.
        result: Result<Bytes, String>,
    },
    /// The answer to a [`Job::Identify`](crate::Job::Identify): durable, or why not.
    Identified {
        /// Why not, in words.
        result: Result<(), String>,
    },
    /// The answer to a [`Job::Capture`](crate::Job::Capture).
    Captured {
        /// The machine's state, or why there is none.
        result: Result<Bytes, String>,
    },
    /// The answer to a [`Job::Restore`](crate::Job::Restore) or
    /// [`Job::RestoreSnapshot`](crate::Job::RestoreSnapshot).
    Restored {
        /// Why not, in words.
        result: Result<(), String>,
    },
    /// The machine has applied everything up to this index, and the local callers that waited for
    /// it have their responses.
    Applied {
        /// The last index applied.
        index: Index,
    },
    /// The answer to a [`Job::Checkpoint`](crate::Job::Checkpoint): durable, or why not.
    Checkpointed {
        /// Up to where.
        position: Position,
        /// Why not, in words.
        result: Result<(), String>,
    },
    /// The machine could not apply this entry, and applies no more.
    MachineFailed {
        /// The entry.
        index: Index,
        /// Why, in words.
        reason: String,
    },
    /// The encoded response to a call that came from another node or a client
    /// ([`is_remote`](crate::is_remote)).
    Responded {
        /// The call.
        token: Token,
        /// The response, or why there is none.
        result: Result<Bytes, Refused>,
    },
    /// The node is to stop when the others can do without it: leadership is handed over, what is under
    /// way is brought to its end, and clients are told to ask others. Then, or when that has taken five
    /// of the longest election timeouts, [`Job::Stop`](crate::Job::Stop) is put out.
    Leave,
    /// The node is to stop now: every call is answered, then [`Job::Stop`](crate::Job::Stop) is put out.
    Stop,
}

/// Why a store did not keep a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotKept {
    /// Whether the store is as before and can go on.
    pub recoverable: bool,
    /// Why, in words.
    pub reason: String,
}

impl From<StoreError> for NotKept {
    fn from(error: StoreError) -> Self {
        let is_as_before = matches!(error, StoreError::Other(_)) || error.is_recoverable();
        Self { recoverable: is_as_before, reason: error.to_string() }
    }
}

/// Why a store did not keep entries that were to mend it, or cannot be read again after that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotMended {
    /// Whether the store is as before and can go on.
    pub recoverable: bool,
    /// Whether data is damaged or lost.
    pub damaged: bool,
    /// Why, in words.
    pub reason: String,
}

impl From<StoreError> for NotMended {
    fn from(error: StoreError) -> Self {
        let (recoverable, damaged) = (error.is_recoverable(), error.is_damage());
        Self { recoverable, damaged, reason: error.to_string() }
    }
}

/// What a caller wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// To have this command replicated and applied.
    ///
    /// Answered by a [`Job::Apply`](crate::Job::Apply) that carries the token, by
    /// [`Job::Respond`](crate::Job::Respond) if another node led, or by
    /// [`Job::Refuse`](crate::Job::Refuse).
    Command(Bytes),
    /// Something of a session. Answered like a command, but by the [answer](crate::Answer) that the
    /// applier has for it.
    Session(SessionAsk),
    /// To read the machine. Answered by [`Job::ReadReady`](crate::Job::ReadReady) or
    /// [`Job::Refuse`](crate::Job::Refuse).
    Read(Consistency),
    /// To have another node lead: the one of this name, or whoever is best up to date. Answered by an
    /// empty [`Job::Respond`](crate::Job::Respond) once it leads, or by
    /// [`Job::Refuse`](crate::Job::Refuse).
    Transfer(Option<String>),
    /// To know what became of an entry, as far as this node knows. Answered by
    /// [`Job::Respond`](crate::Job::Respond) with a [`Fate`](crate::Fate).
    Fate(EntryPosition),
    /// To have a snapshot taken, unless the newest holds all that was applied. Answered by
    /// [`Job::Respond`](crate::Job::Respond) with what is [taken](crate::Taken).
    Snapshot,
    /// To have a copy of a snapshot. Answered by [`Job::Respond`](crate::Job::Respond): without a position,
    /// by an envelope with an offer; with one, by some of its content.
    Backup {
        /// Which snapshot; `None`: one that holds all that was acknowledged to anybody.
        position: Option<Position>,
        /// Where in its content.
        offset: u64,
        /// At most so many bytes.
        bytes_max: u32,
    },
    /// To have the members changed. Answered by an empty [`Job::Respond`](crate::Job::Respond) or
    /// [`Job::Refuse`](crate::Job::Refuse).
    Change(MemberChange),
    /// To be a member no longer. Answered like a change.
    Leave,
}
