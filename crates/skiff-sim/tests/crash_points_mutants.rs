//! With a bug planted, some power cut must fail: otherwise trying them proves nothing.

#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Mutex, PoisonError};

use skiff_replica::core::mutants::{Mutant, plant};
use skiff_sim::crash_points::{CrashPoints, replay};

/// Every place, with a few choices for each.
const SOME: CrashPoints = CrashPoints { every: 1, choices_max: 4, downs_max: 1 };

/// There is one place to plant in.
static PLANTING: Mutex<()> = Mutex::new(());

/// With this bug the script runs well as long as the power stays on, and some power cut fails.
#[track_caller]
fn is_seen(bug: Mutant, script: &str) {
    let _one = PLANTING.lock().unwrap_or_else(PoisonError::into_inner);
    plant(Some(bug));
    let report = SOME.run_one(script, 1, |progress| progress.failed == 0).unwrap();
    let first = report.failures.first().unwrap_or_else(|| panic!("{bug:?} is not seen"));
    let case = first.case.as_ref().unwrap_or_else(|| panic!("{bug:?}: {first:?}"));
    // It can be replayed from its name, and it is the bug that fails, not the power cut.
    let case = case.to_string().parse().unwrap();
    assert_eq!(replay(&case, &mut |_| {}), Ok(Some(first.failure.clone())), "{bug:?} at {case}");
    plant(None);
    assert_eq!(replay(&case, &mut |_| {}), Ok(None), "{bug:?} at {case}");
}

#[test]
fn a_log_that_does_not_sync() {
    is_seen(Mutant::BatchNotSynced, "roll");
    is_seen(Mutant::SegmentNameNotSynced, "roll");
    is_seen(Mutant::ReplacedNotSynced, "roll");
}

#[test]
fn a_log_that_recovers_badly() {
    is_seen(Mutant::ReplacedInPlace, "recycle");
    is_seen(Mutant::BareVoteForgotten, "roll");
    is_seen(Mutant::BootNotCounted, "alone");
    is_seen(Mutant::TornIsDamaged, "replicate");
}

#[test]
fn a_vote_that_leaves_before_it_is_durable() {
    is_seen(Mutant::VoteReplyUngated, "form");
}

#[test]
fn a_message_that_leaves_before_its_term_is_durable() {
    is_seen(Mutant::TermUngated, "form");
}

#[test]
fn a_leader_that_counts_what_is_not_durable() {
    is_seen(Mutant::LeaderCountsUndurable, "slow");
}
