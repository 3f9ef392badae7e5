//! A snapshot or a backup that somebody was given covers all that was acknowledged when it was asked for, and
//! holds just what was applied up to its end (dissertation chapter 5 and section 6.4).

use skiff_replica::{Index, Position};

use crate::failure::{Verdict, must};

/// Somebody who asked when everything up to `floor` was acknowledged is given what ends at `index`.
pub(crate) fn covers(floor: Index, index: Index) -> Verdict {
    must(index >= floor, || {
        format!("entry {floor} was acknowledged, and what was given ends at {index}")
    })
}

/// What was given is `state`; what everything up to its end comes to is `applied`.
pub(crate) fn holds(at: Position, state: &[u8], applied: &[u8]) -> Verdict {
    must(state == applied, || {
        let place = state.iter().zip(applied).take_while(|(one, other)| one == other).count();
        let (has, wants) = (state.len(), applied.len());
        format!(
            "the state after {at} has {has} bytes, what was applied comes to {wants}, and they differ at \
             byte {place}"
        )
    })
}
