//! Runs the scripts beside this file, each a short story with its whole transcript, and checks that
//! the transcripts are worth something. `UPDATE_GOLDENFILES=1` writes them anew: then read them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod runner;

use std::{collections::BTreeMap, fs, path::PathBuf};

use runner::Runner;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "scripts"].iter().collect()
}

/// One test for each script, and the list of them all.
macro_rules! scripts {
    ($($name:ident)*) => {
        const ALL: &[&str] = &[$(stringify!($name)),*];

        mod script {
            $(#[test]
            fn $name() {
                goldenscript::run(
                    &mut super::Runner::default(),
                    super::folder().join(stringify!($name)),
                )
                .unwrap();
            })*
        }
    };
}

scripts! {
    election_one_node
    election_three_nodes
    election_candidate_follows_the_winner
    election_five_nodes_need_three
    election_higher_term_makes_a_follower
    election_lost_rounds_take_longer
    election_older_last_term_is_refused
    election_one_vote_a_term
    election_shorter_log_is_refused
    election_split_vote_is_tried_again
    election_stale_leader_steps_down
    election_vote_survives_a_crash
    election_votes_of_an_old_term_are_nothing
    election_absurd_term_is_ignored
    prevote_broken_connection_asks_soon
    prevote_disturbs_nobody
    prevote_granting_postpones_the_own
    prevote_off_raises_the_term_at_once
    prevote_refusal_carries_the_term
    prevote_refused_for_an_old_log
    prevote_refused_while_a_leader_is_heard
    vote_refused_while_a_leader_is_heard
    vote_rule_off_the_leader_is_deposed
    timeout_now_campaigns_at_once
    timeout_now_only_from_the_leader
    transfer_at_a_follower_is_refused
    transfer_beats_a_heartbeat
    transfer_brings_its_target_up_to_date
    transfer_by_a_slow_disk
    transfer_by_a_slow_disk_fails_once
    transfer_caller_gone
    transfer_does_not_postpone_check_quorum
    transfer_ends_with_the_office
    transfer_is_given_up_in_time
    transfer_is_told_again_when_lost
    transfer_members_set_meanwhile
    transfer_of_one_who_does_not_take_over
    transfer_one_at_a_time
    transfer_stops_with_the_node
    transfer_takes_no_proposals
    transfer_to_a_follower
    transfer_to_who_cannot_lead_is_refused
    transfer_to_who_leads_is_done
    transfer_to_whoever_is_best
    transfer_waits_until_all_is_committed
    check_quorum_learners_do_not_count
    check_quorum_off_leads_on
    check_quorum_one_answer_is_enough
    check_quorum_steps_down
    append_batches_while_the_disk_is_busy
    append_broken_connection_pauses
    append_claims_too_much
    append_commit_is_told_with_the_next_entries
    append_conflict_is_cut
    append_follower_that_needs_a_snapshot
    append_gap_is_refused
    append_hint_skips_a_term
    append_late_refusal_is_nothing
    append_load_that_fails_sends_nothing
    append_lost_is_sent_again
    append_lost_probe_begins_after_the_base
    append_malformed_is_ignored
    append_many_at_once
    append_old_entries_are_loaded
    append_overlap_cuts_nothing
    append_second_leader_is_ignored
    append_sign_of_life_needs_no_disk
    append_three_nodes_replicate
    append_waits_for_the_probe
    append_window_holds_back
    append_load_of_what_is_gone
    change_add_learner
    change_add_voter
    change_is_carried_on_by_the_next_leader
    change_joint_is_left_once_committed
    change_last_voter_stays
    change_leader_lost_is_unknown
    change_leader_removes_itself
    change_old_removal_is_nothing
    change_one_at_a_time
    change_readdress
    change_refusals
    change_remove_a_follower
    change_removed_learner_is_told
    change_removed_node_is_told
    change_replace_in_one_step
    change_silent_voter_keeps_a_learner
    change_too_few_answer
    change_waits_for_the_noop
    commit_in_any_order_of_answers
    commit_needs_a_majority_of_five
    commit_noop_brings_the_old_term
    commit_not_past_verified
    commit_only_own_term_figure_8
    commit_own_term_takes_the_old_along
    commit_without_the_leaders_disk
    read_alone
    read_at_a_follower_is_asked_again
    read_cancelled_is_not_answered
    read_index_at_a_follower
    read_index_one_round
    read_index_waits_for_the_noop
    read_of_a_deposed_leader_is_refused
    read_rounds_serve_many
    read_waits_for_the_machine
    read_without_a_leader
    gate_append_reply_waits_for_the_disk
    gate_candidate_counts_itself_when_durable
    gate_late_built_match
    gate_leader_counts_itself_when_durable
    gate_leader_says_nothing_of_its_old_term
    gate_nothing_is_said_in_a_term_that_is_not_durable
    gate_old_write_says_nothing_about_new_entries
    gate_same_entry_cut_and_come_again
    gate_vote_lost_in_a_crash_never_left
    gate_vote_of_a_past_term_is_dropped
    gate_vote_waits_for_the_disk
    snapshot_compacts_behind_a_window
    conflict_at_snapshot_index
    install_resets_membership
    snapshot_is_sent_again_after_a_pause
    late_local_snapshot
    older_snapshot_refused
    snapshot_that_the_log_holds_keeps_it
    snapshot_to_a_follower_far_behind
    transfer_outruns_compaction
    membership_entry_in_the_middle_of_a_batch
    membership_joint_check_quorum
    membership_joint_needs_both
    membership_outsider_answers_votes
    membership_outsider_campaigns_while_uncommitted
    membership_own_match_counts_only_for_a_voter
    membership_rolled_back_with_the_log
    membership_used_once_appended
    membership_vote_by_the_candidates_set
    learner_does_not_campaign_but_votes
    learner_is_asked_for_its_vote
    learner_receives_and_does_not_count
    foreign_emptied_follower_gets_everything
    foreign_entries_do_not_change_the_members
    foreign_membership_is_set_at_once
    foreign_no_noop_waits_for_a_command
    foreign_setting_is_ignored_otherwise
    reverted_member_gets_its_log_back
    reverted_not_by_a_late_refusal
    fault_machine_failed_stops_the_node
    fault_old_entries_cannot_be_read
    fault_slow_disk_does_not_campaign
    fault_slow_disk_is_told
    fault_store_failed_stops_the_node
    fault_stuck_disk_deposes_the_leader
    fault_vote_that_cannot_be_written
    fault_write_refused_follower_tries_again
    fault_write_refused_leader_steps_down
    fault_write_refused_with_a_cut
    unknown_entry_stops_before_it
    committed_conflict_stops
    propose_at_a_follower_is_refused
    propose_cancelled_is_applied_unanswered
    propose_inherited_entries_count
    propose_leadership_lost_is_unknown
    propose_time_never_goes_back
    propose_too_much_is_refused
    restart_durable_machine_goes_on
    restart_in_the_term_of_its_vote
    restart_one_node_leads_again
    restart_replays_the_log
    snapshot_base_is_a_predecessor
    snapshot_last_position_counts_in_votes
    start_refused_when_the_machine_is_ahead
    start_refused_when_the_terms_are_wrong
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// The commands of a script, without comments; and the numbers of the lines of its transcript.
fn split(text: &str) -> (Vec<&str>, Vec<usize>) {
    let (mut commands, mut answers, mut in_answer) = (Vec::new(), Vec::new(), false);
    for (number, line) in text.lines().enumerate() {
        match (in_answer, line) {
            (true, "") => in_answer = false,
            (true, _) => answers.push(number),
            (false, "---") => in_answer = true,
            (false, line) => {
                let command = line.split('#').next().unwrap_or_default().trim();
                if !command.is_empty() {
                    commands.push(command);
                }
            }
        }
    }
    (commands, answers)
}

#[test]
fn every_file_is_a_test() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut listed: Vec<&str> = ALL.to_vec();
    listed.sort_unstable();
    assert_eq!(files, listed);
}

#[test]
fn every_script_opens_with_its_story() {
    for name in ALL {
        assert!(read(name).starts_with("# "), "{name} does not say what it shows");
    }
}

#[test]
fn no_two_scripts_do_the_same() {
    let mut seen: BTreeMap<Vec<String>, &str> = BTreeMap::new();
    for name in ALL {
        let text = read(name);
        let commands = split(&text).0.into_iter().map(String::from).collect();
        if let Some(other) = seen.insert(commands, name) {
            panic!("{name} does the same as {other}");
        }
    }
}

/// The text with one line changed.
fn with_line_changed(text: &str, number: usize) -> String {
    let changed = |(at, line): (usize, &str)| {
        if at == number { format!("{line} or not\n") } else { format!("{line}\n") }
    };
    text.lines().enumerate().map(changed).collect()
}

fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDENFILES").is_some()
}

#[test]
fn any_changed_line_is_noticed() {
    if updating() {
        return; // The files change meanwhile.
    }
    for name in ALL {
        let text = read(name);
        let (_, answers) = split(&text);
        assert!(!answers.is_empty(), "{name} shows nothing");
        for number in answers {
            let changed = with_line_changed(&text, number);
            let made = goldenscript::generate(&mut Runner::default(), &changed).unwrap();
            assert_ne!(made, changed, "{name} line {number} could say anything");
        }
    }
}

#[test]
fn a_changed_line_fails_the_test_of_its_script() {
    if updating() {
        return; // Then nothing is compared.
    }
    let folder: PathBuf = [env!("CARGO_TARGET_TMPDIR"), "changed-scripts"].iter().collect();
    fs::create_dir_all(&folder).unwrap();
    for name in ALL {
        let text = read(name);
        let last = *split(&text).1.last().unwrap();
        let path = folder.join(name);
        fs::write(&path, with_line_changed(&text, last)).unwrap();
        let run = || goldenscript::run(&mut Runner::default(), &path).unwrap();
        assert!(std::panic::catch_unwind(run).is_err(), "{name} passed with a wrong last line");
    }
}
