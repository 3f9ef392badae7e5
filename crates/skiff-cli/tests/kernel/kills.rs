//! `kill -9` at any moment, again and again, while clients write.

use std::{sync::Arc, thread, time::Duration};

use crate::{
    common::{dice::Dice, say},
    history::History,
    load::Load,
    means::can_trace,
    nodes::Nodes,
    traced::{Trace, real},
};

const WRITERS: usize = 6;
/// Between two groups of writes lie about so many microseconds.
const ROUND: u64 = 5000;

#[test]
fn kill_9_at_twenty_moments_loses_nothing() {
    survive(20);
}

#[test]
#[ignore = "takes minutes"]
fn kill_9_at_two_hundred_moments_loses_nothing() {
    survive(200);
}

/// All writes to the logs are held up for a while before they are made: whoever acknowledged what it had
/// only accepted would lose it.
#[test]
fn kill_9_before_late_writes_loses_nothing() {
    if !can_trace() {
        return;
    }
    for count in [1, 3] {
        let history = Arc::new(History::new());
        let mut nodes = Nodes::formed(count);
        let all: Vec<usize> = (0..count).collect();
        for round in 0..2 {
            nodes.kill_at_once(&all);
            let start = |node| {
                let log = [real(&nodes.segment(node))];
                Trace::start(&mut nodes, node, &log, &["pwrite64:delay_enter=20000"])
            };
            let _traces: Vec<Trace> = (0..count).map(start).collect();
            let load = Load::start(&nodes, &history, &format!("late-{round}"), WRITERS);
            history.wait_for_more(30);
            nodes.kill_at_once(&all);
            all.iter().for_each(|node| nodes.start(*node));
            nodes.check(&history);
            load.stop(&nodes);
        }
        nodes.check_that_all_agree(&history);
    }
}

fn survive(moments: u64) {
    let mut dice = Dice::new();
    let history = Arc::new(History::new());
    let mut nodes = Nodes::formed(3);
    let load = Load::start(&nodes, &history, "key", WRITERS);
    let mut kills = 0;
    for _ in 0..moments {
        history.wait_for_more(1 + dice.below(300));
        // What is acknowledged is acknowledged right after a sync. This is any moment.
        thread::park_timeout(Duration::from_micros(dice.below(ROUND)));
        // One of them, or all at once.
        let killed: Vec<usize> = match dice.below(5) {
            node @ 0..3 => vec![usize::try_from(node).unwrap()],
            _ => vec![0, 1, 2],
        };
        kills += killed.len();
        nodes.kill_at_once(&killed);
        if killed.len() == 1 && dice.below(2) == 0 {
            history.wait_for_more(50);
        }
        killed.iter().for_each(|node| nodes.start(*node));
        nodes.check(&history);
    }
    load.stop(&nodes);
    nodes.check_that_all_agree(&history);
    let state = history.now();
    say(&format!(
        "{moments} times `kill -9`, of {kills} nodes in all: {} writes acknowledged, none lost; of {} \
         more the outcome was not known",
        state.acknowledged(),
        state.unknown()
    ));
}
