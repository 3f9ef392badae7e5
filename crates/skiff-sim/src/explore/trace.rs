//! A path retold in words, with nothing remembered from the search: what it shows has happened.

use super::{
    member::{Broken, Setup},
    memo::Memo,
    state::State,
    step::{Cause, Event, Pace, Step, name},
};

/// What happens on this path, and what breaks at its end.
pub(super) fn retell(setup: &Setup, path: &[u16]) -> (Vec<String>, Option<Broken>) {
    let mut state = match State::first(setup) {
        Ok(first) => first,
        Err(broken) => return (Vec::new(), Some(broken)),
    };
    let mut trace = Vec::new();
    for number in path {
        let Some(step) = state.steps(&setup.bounds).get(usize::from(*number)).copied() else {
            return (trace, None);
        };
        trace.push(words(&state, step));
        match state.take(step, setup, &mut Memo::default()) {
            Ok(Some(next)) => state = next,
            Ok(None) => return (trace, None),
            Err(broken) => return (trace, Some(broken)),
        }
    }
    (trace, None)
}

fn words(state: &State, step: Step) -> String {
    let slow = if step.pace == Pace::Slow { "; what it writes takes a while" } else { "" };
    match step.cause {
        Cause::Letter { place, stays } => {
            let letter = state.letter(place);
            let again = if stays { " (and may again)" } else { "" };
            format!("{} {}{again}{slow}", name(letter.to), Event::Letter(letter))
        }
        Cause::At(me, event) => format!("{} {event}{slow}", name(me)),
    }
}
