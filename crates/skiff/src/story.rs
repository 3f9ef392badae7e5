//! A node's events as log lines, and its status as metrics.

use skiff_replica::{Event, State};

use crate::status::Status;

/// Logs an event, as loud as it deserves.
pub(crate) fn log(node: &str, event: &Event) {
    match event {
        Event::Error(error) => tracing::error!(node, %error, "the node stops"),
        Event::State(state) => {
            metrics::counter!("skiff_state_changes_total", "node" => node.to_owned(), "to" => state.as_str())
                .increment(1);
            tracing::info!(node, %state, "state changed");
        }
        Event::LeaderChanged { leader, term } => match leader {
            Some(leader) => tracing::info!(node, %leader, %term, "follows a leader"),
            None => tracing::info!(node, %term, "knows no leader"),
        },
        Event::Formed { instance, members, .. } => {
            tracing::info!(node, %instance, members = members.join(", "), "the cluster is formed");
        }
        Event::Waiting(waiting) if waiting.is_empty() => {}
        Event::Waiting(waiting) => {
            let words: Vec<String> = waiting.iter().map(ToString::to_string).collect();
            tracing::info!(node, "waits: {}", words.join("; "));
        }
        Event::PeerRefused { address, reason } => {
            tracing::warn!(node, address, %reason, "turned away");
        }
        Event::PeerConnected(peer) => {
            tracing::info!(node, peer = peer.name, address = peer.address, "connected");
        }
        Event::PeerDisconnected { peer, reason } => {
            tracing::info!(node, peer = peer.name, address = peer.address, reason, "disconnected");
        }
        Event::Remark(remark) => tracing::warn!(node, "{remark}"),
        Event::Hole(hole) => tracing::warn!(
            node,
            "entries {} to {} are damaged and will be asked of other members: {} at byte {}: {}",
            hole.first,
            hole.last.index,
            hole.path.display(),
            hole.offset,
            hole.reason
        ),
        Event::Full { reason } => {
            tracing::warn!(node, "takes no commands while it leads: {reason}")
        }
        Event::WriteRefused { reason, .. } => {
            tracing::warn!(node, "a write was refused, and will be tried again: {reason}");
        }
        Event::RoomAgain => tracing::warn!(node, "there is room for the log again"),
        Event::Mended => tracing::warn!(node, "the log is whole again"),
        Event::Reverted { .. }
        | Event::NeedsSnapshot { .. }
        | Event::SlowDisk { .. }
        | Event::MendRefused { .. }
        | Event::LoadFailed { .. }
        | Event::GenesisGone { .. }
        | Event::MachineReplaced { .. }
        | Event::AdmissionUnsupported { .. } => tracing::warn!(node, ?event),
        event => tracing::debug!(node, ?event),
    }
}

/// Tells the metrics facade how the node stands.
pub(crate) fn measure(status: &Status) {
    let node = || status.id.clone();
    #[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
    let gauge = |name: &'static str, value: u64| {
        metrics::gauge!(name, "node" => node()).set(value as f64);
    };
    gauge("skiff_term", status.term);
    gauge("skiff_is_leader", u64::from(status.state == State::Leader.as_str()));
    gauge("skiff_log_last", status.last);
    gauge("skiff_log_durable", status.durable);
    gauge("skiff_committed", status.committed);
    gauge("skiff_applied", status.applied);
    gauge("skiff_refused", status.refused);
    gauge("skiff_waiting_calls", status.waiting_calls as u64);
    for peer in &status.peers {
        let (Some(id), Some(matched)) = (&peer.id, peer.matched) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
        metrics::gauge!("skiff_peer_matched", "node" => node(), "peer" => id.clone())
            .set(matched as f64);
    }
}
