//! The search of every order of events: it comes to its end, it finds what is wrong, and what it finds
//! can be gone again.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use skiff_sim::explore::{Bounds, End, Report, Violation, explore, replay};

fn search(bounds: &Bounds, threads: usize) -> Report {
    explore(bounds, threads, &mut |_| true)
}

/// Two terms, in which messages are late or lost.
fn small() -> Bounds {
    Bounds { max_term: 2, max_timeouts: 2, ..Bounds::calm() }
}

/// A cluster that must break: a voter that crashes forgets that it has voted.
fn forgetful() -> Bounds {
    Bounds { max_crashes: 1, disks_forget: true, ..small() }
}

#[test]
fn a_small_cluster_is_searched_to_the_end() {
    let report = search(&small(), 1);
    assert_eq!((report.end, &report.violation), (End::Exhausted, &None));
    // Two rounds of elections alone take some steps, and more than one order of them.
    assert!(report.by_depth.len() > 10 && report.distinct > 1_000, "{report:?}");
    assert_eq!(report.by_depth.iter().sum::<u64>(), report.distinct);
    assert!(report.transitions >= report.distinct - 1);
}

#[test]
fn nothing_happens_where_nothing_may() {
    let report = search(&Bounds { max_timeouts: 0, ..small() }, 1);
    assert_eq!((report.end, report.by_depth), (End::Exhausted, vec![1]));
}

/// Each thing that may happen makes a difference.
#[test]
fn wider_bounds_hold_more_states() {
    let Report { distinct, .. } = search(&small(), 1);
    let wider = [
        Bounds { max_commands: 1, ..small() },
        Bounds { max_reads: 1, ..small() },
        Bounds { max_timeouts: 3, ..small() },
        Bounds { max_heartbeats: 1, ..small() },
        Bounds { max_crashes: 1, ..small() },
        Bounds { max_disconnects: 1, ..small() },
        Bounds { max_duplicates: 1, ..small() },
        Bounds { max_slow_writes: 1, ..small() },
        Bounds { max_messages: 2, ..small() },
    ];
    for bounds in wider {
        let bounds = Bounds { max_states: 5_000, ..bounds };
        let report = search(&bounds, 1);
        assert!(report.distinct > distinct, "{bounds:?}");
        assert_eq!(report.violation, None, "{bounds:?}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for bounds in [small(), forgetful(), Bounds { max_states: 1_000, ..small() }] {
        assert_eq!(search(&bounds, 1), search(&bounds, 3), "{bounds:?}");
    }
}

#[test]
fn it_ends_when_it_is_told_to_or_has_found_enough() {
    let told = explore(&small(), 1, &mut |_| false);
    assert_eq!(told.end, End::Told);
    let enough = search(&Bounds { max_states: 10, ..small() }, 1);
    assert_eq!(enough.end, End::TooMany);
    assert!((10..1_000).contains(&enough.distinct), "{enough:?}");
}

#[test]
fn a_broken_rule_is_found_by_a_shortest_path_which_can_be_gone_again() {
    let report = search(&forgetful(), 1);
    assert_eq!(report.end, End::Violation);
    let Violation { rule, path, trace } = report.violation.unwrap();
    // Everything closer to the beginning was searched before.
    assert_eq!((path.len(), trace.len()), (report.by_depth.len(), path.len()));
    assert!(trace.iter().any(|line| line.contains("crashes")), "{trace:#?}");
    assert_eq!(replay(&forgetful(), &path), (trace, Some(rule.clone())));
    // The same steps without the last break nothing yet.
    assert_eq!(replay(&forgetful(), &path[..path.len() - 1]).1, None);
    assert!(!rule.starts_with("the search was wrong"), "{rule}");
}

#[test]
fn searches_have_names_of_their_own() {
    for all in [Bounds::full(), Bounds::smoke()] {
        let names: BTreeSet<&str> = all.iter().map(|bounds| bounds.name).collect();
        assert_eq!(names.len(), all.len());
    }
}
