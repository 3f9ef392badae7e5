//! What is said about a violation.

use skiff_sim::linearizability::{Register, Verdict, check};

use super::said::{Seen, lost_write, read, write};

fn story(history: &[Seen]) -> String {
    let verdict = check(&Register, history);
    assert!(verdict.is_violation(), "{verdict}");
    verdict.to_string()
}

#[test]
fn the_story_has_the_answer_an_order_before_it_and_the_rest() {
    let history = [
        write(1, 0, 10),
        write(2, 20, 30),
        lost_write(9, 25),
        read(1, 40, 50),
        write(3, 45, 90),
        read(1, 100, 110),
    ];
    assert_eq!(
        story(&history),
        "\
key 1: nothing explains this answer:
  #3 (1, Read) -> Value(Some(1)) (40..50)
Before it, 2 operations fit, in this order for instance:
  #0 (1, Write(1)) -> Written (0..10)
  #1 (1, Write(2)) -> Written (20..30)
Then the state is Some(2).
Also asked for by then, and not in this order:
  #2 (1, Write(9)) (25.., no answer yet)
  #4 (1, Write(3)) (45.., no answer yet)
"
    );
}

#[test]
fn what_the_numbers_mean() {
    let history = [read(1, 100, 110), write(2, 20, 30), lost_write(9, 25), write(1, 0, 10)];
    let verdict = check(&Register, &history);
    let Verdict::Violation(violation) = verdict else { panic!("{verdict}") };
    assert_eq!((violation.key, violation.culprit), (1, 0));
    assert_eq!((violation.order, violation.unplaced), (vec![3, 1], vec![0, 2]));
}

#[test]
fn long_stories_are_cut() {
    let mut history: Vec<_> =
        (0..40).map(|value| write(value, value * 10, value * 10 + 5)).collect();
    history.extend((0..40).map(|value| lost_write(100 + value, 0)));
    history.push(read(3, 1_000, 1_010));
    let story = story(&history);
    assert!(story.contains("(28 more)"), "{story}");
    assert_eq!(story.lines().count(), 31, "{story}");
}

#[test]
#[should_panic(expected = "operation 1 was answered before it was asked for")]
fn an_answer_before_its_question_is_no_history() {
    let _ = check(&Register, &[read(1, 0, 10), read(1, 10, 9)]);
}
