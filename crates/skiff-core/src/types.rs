//! The small words everything else is written in: terms, indices, identities, time.

use core::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// Zero: before the first.
            pub const ZERO: Self = Self(0);

            /// The one after this; stays at the largest number there is.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The one before this; stays at zero.
            #[must_use]
            pub const fn prev(self) -> Self {
                Self(self.0.saturating_sub(1))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number! {
    /// A term: Raft's logical clock (dissertation 3.3). Each has at most one leader.
    Term
}
number! {
    /// A place in the log. The first entry has index 1; 0 means "before the first".
    Index
}
number! {
    /// Names one caller's request, chosen by the driver. The core only hands it back.
    Token
}
number! {
    /// Names one [`Write`](crate::Write). They are numbered from 1 in the order issued.
    WriteId
}
number! {
    /// Names one request to read old entries back from the log store.
    LoadId
}
number! {
    /// A number of rounds of signs of life a leader has sent. An answer that echoes a round
    /// proves that the leader was still followed after it sent that round (dissertation 6.4).
    Round
}
number! {
    /// The log's own time in nanoseconds, carried by each entry. It never goes back along the log.
    LogTime
}

/// The incarnation of a member: 128 random bits drawn together with its data directory.
///
/// A node whose data was wiped draws a new one, so it has no vote to give twice. The name that a
/// user gives to a node is kept in the [`Membership`](crate::Membership), not here.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u128);

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NodeId {
    /// The short form, as in logs: small numbers as they are, others by their first eight digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1 << 32 { write!(f, "n{}", self.0) } else { write!(f, "{:08x}", self.0 >> 96) }
    }
}

/// Where an entry stands: its index and the term it was made in. By the log matching property
/// (dissertation 3.5) two logs that share a position share everything before it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The term of the entry.
    pub term: Term,
    /// The index of the entry.
    pub index: Index,
}

impl Position {
    /// Before the first entry of a log.
    pub const ZERO: Self = Self { term: Term::ZERO, index: Index::ZERO };

    /// The position of term `term` and index `index`.
    #[must_use]
    pub const fn new(term: u64, index: u64) -> Self {
        Self { term: Term(term), index: Index(index) }
    }

    /// Whether a log that ends here is at least as up to date as one that ends at `other`
    /// (dissertation 3.6.1): the later last term wins, then the longer log.
    #[must_use]
    pub fn is_as_up_to_date_as(self, other: Self) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/t{}", self.index, self.term)
    }
}

/// What must survive a crash besides the log: the current term and the vote given in it
/// (dissertation figure 3.1, "persistent state").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardState {
    /// The highest term this node has seen.
    pub term: Term,
    /// Whom this node voted for in that term.
    pub vote: Option<NodeId>,
}

/// A moment on the driver's monotonic clock, in nanoseconds from an origin of its choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// This moment and a span of nanoseconds; stays at the end of time.
    #[must_use]
    pub const fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// How many nanoseconds have passed since `earlier`; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
