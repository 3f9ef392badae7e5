//! Leadership that is handed over under load.

use crate::{cluster::Cluster, common::say};

#[test]
fn leadership_is_handed_over_and_no_change_fails() {
    hand_over(3);
}

#[test]
#[ignore = "takes minutes"]
fn leadership_is_handed_over_two_hundred_times() {
    hand_over(200);
}

fn hand_over(times: usize) {
    let cluster = Cluster::formed(3);
    let clients = cluster.clients();
    let mut gaps = Vec::new();
    for _ in 0..times {
        cluster.history.wait_for_more(50);
        let to = (cluster.leader() + 1) % 3;
        cluster.history.new_gap();
        cluster.transfer(to);
        cluster.history.wait_for_more(20);
        gaps.push(cluster.history.new_gap());
        assert_eq!(cluster.leader(), to);
    }
    gaps.sort();
    let (median, longest) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    say(&format!(
        "around a transfer no change was acknowledged for {:.1} ms in the median, {:.1} ms at most",
        median.as_secs_f64() * 1e3,
        longest.as_secs_f64() * 1e3,
    ));
    let failed = cluster.history.failed_changes();
    cluster.judge(clients, &format!("leadership handed over, {times} times"));
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.last());
}
