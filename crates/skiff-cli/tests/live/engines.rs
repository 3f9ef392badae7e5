//! Nodes whose store is a database on disk, killed under load: it goes on from its last mark, or from before
//! what a kill took away, and each command counts once.

use crate::{cluster::Cluster, common::dice::Dice};

/// A mark every few hundred commands, snapshots often, and little of the log behind them: so that a start
/// finds the database before, at and behind a mark, and now and then behind the log.
const DISK: &[&str] = &[
    "--engine",
    "redb",
    "--engine-cache",
    "4MiB",
    "--checkpoint-after",
    "200",
    "--checkpoint-idle-ms",
    "100",
    "--snapshot-after",
    "1000",
    "--log-keep",
    "100",
];
const MEMORY: &[&str] = &["--snapshot-after", "1000", "--log-keep", "100"];

#[test]
fn databases_killed_four_times() {
    killed(4, "databases", |_| DISK);
}

#[test]
#[ignore = "takes minutes"]
fn databases_killed_two_hundred_times() {
    killed(200, "databases", |_| DISK);
}

#[test]
fn nodes_of_both_engines_killed_four_times() {
    killed(4, "both engines", |node| if node == 0 { MEMORY } else { DISK });
}

#[test]
#[ignore = "takes minutes"]
fn nodes_of_both_engines_killed_a_hundred_times() {
    killed(100, "both engines", |node| if node == 0 { MEMORY } else { DISK });
}

/// One node at a time, or all of them, and so often.
fn killed(times: u64, what: &str, options: fn(usize) -> &'static [&'static str]) {
    let mut dice = Dice::new();
    let mut cluster = Cluster::formed_with(3, options);
    let clients = cluster.clients();
    for time in 0..times {
        cluster.history.wait_for_more(100 + dice.below(300));
        let one = usize::try_from(dice.below(3)).unwrap();
        let all = time % 4 == 3;
        let nodes = if all { vec![0, 1, 2] } else { vec![one] };
        cluster.kill(&nodes);
        cluster.history.wait_for_more(if all { 0 } else { dice.below(200) });
        nodes.iter().for_each(|node| cluster.start(*node));
    }
    cluster.history.wait_for_more(300);
    cluster.judge(clients, &format!("three nodes, {what}, killed, {times} times"));
}
