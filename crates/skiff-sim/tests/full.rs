//! Disks without room, and nodes that know it before a write fails.

#![allow(clippy::unwrap_used, reason = "tests")]

use skiff_sim::{
    Limits, Mode, Plan, Reached, Registers,
    plan::{Ailment, Fault, Knobs, MS, PlannedCall, SECOND, Who},
    run,
};

/// A quiet cluster that is asked something every 20 ms, for ten seconds, and of which a disk is full
/// from the third to the seventh.
fn plan(seed: u64, nodes: usize, who: Who, segment_bytes: u64) -> Plan {
    let limits = Limits { mode: Mode::Crash, nodes: Some(nodes), nanos: 10 * SECOND };
    let call = |number: u64| {
        let read = number % 4 == 3;
        PlannedCall { at: number * 20 * MS, seed: seed << 20 | number, read, patience: 2 * SECOND }
    };
    let reserve_bytes = Some(0);
    Plan {
        knobs: Knobs { segment_bytes, reserve_bytes, forward: true, ..Knobs::plain(nodes) },
        faults: vec![(3 * SECOND, Fault::FullDisk { who, nanos: 4 * SECOND })],
        calls: (0..500).map(call).collect(),
        ailment: Ailment::None,
        ..Plan::of_seed(seed, limits)
    }
}

/// How many leaders were elected before leadership was handed over in the end.
const fn elected(met: &Reached) -> u64 {
    met.leaders_elected - met.handed_over_in_calm
}

fn met(plan: impl Fn(u64) -> Plan) -> (u64, Reached) {
    let seeds = if cfg!(debug_assertions) { 4 } else { 32 };
    let mut met = Reached::default();
    for seed in 0..seeds {
        let report = run(&plan(seed), &Registers);
        if let Some(failure) = report.failure {
            panic!("seed {seed}: {failure}");
        }
        met.add(&report.reached);
    }
    (seeds, met)
}

/// A segment is large, so no write ever fails. Nobody has room: the leader refuses commands, answers
/// reads and stays.
#[test]
fn a_leader_that_knows_of_it_keeps_its_office_and_goes_on_when_there_is_room() {
    let (runs, met) = met(|seed| {
        let mut plan = plan(seed, 3, Who::Node(0), 1 << 20);
        let full = |who| (3 * SECOND, Fault::FullDisk { who, nanos: 4 * SECOND });
        plan.faults.extend([full(Who::Node(1)), full(Who::Node(2))]);
        plan
    });
    // Who learns of it first may hand over to one that does not know yet.
    assert_eq!(met.full_disks, 0, "{met:?}");
    assert!(elected(&met) <= 3 * runs, "{met:?}");
    assert!(met.no_room > 50 * runs, "{met:?}");
    // Two thirds of what is not asked for while it is full, and the reads, which all go on.
    assert!(met.commands_answered > 150 * runs && met.reads_served > 115 * runs, "{met:?}");
    assert_eq!(met.unknown, 0, "whoever is refused knows it: {met:?}");
}

/// The others have room: one of them leads as soon as it is known, and nobody else notices.
#[test]
fn a_leader_without_room_lets_another_lead() {
    let (runs, met) = met(|seed| plan(seed, 3, Who::Leader, 1 << 20));
    assert_eq!((met.full_disks, met.unknown), (0, 0), "{met:?}");
    // In the end a minority is left dead in some runs, and may have led.
    let wanted = 2 * runs..=2 * runs + met.power_cuts;
    assert!(wanted.contains(&elected(&met)), "{met:?}");
    assert!(met.no_room == 0 && met.commands_answered > 350 * runs, "{met:?}");
}

#[test]
fn a_follower_without_room_is_no_reason_to_refuse() {
    let (runs, met) = met(|seed| plan(seed, 3, Who::Follower(0), 4 << 10));
    assert!(met.full_disks > 0, "{met:?}");
    assert_eq!((met.no_room, elected(&met)), (0, runs), "{met:?}");
    assert!(met.commands_answered > 350 * runs, "{met:?}");
}

/// Segments are small, so writes fail as well.
#[test]
fn alone_a_node_without_room_says_so_at_once() {
    let (runs, met) = met(|seed| plan(seed, 1, Who::Leader, 4 << 10));
    assert!(met.no_room > 50 * runs, "{met:?}");
    assert!(met.unknown <= 10 * runs, "only what was in a write: {met:?}");
    assert!(met.commands_answered > 150 * runs, "{met:?}");
}
