//! Histories that have no order. The number before each is the place of the answer that cannot be
//! explained by what was asked for until it came.

use super::said::{
    add, assert_bad, cas, create, lost_add, lost_cas, lost_read, lost_write, on, read,
    read_nothing, write,
};

macro_rules! bad {
    ($($(#[$comment:meta])* $name:ident: $culprit:literal: $($seen:expr),+ ;)+) => {$(
        $(#[$comment])*
        #[test]
        fn $name() {
            assert_bad($culprit, &[$($seen),+]);
        }
    )+};
}

bad! {
    stale_read_after_write_acknowledged: 1: write(5, 0, 10), read_nothing(20, 30);
    stale_read_of_the_value_before: 2: write(1, 0, 10), write(2, 20, 30), read(1, 40, 50);
    stale_read_by_one_of_two_readers:
        3: write(1, 0, 10), write(2, 20, 30), read(2, 40, 50), read(1, 45, 55);
    read_sees_new_and_the_next_one_old_during_a_write: 2: write(5, 0, 100), read(5, 10, 20), read_nothing(30, 40);
    // The reads are one after the other, the write is still under way: the first is what is wrong,
    // but only the second shows it.
    read_sees_new_and_a_later_client_old: 3: write(1, 0, 10), write(2, 20, 100), read(2, 30, 40), read(1, 50, 60);
    read_of_a_value_never_written: 1: write(1, 0, 10), read(9, 20, 30);
    read_of_a_value_before_it_was_asked_for: 0: read(1, 0, 10), write(1, 20, 30);
    acknowledged_write_vanishes: 2: write(1, 0, 10), read(1, 20, 30), read_nothing(40, 50);
    // Between the two reads nothing wrote 1 again.
    value_comes_back_that_was_written_once:
        4: write(1, 0, 10), write(2, 20, 60), read(1, 25, 30), read(2, 35, 40), read(1, 50, 55);
    two_readers_disagree_on_the_order_of_overlapping_writes:
        5: write(1, 0, 50), write(2, 0, 50), read(1, 10, 20), read(2, 10, 20), read(2, 30, 40), read(1, 30, 41);
    overlapping_writes_end_with_a_third_value: 2: write(1, 0, 20), write(2, 0, 20), read_nothing(30, 40);
    // 2 is seen during its write, 1 was done before the last read began.
    earlier_write_overtakes_a_later_one_that_was_seen:
        4: write(1, 0, 10), write(2, 20, 30), write(3, 40, 90), read(3, 50, 60), read(2, 70, 80);
    an_instant_between_answer_and_question_decides: 2: write(1, 0, 9), write(2, 10, 20), read(1, 30, 40);

    unknown_write_seen_then_unseen: 3: write(1, 0, 10), lost_write(2, 20), read(2, 30, 40), read(1, 50, 60);
    unknown_write_seen_before_it_was_asked_for: 0: read(5, 0, 10), lost_write(5, 20);
    // Once it was seen, it has happened, and it does not happen again.
    unknown_write_happens_twice: 3: lost_write(1, 0), read(1, 10, 20), write(2, 30, 40), read(1, 50, 60);
    two_unknown_writes_seen_four_times_in_turns:
        4: lost_write(1, 0), lost_write(2, 0), read(1, 10, 20), read(2, 30, 40), read(1, 50, 60), read(2, 70, 80);
    two_equal_unknown_writes_happen_three_times:
        6: lost_write(1, 0), lost_write(1, 0), read(1, 10, 20), write(2, 30, 40), read(1, 50, 60), write(3, 70, 80), read(1, 90, 99);
    unknown_read_does_not_write: 1: lost_read(0), read(1, 10, 20);

    lost_update_by_two_cas_of_the_same_value:
        2: write(1, 0, 10), cas(1, 2, true, 20, 40), cas(1, 3, true, 20, 41);
    cas_of_a_value_that_is_not_there: 1: write(1, 0, 10), cas(2, 3, true, 20, 30);
    cas_refused_although_the_value_is_there: 1: write(1, 0, 10), cas(1, 2, false, 20, 30);
    refused_cas_has_set_its_value: 2: write(1, 0, 10), cas(3, 2, false, 20, 30), read(2, 40, 50);
    create_succeeds_twice: 1: create(1, true, 0, 10), create(2, true, 20, 30);
    unknown_cas_sets_its_value_though_what_it_expects_never_was:
        2: write(1, 0, 10), lost_cas(7, 2, 20), read(2, 30, 40);
    unknown_write_is_asked_for_too_late_to_explain_a_refused_cas:
        1: write(1, 0, 10), cas(1, 3, false, 20, 30), lost_write(7, 35);
    // The unknown write is used up by the refusal, before 2 was written.
    unknown_write_explains_a_refused_cas_and_cannot_be_read_later:
        4: write(1, 0, 10), lost_write(7, 15), cas(1, 3, false, 20, 30), write(2, 40, 50), read(7, 60, 70);

    second_addition_does_not_know_of_the_first: 1: add(1, 1, 0, 10), add(1, 1, 20, 30);
    overlapping_additions_have_the_same_sum: 1: add(1, 1, 0, 30), add(1, 1, 0, 31);
    addition_counted_twice: 1: add(1, 1, 0, 10), read(2, 20, 30);
    unknown_addition_counted_twice: 2: lost_add(1, 0), read(1, 10, 20), read(2, 30, 40);
    no_choice_of_unknown_additions_has_this_sum: 3: lost_add(1, 0), lost_add(2, 0), lost_add(4, 0), read(8, 10, 20);
    unknown_addition_taken_back: 2: lost_add(4, 0), add(1, 5, 10, 20), read(1, 30, 40);

    one_bad_key_among_good_ones:
        2: write(1, 0, 10), on(2, write(1, 0, 10)), on(2, read_nothing(20, 30)), read(1, 40, 50);
}
