//! A write that fails, or of which only a part goes in.

use std::{fs, process::Command, sync::Arc};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use skiff::Outcome;

use crate::{
    common::{path, said, skiff},
    history::History,
    load::Load,
    means::can_trace,
    nodes::Nodes,
    traced::{Trace, real},
};

/// One node by itself that was killed after a write, with the calls of its log changed from then on.
fn changed(history: &History, change: &str) -> (Nodes, Trace) {
    let mut nodes = Nodes::formed(1);
    nodes.put(history, "before").unwrap();
    nodes.kill(0);
    let log = [real(&nodes.segment(0))];
    let trace = Trace::start(&mut nodes, 0, &log, &[change]);
    (nodes, trace)
}

#[test]
fn a_write_that_fails_stops_the_node_and_what_was_acknowledged_stays() {
    if !can_trace() {
        return;
    }
    for at in [3, 8] {
        let history = History::new();
        let (mut nodes, trace) = changed(&history, &format!("pwrite64:error=EIO:when={at}"));
        let pid = nodes.server(0).pid();
        nodes.put_until_the_end(0, &history, "key");
        let server = nodes.server(0);
        server.hear("cannot write");
        server.hear("log-00000000000000000001: Input/output error");
        assert_eq!(server.ended().code(), Some(1));
        assert!(history.now().unknown() > 0, "{:?}", history.now());
        let (_before, _write, after) = trace.around_the_change(pid);
        assert!(after.is_empty(), "nothing must be tried after a failed write: {after:?}");
        nodes.start(0);
        nodes.check(&history);
    }
}

#[test]
fn a_write_without_room_is_not_acknowledged_and_the_node_goes_on() {
    if !can_trace() {
        return;
    }
    let history = History::new();
    // The third write is refused, and so are the next tries of it.
    let (mut nodes, _trace) = changed(&history, "pwrite64:error=ENOSPC:when=3..5");
    nodes.leader();
    let refused = nodes.put(&history, "refused").unwrap_err();
    assert_eq!(refused.outcome(), Outcome::Unknown, "{refused}");
    let dir = path(nodes.dir(0)).to_owned();
    let server = nodes.server(0);
    server.hear(&format!("no space left for the log in {dir}: make room, the node then goes on"));
    nodes.leader();
    for number in 0..5 {
        nodes.put(&history, &format!("after-{number}")).unwrap();
    }
    nodes.check(&history);
    nodes.kill(0);
    nodes.start(0);
    nodes.check(&history);
}

/// A new segment is filled with zeros. What the kernel says it did not write, and did not, is read as
/// zeros as well: so this is a short write as it would really be.
#[test]
fn the_rest_of_a_short_write_is_written() {
    if !can_trace() {
        return;
    }
    // Of the 64 pieces; later than the thread that writes the log gets to.
    for (at, written) in [(20, 1), (40, 4096), (64, 262_143)] {
        let history = History::new();
        let mut nodes = Nodes::new(1);
        // The file is not there yet, so that its folder stands for it.
        fs::create_dir(nodes.dir(0)).unwrap();
        let log = [real(&nodes.segment(0))];
        let change = format!("pwrite64:retval={written}:when={at}");
        let trace = Trace::start(&mut nodes, 0, &log, &[&change]);
        let pid = nodes.server(0).pid();
        nodes.leader();
        (0..5).for_each(|number| nodes.put(&history, &format!("key-{number}")).unwrap());
        nodes.kill(0);
        let (_before, short, after) = trace.around_the_change(pid);
        let ((offset, length), rest) = (short.place(), &after[0]);
        assert_eq!(
            (rest.name.as_str(), rest.place()),
            ("pwrite64", (offset + written, length - written))
        );
        nodes.start(0);
        nodes.check(&history);
        nodes.kill(0);
        let verified = skiff(&["log", "verify", path(nodes.dir(0))]);
        assert!(verified.status.success(), "{}", said(&verified));
    }
}

/// One node by itself whose kernel said that it had written the first 100 bytes of a batch, and had
/// not; and where that batch begins.
fn lied_to(history: &History) -> (Nodes, u64) {
    let (mut nodes, trace) = changed(history, "pwrite64:retval=100:when=4");
    let pid = nodes.server(0).pid();
    nodes.leader();
    (0..5).for_each(|number| nodes.put(history, &format!("key-{number}")).unwrap());
    nodes.kill(0);
    let (_before, lost, _after) = trace.around_the_change(pid);
    (nodes, lost.place().0)
}

/// That it was lied to a node can only notice later, and it does.
#[test]
fn what_a_kernel_did_not_write_and_said_it_had_is_missed_at_the_next_start() {
    if !can_trace() {
        return;
    }
    let (mut nodes, at) = lied_to(&History::new());
    nodes.start(0);
    let server = nodes.server(0);
    server.hear(&format!("log-00000000000000000001 is damaged at byte {at}"));
    assert!(!server.ended().success());
}

#[test]
fn a_node_that_cannot_start_for_damage_ends_with_the_exit_code_of_damage() {
    if !can_trace() {
        return;
    }
    let (mut nodes, _at) = lied_to(&History::new());
    nodes.start(0);
    assert_eq!(nodes.server(0).ended().code(), Some(5));
}

#[test]
fn what_a_kernel_did_not_write_comes_back_from_other_members() {
    if !can_trace() {
        return;
    }
    let history = Arc::new(History::new());
    let mut nodes = Nodes::formed(3);
    let load = Load::start(&nodes, &history, "key", 2);
    for node in 0..3 {
        nodes.kill(node);
        let log = [real(&nodes.segment(node))];
        let trace = Trace::start(&mut nodes, node, &log, &["pwrite64:retval=100:when=4"]);
        let pid = nodes.server(node).pid();
        nodes.check(&history);
        history.wait_for_more(50);
        nodes.kill(node);
        trace.around_the_change(pid);
        nodes.start(node);
        nodes.server(node).hear("the log is whole again");
        nodes.check(&history);
    }
    load.stop(&nodes);
    nodes.check_that_all_agree(&history);
}

/// A limit on the size of files cuts a write off at any byte, and refuses the rest of it.
#[test]
fn a_write_that_is_cut_off_stops_the_node_and_its_piece_is_never_taken() {
    for piece in [1, 160, 511, 512, 2900] {
        let history = History::of_values(3000);
        let mut nodes = Nodes::new(1);
        // Without this, a process that goes beyond its limit is killed.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh"]).args(nodes.program(0));
        nodes.start_as(0, shell);
        nodes.leader();
        (0..3).for_each(|number| nodes.put(&history, &format!("key-{number}")).unwrap());
        let end = nodes.end_of_log(0);
        let pid = Pid::from_raw(i32::try_from(nodes.server(0).pid()).unwrap());
        let limit = Rlimit { current: Some(end + piece), maximum: None };
        prlimit(pid, Resource::Fsize, limit).unwrap();
        let error = nodes.put(&history, "cut-off").unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        let server = nodes.server(0);
        server.hear("log-00000000000000000001: File too large");
        assert_eq!(server.ended().code(), Some(1));
        let log = fs::read(nodes.segment(0)).unwrap();
        let at = usize::try_from(end).unwrap();
        let length = usize::try_from(piece).unwrap();
        assert_eq!(log[at..].iter().rposition(|byte| *byte != 0).map(|at| at < length), Some(true));

        nodes.start(0);
        nodes.leader();
        nodes.put(&history, "after").unwrap();
        nodes.check(&history);
        nodes.kill(0);
        let verified = skiff(&["log", "verify", path(nodes.dir(0))]);
        assert!(verified.status.success(), "{}", said(&verified));
    }
}
