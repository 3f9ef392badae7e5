//! One run among all: where the power fails, and what that leaves. It can be written down, and run
//! again from what was written.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{Choice, Spot};
use crate::plan::MS;

/// One power cut in one script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The script.
    pub script: String,
    /// Where the power fails.
    pub cut: PowerCut,
}

/// One power cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerCut {
    /// Where.
    pub spot: Spot,
    /// What is left of the operations that no sync has covered.
    pub choice: Choice,
    /// For how long the node stays away, in nanoseconds.
    pub down: u64,
}

/// This is not the name of a case.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} names no power cut in any script: they look like elect/n0/job12/k/10ms")]
pub struct UnknownCase(pub String);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PowerCut { spot, choice, down } = &self.cut;
        write!(f, "{}/{spot}/{choice}/{}ms", self.script, down / MS)
    }
}

impl FromStr for Case {
    type Err = UnknownCase;

    fn from_str(words: &str) -> Result<Self, UnknownCase> {
        parse(words).ok_or_else(|| UnknownCase(words.to_owned()))
    }
}

fn parse(words: &str) -> Option<Case> {
    let (script, rest) = words.split_once('/')?;
    let (rest, down) = rest.rsplit_once('/')?;
    let (spot, choice) = rest.rsplit_once('/')?;
    let down = down.strip_suffix("ms")?.parse::<u64>().ok()?.checked_mul(MS)?;
    let cut = PowerCut { spot: spot.parse().ok()?, choice: choice.parse().ok()?, down };
    Some(Case { script: script.to_owned(), cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_can_be_written_down() {
        for words in ["form/n0/job12/-/10ms", "elect/n2/job7+3/kd/600ms", "log/n0/op9/kk@1,0/0ms"] {
            assert_eq!(words.parse::<Case>().unwrap().to_string(), words);
        }
        for words in ["", "form", "form/n0", "form/n0/op1/k", "form/0/op1/k/1ms", "a/n0/xx/k/1ms"] {
            assert_eq!(words.parse::<Case>(), Err(UnknownCase(words.to_owned())));
        }
    }
}
