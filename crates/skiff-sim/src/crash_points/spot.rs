//! One exact place in the work of a node.

use std::{fmt, str::FromStr};

/// A place at which a node loses power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// Between two of the jobs that its replica puts out.
    AfterJob {
        /// The node.
        node: usize,
        /// So many jobs were put out, from the beginning of the run on.
        job: u64,
        /// The disk works beside everything else: so many operations of what it is doing then are
        /// done.
        operations: u64,
    },
    /// Between two operations of its disk.
    AfterOperation {
        /// The node.
        node: usize,
        /// So many operations were done, from the beginning of the run on.
        operation: u64,
    },
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AfterJob { node, job, operations: 0 } => write!(f, "n{node}/job{job}"),
            Self::AfterJob { node, job, operations } => {
                write!(f, "n{node}/job{job}+{operations}")
            }
            Self::AfterOperation { node, operation } => write!(f, "n{node}/op{operation}"),
        }
    }
}

impl FromStr for Spot {
    type Err = ();

    fn from_str(words: &str) -> Result<Self, ()> {
        let (node, place) = words.split_once('/').ok_or(())?;
        let node = node.strip_prefix('n').and_then(|node| node.parse().ok()).ok_or(())?;
        if let Some(operation) = place.strip_prefix("op") {
            return Ok(Self::AfterOperation { node, operation: number(operation)? });
        }
        let job = place.strip_prefix("job").ok_or(())?;
        let (job, operations) = job.split_once('+').unwrap_or((job, "0"));
        Ok(Self::AfterJob { node, job: number(job)?, operations: number(operations)? })
    }
}

fn number(words: &str) -> Result<u64, ()> {
    words.parse().map_err(drop)
}
