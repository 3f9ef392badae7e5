//! All nodes killed at once, again and again.

use crate::{cluster::Cluster, common::dice::Dice};

#[test]
fn all_nodes_killed_at_once_three_times() {
    all_at_once(3);
}

#[test]
#[ignore = "takes minutes"]
fn all_nodes_killed_at_once_twenty_times() {
    all_at_once(20);
}

fn all_at_once(times: u64) {
    let mut dice = Dice::new();
    let mut cluster = Cluster::formed(3);
    let clients = cluster.clients();
    for _ in 0..times {
        cluster.history.wait_for_more(100 + dice.below(200));
        cluster.kill(&[0, 1, 2]);
        (0..3).for_each(|node| cluster.start(node));
    }
    cluster.history.wait_for_more(300);
    cluster.judge(clients, &format!("all three nodes killed at once, {times} times"));
}
