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
    prevote_broken_connection_asks_soon
    prevote_disturbs_nobody
    prevote_granting_postpones_the_own
    prevote_off_raises_the_term_at_once
    prevote_refusal_carries_the_term
    prevote_refused_for_an_old_log
    prevote_refused_while_a_leader_is_heard
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
