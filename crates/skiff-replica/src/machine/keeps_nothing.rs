//! The machine of a node that was given none.

use serde::{Deserialize, Serialize};

use super::{At, Raw, StateMachine};

/// Keeps nothing and answers each command with its index: what a node does that was given no
/// machine (the original's bare callback). The log itself is all there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepsNothing;

impl StateMachine for KeepsNothing {
    type Command = Raw;
    type Response = u64;

    fn apply(&mut self, _: Raw, at: At) -> u64 {
        at.index.0
    }
}
