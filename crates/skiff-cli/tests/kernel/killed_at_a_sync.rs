//! `kill -9` at the very call that would make something durable.

use std::{os::unix::process::ExitStatusExt as _, sync::Arc};

use rustix::process::Signal;

use crate::{
    history::History,
    load::Load,
    means::can_trace,
    nodes::Nodes,
    traced::{Trace, real},
};

fn must_have_been_killed(nodes: &mut Nodes, node: usize) {
    let status = nodes.server(node).ended();
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "node {node} ended so: {status}");
}

/// Kills one node by itself at a call, which may be of its opening or of its writing.
fn kill_at(nodes: &mut Nodes, history: &History, call: &str, at: u32) {
    let _trace = Trace::start(nodes, 0, &[], &[&format!("{call}:signal=SIGKILL:when={at}")]);
    nodes.put_until_the_end(0, history, &format!("{call}-{at}-{}", history.now().acknowledged()));
    must_have_been_killed(nodes, 0);
}

#[test]
fn one_node_keeps_what_it_acknowledged_before_it_was_killed_at_a_sync() {
    if !can_trace() {
        return;
    }
    let history = History::new();
    let mut nodes = Nodes::formed(1);
    nodes.put(&history, "before").unwrap();
    nodes.kill(0);
    // The first three, and both syncs of names, are of the opening.
    for at in 1..=8 {
        kill_at(&mut nodes, &history, "fdatasync", at);
    }
    (1..=2).for_each(|at| kill_at(&mut nodes, &history, "fsync", at));
    nodes.start(0);
    nodes.check(&history);
    assert!(history.now().acknowledged() > 10, "{:?}", history.now());
}

#[test]
fn a_new_node_that_was_killed_at_a_sync_of_its_first_start_starts_anew() {
    if !can_trace() {
        return;
    }
    let history = History::new();
    let mut nodes = Nodes::new(1);
    // IDENTITY, the pieces of the segment, the mark of the opening, IDENTITY again, the genesis.
    for at in [1, 2, 30, 65, 66, 67, 68] {
        kill_at(&mut nodes, &history, "fdatasync", at);
    }
    nodes.start(0);
    nodes.leader();
    nodes.put(&history, "after").unwrap();
    nodes.check(&history);
}

#[test]
fn a_cluster_keeps_what_it_acknowledged_when_a_node_is_killed_at_a_sync() {
    if !can_trace() {
        return;
    }
    let history = Arc::new(History::new());
    let mut nodes = Nodes::formed(3);
    for (round, at) in [4, 7, 12, 25].into_iter().enumerate() {
        let node = round % 3;
        nodes.kill(node);
        let log = [real(&nodes.segment(node))];
        let change = format!("fdatasync:signal=SIGKILL:when={at}");
        let _trace = Trace::start(&mut nodes, node, &log, &[&change]);
        let load = Load::start(&nodes, &history, &format!("one-{at}"), 4);
        must_have_been_killed(&mut nodes, node);
        history.wait_for_more(20);
        nodes.start(node);
        nodes.check(&history);
        load.stop(&nodes);
    }
    nodes.check_that_all_agree(&history);
}

#[test]
fn a_cluster_keeps_what_it_acknowledged_when_its_majority_is_killed_at_a_sync() {
    if !can_trace() {
        return;
    }
    let history = Arc::new(History::new());
    let mut nodes = Nodes::formed(3);
    for at in [5, 9, 20] {
        (0..3).for_each(|node| nodes.kill(node));
        let change = format!("fdatasync:signal=SIGKILL:when={at}");
        let start = |node| {
            let log = [real(&nodes.segment(node))];
            Trace::start(&mut nodes, node, &log, &[&change])
        };
        let _traces: Vec<Trace> = (0..3).map(start).collect();
        let load = Load::start(&nodes, &history, &format!("all-{at}"), 4);
        // With two gone, nothing is written any more that the third could be killed at.
        let killed = nodes.wait_until_ended(2);
        killed.into_iter().for_each(|node| must_have_been_killed(&mut nodes, node));
        for node in 0..3 {
            nodes.kill(node);
            nodes.start(node);
        }
        nodes.check(&history);
        history.wait_for_more(20);
        load.stop(&nodes);
    }
    nodes.check_that_all_agree(&history);
}
