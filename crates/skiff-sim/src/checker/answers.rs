//! Every call is answered, once and in time, and the answer is true: what was answered is committed,
//! and what was refused without effect has none.

use std::collections::BTreeMap;

use skiff_replica::Index;

use crate::failure::{Verdict, must};

/// What may have become of the attempts to run one command.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    /// Those that may have had an effect.
    open: u32,
    committed: u32,
    /// Where it was committed first.
    index: Option<Index>,
    /// Whether a machine was handed it.
    handed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Answers {
    by_command: BTreeMap<u64, Attempts>,
    /// The newest command that a machine was handed.
    newest: Index,
}

impl Answers {
    /// A client asks for the command of this hash.
    pub(crate) fn asked(&mut self, command: u64) {
        self.by_command.entry(command).or_default().open += 1;
    }

    /// It was told that the command had no effect and will have none.
    pub(crate) fn refused(&mut self, command: u64) -> Verdict {
        let attempts = self.by_command.entry(command).or_default();
        attempts.open = attempts.open.saturating_sub(1);
        attempts.check()
    }

    /// It was told that the command was done.
    pub(crate) fn answered(&self, command: u64) -> Verdict {
        let committed = self.by_command.get(&command).map_or(0, |attempts| attempts.committed);
        must(committed > 0, || "a command was answered that is not committed".to_owned())
    }

    /// A machine is handed the command at this index.
    pub(crate) fn handed(&mut self, index: Index, command: impl Fn() -> u64) {
        if index > self.newest {
            self.newest = index;
            self.by_command.entry(command()).or_default().handed = true;
        }
    }

    /// It was told that the command took effect, and that the response is lost.
    pub(crate) fn response_lost(&self, command: u64) -> Verdict {
        let handed = self.by_command.get(&command).is_some_and(|attempts| attempts.handed);
        must(handed, || "a command is said to have taken effect that no machine has".to_owned())
    }

    /// Where the command was committed, if it was.
    pub(crate) fn index_of(&self, command: u64) -> Option<Index> {
        self.by_command.get(&command)?.index
    }

    /// Where the command was committed, if that was once.
    pub(crate) fn only_index_of(&self, command: u64) -> Option<Index> {
        let attempts = self.by_command.get(&command)?;
        attempts.index.filter(|_| attempts.committed == 1)
    }

    /// The command was committed, at one more index.
    pub(crate) fn committed(&mut self, command: u64, index: Index) -> Verdict {
        let attempts = self.by_command.entry(command).or_default();
        attempts.index.get_or_insert(index);
        attempts.committed += 1;
        attempts.check()
    }
}

impl Attempts {
    fn check(self) -> Verdict {
        must(self.committed <= self.open, || {
            format!(
                "a command is committed {} times, {} attempts may have had an effect",
                self.committed, self.open
            )
        })
    }
}
