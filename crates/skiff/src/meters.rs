//! What is measured, for whichever recorder the program has set up for the `metrics` facade.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use metrics::{Counter, Gauge, Histogram, Unit};
use skiff_replica::{Event, Index, Outcome, State};

use crate::status::{PeerStatus, Status};

/// Something that a node measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// In what it is measured, if not simply counted.
    pub unit: Option<Unit>,
    /// Its labels besides `node`, which all have: the node's name.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// What kind of a measure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It goes up and down.
    Gauge,
    /// It only grows.
    Counter,
    /// How its values are spread.
    Histogram,
}

const fn metric(
    kind: MetricKind,
    name: &'static str,
    unit: Option<Unit>,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, unit, labels, help }
}

use MetricKind::{Counter as C, Gauge as G, Histogram as H};
const BYTES: Option<Unit> = Some(Unit::Bytes);
const SECONDS: Option<Unit> = Some(Unit::Seconds);

/// Everything that a node measures. The recorder that is set when the node [starts](crate::Idle::start)
/// is told of it.
pub const METRICS: &[Metric] = &[
    metric(G, "skiff_term", None, &[], "current term"),
    metric(G, "skiff_state", None, &["state"], "1 for the state the node is in, 0 for the others"),
    metric(G, "skiff_voters", None, &[], "voters of the cluster"),
    metric(G, "skiff_tolerated_failures", None, &[], "voters that may still fail; leader only"),
    metric(G, "skiff_log_first_index", None, &[], "first entry that the log holds"),
    metric(G, "skiff_log_last_index", None, &[], "last entry of the log"),
    metric(G, "skiff_log_durable_index", None, &[], "last entry that is durable here"),
    metric(G, "skiff_commit_index", None, &[], "last entry known to be committed"),
    metric(G, "skiff_applied_index", None, &[], "last entry that the state machine has applied"),
    metric(G, "skiff_snapshot_index", None, &[], "last entry that the newest snapshot covers"),
    metric(G, "skiff_commit_lag_entries", None, &[], "entries that are not committed yet"),
    metric(G, "skiff_apply_lag_entries", None, &[], "committed entries that are not applied yet"),
    metric(G, "skiff_log_bytes", BYTES, &[], "what the log takes on its disk"),
    metric(G, "skiff_disk_free_bytes", BYTES, &[], "what can still be written to the log's disk"),
    metric(G, "skiff_disk_total_bytes", BYTES, &[], "size of the log's disk"),
    metric(G, "skiff_queue_bytes", BYTES, &[], "commands that the node's task has not taken yet"),
    metric(G, "skiff_waiting_calls", None, &[], "calls without an answer so far"),
    metric(G, "skiff_waiting_bytes", BYTES, &[], "calls that wait for a leader or its answer"),
    metric(
        G,
        "skiff_machine_queue_batches",
        None,
        &[],
        "batches that the machine is not done with",
    ),
    metric(G, "skiff_sessions", None, &[], "sessions, with those whose end was not noticed yet"),
    metric(G, "skiff_session_bytes", BYTES, &[], "responses that are kept for sessions"),
    metric(G, "skiff_peer_connected", None, &["peer"], "1 if the peer is connected"),
    metric(G, "skiff_peer_last_contact_seconds", SECONDS, &["peer"], "since it was last heard"),
    metric(G, "skiff_peer_match_index", None, &["peer"], "its last matching entry; leader only"),
    metric(G, "skiff_peer_trails_by_entries", None, &["peer"], "entries it lacks; leader only"),
    metric(G, "skiff_peer_trails_by_seconds", SECONDS, &["peer"], "age of those; leader only"),
    metric(C, "skiff_leader_changes_total", None, &[], "times that another leader was followed"),
    metric(C, "skiff_state_changes_total", None, &["to"], "times that the node came into a state"),
    metric(C, "skiff_election_timeouts_total", None, &[], "times that no leader was heard in time"),
    metric(C, "skiff_calls_total", None, &["from", "outcome"], "calls that were answered"),
    metric(C, "skiff_refused_total", None, &[], "connections and messages that were turned away"),
    metric(C, "skiff_send_queue_full_total", None, &[], "envelopes dropped: the queue was full"),
    metric(C, "skiff_send_too_large_total", None, &[], "envelopes dropped: above the frame limit"),
    metric(C, "skiff_transport_total", None, &["what"], "what the transport has counted, by name"),
    metric(C, "skiff_storage_trouble_total", None, &[], "slow, refused or failed reads and writes"),
    metric(C, "skiff_snapshots_total", None, &["what"], "snapshots that were taken and the like"),
    metric(
        C,
        "skiff_snapshot_bytes_total",
        BYTES,
        &["way"],
        "bytes of snapshots sent and received",
    ),
    metric(H, "skiff_write_seconds", SECONDS, &[], "from handing a batch to the disk to its sync"),
    metric(H, "skiff_replication_seconds", SECONDS, &[], "from there to its commit; leader only"),
    metric(H, "skiff_apply_seconds", SECONDS, &[], "applying a batch to the state machine"),
];

/// Those of one node.
pub(crate) struct Meters {
    node: String,
    gauges: BTreeMap<&'static str, Gauge>,
    states: [(State, Gauge, Counter); 4],
    peers: BTreeMap<String, BTreeMap<&'static str, Gauge>>,
    transport: BTreeMap<&'static str, Counter>,
    leader_changes: Counter,
    election_timeouts: Counter,
    refused: Counter,
    trouble: Counter,
    snapshots: Snapshots,
    pub(crate) snapshot_bytes_in: Counter,
    pub(crate) snapshot_bytes_out: Counter,
    pub(crate) queue_full: Counter,
    pub(crate) too_large: Counter,
    pub(crate) local: Calls,
    pub(crate) remote: Calls,
    pub(crate) write: Histogram,
    pub(crate) apply: Histogram,
    replication: Histogram,
    /// Batches that are on their way to a quorum: their last entries, and since when.
    under_way: VecDeque<(Index, Instant)>,
}

/// What became of snapshots.
struct Snapshots {
    taken: Counter,
    sent: Counter,
    installed: Counter,
    aborted: Counter,
}

impl Snapshots {
    fn new(node: &str) -> Self {
        let counter = |what: &'static str| metrics::counter!("skiff_snapshots_total", "node" => node.to_owned(), "what" => what);
        Self {
            taken: counter("taken"),
            sent: counter("sent"),
            installed: counter("installed"),
            aborted: counter("aborted"),
        }
    }
}

/// How calls were answered.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) done: Counter,
    not_applied: Counter,
    unknown: Counter,
    response_lost: Counter,
}

impl Calls {
    fn new(node: &str, from: &'static str) -> Self {
        let counter = |outcome: &'static str| {
            let node = node.to_owned();
            metrics::counter!("skiff_calls_total", "node" => node, "from" => from, "outcome" => outcome)
        };
        Self {
            done: counter("done"),
            not_applied: counter("not applied"),
            unknown: counter("unknown"),
            response_lost: counter("response lost"),
        }
    }

    /// One got no response.
    pub(crate) fn refused(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::NotApplied => &self.not_applied,
            Outcome::Unknown => &self.unknown,
            Outcome::AppliedResponseLost => &self.response_lost,
        };
        counter.increment(1);
    }
}

impl Meters {
    pub(crate) fn new(node: &str) -> Self {
        METRICS.iter().for_each(describe);
        let label = || node.to_owned();
        let counter = |name: &'static str| metrics::counter!(name, "node" => label());
        let histogram = |name: &'static str| metrics::histogram!(name, "node" => label());
        let plain = METRICS.iter().filter(|m| m.kind == G && m.labels.is_empty());
        let gauges = plain.map(|m| (m.name, metrics::gauge!(m.name, "node" => label()))).collect();
        let states = [State::Idle, State::Follower, State::Candidate, State::Leader].map(|state| {
            let name = state.as_str();
            let is = metrics::gauge!("skiff_state", "node" => label(), "state" => name);
            let to =
                metrics::counter!("skiff_state_changes_total", "node" => label(), "to" => name);
            (state, is, to)
        });
        let snapshot_bytes = |way: &'static str| metrics::counter!("skiff_snapshot_bytes_total", "node" => label(), "way" => way);
        Self {
            node: label(),
            gauges,
            states,
            peers: BTreeMap::new(),
            transport: BTreeMap::new(),
            leader_changes: counter("skiff_leader_changes_total"),
            election_timeouts: counter("skiff_election_timeouts_total"),
            refused: counter("skiff_refused_total"),
            trouble: counter("skiff_storage_trouble_total"),
            snapshots: Snapshots::new(node),
            snapshot_bytes_in: snapshot_bytes("in"),
            snapshot_bytes_out: snapshot_bytes("out"),
            queue_full: counter("skiff_send_queue_full_total"),
            too_large: counter("skiff_send_too_large_total"),
            local: Calls::new(node, "this process"),
            remote: Calls::new(node, "the network"),
            write: histogram("skiff_write_seconds"),
            apply: histogram("skiff_apply_seconds"),
            replication: histogram("skiff_replication_seconds"),
            under_way: VecDeque::new(),
        }
    }

    /// How many sessions there are, and how many bytes they keep.
    pub(crate) fn of_sessions(&self) -> [Gauge; 2] {
        ["skiff_sessions", "skiff_session_bytes"]
            .map(|name| self.gauges.get(name).cloned().unwrap_or_else(Gauge::noop))
    }

    /// Something happened.
    pub(crate) fn count(&self, event: &Event) {
        match event {
            Event::State(state) => {
                let to = self.states.iter().find(|(one, ..)| one == state);
                to.iter().for_each(|(_, _, to)| to.increment(1));
            }
            Event::LeaderChanged { leader: Some(_), .. } => self.leader_changes.increment(1),
            Event::ElectionTimeout => self.election_timeouts.increment(1),
            Event::SlowDisk { .. }
            | Event::Full { .. }
            | Event::WriteRefused { .. }
            | Event::LoadFailed { .. }
            | Event::Hole(_)
            | Event::MendRefused { .. } => self.trouble.increment(1),
            Event::SnapshotTaken { .. } => self.snapshots.taken.increment(1),
            Event::SnapshotSent { .. } => self.snapshots.sent.increment(1),
            Event::SnapshotInstalled { .. } => self.snapshots.installed.increment(1),
            Event::SnapshotAborted { .. } => self.snapshots.aborted.increment(1),
            _ => {}
        }
    }

    /// A batch that ends with this entry is on its way to the disk and to others.
    pub(crate) fn sent(&mut self, last: Index, leads: bool) {
        if leads {
            self.under_way.push_back((last, Instant::now()));
        } else {
            self.under_way.clear();
        }
    }

    /// Everything up to here is committed.
    pub(crate) fn committed(&mut self, index: Index) {
        while let Some((_, since)) = self.under_way.front().filter(|(last, _)| *last <= index) {
            self.replication.record(since.elapsed());
            self.under_way.pop_front();
        }
    }

    /// How the node stands, with what its task knows besides.
    pub(crate) fn measure(&mut self, status: &Status, queue_bytes: usize, in_machine: usize) {
        for (state, is, _) in &self.states {
            is.set(u32::from(state.as_str() == status.state));
        }
        self.refused.absolute(status.refused);
        let known = |value: Option<u64>| value.map_or(f64::NAN, number);
        for (name, gauge) in &self.gauges {
            gauge.set(match *name {
                "skiff_term" => number(status.term),
                "skiff_voters" => number(status.voters as u64),
                "skiff_tolerated_failures" => known(status.tolerates.map(|count| count as u64)),
                "skiff_log_first_index" => number(status.first),
                "skiff_log_last_index" => number(status.last),
                "skiff_log_durable_index" => number(status.durable),
                "skiff_commit_index" => number(status.committed),
                "skiff_applied_index" => number(status.applied),
                "skiff_snapshot_index" => number(status.snapshot),
                "skiff_commit_lag_entries" => number(status.last.saturating_sub(status.committed)),
                "skiff_apply_lag_entries" => {
                    number(status.committed.saturating_sub(status.applied))
                }
                "skiff_log_bytes" => known(status.log_bytes),
                "skiff_disk_free_bytes" => known(status.disk_free_bytes),
                "skiff_disk_total_bytes" => known(status.disk_total_bytes),
                "skiff_queue_bytes" => number(queue_bytes as u64),
                "skiff_waiting_calls" => number(status.waiting_calls as u64),
                "skiff_waiting_bytes" => number(status.waiting_bytes as u64),
                "skiff_machine_queue_batches" => number(in_machine as u64),
                _ => continue,
            });
        }
        self.measure_peers(&status.peers);
    }

    /// What the transport has counted.
    pub(crate) fn measure_transport(&mut self, counts: &[(&'static str, u64)]) {
        for (what, count) in counts {
            let node = &self.node;
            let counter = self.transport.entry(what).or_insert_with(|| {
                metrics::counter!("skiff_transport_total", "node" => node.clone(), "what" => *what)
            });
            counter.absolute(*count);
        }
    }

    fn measure_peers(&mut self, peers: &[PeerStatus]) {
        let gone = |id: &String| !peers.iter().any(|peer| peer.id.as_ref() == Some(id));
        self.peers.iter().filter(|(id, _)| gone(id)).for_each(|(_, gauges)| {
            gauges.values().for_each(|gauge| gauge.set(f64::NAN));
        });
        self.peers.retain(|id, _| !gone(id));
        let of_peers = || METRICS.iter().filter(|m| m.kind == G && m.labels == ["peer"]);
        let known = |value: Option<u64>| value.map_or(f64::NAN, number);
        for peer in peers {
            let Some(id) = &peer.id else { continue };
            let node = &self.node;
            let gauges = self.peers.entry(id.clone()).or_insert_with(|| {
                let gauge = |m: &Metric| {
                    let (node, peer) = (node.clone(), id.clone());
                    (m.name, metrics::gauge!(m.name, "node" => node, "peer" => peer))
                };
                of_peers().map(gauge).collect()
            });
            for (name, gauge) in gauges {
                gauge.set(match *name {
                    "skiff_peer_connected" => f64::from(u8::from(peer.connected)),
                    "skiff_peer_last_contact_seconds" => known(peer.last_contact_ms) / 1000.0,
                    "skiff_peer_match_index" => known(peer.matched),
                    "skiff_peer_trails_by_entries" => known(peer.trails_by),
                    "skiff_peer_trails_by_seconds" => known(peer.trails_by_ms) / 1000.0,
                    _ => continue,
                });
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
fn number(value: u64) -> f64 {
    value as f64
}

fn describe(metric: &Metric) {
    let Metric { name, kind, unit, help, .. } = *metric;
    let unit = unit.unwrap_or(Unit::Count);
    match kind {
        G => metrics::describe_gauge!(name, unit, help),
        C => metrics::describe_counter!(name, unit, help),
        H => metrics::describe_histogram!(name, unit, help),
    }
}
