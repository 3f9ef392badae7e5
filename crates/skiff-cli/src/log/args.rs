//! What can be asked about a log.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(crate) struct Log {
    #[command(subcommand)]
    pub(crate) action: LogAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogAction {
    /// Print whose data it is and every record
    #[command(after_help = "\
Exit codes, after everything that can be read:
  0  all of it is well
  1  the directory cannot be looked at
  5  something is damaged or missing

Example:
  skiff log dump n1")]
    Dump {
        /// The node's data directory
        dir: PathBuf,
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Check every record, and change nothing
    #[command(after_help = "\
Exit codes:
  0  sound; also with a torn tail, which a crash in the middle of a write leaves behind and the next
     start cuts off: nothing of it was acknowledged
  1  the directory cannot be looked at, or a newer version of skiff wrote it
  5  something is damaged or missing; `skiff log repair-plan` says what to do

Example:
  skiff log verify n1")]
    Verify {
        /// The node's data directory
        dir: PathBuf,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say what a start of the node would do with the directory, and what you can do; change nothing
    #[command(after_help = "\
Says which entries would be asked of which other members, what would be dropped, whether the node would
mend, go on or refuse, and ends with an advice.

Exit codes:
  0  sound, whether the node would start or not
  1  the directory cannot be looked at, or a newer version of skiff wrote it
  5  something is damaged or missing

Example:
  skiff log repair-plan n1
  skiff log repair-plan n1 --json")]
    RepairPlan {
        /// The node's data directory
        dir: PathBuf,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write out every entry that can be read, each once, in the order of the log
    #[command(after_help = "\
Whatever is damaged, what can be read is written; what is missing is said on stderr. An entry that is
marked as not certain was in the log once, and what is missing may have replaced it. The last entries of
a log are perhaps not committed: the log of one node does not say.

Exit codes, after everything that can be read:
  0  all of it is there
  1  the directory cannot be looked at, or a newer version of skiff wrote it
  5  something is damaged or missing

Example:
  skiff log export n1
  skiff log export n1 --json > entries.jsonl")]
    Export {
        /// The node's data directory
        dir: PathBuf,
        /// Print a JSON object a line, with the payload in hexadecimal digits
        #[arg(long)]
        json: bool,
    },
}
