//! Planted bugs, for tests of the tests: each stands in one line of the core, the log or the replica,
//! and does nothing unless the feature `mutants` is on and it is planted.

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A bug that can be planted. What each breaks, and who should see it, is told by the
        /// simulator's table of mutants.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Mutant {
            $($(#[$doc])* $name,)*
        }

        impl Mutant {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

mutants! {
    // Elections.
    /// A voter grants a second vote in one term.
    VotesTwice,
    /// A voter does not compare logs.
    VotesForShorterLog,
    /// A granted vote leaves before it is durable.
    VoteReplyUngated,
    /// A candidate asks for votes before its own is durable.
    VoteRequestUngated,
    /// Messages leave before the term they carry is durable.
    TermUngated,
    /// What a role promised is sent although its term is over.
    PromisesOutliveTheTerm,
    /// Half of an even number of voters elects.
    HalfIsMajority,
    /// A candidate to be does not learn a higher term from a refusal.
    PreVoteTermIgnored,
    /// Granting a pre-vote raises the term.
    PreVoteRaisesTerm,
    /// Granting a pre-vote ends one's own candidacy instead of postponing it.
    PreVoteGrantStopsTimer,
    /// A vote refused because a leader is heard raises the voter's term.
    RefusalRaisesTerm,
    /// The leader of an old term is not told that there is a newer one.
    StaleAppendUnanswered,
    /// A broken connection to the leader stops the election timer instead of shortening it.
    BrokenConnectionStopsTimer,
    /// Signs of life do not restart the election timer.
    HeartbeatIgnoredByTimer,
    /// A voter's election timer runs on while its vote is being synced.
    TimerRunsDuringSync,
    /// Lost elections do not lengthen the next election timeout.
    NoBackOff,
    /// A leader whom no quorum answers stays in office.
    UnfollowedKeepsOffice,
    /// A leader whose disk is stuck stays in office.
    StalledDiskKeepsOffice,

    // Replication.
    /// A follower cuts its log where an Append overlaps it, although nothing conflicts.
    TruncatesOnOverlap,
    /// A follower keeps its entry where the leader has another.
    ConflictIgnored,
    /// A follower acknowledges its whole log, not what the Append matched.
    AcksWholeLog,
    /// A follower acknowledges what is durable, verified by this leader or not.
    AcksUnverified,
    /// A follower acknowledges what is not durable yet.
    AcksUndurable,
    /// A follower commits as far as the leader, verified or not.
    CommitsUnverified,
    /// A follower answers nothing while its disk is busy.
    SignOfLifeWaits,
    /// A leader counts its own log as far as it goes, durable or not.
    LeaderCountsUndurable,
    /// A leader commits entries of earlier terms by counting.
    CommitsOldTerms,
    /// A leader looks for commits only when others answer, not when its own write is done.
    OwnWriteCommitsNothing,
    /// A refusal that comes late is taken for a loss of what was acknowledged.
    LateRefusalObeyed,
    /// What was lost on the way is never sent again.
    LostIsNotResent,
    /// Entries that were cut off stay durable, whatever comes in their place.
    CutStaysDurable,
    /// A finished write makes durable what was cut from it and came again.
    PersistedAba,
    /// A leader cuts off what its disk refused, and goes on in the same term.
    FailedWriteIsCut,
    /// Entries are applied before they are durable here.
    AppliesUndurable,
    /// A leader that loses its office forgets to say so to those who wait.
    LostOfficeUntold,

    // Reads.
    /// Reads are served without waiting for the round that proves leadership.
    ReadsWithoutRound,
    /// Reads are proved by a round that began before they arrived.
    ReadJoinsOldRound,
    /// A new leader serves reads at the commit index it had as follower.
    ReadsBeforeNoop,
    /// All batches of reads have one name.
    ReadNameReused,
}

#[cfg(feature = "mutants")]
mod planting {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::Mutant;

    /// The one that is planted, counted from 1; zero if none is.
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Plants this bug in every node of the process, in place of any other.
    pub fn plant(mutant: Option<Mutant>) {
        PLANTED.store(mutant.map_or(0, |mutant| mutant as u8 + 1), Ordering::Relaxed);
    }

    /// Whether this bug is planted.
    #[must_use]
    #[inline]
    pub fn planted(mutant: Mutant) -> bool {
        PLANTED.load(Ordering::Relaxed) == mutant as u8 + 1
    }
}

#[cfg(feature = "mutants")]
pub use planting::{plant, planted};

/// Whether this bug is planted: it never is without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline]
pub const fn planted(_: Mutant) -> bool {
    false
}
