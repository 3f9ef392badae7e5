//! Tests of the tests: bugs of one line each, planted in the core, the log and the replica. Each must
//! be found, or the judges are blind to it, or the generator never comes to where it shows.
//!
//! To plant one the crate must be built with the feature `mutants`. Without it nothing of them is left.

#[cfg(feature = "mutants")]
mod run;

pub use skiff_replica::core::mutants::Mutant;

#[cfg(feature = "mutants")]
pub use self::run::{Hunt, Quarry, Seen, planted};

/// One planted bug: a line of the [table](TABLE).
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which.
    pub mutant: Mutant,
    /// What it is called.
    pub name: &'static str,
    /// What it breaks, in a sentence.
    pub breaks: &'static str,
    /// The judge that should see it. It is not wrong if another comes first: the core looks at itself
    /// too, and stops.
    pub judge: &'static str,
    /// The entry of `docs/pitfalls.md` that tells of such a bug; empty if none does.
    pub pitfall: &'static str,
    /// Where it is hunted.
    pub ground: Ground,
}

/// Where a bug is hunted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// In whole clusters, seed by seed.
    Clusters,
    /// In scenes and scripts that drive the log alone, power cut by power cut. Today a cluster's log is
    /// never compacted, so that no file of it becomes another segment; and it seldom happens that a disk
    /// is full in the middle of a write, or that just the last batch before a restart is damaged.
    Log,
}

/// The row of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

const fn row(
    mutant: Mutant,
    name: &'static str,
    breaks: &'static str,
    judge: &'static str,
    pitfall: &'static str,
) -> Row {
    Row { mutant, name, breaks, judge, pitfall, ground: Ground::Clusters }
}

const fn log(
    mutant: Mutant,
    name: &'static str,
    breaks: &'static str,
    pitfall: &'static str,
) -> Row {
    Row { mutant, name, breaks, judge: "log", pitfall, ground: Ground::Log }
}

/// All planted bugs. What is wrong in the code stands with each [`Mutant`]; here stands what comes of
/// it. Bugs in what does not exist yet are added with it: memberships that change, learners,
/// sessions, leases, snapshots beyond the first, repair.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    // Elections.
    row(Mutant::VotesTwice, "votes-twice",
        "Two candidates win one term.",
        "one_vote", "one-grant-per-term"),
    row(Mutant::VotesForShorterLog, "votes-for-shorter-log",
        "A leader lacks what is committed.",
        "leader_completeness", ""),
    row(Mutant::VoteReplyUngated, "vote-reply-ungated",
        "A crash forgets a vote that counted.",
        "durable_before_told", "vote-on-disk-before-reply"),
    row(Mutant::TermUngated, "term-ungated",
        "A crash takes back a term that others have seen.",
        "durable_before_told", "term-never-goes-back"),
    row(Mutant::PromisesOutliveTheTerm, "promises-outlive-the-term",
        "A vote of one term is sent as one of the next.",
        "durable_before_told", "late-built-vote"),
    row(Mutant::HalfIsMajority, "half-is-majority",
        "Two halves of a cluster each have a leader.",
        "election_safety", "self-counts-only-as-voter"),
    row(Mutant::PreVoteTermIgnored, "pre-vote-term-ignored",
        "A long log of a low term and a short one of a higher term refuse each other for ever.",
        "liveness", "prevote-long-log-low-term"),
    row(Mutant::PreVoteRaisesTerm, "pre-vote-raises-term",
        "Whoever asks learns a higher term from each answer, and asks anew.",
        "liveness", "prevote-low-term-voter-needed"),
    row(Mutant::PreVoteGrantStopsTimer, "pre-vote-grant-stops-timer",
        "If who asked is gone, nobody campaigns.",
        "liveness", "timer-reset-only-when-earned"),
    row(Mutant::RefusalRaisesTerm, "refusal-raises-term",
        "One that hears nobody deposes leader after leader.",
        "liveness", ""),
    row(Mutant::StaleAppendUnanswered, "stale-append-unanswered",
        "A node of a higher term and a leader never come together.",
        "liveness", "busy-follower-keeps-faith"),
    row(Mutant::OldAnswerNumbered, "old-answer-numbered",
        "A leader that was one before takes an answer to then for one to now.",
        "no_false_alarm", ""),
    row(Mutant::BrokenConnectionStopsTimer, "broken-connection-stops-timer",
        "When a leader's connections break nobody takes its place.",
        "liveness", ""),
    row(Mutant::HeartbeatIgnoredByTimer, "heartbeat-ignored-by-timer",
        "Followers campaign against a leader they hear.",
        "liveness", "busy-follower-keeps-faith"),
    row(Mutant::TimerRunsDuringSync, "timer-runs-during-sync",
        "With slow disks, voters campaign against whom they vote for.",
        "liveness", "timer-starts-after-the-sync"),
    row(Mutant::NoBackOff, "no-back-off",
        "With slow disks, each election is given up before its votes are synced.",
        "liveness", "slow-vote-sync-elects"),
    row(Mutant::UnfollowedKeepsOffice, "unfollowed-keeps-office",
        "A leader that is heard and hears nobody stays, and nothing is ever committed.",
        "liveness", "bridge-node-stays-loyal"),
    row(Mutant::StalledDiskKeepsOffice, "stalled-disk-keeps-office",
        "A leader whose disk is stuck stays, and answers nobody.",
        "liveness", "stalled-disk-deposes-leader"),

    // Transfers, and stops.
    row(Mutant::AppendsInTransfer, "appends-in-transfer",
        "What was refused during a transfer takes effect.",
        "answers", "timeout-now-only-when-equal"),
    row(Mutant::TimeoutNowTooEarly, "timeout-now-too-early",
        "A successor that lacks entries raises the term, and loses.",
        "transfers", "timeout-now-only-when-equal"),
    row(Mutant::TransferNeverEnds, "transfer-never-ends",
        "A transfer that comes to nothing blocks commands for ever.",
        "transfers", "failed-transfer-is-short"),
    row(Mutant::TransferDoneTooEarly, "transfer-done-too-early",
        "A caller believes that another leads, and nobody does.",
        "transfers", ""),
    row(Mutant::TransferIsNoReason, "transfer-is-no-reason",
        "Nobody votes for a successor while the leader is heard.",
        "liveness", "transfer-beats-heartbeat"),
    row(Mutant::LeavesAtOnce, "leaves-at-once",
        "A leader that is stopped leaves the others without one.",
        "liveness", ""),

    // Asking afterwards.
    row(Mutant::NeverByTerm, "never-by-term",
        "What is told never to take effect does.",
        "fates", "outcome-on-an-idle-cluster"),
    row(Mutant::AppliedByIndex, "applied-by-index",
        "What was cut is told to have taken effect, as something else stands there.",
        "fates", ""),

    // Replication.
    row(Mutant::TruncatesOnOverlap, "truncates-on-overlap",
        "An old Append takes away what came after it and was acknowledged.",
        "no_stop", "truncate-only-on-conflict"),
    row(Mutant::ConflictIgnored, "conflict-ignored",
        "A follower keeps and applies what its leader does not have.",
        "state_machine_safety", "truncate-only-on-conflict"),
    row(Mutant::AcksWholeLog, "acks-whole-log",
        "Entries count for others that stand in their place.",
        "state_machine_safety", "ack-only-what-matched"),
    row(Mutant::AcksUnverified, "acks-unverified",
        "Entries of an earlier leader count for the present one's.",
        "durable_before_told", "late-built-match"),
    row(Mutant::AcksUndurable, "acks-undurable",
        "A crash takes back an acknowledgement.",
        "durable_before_told", ""),
    row(Mutant::CommitsUnverified, "commits-unverified",
        "A follower applies entries that its leader will replace.",
        "state_machine_safety", "commit-not-past-verified"),
    row(Mutant::SignOfLifeWaits, "sign-of-life-waits",
        "With slow disks, a leader takes its followers for lost.",
        "liveness", "all-disks-slow"),
    row(Mutant::LeaderCountsUndurable, "leader-counts-undurable",
        "A crash of the leader takes back what it committed.",
        "durable_before_told", ""),
    row(Mutant::CommitsOldTerms, "commits-old-terms",
        "What a majority holds is committed, and replaced by a later leader (figure 8).",
        "commit_rule", "old-term-not-by-count"),
    row(Mutant::OwnWriteCommitsNothing, "own-write-commits-nothing",
        "Where the leader's own disk is the last, nothing is committed before something else happens.",
        "liveness", "commit-noop-without-traffic"),
    row(Mutant::LateRefusalObeyed, "late-refusal-obeyed",
        "A member that has everything is told to have lost it.",
        "liveness", "late-refusal-is-not-amnesia"),
    row(Mutant::LostIsNotResent, "lost-is-not-resent",
        "A lost Append keeps a follower behind for ever.",
        "liveness", "window-leak-on-lost-send"),
    row(Mutant::CutStaysDurable, "cut-stays-durable",
        "New entries are acknowledged because old ones at their place were durable.",
        "no_stop", "written-mark-after-truncation"),
    row(Mutant::PersistedAba, "persisted-aba",
        "A write makes durable what was cut from it and came again.",
        "no_stop", "persisted-aba"),
    row(Mutant::FailedWriteIsCut, "failed-write-is-cut",
        "Two entries have one term and one index.",
        "leader_append_only", "same-term-index-reused"),
    row(Mutant::AppliesUndurable, "applies-undurable",
        "A machine is ahead of its log after a crash.",
        "monotonic", "machine-ahead-of-log"),
    row(Mutant::LostOfficeUntold, "lost-office-untold",
        "A caller gets the response to somebody else's command.",
        "answers", "held-reply-after-role-change"),

    // Reads.
    row(Mutant::ReadsWithoutRound, "reads-without-round",
        "A deposed leader serves what it has.",
        "reads", "read-waits-for-noop"),
    row(Mutant::ReadJoinsOldRound, "read-joins-old-round",
        "Answers from before a read was asked for prove it.",
        "reads", "read-id-never-reused"),
    row(Mutant::AnyAnswerProves, "any-answer-proves",
        "A late answer proves an office that is lost.",
        "reads", "read-id-never-reused"),
    row(Mutant::ReadsBeforeNoop, "reads-before-noop",
        "A new leader serves a state older than what was answered before.",
        "reads", "checked-index-is-used-index"),
    row(Mutant::ReadNameReused, "read-name-reused",
        "The answer to an earlier question is taken for that to a later one.",
        "reads", "read-id-never-reused"),

    // Membership.
    row(Mutant::ExitBeforeJoint, "exit-before-joint",
        "One half of a joint membership decides alone.",
        "leader_completeness", "recovered-joint-commits-first"),
    row(Mutant::ChangesBeforeNoop, "changes-before-noop",
        "Two leaders each remove another node, and both changes are committed.",
        "no_stop", "no-change-before-noop-commits"),
    row(Mutant::TwoChanges, "two-changes",
        "A change begins from members that may never have been.",
        "no_stop", ""),
    row(Mutant::LearnersCount, "learners-count",
        "What learners hold is committed, and the next leader has not got it.",
        "durable_before_told", "self-counts-only-as-voter"),
    row(Mutant::RemovedUntold, "removed-untold",
        "A node that was removed while it was away asks for votes for ever.",
        "liveness", "removed-node-is-quiet"),
    row(Mutant::OldRemovalObeyed, "old-removal-obeyed",
        "A node that was admitted is sent away by one that has not heard of it.",
        "liveness", ""),

    // The log.
    row(Mutant::BatchNotSynced, "batch-not-synced",
        "What was told durable is lost with the power.",
        "durable_before_told", "vote-on-disk-before-reply"),
    row(Mutant::SyncIsRetried, "sync-is-retried",
        "The second sync says that all is well, and the pages are gone.",
        "recovery", "failed-sync-is-final"),
    row(Mutant::SegmentNameNotSynced, "segment-name-not-synced",
        "A segment full of acknowledged entries has no name after a power cut.",
        "recovery", ""),
    row(Mutant::ReplacedInPlace, "replaced-in-place",
        "A power cut leaves half an identity.",
        "recovery", ""),
    row(Mutant::ReplacedNotSynced, "replaced-not-synced",
        "A member's folder says after a power cut that it never was one.",
        "recovery", "snapshot-durable-before-log-cut"),
    row(Mutant::BootNotCounted, "boot-not-counted",
        "A restarted node is taken for a copy, and a folder put back for a restarted node.",
        "liveness", "rolled-back-directory"),
    row(Mutant::LastBatchNotMadeSure, "last-batch-not-made-sure",
        "What was read from memory after a failed sync is lost with the power.",
        "recovery", "failed-sync-is-final"),
    row(Mutant::LostIsNew, "lost-is-new",
        "A log without its identity is overwritten by an empty one.",
        "recovery", "segments-gone-identity-left"),
    row(Mutant::LaterBatchIgnored, "later-batch-ignored",
        "Damage in the middle cuts off all that comes after it.",
        "recovery", "corrupt-old-segment-not-end"),
    log(Mutant::WatermarkIgnored, "watermark-ignored",
        "Damage at the end takes away what is known to have been synced.",
        "torn-batch-is-not-corruption"),
    row(Mutant::TornIsDamaged, "torn-is-damaged",
        "A node does not start after a power cut in a write.",
        "recovery", "torn-and-zeroed-tails"),
    row(Mutant::EntryNotChecked, "entry-not-checked",
        "A flipped bit changes a command.",
        "recovery", "torn-and-zeroed-tails"),
    row(Mutant::BareVoteForgotten, "bare-vote-forgotten",
        "A vote is given again after a restart.",
        "recovery", "vote-inside-the-hole"),
    row(Mutant::CutForgotten, "cut-forgotten",
        "Entries that were cut are there again after a restart.",
        "recovery", "cross-segment-truncation-crash"),
    row(Mutant::ReadsWhatWasCut, "reads-what-was-cut",
        "Entries that were cut are read back.",
        "recovery", ""),
    row(Mutant::NextSegmentUnannounced, "next-segment-unannounced",
        "Nobody misses a segment, nor finds what is in it.",
        "recovery", "segments-gone-identity-left"),
    log(Mutant::HalfAWriteIsNone, "half-a-write-is-none",
        "Half of a write stands in the log of one who was told that none of it does.",
        "write-error-deposes-leader"),
    log(Mutant::PlaceNotChecked, "place-not-checked",
        "Old bytes in a segment that was another one before are taken for batches.",
        "torn-and-zeroed-tails"),

    // Snapshots.
    row(Mutant::CompactsUnapplied, "compacts-unapplied",
        "The machine's next entries are gone from the log.",
        "no_stop", ""),
    row(Mutant::CompactsUnderTransfer, "compacts-under-transfer",
        "A follower that gets a snapshot needs the next one when it has it, for ever.",
        "liveness", "transfer-outruns-compaction"),
    row(Mutant::LateSnapshotCounts, "late-snapshot-counts",
        "The newest snapshot is not the one the log begins after.",
        "no_stop", "late-local-snapshot"),
    row(Mutant::InstallKeepsLog, "install-keeps-log",
        "A log is committed that is not the one the snapshot stands for.",
        "no_stop", "conflict-at-snapshot-index"),
    row(Mutant::PiecesAnywhere, "pieces-anywhere",
        "A snapshot is put together with pieces missing or doubled.",
        "liveness", "chunk-timeout-resumes"),
    row(Mutant::SnapshotToldEarly, "snapshot-told-early",
        "The log is compacted behind a snapshot that is not there.",
        "recovery", "snapshot-durable-before-log-cut"),

    row(Mutant::CoversTooLittle, "covers-too-little",
        "The log goes on behind a snapshot with entries missing.",
        "", "corrupt-old-segment-not-end"),

    // Mending.
    row(Mutant::HolesForgotten, "holes-forgotten",
        "A node votes and acknowledges with a log that has holes.",
        "", "corrupt-old-segment-not-end"),
    row(Mutant::PieceNotMatched, "piece-not-matched",
        "Entries that were replaced in a damaged stretch come back.",
        "recovery", ""),
    log(Mutant::HoleCutForgotten, "hole-cut-forgotten",
        "A log that was cut in a damaged stretch does not open, or goes on behind what is missing.",
        ""),
    log(Mutant::TornHeaderIgnored, "torn-header-ignored",
        "Damage before a torn end is dropped with it.",
        ""),
    row(Mutant::AskedOnce, "asked-once",
        "A node waits for entries that nobody had the first time.",
        "liveness", ""),

    // Forming.
    row(Mutant::MajorityFounds, "majority-founds",
        "Those who come later belong to no cluster, or to a second one.",
        "one_instance", "empty-majority-does-not-refound"),
    row(Mutant::OpenListCounts, "open-list-counts",
        "A cluster is founded without those whose names come a moment later.",
        "liveness", "staged-joins"),
    row(Mutant::AnybodyFounds, "anybody-founds",
        "Two nodes found a cluster at the same time.",
        "one_instance", "one-cluster-from-one-set"),
    row(Mutant::InstanceDrawnAgain, "instance-drawn-again",
        "Each member is of a cluster of its own.",
        "liveness", "founder-killed-early"),
    row(Mutant::MemberTooEarly, "member-too-early",
        "A founder that loses power after it sent the genesis founds a second cluster.",
        "one_instance", "founder-killed-early"),

    // Calls.
    row(Mutant::AnswersTwice, "answers-twice",
        "A caller is refused and then answered.",
        "answers", "each-call-answered-once"),
    row(Mutant::ExpiredIsNotApplied, "expired-is-not-applied",
        "What was said to have had no effect has one.",
        "answers", "dropped-caller"),
    row(Mutant::LostIsNotApplied, "lost-is-not-applied",
        "What was said to have had no effect is committed by the next leader.",
        "answers", "step-down-means-unknown"),
    row(Mutant::RetriesTheUnknown, "retries-the-unknown",
        "One command takes effect twice.",
        "answers", "forward-once-and-to-whom-asked"),

    // Sessions.
    row(Mutant::ExecutesARetry, "executes-a-retry",
        "A command of a session that is tried again takes effect twice.",
        "sessions", "retry-across-failover-once"),
    row(Mutant::ExecutesTheAcknowledged, "executes-the-acknowledged",
        "A late copy of a command takes effect after a later one of its session.",
        "sessions", ""),
    row(Mutant::ExpiredExecutes, "expired-executes",
        "A command of a session of which nothing is known any more takes effect, perhaps again.",
        "sessions", "dedup-outlives-retries"),
    row(Mutant::EvictsASession, "evicts-a-session",
        "A session is forgotten while its client still uses it.",
        "sessions", "dedup-outlives-retries"),
    row(Mutant::AnswersStayWithTheLeader, "answers-stay-with-the-leader",
        "Nodes hold different answers, and a new leader has lost those of the old.",
        "sessions", "retry-across-failover-once"),

    // Machines that are durable by themselves.
    row(Mutant::CompactsUnmarked, "compacts-unmarked",
        "After a crash a machine finds the log gone that it needs.",
        "marks", "sessions-with-durable-machine"),
    row(Mutant::MarkTooHigh, "mark-too-high",
        "After a crash a machine goes on one command too late.",
        "state_machine_safety", "applied-index-with-data"),
    row(Mutant::MarkWithoutSessions, "mark-without-sessions",
        "After a crash a machine executes again what its sessions had executed.",
        "sessions", "sessions-with-durable-machine"),
    row(Mutant::StoredAppliedAgain, "stored-applied-again",
        "After a crash a machine applies again what it has committed since its mark.",
        "state_machine_safety", "applied-index-with-data"),
    row(Mutant::StoredAnswersForgotten, "stored-answers-forgotten",
        "After a crash nodes hold different answers for sessions.",
        "sessions", "sessions-with-durable-machine"),
];
