//! Histories that have an order. Where it is not plain to see, the order stands beside it.

use super::said::{
    add, assert_good, cas, create, lost_add, lost_cas, lost_read, lost_write, on, read,
    read_nothing, write,
};

macro_rules! good {
    ($($(#[$comment:meta])* $name:ident: $($seen:expr),* ;)+) => {$(
        $(#[$comment])*
        #[test]
        fn $name() {
            assert_good(&[$($seen),*]);
        }
    )+};
}

good! {
    nothing_was_asked: ;
    read_of_an_empty_register: read_nothing(0, 10);
    read_after_write_acknowledged: write(5, 0, 10), read(5, 20, 30);
    read_during_a_write_sees_the_old_value: write(5, 0, 100), read_nothing(10, 20);
    read_during_a_write_sees_the_new_value: write(5, 0, 100), read(5, 10, 20);
    // The read of 5 began first and ends last: the other goes before it.
    overlapping_reads_during_a_write_see_new_and_old:
        write(5, 0, 100), read(5, 10, 60), read_nothing(20, 50);
    one_read_after_another_sees_a_write_once_and_for_all:
        write(5, 0, 100), read_nothing(10, 20), read_nothing(25, 30), read(5, 40, 50), read(5, 60, 70);
    the_first_of_two_overlapping_writes_stays: write(1, 0, 50), write(2, 10, 40), read(1, 60, 70);
    the_second_of_two_overlapping_writes_stays: write(1, 0, 50), write(2, 10, 40), read(2, 60, 70);
    // 2, 1: the write that was asked for last goes first.
    two_readers_agree_on_the_order_of_overlapping_writes:
        write(1, 0, 50), write(2, 0, 50), read(2, 10, 20), read(2, 15, 25), read(1, 30, 40), read(1, 35, 45);
    // 1 is written, read, overwritten, and written again.
    a_value_comes_back_that_was_written_twice:
        write(1, 0, 10), write(2, 20, 30), write(1, 40, 100), read(2, 45, 50), read(1, 60, 70);
    // 1, 2, 1: the second 1 must not be spent while the first is still there.
    a_write_of_the_value_that_is_there_is_needed_later:
        write(1, 0, 10),
        write(1, 20, 60),
        write(2, 30, 70),
        read(1, 80, 90);
    // Three writes all the time: 1, 3, 2.
    three_overlapping_writes_in_the_one_order_that_fits:
        write(1, 0, 90), write(2, 0, 90), write(3, 0, 90), read(1, 5, 10), read(3, 15, 20), read(2, 100, 110);
    an_answer_and_a_question_at_the_same_instant_go_either_way:
        write(1, 0, 10), write(2, 10, 20), read(1, 30, 40);
    an_operation_without_duration: write(1, 5, 5), read(1, 6, 6);

    unknown_write_seen_later: lost_write(5, 0), read_nothing(10, 20), read(5, 30, 40);
    unknown_write_never_seen: write(1, 0, 10), lost_write(5, 20), read(1, 30, 40), read(1, 50, 60);
    // 2, 1: it arrives after a write that was asked for and answered in the meantime.
    unknown_write_arrives_after_a_later_one_was_acknowledged:
        lost_write(1, 0), write(2, 10, 20), read(2, 30, 40), read(1, 50, 60);
    unknown_writes_arrive_in_the_reverse_order:
        lost_write(1, 0), lost_write(2, 5), read(2, 10, 20), read(1, 30, 40);
    unknown_write_of_the_value_that_is_there: write(1, 0, 10), lost_write(1, 20), read(1, 30, 40);
    // 1, 2, and the unknown 1.
    unknown_write_brings_an_overwritten_value_back:
        write(1, 0, 10), lost_write(1, 20), write(2, 30, 40), read(2, 50, 60), read(1, 70, 80);
    // 3, 1, sum 3, unknown 1. Spent on the sum it would be missing in the end, with the same placed.
    unknown_write_is_saved_for_when_it_is_needed:
        write(1, 0, 20), write(3, 10, 30), lost_write(1, 15), add(2, 3, 40, 50), read(3, 52, 55), read(1, 60, 70);
    // Both of two equal ones are needed, for one value twice.
    two_equal_unknown_writes_seen_in_turns_with_another:
        lost_write(1, 0), lost_write(1, 0), read(1, 10, 20), write(2, 30, 40), read(2, 50, 60), read(1, 70, 80);
    unknown_read_says_nothing: write(1, 0, 10), lost_read(5), read(1, 20, 30);

    cas_of_the_value_that_is_there: write(1, 0, 10), cas(1, 2, true, 20, 30), read(2, 40, 50);
    cas_of_another_value_is_refused: write(1, 0, 10), cas(3, 2, false, 20, 30), read(1, 40, 50);
    one_of_two_overlapping_cas_wins:
        write(1, 0, 10), cas(1, 2, true, 20, 40), cas(1, 3, false, 20, 40), read(2, 50, 60);
    // The second goes first, the first expects what it leaves.
    overlapping_cas_follow_each_other_backwards:
        write(1, 0, 10), cas(2, 3, true, 20, 60), cas(1, 2, true, 30, 50), read(3, 70, 80);
    cas_during_the_write_it_waits_for_is_refused: write(1, 0, 50), cas(1, 2, false, 10, 40), read(1, 60, 70);
    create_in_an_empty_register: create(1, true, 0, 10), create(2, false, 20, 30), read(1, 40, 50);
    cas_to_the_same_value_twice:
        write(1, 0, 10), cas(1, 1, true, 20, 30), cas(1, 1, true, 40, 50), read(1, 60, 70);
    unknown_cas_explains_a_value: write(1, 0, 10), lost_cas(1, 2, 20), read(1, 30, 40), read(2, 50, 60);
    // 1, unknown 7, refused, 2: the unknown write was seen only by the refusal.
    unknown_write_explains_a_refused_cas:
        write(1, 0, 10), lost_write(7, 15), cas(1, 3, false, 20, 30), write(2, 40, 50), read(2, 60, 70);
    // Nobody saw the 2 that the unknown write leaves for the unknown cas.
    unknown_write_seen_only_by_an_unknown_cas: lost_write(2, 0), lost_cas(2, 3, 5), read(3, 10, 20);

    sums_of_overlapping_additions_fit_in_one_order: add(1, 6, 0, 50), add(2, 2, 0, 50), add(3, 5, 0, 50), read(6, 60, 70);
    unknown_addition_explains_a_larger_sum: add(1, 1, 0, 10), lost_add(5, 20), add(1, 7, 30, 40);
    // 1 + 4 of the three.
    some_of_the_unknown_additions_explain_a_sum:
        lost_add(1, 0), lost_add(2, 0), lost_add(4, 0), read(5, 10, 20), read(5, 30, 40);
    addition_goes_round_the_end_of_the_numbers: write(u64::MAX, 0, 10), add(2, 1, 20, 30), read(1, 40, 50);

    keys_have_nothing_to_do_with_each_other:
        write(1, 0, 10), on(2, read_nothing(20, 30)), on(2, write(7, 40, 50)), read(1, 60, 70), on(2, read(7, 60, 70));
}
