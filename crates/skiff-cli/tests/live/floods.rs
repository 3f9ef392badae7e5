//! More than a node can take.

use rustix::process::Signal;

use crate::{cluster::Cluster, common::say};

/// What a leader may hold for a follower that takes nothing: its cache of recent entries, what is on its
/// way to the follower, and what the allocator makes of both.
const HELD: usize = 128 << 20;

#[test]
fn a_follower_that_stands_still_costs_the_leader_no_memory() {
    flood(256 << 20);
}

#[test]
#[ignore = "takes a minute"]
fn a_follower_that_stands_still_while_two_gigabytes_are_written() {
    flood(2 << 30);
}

fn flood(bytes: usize) {
    let cluster = Cluster::formed(3);
    let clients = cluster.clients();
    cluster.history.wait_for_more(50);
    let leader = cluster.leader();
    let still = (leader + 1) % 3;
    let before = cluster.resident(leader);
    cluster.ask_no_more(still);
    cluster.signal(still, Signal::STOP);
    let mut most = 0;
    for _ in 0..16 {
        cluster.write(bytes / 16);
        most = most.max(cluster.resident(leader));
    }
    cluster.signal(still, Signal::CONT);
    say(&format!(
        "{} MiB written while a follower stood still: the leader's process grew by {} MiB at most",
        bytes >> 20,
        most.saturating_sub(before) >> 20,
    ));
    assert!(most < before + HELD, "{before} bytes became {most}");
    cluster.judge(clients, "a flood while a follower stood still");
}
