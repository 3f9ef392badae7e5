//! A sync that fails: from then on nobody knows what is on the medium, and a sync that is tried again
//! would say that all is well.

use std::sync::Arc;

use skiff::Outcome;

use crate::{
    history::History,
    load::Load,
    means::can_trace,
    nodes::Nodes,
    traced::{Call, Trace, real},
};

/// One node by itself that was killed after a write.
fn killed_after_a_write(history: &History) -> Nodes {
    let mut nodes = Nodes::formed(1);
    nodes.put(history, "before").unwrap();
    nodes.kill(0);
    nodes
}

/// The node must end by itself, and have said this.
fn stops_with(nodes: &mut Nodes, said: &[&str]) {
    let server = nodes.server(0);
    let status = server.ended();
    said.iter().for_each(|text| drop(server.hear(text)));
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_failed_sync_stops_the_node_and_what_it_wrote_last_is_written_again() {
    if !can_trace() {
        return;
    }
    // The thread that writes syncs a vote and the leader's first entry before any command.
    for at in [3, 4, 9] {
        let history = History::new();
        let mut nodes = killed_after_a_write(&history);
        let log = [real(&nodes.segment(0))];
        // It fails late, so that an answer that does not wait for it comes first.
        let change = format!("fdatasync:error=EIO:delay_enter=100000:when={at}");
        let trace = Trace::start(&mut nodes, 0, &log, &[&change]);
        let pid = nodes.server(0).pid();
        nodes.leader();
        let failed = (3..).find_map(|number| {
            assert!(number <= at, "the sync of write {number} must have failed");
            let error = nodes.put(&history, &format!("key-{number}")).err()?;
            Some((number, error))
        });
        let (number, error) = failed.unwrap();
        assert_eq!(number, at, "{error}");
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        stops_with(&mut nodes, &["cannot sync", "log-00000000000000000001: Input/output error"]);
        let (before, _sync, after) = trace.around_the_change(pid);
        assert!(after.is_empty(), "nothing must be tried after a failed sync: {after:?}");
        let unsure = before.last().unwrap();

        // All that was written is still shown by the kernel, whether it is on the medium or not.
        let trace = Trace::start(&mut nodes, 0, &log, &[]);
        nodes.check(&history);
        let pid = nodes.server(0).pid();
        nodes.kill(0);
        let threads = trace.threads(pid);
        let writes_again = |calls: &&Vec<Call>| {
            calls.first().is_some_and(|call| call.arguments == unsure.arguments)
        };
        let opening = threads.iter().find(writes_again);
        let opening = opening.unwrap_or_else(|| panic!("{unsure:?} is not first in {threads:?}"));
        let names: Vec<&str> = opening.iter().map(|call| &*call.name).collect();
        assert_eq!(names, ["pwrite64", "fdatasync", "pwrite64", "fdatasync"], "{opening:?}");
        nodes.start(0);
        nodes.check(&history);
    }
}

/// Of a directory that holds something, and of one that is new. The places: the end of the log that is
/// written again, its name, IDENTITY and its name, and the mark of the opening; or, of a new directory,
/// IDENTITY and its name, and the segment in its pieces and its name.
#[test]
fn a_sync_that_fails_while_a_node_starts_refuses_the_start_and_loses_nothing() {
    if !can_trace() {
        return;
    }
    let history = History::new();
    let mut used = killed_after_a_write(&history);
    for change in ["fdatasync:1", "fsync:1", "fdatasync:2", "fsync:2", "fdatasync:3"] {
        refuses_to_start(&mut used, change);
    }
    used.start(0);
    used.check(&history);

    let history = History::new();
    let mut new = Nodes::new(1);
    for change in ["fdatasync:1", "fsync:2", "fdatasync:2", "fdatasync:40", "fsync:3"] {
        refuses_to_start(&mut new, change);
    }
    new.start(0);
    new.leader();
    new.put(&history, "after").unwrap();
    new.check(&history);
}

fn refuses_to_start(nodes: &mut Nodes, change: &str) {
    let (call, at) = change.split_once(':').unwrap();
    let change = format!("{call}:error=EIO:when={at}");
    let trace = Trace::start(nodes, 0, &[], &[&change]);
    let pid = nodes.server(0).pid();
    stops_with(nodes, &["Input/output error"]);
    trace.around_the_change(pid);
}

#[test]
fn a_cluster_goes_on_without_the_node_whose_sync_failed() {
    if !can_trace() {
        return;
    }
    let history = Arc::new(History::new());
    let mut nodes = Nodes::formed(3);
    for node in 0..3 {
        nodes.kill(node);
        let log = [real(&nodes.segment(node))];
        let _trace = Trace::start(&mut nodes, node, &log, &["fdatasync:error=EIO:when=12"]);
        let load = Load::start(&nodes, &history, &format!("sync-{node}"), 2);
        let status = nodes.server(node).ended();
        nodes.server(node).hear("cannot sync");
        assert_eq!(status.code(), Some(1));
        history.wait_for_more(20);
        nodes.start(node);
        nodes.check(&history);
        load.stop(&nodes);
    }
    nodes.check_that_all_agree(&history);
}
