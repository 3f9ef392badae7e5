//! Networks that are cut: one way, all ways, and so that two majorities have one node in common.

use crate::{cluster::Cluster, proxy::Cuts};

#[test]
fn cut_networks_of_three() {
    cut(3, 1);
}

#[test]
fn cut_networks_of_five() {
    cut(5, 1);
}

#[test]
#[ignore = "takes minutes"]
fn cut_networks_of_five_many_times() {
    cut(5, 10);
}

fn cut(count: usize, times: usize) {
    let cluster = Cluster::formed(count);
    let clients = cluster.clients();
    let mut done = 0;
    for _ in 0..times {
        for cuts in KINDS {
            cluster.history.wait_for_more(100);
            cluster.network.cut(cuts(count, cluster.leader()));
            // A majority can still talk, so it goes on.
            cluster.history.wait_for_more(200);
            cluster.network.heal();
            done += 1;
        }
    }
    cluster
        .judge(clients, &format!("a network of {count} cut {done} times in {} ways", KINDS.len()));
}

const KINDS: [fn(usize, usize) -> Cuts; 5] = [
    leader_speaks_to_nobody,
    leader_hears_nobody,
    leader_alone,
    leader_is_the_bridge,
    one_way_ring,
];

fn leader_speaks_to_nobody(count: usize, leader: usize) -> Cuts {
    (0..count).filter(|node| *node != leader).map(|node| (leader, node)).collect()
}

fn leader_hears_nobody(count: usize, leader: usize) -> Cuts {
    (0..count).filter(|node| *node != leader).map(|node| (node, leader)).collect()
}

fn leader_alone(count: usize, leader: usize) -> Cuts {
    let mut both = leader_speaks_to_nobody(count, leader);
    both.append(&mut leader_hears_nobody(count, leader));
    both
}

/// Both halves of the others hear the leader, and not each other.
fn leader_is_the_bridge(count: usize, leader: usize) -> Cuts {
    let others: Vec<usize> = (0..count).filter(|node| *node != leader).collect();
    let (one, other) = others.split_at(others.len() / 2);
    let pairs = one.iter().flat_map(|left| other.iter().map(move |right| (*left, *right)));
    pairs.flat_map(|(left, right)| [(left, right), (right, left)]).collect()
}

/// The one behind the leader cannot speak to the leader, nor the one behind that to it.
fn one_way_ring(count: usize, leader: usize) -> Cuts {
    let next = (leader + 1) % count;
    Cuts::from([(next, leader), ((next + 1) % count, next)])
}
