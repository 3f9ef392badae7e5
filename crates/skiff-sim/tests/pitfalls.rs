//! Mistakes that other implementations made, each as a scenario for whole nodes on simulated disks, under
//! its name. The judges see to it that nothing wrong is done; what is counted shows that it came to what
//! the scenario is about.

#![allow(clippy::unwrap_used, reason = "tests")]

use skiff_sim::{
    Limits, Mode, Plan, Reached, Registers,
    plan::{
        Ailment, ClockKnobs, Cut, Damage, Fault, Forming, Knobs, MS, PlannedCall, PlannedSession,
        Point, SECOND, SessionCall, Who,
    },
    run,
};

/// A quiet cluster that is asked something every 20 ms, for ten seconds.
fn quiet(seed: u64, nodes: usize) -> Plan {
    let limits = Limits { mode: Mode::Crash, nodes: Some(nodes), nanos: 10 * SECOND };
    let call = |number: u64| {
        let read = number % 4 == 3;
        PlannedCall { at: number * 20 * MS, seed: seed << 20 | number, read, patience: 2 * SECOND }
    };
    Plan {
        knobs: Knobs { forward: true, ..Knobs::plain(nodes) },
        faults: Vec::new(),
        sessions: Vec::new(),
        calls: (0..500).map(call).collect(),
        ailment: Ailment::None,
        ..Plan::of_seed(seed, limits)
    }
}

/// Runs a scenario on so many seeds; an eighth of them where the code is slow, in debug builds. None
/// may fail. How many there were, and what all of them came across.
fn met(seeds: u64, plan: impl Fn(u64) -> Plan) -> (u64, Reached) {
    let seeds = if cfg!(debug_assertions) { seeds.div_ceil(8) } else { seeds };
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

const FOREVER: u64 = 60 * SECOND;

/// The leader's disk hangs, without an error, and it stays in office since heartbeats need no disk.
#[test]
fn stalled_disk_deposes_leader() {
    let (runs, met) = met(16, |seed| {
        let stalls = Fault::SlowDisk { who: Who::Leader, each: FOREVER, nanos: 6 * SECOND };
        Plan { faults: vec![(3 * SECOND, stalls)], ..quiet(seed, 3) }
    });
    assert!(met.leaders_elected >= 2 * runs, "each time another leads: {met:?}");
    assert!(met.commands_answered > runs * 250, "and serves: {met:?}");
}

/// Every write fails, for want of room or for good, and the leader keeps its office.
#[test]
fn write_error_deposes_leader() {
    let (runs, full) = met(16, |seed| {
        let full = Fault::FullDisk { who: Who::Leader, nanos: 4 * SECOND };
        let knobs = Knobs { segment_bytes: 4 << 10, ..quiet(seed, 3).knobs };
        Plan { faults: vec![(3 * SECOND, full)], knobs, ..quiet(seed, 3) }
    });
    assert!(full.full_disks > 0 && full.leaders_elected >= 2 * runs, "{full:?}");
    let (runs, fails) = met(16, |seed| {
        let fails = Fault::FailSync { who: Who::Leader, nth: 1 };
        Plan { faults: vec![(3 * SECOND, fails)], ..quiet(seed, 3) }
    });
    assert_eq!(fails.failed_syncs, runs, "it stops: {fails:?}");
    assert!(fails.leaders_elected >= 2 * runs, "{fails:?}");
}

/// One loses power after it has acknowledged, and with those that were away it is a majority.
#[test]
fn lost_tail_plus_laggard() {
    let (runs, met) = met(16, |seed| {
        let cut = |from: u64, sides: u64| {
            let cut = Cut::Split(sides);
            (from, Fault::Cut { cut, reset: true, nanos: 3 * SECOND })
        };
        let crash = Fault::Crash { who: Who::Node(2), power: true, down: 100 * MS };
        // First 0, 1 and 2 are alone, then 2, 3 and 4.
        let faults = vec![cut(2 * SECOND, 0b11000), (5 * SECOND, crash), cut(5 * SECOND, 0b00011)];
        Plan { faults, ..quiet(seed, 5) }
    });
    assert_eq!((met.power_cuts >= runs, met.cuts), (true, 2 * runs), "{met:?}");
    assert!(met.leaders_under_partition >= runs, "{met:?}");
}

/// A voter comes back with nothing, while another is away.
#[test]
fn wiped_voter_no_vote() {
    let (runs, met) = met(16, |seed| {
        let wipe = Fault::Damage {
            who: Who::Node(usize::from(seed % 2 == 1)),
            damage: Damage::Wipe,
            place: 0,
            down: 100 * MS,
        };
        let crash = Fault::Crash { who: Who::Leader, power: true, down: 4 * SECOND };
        let cut = Fault::Cut { cut: Cut::Isolate(Who::Node(2)), reset: true, nanos: SECOND };
        let faults = vec![(3 * SECOND, cut), (4 * SECOND, wipe), (4 * SECOND, crash)];
        Plan { mode: Mode::Recoverable, faults, ..quiet(seed, 3) }
    });
    assert_eq!(met.damages, runs, "{met:?}");
}

/// A founder, and anybody else, crashes at each of its early jobs.
#[test]
fn founder_killed_early() {
    let (runs, met) = met(120, |seed| {
        let after = u32::try_from(seed / 2).unwrap();
        let who = Who::Node(usize::from(seed % 2 == 1));
        let crash = Fault::CrashAt { who, point: Point::AfterJob, after, down: SECOND };
        Plan { faults: vec![(0, crash)], nanos: 3 * SECOND, ..quiet(seed, 3) }
    });
    assert_eq!((met.power_cuts >= runs, met.healed), (true, runs), "{met:?}");
    assert!(met.formed_after_crash > runs / 3, "{met:?}");
}

/// Peers are named one after the other, while one of them starts again and others cannot meet.
#[test]
fn staged_joins() {
    let (runs, met) = met(20, |seed| {
        let crash = Fault::Crash { who: Who::Node(2), power: true, down: 500 * MS };
        let cut = Fault::Cut { cut: Cut::Split(0b0011), reset: false, nanos: SECOND };
        let knobs = Knobs { forming: Forming::Joins, ..quiet(seed, 4).knobs };
        Plan { faults: vec![(200 * MS, cut), (900 * MS, crash)], knobs, ..quiet(seed, 4) }
    });
    assert_eq!(met.formed_by_joins, runs, "{met:?}");
}

/// Two of three come back with nothing: while the third is up, is away, or never was.
#[test]
fn two_of_three_wiped() {
    let (runs, met) = met(24, |seed| {
        let wipe = |node: usize| {
            let (who, damage) = (Who::Node(node), Damage::Wipe);
            (4 * SECOND, Fault::Damage { who, damage, place: 0, down: 200 * MS })
        };
        // First the one whose name would make it the founder is among the lost.
        let kept = usize::try_from(seed / 3 + 2).unwrap() % 3;
        let (who, down) = (Who::Node(kept), seed % 3 * 4 * SECOND);
        let third = Fault::Crash { who, power: true, down };
        let faults = vec![(3 * SECOND, third), wipe((kept + 1) % 3), wipe((kept + 2) % 3)];
        Plan { mode: Mode::Unlimited, faults, ..quiet(seed, 3) }
    });
    assert_eq!(met.damages, 2 * runs, "{met:?}");
    assert_eq!(met.clusters_formed, runs, "nobody formed a second time: {met:?}");
}

/// A directory is put back to what it was before its last promises.
#[test]
fn rolled_back_directory() {
    let (runs, met) = met(16, |seed| {
        let back = |at: u64| {
            let (who, damage) = (Who::Node(1), Damage::RollBack);
            (at, Fault::Damage { who, damage, place: 0, down: 300 * MS })
        };
        let faults = vec![back(3 * SECOND), back(6 * SECOND)];
        Plan { mode: Mode::Unlimited, faults, ..quiet(seed, 3) }
    });
    assert_eq!(met.damages, 2 * runs, "{met:?}");
}

/// A page with a vote in it, or any other, is damaged, and batches after it are good.
#[test]
fn vote_inside_the_hole() {
    let (runs, met) = met(40, |seed| {
        let damage = if seed % 2 == 0 { Damage::FlipBit } else { Damage::ZeroSector };
        let rots =
            Fault::Damage { who: Who::Node(1), damage, place: seed * 7_919 + 3, down: 200 * MS };
        let elect = Fault::Crash { who: Who::Leader, power: true, down: SECOND };
        let faults = vec![(2 * SECOND, elect), (4 * SECOND, rots), (4 * SECOND, elect)];
        Plan { mode: Mode::Recoverable, faults, ..quiet(seed, 3) }
    });
    assert!(met.damages > runs / 4 && met.damage_found > 0, "{met:?}");
}

/// Two have damage in different places, and the third, which could mend both, is away.
#[test]
fn two_holes_third_down() {
    let (runs, met) = met(120, |seed| {
        let hole = |node: usize, place: u64| {
            let (who, damage) = (Who::Node(node), Damage::FlipBit);
            (5 * SECOND, Fault::Damage { who, damage, place, down: 200 * MS })
        };
        let third = Fault::Crash { who: Who::Node(0), power: true, down: 3 * SECOND };
        let (one, other) = (seed * 7_919 + 1, seed * 104_729 + 2);
        let faults = vec![(5 * SECOND, third), hole(1, one), hole(2, other)];
        Plan { mode: Mode::Unlimited, faults, ..quiet(seed, 3) }
    });
    assert!(met.damage_found > 0 && met.mends > 0, "{met:?}");
    assert_eq!(met.clusters_formed, runs, "nobody formed a second time: {met:?}");
}

/// Every sync takes longer than the longest election timeout.
#[test]
fn all_disks_slow() {
    let (runs, met) = met(16, |seed| {
        let knobs = Knobs { disk_min: 360 * MS, disk_max: 360 * MS, ..quiet(seed, 3).knobs };
        Plan { knobs, nanos: 30 * SECOND, ..quiet(seed, 3) }
    });
    // In the end leadership is handed over, as it is asked to be.
    let elected = met.leaders_elected - met.transfers_done;
    assert!(elected <= 3 * runs && met.commands_answered > 20 * runs, "{met:?}");
}

/// The old leader reaches one node, which reaches all others.
#[test]
fn bridge_node_stays_loyal() {
    let (runs, met) = met(40, |seed| {
        // Whoever leads is cut off in one of five.
        let old = usize::try_from(seed % 5).unwrap();
        let cut = Cut::Bridge { node: (old + 1) % 5, sides: 1 << old };
        let cut = Fault::Cut { cut, reset: false, nanos: 4 * SECOND };
        Plan { faults: vec![(3 * SECOND, cut)], ..quiet(seed / 5, 5) }
    });
    assert!(met.leaders_under_partition >= runs / 5, "{met:?}");
    assert!(met.commands_answered > runs * 350, "it is soon over: {met:?}");
}

/// Power is cut right after a message has left, while leaders change: what was said must be on disk.
#[test]
fn vote_on_disk_before_reply() {
    let (runs, met) = met(40, |seed| {
        let cut = |at: u64, node: usize, after: u64| {
            let after = u32::try_from(after).unwrap();
            let (who, point) = (Who::Node(node), Point::AfterSend);
            (at, Fault::CrashAt { who, point, after, down: 50 * MS })
        };
        let elect = Fault::Crash { who: Who::Leader, power: false, down: SECOND };
        let faults = vec![
            (3 * SECOND, elect),
            cut(3 * SECOND, 0, seed),
            cut(3 * SECOND, 1, seed * 2),
            cut(3 * SECOND, 2, seed * 3),
        ];
        Plan { faults, nanos: 5 * SECOND, ..quiet(seed, 3) }
    });
    assert!(met.crashes_after_send >= 2 * runs, "{met:?}");
}

/// Old entries are read back slowly for one that is far behind, and an election comes.
#[test]
fn lagging_load_never_delays_votes() {
    let (runs, met) = met(16, |seed| {
        let away = Fault::Crash { who: Who::Follower(0), power: true, down: 3 * SECOND };
        let elect = Fault::Crash { who: Who::Leader, power: true, down: SECOND };
        let knobs = Knobs { cache_bytes: 1, append_bytes: 200, ..quiet(seed, 3).knobs };
        Plan { faults: vec![(2 * SECOND, away), (5_050 * MS, elect)], knobs, ..quiet(seed, 3) }
    });
    assert!(met.loads > 0 && met.leaders_elected >= 2 * runs, "{met:?}");
}

/// Clients with sessions that live so long, each of which gives a command every 20 ms.
fn in_sessions(seed: u64, timeout: u64) -> Vec<PlannedSession> {
    let call = |number: u64| SessionCall {
        seed: seed << 20 | number,
        patience: 500 * MS,
        gap: 20 * MS,
        twice: number.is_multiple_of(3),
        gives_up: false,
    };
    let session = |client: u64| PlannedSession {
        at: 2 * SECOND,
        timeout,
        calls: (0..100).map(|number| call(client << 10 | number)).collect(),
    };
    (1..4).map(session).collect()
}

/// The new leader's clock is an hour ahead of the old one's, or behind.
#[test]
fn clock_of_a_new_leader() {
    let (runs, met) = met(16, |seed| {
        let crash = |at| (at, Fault::Crash { who: Who::Leader, power: false, down: 500 * MS });
        let clocks = [0, 3600, 7200].map(|s| ClockKnobs { offset: (s + 1) * SECOND, drift: 0 });
        let quiet = quiet(seed, 3);
        let knobs = Knobs { clocks: clocks.to_vec(), ..quiet.knobs };
        let faults = (3..9).map(|second| crash(second * SECOND)).collect();
        Plan { sessions: in_sessions(seed, 60 * SECOND), knobs, faults, ..quiet }
    });
    assert!(met.leaders_elected >= 3 * runs, "{met:?}");
    assert_eq!(met.sessions_begun, 3 * runs, "no session expires: {met:?}");
    assert_eq!(met.sessions_expired, 0, "{met:?}");
    assert!(met.session_commands >= 200 * runs, "{met:?}");
    assert!(met.retries_answered > runs, "what is tried again is done once: {met:?}");
}

/// Machines take longer for a batch than a session lives, while its client tries again.
#[test]
fn dedup_outlives_retries() {
    let (runs, met) = met(32, |seed| {
        let crash = |at| (at, Fault::Crash { who: Who::Leader, power: false, down: 500 * MS });
        let quiet = quiet(seed, 3);
        let knobs = Knobs { machine_max: 100 * MS, ..quiet.knobs };
        let faults = (2..5).map(|nth| crash(nth * 2 * SECOND)).collect();
        let (sessions, calls) = (in_sessions(seed, 120 * MS), Vec::new());
        Plan { sessions, calls, knobs, faults, ..quiet }
    });
    assert!(met.session_commands > runs, "{met:?}");
    assert!(met.retries_answered > 0, "{met:?}");
    assert!(met.sessions_expired > 0, "{met:?}");
}
