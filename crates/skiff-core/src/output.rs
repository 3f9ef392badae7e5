//! Everything a node may ask of its driver, as plain data.

use alloc::vec::Vec;

use crate::{
    entry::Entry,
    error::{Fatal, Reject, TransferFailure},
    message::Message,
    types::{HardState, Index, LoadId, NodeId, Position, Term, Token, WriteId},
};

/// One thing to do, from [`Raft::poll`](crate::Raft::poll).
///
/// Outputs belong to lanes. Within a lane the driver works in the order polled; between lanes there
/// is no order to keep, because whatever must wait for something is held back by the core itself.
///
/// | lane | outputs |
/// |---|---|
/// | disk | [`Persist`](Self::Persist) |
/// | machine | [`Apply`](Self::Apply), [`ReadReady`](Self::ReadReady) |
/// | net | [`Send`](Self::Send) |
/// | free | [`Load`](Self::Load), [`Done`](Self::Done), [`Rejected`](Self::Rejected), [`Event`](Self::Event), [`Stop`](Self::Stop) |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable, then say [`Persisted`](crate::Input::Persisted). One is outstanding at a
    /// time.
    Persist(Write),
    /// Read entries back from the log store and answer with [`Loaded`](crate::Input::Loaded).
    Load {
        /// Names the request.
        load: LoadId,
        /// The first entry wanted. It is durable.
        from: Index,
        /// No entry at or beyond this one is wanted.
        to: Index,
        /// Stop after this many bytes, but give at least one entry.
        bytes_max: usize,
    },
    /// Apply these committed entries to the state machine, then say
    /// [`Applied`](crate::Input::Applied).
    Apply(Apply),
    /// The state machine has applied enough: the reader may read now.
    ReadReady {
        /// The request.
        token: Token,
        /// The index up to which the read is linearizable; it is applied.
        index: Index,
    },
    /// Say this to another node. It may be lost, repeated and reordered.
    Send {
        /// To whom.
        to: NodeId,
        /// The sender's term, which travels along.
        term: Term,
        /// What to say.
        message: Message,
    },
    /// What this request asked of the node itself, not of its machine, is done.
    Done {
        /// The request.
        token: Token,
    },
    /// This request will get no other answer.
    Rejected {
        /// The request.
        token: Token,
        /// Why, and whether it may still take effect.
        reason: Reject,
    },
    /// Something worth telling happened.
    Event(Event),
    /// The node must not go on. Nothing is put out after it but the rejection of later requests.
    Stop(Fatal),
}

/// The body of [`Output::Persist`]: one batch for the log store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Write {
    /// Names the write.
    pub id: WriteId,
    /// Term and vote from now on.
    pub hard_state: HardState,
    /// First drop every entry there is: the log begins after this position, whose content is in a
    /// snapshot that is durable already.
    pub begin_after: Option<Position>,
    /// Then drop every entry from this index on.
    pub truncate_from: Option<Index>,
    /// Then append these, which follow what is left without a gap.
    pub entries: Vec<Entry>,
}

/// The body of [`Output::Apply`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apply {
    /// Committed entries, in order and without a gap.
    pub entries: Vec<Entry>,
    /// The requests accepted here that these entries answer, in ascending order of index.
    pub tokens: Vec<(Index, Token)>,
}

/// The names of the states that the original's users saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateName {
    /// Follows a leader, or waits for one.
    Follower,
    /// Tries to become leader; asking whether an election makes sense (pre-vote) is part of it.
    Candidate,
    /// Leads.
    Leader,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The role changed.
    State(StateName),
    /// No leader was heard for an election timeout.
    ElectionTimeout,
    /// This node now follows this leader, or none.
    Leader {
        /// The leader, if one is known.
        leader: Option<NodeId>,
        /// The term.
        term: Term,
    },
    /// This node leads, and hands leadership over: no proposals are taken meanwhile.
    TransferStarted {
        /// Who is to lead.
        to: NodeId,
    },
    /// Leadership was handed over.
    TransferDone {
        /// Who leads.
        to: NodeId,
    },
    /// Leadership was not handed over. Whoever leads takes proposals.
    TransferAborted {
        /// Who was to lead.
        to: NodeId,
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
    /// The local disk is slow: this write has been pending for longer than an election timeout.
    SlowDisk {
        /// The write.
        write: WriteId,
    },
    /// The store had no room for a write, which will be tried again.
    WriteRefused {
        /// The write.
        write: WriteId,
    },
    /// Old entries could not be read back; it will be tried again.
    LoadFailed {
        /// The first entry wanted.
        from: Index,
    },
}
