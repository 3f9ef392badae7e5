//! How a command fails: what to say, and the exit code.

use std::{fmt, process::ExitCode};

use skiff::{NodeError, OptionsError, StartError, storage::StoreError, transport::TransportError};

/// What the exit code says. The numbers are part of the program's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did not work, and had no effect that is not told.
    Failed = 1,
    /// It was asked for in a way that cannot be.
    Usage = 2,
    /// The key is not there.
    NotFound = 3,
    /// Whether the write took effect is not known.
    Unknown = 4,
    /// Data is damaged, lost, or differs.
    Damaged = 5,
    /// The address cannot be listened on.
    Listen = 6,
    /// It was interrupted.
    Interrupted = 130,
}

/// The exit codes, for the help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed; the reason is on stderr
  2    wrong usage
  3    the key is not there
  4    a write was sent and not answered: whether it took effect is not known
  5    data is damaged, lost, or differs between nodes
  6    the address cannot be listened on
  130  interrupted";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed. No `std::error::Error`, so that every such can become one.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl fmt::Display) -> Self {
        Self { exit, error: anyhow::anyhow!("{error}") }
    }

    pub(crate) fn failed(error: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, error)
    }

    pub(crate) fn usage(error: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, error)
    }

    pub(crate) fn damaged(error: impl fmt::Display) -> Self {
        Self::new(Exit::Damaged, error)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted")
    }

    /// Why a node did not start.
    pub(crate) fn start(error: StartError) -> Self {
        let exit = match error {
            _ if error.is_damage() => Exit::Damaged,
            StartError::Options(_) => Exit::Usage,
            StartError::Transport(TransportError::Listen { .. }) => Exit::Listen,
            _ => Exit::Failed,
        };
        Self { exit, error: error.into() }
    }

    /// Why a node that ran has ended by itself.
    pub(crate) fn node(error: NodeError) -> Self {
        let exit = if error.is_damage() { Exit::Damaged } else { Exit::Failed };
        Self { exit, error: error.into() }
    }

    /// Why a node's data cannot be used. What is damaged or gone has an exit code of its own.
    pub(crate) fn store(error: StoreError) -> Self {
        let exit = match &error {
            error if error.is_damage() => Exit::Damaged,
            _ => Exit::Failed,
        };
        Self { exit, error: error.into() }
    }
}

impl From<OptionsError> for Failure {
    fn from(error: OptionsError) -> Self {
        Self { exit: Exit::Usage, error: error.into() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { exit: Exit::Failed, error: error.into() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::Failed, error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.error.to_string();
        for cause in self.error.chain().skip(1).map(ToString::to_string) {
            // Some errors tell their cause themselves.
            if !told.contains(&cause) {
                told = format!("{told}: {cause}");
            }
        }
        f.write_str(&told)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::from_raw_os_error(28);
        let store = StoreError::io("write", "/data/IDENTITY", cause());
        let told = Failure::store(store.clone()).to_string();
        assert_eq!(told, format!("cannot write /data/IDENTITY: {}", cause()));
        assert_eq!(Failure::start(store.into()).to_string(), told);
        let unsaid = anyhow::Error::from(cause()).context("cannot listen");
        assert_eq!(Failure::from(unsaid).to_string(), format!("cannot listen: {}", cause()));
    }
}
