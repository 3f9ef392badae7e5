//! How a node stands: one struct with what an operator asks for, also as JSON.

use serde::{Deserialize, Serialize};
use skiff_replica as replica;

/// How a node stands, from [`Node::status`](crate::Node::status) and
/// [`Node::watch`](crate::Node::watch). Serializes to JSON with these names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Where the log ends.
    pub last: u64,
    /// Up to where the log is durable here.
    pub durable: u64,
    /// Up to where the log is known to be committed.
    pub committed: u64,
    /// Up to where the state machine has applied it (the original's `lastAppliedCommitIndex`).
    #[doc(alias = "lastAppliedCommitIndex")]
    pub applied: u64,
    /// How many voters the cluster has.
    pub voters: usize,
    /// How many more voters may fail before the cluster stops; known to the leader only.
    pub tolerates: Option<usize>,
    /// All others this node knows of.
    pub peers: Vec<PeerStatus>,
    /// For whom or what it waits before it is a member, in words.
    pub waiting_for: Vec<String>,
    /// How many connections, hellos and envelopes were turned away since the start.
    pub refused: u64,
    /// How many calls are waiting here.
    pub waiting_calls: usize,
}

/// A node that this one knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// By how many entries it trails the leader's log; known to the leader only.
    pub trails_by: Option<u64>,
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
        let peers: Vec<PeerStatus> =
            from.peers.iter().map(|peer| peer_status(peer, core)).collect();
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
            last: index(|core| core.last.index),
            durable: index(|core| core.durable),
            committed: index(|core| core.committed),
            applied: index(|core| core.applied),
            voters: core.map_or(0, |core| core.membership.voters.len()),
            tolerates: tolerates(from.state, core, &peers),
            peers,
            waiting_for: from.waiting_for.iter().map(ToString::to_string).collect(),
            refused: from.refused,
            waiting_calls: from.waiting_calls,
            id: from.name,
            cluster: from.cluster,
            address: from.address,
        }
    }
}

fn peer_status(peer: &replica::PeerStatus, core: Option<&replica::core::Status>) -> PeerStatus {
    let progress = core.and_then(|core| core.peers.get(&peer.node?));
    let last = core.map_or(0, |core| core.last.index.0);
    PeerStatus {
        id: peer.name.clone(),
        address: peer.address.clone(),
        connected: peer.connected,
        voter: peer.voter,
        matched: progress.map(|progress| progress.matched.0),
        trails_by: progress.map(|progress| last.saturating_sub(progress.matched.0)),
    }
}

/// How many of the connected voters may fail before there is no majority any more.
fn tolerates(
    state: replica::State,
    core: Option<&replica::core::Status>,
    peers: &[PeerStatus],
) -> Option<usize> {
    let voters = core?.membership.voters.len();
    let answering = 1 + peers.iter().filter(|peer| peer.voter && peer.connected).count();
    (state == replica::State::Leader)
        .then(|| answering.saturating_sub(replica::core::quorum::majority(voters)))
}
