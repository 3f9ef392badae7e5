//! How a node stands: one struct with what an operator asks for, also as JSON.

use serde::{Deserialize, Serialize};
use skiff_replica as replica;

/// How a node stands, from [`Node::status`](crate::Node::status) and
/// [`Node::watch`](crate::Node::watch). Serializes to JSON with these names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Status {
    /// The node's name.
    pub id: String,
    /// Its incarnation, as 32 hexadecimal digits.
    pub node: String,
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's instance, as 32 hexadecimal digits, once the node is a member.
    pub instance: Option<String>,
    /// Where others can dial it; empty if they cannot.
    pub address: String,
    /// `fresh`, `member` or `removed`.
    pub standing: String,
    /// `idle`, `follower`, `candidate` or `leader`.
    pub state: String,
    /// The current term.
    pub term: u64,
    /// The leader's name, if known.
    pub leader: Option<String>,
    /// The leader's address, if known.
    pub leader_address: Option<String>,
    /// Whether the node's vote counts: `false` on a learner.
    pub voter: bool,
    /// The first entry that the log holds, or would hold.
    pub first: u64,
    /// Where the log ends.
    pub last: u64,
    /// Up to where the log is durable here.
    pub durable: u64,
    /// Up to where the log is known to be committed.
    pub committed: u64,
    /// Up to where the state machine has applied it (the original's `lastAppliedCommitIndex`).
    #[doc(alias = "lastAppliedCommitIndex")]
    pub applied: u64,
    /// The newest snapshot covers everything up to here; 0 if there is none. The state that the cluster
    /// began with is one.
    pub snapshot: u64,
    /// How many bytes the log takes on its disk, if that is known.
    pub log_bytes: Option<u64>,
    /// How many bytes can still be written to the log's disk, if that is known.
    pub disk_free_bytes: Option<u64>,
    /// How large that disk is, if that is known.
    pub disk_total_bytes: Option<u64>,
    /// How many voters the cluster has.
    pub voters: usize,
    /// How many more voters may fail before the cluster stops, whichever they are: of those that are
    /// connected, how many are not needed for a majority. Known to the leader only.
    pub tolerates: Option<usize>,
    /// All members of the cluster, this node included, as far as it knows.
    #[serde(default)]
    pub members: Vec<MemberStatus>,
    /// All others this node knows of.
    pub peers: Vec<PeerStatus>,
    /// For whom or what it waits before it is a member, in words.
    pub waiting_for: Vec<String>,
    /// How many connections, hellos and envelopes were turned away since the start.
    pub refused: u64,
    /// How many calls are waiting here.
    pub waiting_calls: usize,
    /// How many bytes of them wait for a leader, or for its answer.
    pub waiting_bytes: usize,
}

/// A member of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemberStatus {
    /// Its name.
    pub name: String,
    /// Its incarnation, as 32 hexadecimal digits.
    pub node: String,
    /// Where it is; empty if it does not listen.
    pub address: String,
    /// `voter`; `learner`; `joining`, a learner that is to be a voter; or `leaving`, a voter whose removal
    /// is under way.
    pub role: String,
}

/// A node that this one knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Its name, once it has said it.
    pub id: Option<String>,
    /// Where it is.
    pub address: String,
    /// Whether it is connected and has said who it is.
    pub connected: bool,
    /// Whether it is a voter.
    pub voter: bool,
    /// Up to where its log matches, durably; known to the leader only.
    pub matched: Option<u64>,
    /// How long ago anything last came from it, in milliseconds; nothing if nothing ever has.
    pub last_contact_ms: Option<u64>,
    /// By how many entries it trails the leader's log; known to the leader only.
    pub trails_by: Option<u64>,
    /// By how many bytes, at most; not known of entries that are older than the leader's process.
    pub trails_by_bytes: Option<u64>,
    /// How long ago the leader's log got the first entry that it lacks, in milliseconds; 0 if it lacks
    /// none, not known if that was before the leader's process.
    pub trails_by_ms: Option<u64>,
}

impl Status {
    /// Whether the node is a member of a cluster and knows a leader.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.standing == "member" && self.leader.is_some()
    }
}

impl From<replica::Status> for Status {
    fn from(from: replica::Status) -> Self {
        let core = from.core.as_ref();
        let index = |of: fn(&replica::core::Status) -> replica::Index| core.map_or(0, |c| of(c).0);
        Self {
            node: format!("{:032x}", from.node.0),
            instance: from.instance.map(|instance| format!("{:032x}", instance.0)),
            standing: match from.standing {
                replica::Standing::Fresh => "fresh",
                replica::Standing::Member => "member",
                replica::Standing::Removed => "removed",
            }
            .to_owned(),
            state: from.state.as_str().to_owned(),
            term: from.term.0,
            leader_address: from.leader.as_ref().map(|leader| leader.address.clone()),
            leader: from.leader.map(|leader| leader.name),
            voter: from.voter,
            first: from.first.0,
            last: index(|core| core.last.index),
            durable: index(|core| core.durable),
            committed: index(|core| core.committed),
            applied: index(|core| core.applied),
            snapshot: from.snapshot.0,
            log_bytes: from.room.as_ref().map(|room| room.log),
            disk_free_bytes: from.room.as_ref().map(|room| room.free),
            disk_total_bytes: from.room.as_ref().map(|room| room.total),
            voters: core.map_or(0, |core| core.membership.voters.len()),
            tolerates: from.tolerates,
            members: core.map(members).unwrap_or_default(),
            peers: from.peers.into_iter().map(PeerStatus::from).collect(),
            waiting_for: from.waiting_for.iter().map(ToString::to_string).collect(),
            refused: from.refused,
            waiting_calls: from.waiting_calls,
            waiting_bytes: from.waiting_bytes,
            id: from.name,
            cluster: from.cluster,
            address: from.address,
        }
    }
}

fn members(core: &replica::core::Status) -> Vec<MemberStatus> {
    let all = &core.membership;
    let role = |id| match id {
        id if all.wishes.contains_key(&id) => "joining",
        id if all.learners.contains(&id) => "learner",
        id if all.voters.contains(&id) => "voter",
        _ => "leaving",
    };
    let member = |id: replica::core::NodeId| {
        let node = all.nodes.get(&id).cloned().unwrap_or_default();
        MemberStatus {
            name: node.name,
            node: format!("{:032x}", id.0),
            address: node.address,
            role: role(id).to_owned(),
        }
    };
    let mut members: Vec<MemberStatus> = all.members().map(member).collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    members
}

impl From<replica::PeerStatus> for PeerStatus {
    fn from(from: replica::PeerStatus) -> Self {
        const MILLISECOND: u64 = 1_000_000;
        let trails_by = from.progress.map(|progress| progress.trails_by);
        Self {
            id: from.name,
            address: from.address,
            connected: from.connected,
            voter: from.voter,
            matched: from.progress.map(|progress| progress.matched.0),
            last_contact_ms: from.last_contact.map(|nanos| nanos / MILLISECOND),
            trails_by: trails_by.map(|trails| trails.entries),
            trails_by_bytes: trails_by.and_then(|trails| trails.bytes),
            trails_by_ms: trails_by
                .and_then(|trails| trails.nanos)
                .map(|nanos| nanos / MILLISECOND),
        }
    }
}
