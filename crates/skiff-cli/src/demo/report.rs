//! What came of it.

use std::time::Duration;

use serde::Serialize;

use super::{ledger::Ledger, plan::Plan, verify::Found};
use crate::{
    cluster::{LocalCluster, NODES},
    failure::Failure,
    say, spans,
};

/// How many keys are named when some are lost.
const NAMED: usize = 10;

/// The result, as it is printed in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    nodes: usize,
    clients: u16,
    file_system: String,
    seed: u64,
    commands: u64,
    acknowledged: u64,
    retries: u64,
    seconds: f64,
    commands_per_second: f64,
    latency_ms: Latency,
    kills: usize,
    failovers_ms: Vec<f64>,
    failover_median_ms: Option<f64>,
    nodes_agree: bool,
    lost: usize,
    lost_keys: Vec<String>,
    unknown_keys: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Report {
    pub(crate) fn new(
        plan: &Plan,
        clients: u16,
        cluster: &LocalCluster,
        ledger: &Ledger,
        took: Duration,
        failovers: &[Duration],
        found: Found,
    ) -> Self {
        let latency = |quantile| spans::millis(ledger.latency(quantile));
        let seconds = took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count of commands has not 53 bits")]
        let commands_per_second = (ledger.count() as f64 / seconds).round();
        Self {
            nodes: NODES,
            clients,
            file_system: cluster.file_system().to_owned(),
            seed: plan.seed,
            commands: plan.commands,
            acknowledged: ledger.count(),
            retries: ledger.retries(),
            seconds: (seconds * 1e3).round() / 1e3,
            commands_per_second,
            latency_ms: Latency {
                p50: latency(0.5),
                p90: latency(0.9),
                p99: latency(0.99),
                p999: latency(0.999),
                max: latency(1.0),
            },
            kills: failovers.len(),
            failovers_ms: failovers.iter().copied().map(spans::millis).collect(),
            failover_median_ms: median(failovers).map(spans::millis),
            nodes_agree: found.agree(),
            lost: found.lost.len(),
            lost_keys: found.lost,
            unknown_keys: found.unknown,
        }
    }

    pub(crate) fn print(&self) {
        let latency = &self.latency_ms;
        say::line(format_args!(
            "\n{} commands acknowledged in {} s: {} a second, on {}",
            self.acknowledged, self.seconds, self.commands_per_second, self.file_system
        ));
        say::line(format_args!(
            "latency in ms: p50 {}, p90 {}, p99 {}, p99.9 {}, most {}",
            latency.p50, latency.p90, latency.p99, latency.p999, latency.max
        ));
        if let Some(median) = self.failover_median_ms {
            let all: Vec<String> = self.failovers_ms.iter().map(ToString::to_string).collect();
            say::line(format_args!(
                "leader killed to next acknowledged command, in ms: {}; median {median}",
                all.join(", ")
            ));
        }
        say::line(format_args!("{} attempts were made again", self.retries));
        say::line(match self.nodes_agree {
            true => "all nodes hold the same",
            false => "the nodes DIFFER",
        });
        say::line(format_args!("lost {}", self.lost));
    }

    /// An error if anything acknowledged is missing or the nodes differ.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        if self.lost > 0 {
            let named = &self.lost_keys[..self.lost_keys.len().min(NAMED)];
            wrong.push(format!("{} acknowledged keys are lost: {}", self.lost, named.join(", ")));
        }
        if !self.unknown_keys.is_empty() {
            let named = &self.unknown_keys[..self.unknown_keys.len().min(NAMED)];
            wrong.push(format!("there are keys that nobody wrote: {}", named.join(", ")));
        }
        if !self.nodes_agree {
            wrong.push("the nodes hold different contents".to_owned());
        }
        if self.acknowledged != self.commands {
            wrong.push(format!("{} of {} were acknowledged", self.acknowledged, self.commands));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::damaged(wrong.join("; "))) }
    }
}

fn median(spans: &[Duration]) -> Option<Duration> {
    let mut sorted = spans.to_vec();
    sorted.sort();
    let middle = sorted.len().checked_sub(1)? / 2;
    sorted.get(middle).copied()
}
