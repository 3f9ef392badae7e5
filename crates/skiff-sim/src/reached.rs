//! What a run, or many, came across: a zero is a blind spot of the generator.

use serde::Serialize;

macro_rules! reached {
    ($($name:ident: $words:literal,)*) => {
        /// How often each thing worth meeting was met.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Reached {
            $(#[doc = $words] pub $name: u64,)*
        }

        impl Reached {
            /// Adds what another run met.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// Each, in words, with how often it was met.
            #[must_use]
            pub fn rows(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $words, self.$name),)*]
            }
        }
    };
}

reached! {
    clusters_formed: "clusters formed",
    formed_by_joins: "clusters formed by joins one after the other",
    formed_after_crash: "clusters formed although a founder crashed before",
    leaders_elected: "leaders elected",
    leaders_under_partition: "leaders elected while something was cut",
    leaders_replaced: "leaders that lost their office to another",
    transfers: "transfers of leadership begun",
    transfers_done: "transfers of leadership that came about",
    transfers_aborted: "transfers of leadership that did not come about",
    transfers_to_lagging: "transfers asked for to nodes that lacked entries",
    transfers_to_cut_off: "transfers asked for to nodes that were cut off or down",
    transfers_refused: "transfers of leadership refused at once",
    nodes_left: "nodes that stopped when they were told to",
    leaders_left: "leaders that handed over before they stopped",
    handed_over_in_calm: "transfers and stops of leaders while nothing was wrong",
    quorum_step_downs: "leaders that stepped down without hearing a quorum, or for their own disk",
    votes_lost_by_log: "votes refused for a log less up to date",
    pre_votes_lost: "pre-votes refused",
    mismatches: "appends refused for a log that differs",
    truncations: "truncations of uncommitted entries",
    commits: "entries committed",
    commands_answered: "commands answered",
    commands_forwarded: "commands answered through another node",
    reads_served: "linearizable reads served",
    reads_by_followers: "linearizable reads served by followers",
    sessions_begun: "sessions begun",
    sessions_ended: "sessions that their clients ended",
    session_commands: "commands of sessions answered",
    session_retries: "tries of a session's command after the first",
    session_cancels: "tries of a session's command that were given up, having their answer from another",
    retries_answered: "tries of a session's command that were not executed again",
    sessions_expired: "sessions that expired before their client was done",
    sessions_full: "sessions, or their commands, refused for want of room",
    refused: "calls refused without effect",
    unknown: "calls with an unknown outcome",
    asked_afterwards: "unknown outcomes that were asked for afterwards",
    found_applied: "unknown outcomes found to have been applied",
    found_never: "unknown outcomes found never to come",
    busy: "calls refused as busy",
    crashes: "processes killed",
    power_cuts: "power cuts",
    crashes_before_write: "power cuts before a write reached the disk",
    crashes_in_write: "power cuts within a write",
    crashes_after_write: "power cuts after a write, before it was told",
    crashes_after_send: "power cuts between two messages",
    crashes_in_recovery: "power cuts during recovery",
    writes_lost: "recoveries without a write that was under way",
    writes_kept: "recoveries with the whole of a write that was under way",
    writes_in_part: "recoveries with a part of a write that was under way",
    torn_tails: "recoveries from a torn end of the log",
    recoveries: "recoveries",
    segments: "segments of the log read at recoveries",
    snapshots_taken: "snapshots taken",
    compactions: "logs compacted behind a snapshot",
    checkpoints: "checkpoints of machines that are durable by themselves",
    last_marks: "marks made by nodes that were told to stop",
    machines_kept: "starts with a machine that has kept its data",
    machines_ahead: "starts with a machine that is ahead of its mark",
    machine_losses: "crashes in which a machine lost what it did since its mark",
    snapshots_asked: "snapshots taken since somebody asked",
    snapshots_known: "snapshots that somebody asked for and that were there",
    snapshots_denied: "snapshots and backups that somebody asked for and did not get",
    backups: "backups made, and begun with by a new instance",
    backups_resumed: "backups that went on after their node was away",
    snapshots_offered: "snapshots begun to be received",
    snapshots_resumed: "snapshots offered anew on the way",
    snapshots_installed: "snapshots installed in place of a log",
    installed_while_joint: "snapshots installed while the members were joint",
    needed_in_change: "members that needed a snapshot while the members were changing",
    snapshots_begun_with: "fresh nodes that became members by a snapshot sent piece by piece",
    holes_covered: "logs with holes that a snapshot covered",
    snapshots_aborted: "snapshots given up on the way",
    crashes_in_snapshot: "power cuts while a snapshot was written or received",
    begun_anew: "starts with a snapshot that the log does not reach",
    loads: "old entries read back",
    failed_syncs: "nodes stopped by a failed sync or write",
    full_disks: "writes refused for lack of room",
    no_room: "commands refused for want of room",
    slow_disks: "writes slower than an election timeout",
    changes_done: "removals of members that were asked for and done",
    replaced: "members replaced by others at once",
    moved: "members that came back at another address",
    wiped: "members of a sound cluster that lost their folder",
    back_after_wipe: "members that lost their folder and got their place back",
    changes_refused: "removals that were refused, or not done in time",
    changes_under_partition: "removals done while something was cut",
    removals: "nodes that learnt that they are members no longer",
    rejoins: "removed nodes that began anew",
    admissions: "nodes admitted to a cluster that existed",
    promotions: "learners that became voters",
    failed_loads: "reads of old entries that failed",
    pauses: "pauses",
    leaps: "clocks that leapt",
    cuts: "cuts",
    late_answers: "leaders that were cut off and answered late",
    messages_lost: "messages lost",
    messages_doubled: "messages doubled",
    messages_overtaken: "messages overtaken by later ones",
    damages: "disks damaged",
    lies: "disks that began to lie",
    unreadable: "nodes that ended since their log could not be read back",
    holes: "stretches of a log found damaged at a start",
    mends: "logs that others have mended",
    damage_found: "nodes that refused to start on a damaged disk",
    deaf: "clusters that bore a node that hears nobody",
    away: "clusters that took back a node that was cut off",
    stuck: "clusters that bore a disk that stands still",
    slow_clusters: "clusters that bore slow disks",
    unrecoverable: "clusters of which too little was left to go on",
    healed: "runs in which progress came after the faults",
}
