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
    /// The answer to an Append of an old term is numbered like one of the new.
    OldAnswerNumbered,
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

    // Transfers.
    /// What is proposed during a transfer is appended, and told to be refused.
    AppendsInTransfer,
    /// A successor is told to campaign before it has everything.
    TimeoutNowTooEarly,
    /// A transfer that does not come about goes on for ever.
    TransferNeverEnds,
    /// A transfer is told to be done before the successor leads.
    TransferDoneTooEarly,
    /// A successor asks for votes like anybody else.
    TransferIsNoReason,
    /// A node that is to stop hands nothing over.
    LeavesAtOnce,
    /// What is not committed in a term that is over is told never to be.
    NeverByTerm,
    /// Any committed entry at its index is taken for the one asked about.
    AppliedByIndex,

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
    /// Any answer of a member counts for the newest round.
    AnyAnswerProves,
    /// A new leader serves reads at the commit index it had as follower.
    ReadsBeforeNoop,
    /// All batches of reads have one name.
    ReadNameReused,

    // Membership.
    /// A joint membership is left before it is committed.
    ExitBeforeJoint,
    /// A change begins before anything of the leader's term is committed.
    ChangesBeforeNoop,
    /// A change begins while another is not committed.
    TwoChanges,
    /// Learners count like voters.
    LearnersCount,
    /// A removed node is not told.
    RemovedUntold,
    /// A node obeys also those who know of older memberships than itself.
    OldRemovalObeyed,
    /// While the members are joint a majority of the incoming ones commits.
    OneHalfCommits,
    /// While the members are joint a majority of the incoming ones elects.
    OneHalfElects,
    /// A membership stays in force although its entry is cut off.
    CutKeepsMembers,
    /// A leader that is no member any more leads on.
    RemovedLeaderStays,
    /// A leader that is no member any more makes anybody its successor.
    HeirUninformed,
    /// The last voter can be removed.
    LastVoterLeaves,
    /// A learner becomes a voter whether it has caught up or not.
    PromotesUnready,

    // The log.
    /// A batch is written and not synced.
    BatchNotSynced,
    /// A sync that fails is tried again.
    SyncIsRetried,
    /// The name of a new segment is not synced.
    SegmentNameNotSynced,
    /// A file that replaces another is written in its place.
    ReplacedInPlace,
    /// The renaming that replaces a file is not synced.
    ReplacedNotSynced,
    /// The boot counter stays as it is.
    BootNotCounted,
    /// The last batch is not written again when the log is opened.
    LastBatchNotMadeSure,
    /// A log without its identity is taken for a new one.
    LostIsNew,
    /// A good batch behind a damaged one does not prove that that was synced.
    LaterBatchIgnored,
    /// What the identity says was synced may be missing.
    WatermarkIgnored,
    /// The torn batch at the end proves its own damage.
    TornIsDamaged,
    /// An entry's payload is not checked.
    EntryNotChecked,
    /// A batch counts wherever it stands.
    PlaceNotChecked,
    /// A vote that came without entries is forgotten in a restart.
    BareVoteForgotten,
    /// Records that cut the log have no effect.
    CutForgotten,
    /// Entries are looked for where those stood that were cut.
    ReadsWhatWasCut,
    /// The next segment is begun without a word in the one before.
    NextSegmentUnannounced,
    /// A write of which half is durable is told to have left no trace.
    HalfAWriteIsNone,

    // Snapshots.
    /// The log is compacted beyond what the machine has applied.
    CompactsUnapplied,
    /// The log is compacted under a snapshot that is on its way to a member.
    CompactsUnderTransfer,
    /// A snapshot of the own machine counts as the newest although a newer one was installed.
    LateSnapshotCounts,
    /// A snapshot is installed, and the log stays as it was.
    InstallKeepsLog,
    /// Pieces of a snapshot are kept wherever they belong, as if they came in order.
    PiecesAnywhere,
    /// A snapshot is told durable before it has its name.
    SnapshotToldEarly,
    /// A snapshot takes the place of entries that are missing although it does not cover all of them.
    CoversTooLittle,
    /// A snapshot that came counts although what there is holds more.
    InstallsOlderSnapshot,
    /// A log that holds another entry at the last index of a snapshot that came is kept.
    KeepsConflictingLog,
    /// The members in a snapshot that came are not those in force from then on.
    ForgetsMembersOfSnapshot,
    /// The terms in a snapshot that came are not remembered.
    ForgetsTermsOfSnapshot,
    /// A snapshot holds the newest members, which may never have been.
    SnapshotHoldsNewestMembers,
    /// A snapshot holds no sessions.
    SnapshotWithoutSessions,
    /// A snapshot that is offered anew goes on where it was, not where the receiver is.
    ResumesWhereItWas,
    /// Pieces of a snapshot are expected from who led before, not taken from who leads.
    ExpectsOldSender,
    /// Whoever asks for a snapshot is given the newest there is.
    OldSnapshotAnswers,
    /// A backup is given of what the node has applied, without asking a leader.
    BackupWithoutRound,
    /// The file of a backup goes when two newer snapshots are there.
    BackupLosesItsFile,

    // Mending.
    /// A node whose log has holes goes on as if it had none.
    HolesForgotten,
    /// What stands before a mended piece is not compared with it.
    PieceNotMatched,
    /// What was cut in a hole, or before it, is taken for known.
    HoleCutForgotten,
    /// What the header of a torn batch says of those before it is not looked at.
    TornHeaderIgnored,
    /// Who could not be given entries is not asked again.
    AskedOnce,

    // Forming and calls.
    /// A majority of the list founds a cluster.
    MajorityFounds,
    /// A list of joins counts as closed from the beginning.
    OpenListCounts,
    /// Whoever finds the list complete founds a cluster, the lowest name or not.
    AnybodyFounds,
    /// Each member draws the instance of its cluster itself.
    InstanceDrawnAgain,
    /// A node acts as a member before its folder says so.
    MemberTooEarly,
    /// A call that is past its deadline stays open.
    AnswersTwice,
    /// What is past its deadline is said to have no effect, although it is in the log.
    ExpiredIsNotApplied,
    /// What a leader could not finish is said to have no effect.
    LostIsNotApplied,
    /// A forwarded command of unknown outcome is tried again.
    RetriesTheUnknown,

    // Sessions.
    /// A command that was executed is executed again when it is tried again.
    ExecutesARetry,
    /// A command below one that was executed in its session is executed.
    ExecutesTheAcknowledged,
    /// A command of a session that has expired is executed.
    ExpiredExecutes,
    /// With as many sessions as may be, the one that expires next gives way.
    EvictsASession,
    /// What a command of a session answered is kept only where somebody waits for it.
    AnswersStayWithTheLeader,

    // Machines that are durable by themselves.
    /// The log is compacted beyond what the machine has after a crash.
    CompactsUnmarked,
    /// A mark names one entry more than is in the machine's data.
    MarkTooHigh,
    /// A mark holds no sessions.
    MarkWithoutSessions,
    /// What a machine has stored since its mark is applied to it again.
    StoredAppliedAgain,
    /// What commands of sessions answered since the mark is not remembered.
    StoredAnswersForgotten,
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
