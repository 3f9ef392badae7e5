//! What every store must do, as a suite that whoever writes a provider can run from their tests.
//!
//! Each property is a function that takes an empty place and panics, saying what is wrong, if the
//! property does not hold. [`check_all`] runs them all, each on a place of its own:
//!
//! ```
//! use skiff_storage::{MemoryPersistence, conformance};
//!
//! conformance::check_all(|| Box::new(MemoryPersistence::new()));
//! ```

mod identity;
mod log;
mod snapshots;
mod steps;

pub use identity::{
    a_fresh_place_becomes_a_new_store, a_second_opening_is_refused_while_the_first_lives,
    identity_is_replaced_and_kept, somebody_elses_store_is_refused,
    the_boot_counter_rises_with_each_opening,
};
pub use log::{
    a_log_can_begin_anew, a_log_is_compacted, a_read_ends_before_its_limits,
    a_reader_sees_later_writes, a_write_that_leaves_a_gap_is_refused,
    done_is_called_once_for_each_write_in_order, entries_come_back_as_they_were_written,
    entries_outside_of_the_log_are_refused, hard_state_is_replaced, many_entries_survive,
    reopening_gives_the_same, term_history_and_memberships_are_recovered, truncation_drops_the_end,
    truncation_rolls_back_terms_and_memberships,
};
pub use snapshots::{
    a_snapshot_comes_back_as_it_was_saved, a_snapshot_is_read_piece_by_piece,
    a_snapshot_is_there_once_it_is_finished, a_snapshot_is_written_once_at_a_time,
    a_snapshot_of_the_same_position_is_replaced, old_snapshots_are_given_up,
    snapshots_survive_reopening, the_newest_snapshot_wins,
};

use crate::store::Persistence;

/// A property that every store must have, to be checked on an empty place.
pub type Property = fn(&dyn Persistence);

/// All properties with their names, so that each can be a test of its own.
pub const PROPERTIES: &[(&str, Property)] = &[
    ("a_fresh_place_becomes_a_new_store", a_fresh_place_becomes_a_new_store),
    ("the_boot_counter_rises_with_each_opening", the_boot_counter_rises_with_each_opening),
    (
        "a_second_opening_is_refused_while_the_first_lives",
        a_second_opening_is_refused_while_the_first_lives,
    ),
    ("somebody_elses_store_is_refused", somebody_elses_store_is_refused),
    ("identity_is_replaced_and_kept", identity_is_replaced_and_kept),
    ("entries_come_back_as_they_were_written", entries_come_back_as_they_were_written),
    ("a_reader_sees_later_writes", a_reader_sees_later_writes),
    ("a_read_ends_before_its_limits", a_read_ends_before_its_limits),
    ("entries_outside_of_the_log_are_refused", entries_outside_of_the_log_are_refused),
    ("truncation_drops_the_end", truncation_drops_the_end),
    ("a_log_can_begin_anew", a_log_can_begin_anew),
    ("a_log_is_compacted", a_log_is_compacted),
    ("hard_state_is_replaced", hard_state_is_replaced),
    ("done_is_called_once_for_each_write_in_order", done_is_called_once_for_each_write_in_order),
    ("reopening_gives_the_same", reopening_gives_the_same),
    ("many_entries_survive", many_entries_survive),
    ("a_write_that_leaves_a_gap_is_refused", a_write_that_leaves_a_gap_is_refused),
    ("term_history_and_memberships_are_recovered", term_history_and_memberships_are_recovered),
    ("truncation_rolls_back_terms_and_memberships", truncation_rolls_back_terms_and_memberships),
    ("a_snapshot_comes_back_as_it_was_saved", a_snapshot_comes_back_as_it_was_saved),
    ("the_newest_snapshot_wins", the_newest_snapshot_wins),
    ("a_snapshot_of_the_same_position_is_replaced", a_snapshot_of_the_same_position_is_replaced),
    ("a_snapshot_is_there_once_it_is_finished", a_snapshot_is_there_once_it_is_finished),
    ("a_snapshot_is_written_once_at_a_time", a_snapshot_is_written_once_at_a_time),
    ("a_snapshot_is_read_piece_by_piece", a_snapshot_is_read_piece_by_piece),
    ("old_snapshots_are_given_up", old_snapshots_are_given_up),
    ("snapshots_survive_reopening", snapshots_survive_reopening),
];

/// Checks all properties, each on an empty place made by `empty`.
///
/// # Panics
///
/// If one does not hold, with what was expected and what was found.
pub fn check_all(empty: impl Fn() -> Box<dyn Persistence>) {
    for (_, property) in PROPERTIES {
        property(&*empty());
    }
}
