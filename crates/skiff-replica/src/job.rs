//! Everything a replica may ask of its driver.

use std::fmt;

use bytes::Bytes;
use skiff_core::{Apply, Entry, Index, LoadId, NodeId, Position, Token, Write};
use skiff_storage::{Identity, SnapshotMeta};
use skiff_transport::Envelope;

use crate::{error::ReplicaError, event::Event, machine::Mark, pieces::Piece, refused::Refused};

/// One thing to do, from [`Replica::poll`](crate::Replica::poll).
///
/// Jobs belong to lanes. Within a lane the driver works in the order polled; between lanes there is
/// no order to keep, because whatever must wait for something is held back by the replica.
///
/// | lane | jobs | answered by |
/// |---|---|---|
/// | disk | [`Write`](Self::Write) | `Persisted`, `WriteFailed` |
/// | | [`SaveSnapshot`](Self::SaveSnapshot), [`Identify`](Self::Identify) | `SnapshotSaved`, `Identified` |
/// | | [`Mend`](Self::Mend), [`EndWith`](Self::EndWith) | `Mended` |
/// | | [`Reload`](Self::Reload) | `Reloaded` |
/// | pieces | [`KeepPiece`](Self::KeepPiece), [`ForgetPieces`](Self::ForgetPieces) | `PieceKept` |
/// | machine | [`Capture`](Self::Capture), [`Restore`](Self::Restore) | `Captured`, `Restored` |
/// | | [`RestoreSnapshot`](Self::RestoreSnapshot) | `Restored` |
/// | | [`Checkpoint`](Self::Checkpoint) | `Checkpointed` |
/// | | [`TakeSnapshot`](Self::TakeSnapshot): the view; it is written elsewhere | `SnapshotTaken` |
/// | | [`Apply`](Self::Apply) | `Applied`, `MachineFailed`; `Responded` for remote tokens |
/// | | [`Query`](Self::Query) | `Responded` |
/// | net | [`Connect`](Self::Connect), [`Send`](Self::Send), [`Close`](Self::Close) | `Signal`, `ConnectFailed` |
/// | callers | [`ReadReady`](Self::ReadReady), [`Respond`](Self::Respond), [`Refuse`](Self::Refuse) | |
/// | free | [`Load`](Self::Load), [`ReadPiece`](Self::ReadPiece) | `Loaded`, `PieceRead` |
/// | | [`Describe`](Self::Describe) | `Responded` |
/// | | [`Event`](Self::Event), [`Stop`](Self::Stop) | |
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Open a connection and listen on it.
    Connect {
        /// What it is called from now on; always [`LinkId::Dialled`].
        link: LinkId,
        /// Where to.
        address: String,
    },
    /// Send this. If it cannot be sent it is dropped.
    Send {
        /// On which connection.
        link: LinkId,
        /// What.
        envelope: Envelope,
    },
    /// Close this connection for good and forget it.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Make this durable.
    Write(Write),
    /// Keep this snapshot, durably.
    SaveSnapshot {
        /// What it is.
        meta: Box<SnapshotMeta>,
        /// The machine's state.
        content: Bytes,
    },
    /// Replace the identity of the store, durably.
    Identify(Box<Identity>),
    /// Read durable entries back.
    Load {
        /// Names the request.
        load: LoadId,
        /// The first entry wanted.
        from: Index,
        /// No entry at or beyond this one is wanted.
        to: Index,
        /// Stop after this many bytes, but give at least one entry.
        bytes_max: usize,
    },
    /// Keep these entries, which follow `prev`, where damage has taken them from the log, durably.
    Mend {
        /// The entry before them.
        prev: Position,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// End the log with this entry, durably.
    EndWith {
        /// The entry.
        entry: Box<Entry>,
    },
    /// Look at what the log holds once more.
    Reload,
    /// Ask the machine for its state as it stands.
    Capture,
    /// Make this the machine's state.
    Restore {
        /// The state, as captured here or elsewhere.
        content: Bytes,
        /// What the machine keeps with it.
        mark: Box<Mark>,
    },
    /// Make the content of this snapshot, which is in the store, the machine's state
    /// ([`restore_snapshot`](crate::restore_snapshot)).
    RestoreSnapshot {
        /// Which one.
        position: Position,
        /// Whose machine it is.
        node: NodeId,
    },
    /// Make all that the machine was handed before durable in it, with this mark and the sessions
    /// ([`Applier::checkpoint`](crate::Applier::checkpoint)).
    Checkpoint {
        /// The mark.
        mark: Box<Mark>,
    },
    /// Take a view of the machine as it stands, quickly, and write it into the store elsewhere, at
    /// leisure ([`write_snapshot`](crate::write_snapshot)).
    TakeSnapshot {
        /// What the snapshot stands for: all entries that the machine was handed before.
        meta: Box<SnapshotMeta>,
    },
    /// Keep a piece of a snapshot that comes from another node ([`Incoming::keep`](crate::Incoming::keep)).
    KeepPiece(Piece),
    /// Give up the pieces that were kept ([`Incoming::forget`](crate::Incoming::forget)).
    ForgetPieces,
    /// Read some of a snapshot's content ([`read_piece`](crate::read_piece)).
    ReadPiece {
        /// The transfer it is for.
        transfer: u64,
        /// Which snapshot.
        position: Position,
        /// Where in its content.
        offset: u64,
        /// How much at most.
        bytes_max: usize,
    },
    /// Apply these entries and answer the callers whose tokens they carry: the local ones directly,
    /// the others by `Responded`.
    Apply(Apply),
    /// This local caller may read the machine now.
    ReadReady {
        /// The call.
        token: Token,
        /// The index up to which the read is as fresh as asked for; it is applied.
        index: Index,
    },
    /// Put this question, which came from another node or a client, to the machine.
    Query {
        /// The call.
        token: Token,
        /// The question, encoded.
        query: Bytes,
    },
    /// Tell the node's status, as JSON, to another node or a client.
    Describe {
        /// The call.
        token: Token,
    },
    /// The answer to a local caller whose command another node's machine has executed, encoded; or who asked
    /// something of the node itself: empty where there is no more to say than that it is done.
    Respond {
        /// The call.
        token: Token,
        /// The response.
        response: Bytes,
    },
    /// This local call gets no response. One that has been answered already is not affected.
    Refuse {
        /// The call.
        token: Token,
        /// Why, and what is known of its effect.
        reason: Refused,
    },
    /// Tell whoever wants to know.
    Event(Event),
    /// End. Nothing is put out after it but refusals of calls that come later.
    Stop(Result<(), ReplicaError>),
}

/// Names a connection. Those the replica dials are numbered by it, those that others open by the
/// driver; no number is ever used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkId {
    /// Opened here, by [`Job::Connect`].
    Dialled(u64),
    /// Opened by the other side.
    Accepted(u64),
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dialled(number) => write!(f, "dialled-{number}"),
            Self::Accepted(number) => write!(f, "accepted-{number}"),
        }
    }
}

/// Tokens of calls that came over a link have this bit; the driver's own never do.
pub(crate) const REMOTE: u64 = 1 << 63;

/// Whether a token stands for a call from another node or a client: its response is encoded and
/// handed back by [`Input::Responded`](crate::Input::Responded).
#[must_use]
pub const fn is_remote(token: Token) -> bool {
    token.0 & REMOTE != 0
}
