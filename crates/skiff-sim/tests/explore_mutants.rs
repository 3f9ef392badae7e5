//! With a bug planted, some order of events must break a rule: otherwise searching them proves nothing.

#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Mutex, PoisonError};

use skiff_replica::core::mutants::Mutant;
use skiff_sim::{
    explore::{Bounds, explore, replay},
    mutants::planted,
};

/// There is one place to plant in.
static PLANTING: Mutex<()> = Mutex::new(());

/// With this bug the small search of that name finds this rule broken, by a path that breaks nothing
/// without it.
#[track_caller]
fn breaks(bug: Mutant, search: &str, rule: &str) {
    let _one = PLANTING.lock().unwrap_or_else(PoisonError::into_inner);
    let bounds = Bounds::smoke().into_iter().find(|bounds| bounds.name == search).unwrap();
    let report = planted(bug, || explore(&bounds, 1, &mut |_| true));
    let violation = report.violation.unwrap_or_else(|| panic!("{bug:?} is not found"));
    assert!(violation.rule.contains(rule), "{bug:?}: {violation:#?}");
    assert_eq!(replay(&bounds, &violation.path).1, None, "{bug:?}: {violation:#?}");
}

#[test]
fn bugs_in_elections() {
    breaks(Mutant::VotesTwice, "elections", "a vote is given once a term");
    breaks(Mutant::VotesForShorterLog, "elections", "a leader has all that was committed");
    breaks(Mutant::VoteReplyUngated, "elections", "a vote is on disk before it is given");
    breaks(Mutant::TermUngated, "elections", "a term is on disk before anything is said in it");
    breaks(Mutant::PromisesOutliveTheTerm, "elections", "a vote is on disk before it is given");
}

#[test]
fn bugs_in_what_is_acknowledged() {
    breaks(Mutant::AcksWholeLog, "reads", "what is committed is on most disks");
    breaks(Mutant::AcksUnverified, "reads", "what is committed is on most disks");
    breaks(Mutant::AcksUndurable, "elections", "entries are on disk before they are acknowledged");
    breaks(Mutant::ConflictIgnored, "elections", "what is committed is on most disks");
    breaks(Mutant::TruncatesOnOverlap, "late messages", "what the leader verified is in the log");
}

#[test]
fn bugs_in_what_is_committed() {
    breaks(Mutant::CommitsUnverified, "reads", "what is committed is the same everywhere");
    breaks(Mutant::LeaderCountsUndurable, "elections", "what is committed is on most disks");
    breaks(Mutant::CommitsOldTerms, "elections", "a leader commits by an entry of its own term");
    breaks(Mutant::CutStaysDurable, "elections", "what is durable was handed to the store");
    breaks(Mutant::PersistedAba, "elections", "what is durable was handed to the store");
    breaks(Mutant::AppliesUndurable, "elections", "only what is on disk is applied");
}

#[test]
fn bugs_in_reads() {
    let rule = "a read sees all that was committed when it was asked for";
    breaks(Mutant::ReadsWithoutRound, "reads", rule);
    breaks(Mutant::ReadJoinsOldRound, "reads", rule);
    breaks(Mutant::AnyAnswerProves, "reads", rule);
    breaks(Mutant::ReadsBeforeNoop, "reads", rule);
}
