//! Members that come and go under load.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use skiff::MemberChange;

use crate::{
    cluster::{Cluster, name},
    common::{PATIENCE, say},
};

#[test]
fn each_of_three_is_replaced_in_turn() {
    replace_all(1);
}

#[test]
#[ignore = "takes minutes"]
fn each_of_three_is_replaced_in_turn_ten_times() {
    replace_all(10);
}

fn replace_all(times: usize) {
    let mut cluster = Cluster::formed(3);
    let clients = cluster.clients();
    let mut members = vec![0, 1, 2];
    for _ in 0..times {
        for place in 0..3 {
            cluster.history.wait_for_more(100);
            let (old, new) = (members[place], cluster.add());
            cluster.ask_no_more(old);
            cluster.change(cluster.replace(old, new)).unwrap();
            members[place] = new;
            cluster.server(old).hear("it was removed from its cluster");
            cluster.kill(&[old]);
            cluster.ask(new);
            cluster.until_voters(&members);
        }
    }
    cluster.history.wait_for_more(100);
    cluster.judge(clients, &format!("each of three replaced in turn, {times} times"));
}

#[test]
fn two_are_added_two_killed_two_removed() {
    add_kill_remove(1);
}

#[test]
#[ignore = "takes minutes"]
fn two_are_added_two_killed_two_removed_ten_times() {
    add_kill_remove(10);
}

fn add_kill_remove(times: usize) {
    let mut cluster = Cluster::formed(3);
    let clients = cluster.clients();
    let mut members = vec![0, 1, 2];
    for _ in 0..times {
        for _ in 0..2 {
            cluster.history.wait_for_more(50);
            let new = cluster.add();
            cluster.change(cluster.invite(new)).unwrap();
            members.push(new);
            cluster.until_voters(&members);
            cluster.ask(new);
        }
        // The two that have been there longest, be one of them the leader or not.
        let gone: Vec<usize> = members.drain(..2).collect();
        gone.iter().for_each(|node| cluster.ask_no_more(*node));
        cluster.kill(&gone);
        cluster.history.wait_for_more(100);
        for node in gone {
            cluster.change(MemberChange::Remove { name: name(node) }).unwrap();
        }
        cluster.until_voters(&members);
    }
    cluster.history.wait_for_more(100);
    cluster.judge(clients, &format!("two added, two killed and two removed, {times} times"));
}

#[test]
fn a_member_more_and_one_less_fail_no_change() {
    more_and_less(1);
}

#[test]
#[ignore = "takes minutes"]
fn a_member_more_and_one_less_fail_no_change_twenty_times() {
    more_and_less(20);
}

fn more_and_less(times: usize) {
    let mut cluster = Cluster::formed(3);
    let clients = cluster.clients();
    let mut members = vec![0, 1, 2];
    for _ in 0..times {
        let new = cluster.add();
        cluster.history.wait_for_more(50);
        cluster.change(cluster.invite(new)).unwrap();
        members.push(new);
        cluster.until_voters(&members);
        cluster.history.wait_for_more(50);
        let leader = cluster.leader();
        let place = members.iter().position(|node| *node != leader).unwrap();
        let old = members.remove(place);
        cluster.ask_no_more(old);
        cluster.ask(new);
        cluster.change(MemberChange::Remove { name: name(old) }).unwrap();
        cluster.until_voters(&members);
        cluster.kill(&[old]);
    }
    cluster.history.wait_for_more(50);
    let failed = cluster.history.failed_changes();
    cluster.judge(clients, &format!("a member more and one less, {times} times"));
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.last());
}

#[test]
fn a_leader_killed_in_mid_change_leaves_nothing_half_done() {
    kill_in_mid_change(1);
}

#[test]
#[ignore = "takes minutes"]
fn a_leader_killed_in_mid_change_leaves_nothing_half_done_twenty_times() {
    kill_in_mid_change(20);
}

/// The leader can still speak and hears nobody, so that the joint membership reaches the others and is not
/// committed; then it is killed, and nobody asks for the change again.
fn kill_in_mid_change(times: usize) {
    let mut cluster = Cluster::formed(5);
    let clients = cluster.clients();
    let mut members = vec![0, 1, 2, 3, 4];
    let (mut hits, mut tries) = (0, 0);
    while hits < times {
        tries += 1;
        assert!(tries < 10 * times, "it was half done in {hits} of {tries} only");
        cluster.history.wait_for_more(50);
        let leader = cluster.leader();
        let others: Vec<usize> = members.iter().copied().filter(|node| *node != leader).collect();
        let gone = others[0];
        cluster.network.cut(others.iter().map(|other| (*other, leader)));
        let caller = cluster.begin(leader, MemberChange::Remove { name: name(gone) });
        let half_done = is_half_done(&cluster, &others);
        cluster.kill(&[leader]);
        caller.abort();
        cluster.network.heal();
        cluster.start(leader);
        let left = settled(&cluster);
        if half_done {
            assert_eq!(left, 4, "what the others hold of the change is brought to its end");
            hits += 1;
        }
        if left == 4 {
            members.retain(|node| *node != gone);
            cluster.ask_no_more(gone);
            cluster.kill(&[gone]);
            let new = cluster.add();
            cluster.change(cluster.invite(new)).unwrap();
            members.push(new);
            cluster.ask(new);
        }
        cluster.until_voters(&members);
    }
    say(&format!("{hits} of {tries} changes were half done when the leader was killed"));
    cluster.judge(clients, &format!("leaders killed in mid-change, {times} times"));
}

/// Whether one of these comes to hold a change that is not at its end, before the leader that hears nobody
/// leaves its office.
fn is_half_done(cluster: &Cluster, others: &[usize]) -> bool {
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        let leaves = |node: &usize| {
            let members = cluster.status(*node).unwrap_or_default().members;
            members.iter().any(|member| member.role == "leaving")
        };
        if others.iter().any(leaves) {
            return true;
        }
    }
    false
}

/// Waits until no change is under way; how many members there are.
fn settled(cluster: &Cluster) -> usize {
    let end = Instant::now() + PATIENCE;
    loop {
        let members = cluster.status(cluster.leader()).unwrap_or_default().members;
        if !members.is_empty() && members.iter().all(|member| member.role == "voter") {
            return members.len();
        }
        assert!(Instant::now() < end, "the change hangs: {members:?}");
    }
}

/// A call to a peer that accepts and never reads held up everybody, also once it was removed.
#[test]
fn hung_call_isolated_while_a_member_is_removed() {
    let mut cluster = Cluster::formed(3);
    let clients = cluster.clients();
    let leader = cluster.leader();
    let hung = (leader + 1) % 3;
    cluster.ask_no_more(hung);
    cluster.history.wait_for_more(50);
    cluster.signal(hung, Signal::STOP);
    cluster.change(MemberChange::Remove { name: name(hung) }).unwrap();
    cluster.history.wait_for_more(100);
    cluster.signal(hung, Signal::CONT);
    // It comes to know that it was removed.
    cluster.server(hung).hear("it was removed from its cluster");
    cluster.kill(&[hung]);
    cluster.history.wait_for_more(50);
    let failed = cluster.history.failed_changes();
    cluster.judge(clients, "a member removed that stands still");
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.last());
}
