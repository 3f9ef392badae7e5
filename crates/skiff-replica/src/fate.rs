//! What became of an entry, as whoever asked is told.

use std::{fmt, str::FromStr};

use skiff_core as core;
use thiserror::Error;

/// What became of a command whose outcome was unknown, as far as the node knows that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It took effect, or will within a moment.
    Applied,
    /// It had no effect and will have none: it may be tried again.
    Never,
    /// It is not known here yet. Ask again, or another node: it is known at the latest when the next
    /// leader has committed its first entry.
    Undecided,
    /// The node belongs to another instance of the cluster, which knows nothing of it.
    OtherInstance,
    /// It was decided so long ago that the node does not remember.
    Forgotten,
}

/// No word for a fate that this version knows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no fate that this version knows")]
pub struct UnknownFate(pub String);

impl Fate {
    /// The word for it. It is part of the wire format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Never => "never",
            Self::Undecided => "undecided",
            Self::OtherInstance => "other-instance",
            Self::Forgotten => "forgotten",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Fate {
    type Err = UnknownFate;

    fn from_str(word: &str) -> Result<Self, UnknownFate> {
        let all =
            [Self::Applied, Self::Never, Self::Undecided, Self::OtherInstance, Self::Forgotten];
        let found = all.into_iter().find(|fate| fate.as_str() == word);
        found.ok_or_else(|| UnknownFate(word.to_owned()))
    }
}

impl From<core::Fate> for Fate {
    fn from(fate: core::Fate) -> Self {
        match fate {
            core::Fate::Applied => Self::Applied,
            core::Fate::Never => Self::Never,
            core::Fate::Undecided => Self::Undecided,
            core::Fate::Forgotten => Self::Forgotten,
        }
    }
}
