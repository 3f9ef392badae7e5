//! A node's events as log lines.

use skiff_replica::Event;

/// Where the node stands when something happens: each line says so.
pub(crate) struct At<'a> {
    pub(crate) node: &'a str,
    /// The current term.
    pub(crate) term: u64,
    /// Where the log ends.
    pub(crate) index: u64,
}

/// Logs an event, as loud as it deserves.
pub(crate) fn log(at: &At<'_>, event: &Event) {
    let At { node, term, index } = *at;
    match event {
        Event::Error(error) => tracing::error!(node, term, index, %error, "the node stops"),
        Event::State(state) => {
            tracing::info!(node, term, index, %state, "state changed");
        }
        Event::LeaderChanged { leader: Some(leader), term } => {
            tracing::info!(node, term = term.0, index, %leader, "follows a leader");
        }
        Event::LeaderChanged { leader: None, term } => {
            tracing::info!(node, term = term.0, index, "knows no leader");
        }
        Event::Formed { instance, members, .. } => {
            tracing::info!(node, term, index, %instance, members = members.join(", "), "the cluster is formed");
        }
        Event::Waiting(waiting) if waiting.is_empty() => {}
        Event::Waiting(waiting) => {
            let words: Vec<String> = waiting.iter().map(ToString::to_string).collect();
            tracing::info!(node, term, index, "waits: {}", words.join("; "));
        }
        Event::PeerRefused { address, reason } => {
            tracing::warn!(node, term, index, address, %reason, "turned away");
        }
        Event::PeerConnected(peer) => {
            tracing::info!(
                node,
                term,
                index,
                peer = peer.name,
                address = peer.address,
                "connected"
            );
        }
        Event::PeerDisconnected { peer, reason } => {
            tracing::info!(
                node,
                term,
                index,
                peer = peer.name,
                address = peer.address,
                reason,
                "disconnected"
            );
        }
        Event::MemberJoined { name, address, voter, .. } => {
            tracing::info!(node, term, index, member = name, address, voter, "joined the cluster");
        }
        Event::MemberPromoted { name, .. } => {
            tracing::info!(node, term, index, member = name, "became a voter")
        }
        Event::MemberMoved { name, address, .. } => {
            tracing::info!(
                node,
                term,
                index,
                member = name,
                address,
                "is dialled elsewhere from now on"
            );
        }
        Event::MemberLeft { name, .. } => {
            tracing::info!(node, term, index, member = name, "left the cluster")
        }
        Event::Remark(remark) => tracing::warn!(node, term, index, "{remark}"),
        Event::Hole(hole) => tracing::warn!(
            node,
            term,
            index,
            "entries {} to {} are damaged and will be asked of other members: {} at byte {}: {}",
            hole.first,
            hole.last.index,
            hole.path.display(),
            hole.offset,
            hole.reason
        ),
        Event::Full { reason } => {
            tracing::warn!(node, term, index, "takes no commands while it leads: {reason}")
        }
        Event::WriteRefused { reason, .. } => {
            tracing::warn!(
                node,
                term,
                index,
                "a write was refused, and will be tried again: {reason}"
            );
        }
        Event::SnapshotTaken { position, size } => {
            tracing::info!(node, term, index, %position, size, "took a snapshot");
        }
        Event::SnapshotSending { node: to, position } => {
            tracing::info!(node, term, index, %to, %position, "sends a snapshot");
        }
        Event::SnapshotSent { node: to, position } => {
            tracing::info!(node, term, index, %to, %position, "sent a snapshot");
        }
        Event::SnapshotReceiving { from, position, size } => {
            tracing::info!(node, term, index, %from, %position, size, "receives a snapshot");
        }
        Event::SnapshotInstalled { position } => {
            tracing::info!(node, term, index, %position, "installed a snapshot");
        }
        Event::SnapshotAborted { position, reason } => {
            tracing::warn!(node, term, index, %position, reason, "gave up a snapshot");
        }
        Event::LogCompacted { base } => {
            tracing::info!(node, term, index, %base, "compacted the log")
        }
        Event::RoomAgain => tracing::warn!(node, term, index, "there is room for the log again"),
        Event::TransferStarted { to } => {
            tracing::info!(node, term, index, %to, "hands leadership over");
        }
        Event::TransferDone { to } => {
            tracing::info!(node, term, index, %to, "leadership was handed over");
        }
        Event::TransferAborted { to, why } => {
            tracing::warn!(node, term, index, %to, %why, "leadership was not handed over");
        }
        Event::Mended => tracing::warn!(node, term, index, "the log is whole again"),
        Event::Reverted { .. }
        | Event::NeedsSnapshot { .. }
        | Event::SlowDisk { .. }
        | Event::MendRefused { .. }
        | Event::LoadFailed { .. }
        | Event::MachineReplaced { .. }
        | Event::AdmissionWaits { .. } => tracing::warn!(node, term, index, ?event),
        event => tracing::debug!(node, term, index, ?event),
    }
}
