//! What is said afterwards of a command whose outcome was unknown is true, and stays so.

use skiff_replica::{Fate, Index, Position};

use crate::failure::{Verdict, must};

/// A node was asked for the fate of the command at `position`, which is committed by now or is not.
pub(crate) fn told(fate: Fate, position: Position, is_committed: bool) -> Verdict {
    match fate {
        Fate::Applied => must(is_committed, || {
            format!("the command at {position} is told to be applied, and is not committed")
        }),
        Fate::Never => must(!is_committed, || {
            format!("the command at {position} is told never to be applied, and is committed")
        }),
        Fate::Undecided => Ok(()),
        fate => Err(format!("the command at {position} is told to be {fate}")),
    }
}

/// At the end. The command was committed at `index`, if that was once: others may be alike.
pub(crate) fn held(
    fate: Fate,
    position: Position,
    is_committed: bool,
    index: Option<Index>,
) -> Verdict {
    let is_there = is_committed && index.is_none_or(|index| index == position.index);
    must(is_there == (fate == Fate::Applied), || {
        format!("of the command at {position} was told: {fate}, but it is committed at {index:?}")
    })
}
