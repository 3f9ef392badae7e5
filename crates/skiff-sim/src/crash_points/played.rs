//! What came of a script that was run once.

use crate::{
    failure::Failure,
    world::{Counted, Struck},
};

#[derive(Debug)]
pub(crate) struct Played {
    /// What is wrong, if anything is.
    pub(crate) failure: Option<Failure>,
    /// What each node did.
    pub(crate) counted: Vec<Counted>,
    /// The power cut, if there was one.
    pub(crate) struck: Option<Struck>,
}
