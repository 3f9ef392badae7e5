//! Nodes that stop and start: as they wish, without their data, and far behind.

use crate::cluster::Cluster;

#[test]
fn a_rolling_restart_fails_no_change() {
    rolling(1);
}

#[test]
#[ignore = "takes minutes"]
fn a_rolling_restart_fails_no_change_twenty_times() {
    rolling(20);
}

fn rolling(times: usize) {
    let mut cluster = Cluster::formed(3);
    let clients = cluster.clients();
    for _ in 0..times {
        for node in 0..3 {
            cluster.history.wait_for_more(50);
            cluster.stop(node);
            cluster.history.wait_for_more(50);
            cluster.start(node);
            cluster.server(node).hear("follows `");
        }
    }
    cluster.history.wait_for_more(50);
    let failed = cluster.history.failed_changes();
    cluster.judge(clients, &format!("each of three stopped and started, {times} times"));
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.last());
}

#[test]
fn a_wiped_node_comes_back() {
    wipe(1);
}

#[test]
#[ignore = "takes minutes"]
fn wiped_nodes_come_back_ten_times() {
    wipe(10);
}

fn wipe(times: usize) {
    let mut cluster = Cluster::formed(3);
    let clients = cluster.clients();
    for time in 0..times {
        cluster.history.wait_for_more(100);
        let node = time % 3;
        let before = cluster.status(node).unwrap().node;
        cluster.kill(&[node]);
        cluster.wipe(node);
        cluster.history.wait_for_more(50);
        cluster.start(node);
        cluster.server(node).hear("takes its place");
        cluster.until_voters(&[0, 1, 2]);
        cluster.server(node).hear("follows `");
        let after = cluster.status(node).unwrap().node;
        assert_ne!(before, after, "it has a new identity");
    }
    cluster.history.wait_for_more(100);
    cluster.judge(clients, &format!("a node wiped, {times} times"));
}

#[test]
fn a_follower_eight_megabytes_behind_catches_up() {
    far_behind(8 << 20);
}

#[test]
#[ignore = "takes a minute"]
fn a_follower_a_gigabyte_behind_catches_up() {
    far_behind(1 << 30);
}

fn far_behind(bytes: usize) {
    let mut cluster = Cluster::formed(3);
    let clients = cluster.clients();
    let away = (cluster.leader() + 1) % 3;
    cluster.ask_no_more(away);
    cluster.kill(&[away]);
    cluster.write(bytes);
    cluster.start(away);
    cluster.server(away).hear("follows `");
    cluster.ask(away);
    cluster.history.wait_for_more(100);
    cluster.judge(clients, &format!("a follower {} MiB behind", bytes >> 20));
}
