//! What can be asked of `skiff sim`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::spans;

#[derive(Args, Debug)]
pub(crate) struct Sim {
    /// How many seeds to run
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..), value_name = "COUNT")]
    pub(crate) seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) first: u64,
    /// Run seeds for so long, however many that are
    #[arg(long, conflicts_with_all = ["seeds", "seed"], value_parser = clap::value_parser!(u64).range(1..), value_name = "COUNT")]
    pub(crate) minutes: Option<u64>,
    /// Run this one seed
    #[arg(long, conflicts_with_all = ["seeds", "first"], value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Run a plan that was kept, instead of a seed
    #[arg(long, conflicts_with_all = ["seeds", "first", "seed", "minutes"], value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// How bad it may get; `mix` is seven seeds of ten crash, two recoverable, one unlimited
    #[arg(long, default_value = "mix", value_enum, value_name = "MODE")]
    pub(crate) mode: ModeArg,
    /// How many nodes a cluster has; one to seven if left out
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=9), value_name = "COUNT")]
    pub(crate) nodes: Option<u8>,
    /// For how long there are faults in each seed, in simulated time
    #[arg(long, default_value = "10s", value_parser = spans::parse, value_name = "SPAN")]
    pub(crate) span: Duration,
    /// How many threads to use; all cores if left out
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), value_name = "COUNT")]
    pub(crate) jobs: Option<u16>,
    /// Tell the story of the seed or the plan, line by line
    #[arg(long)]
    pub(crate) trace: bool,
    /// Make what fails small, and keep it as a plan
    #[arg(long)]
    pub(crate) shrink: bool,
    /// Where to keep the plans of what fails; the name tells the seed
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
    /// Test the alarm: one seed in a hundred fails by design, and must be seen
    #[arg(long)]
    pub(crate) canary: bool,
    /// Fail also if anything worth meeting was never met
    #[arg(long)]
    pub(crate) all_states: bool,
    /// Try every planted bug, and see that it is found (in a build with `--features mutants`)
    #[arg(long, group = "kind")]
    pub(crate) mutants: bool,
    /// Only planted bugs whose names contain this
    #[arg(long, requires = "mutants", value_name = "NAME")]
    pub(crate) only: Option<String>,
    /// Cut the power at every output and every operation of the disk of short runs
    #[arg(long, group = "kind")]
    pub(crate) crash_points: bool,
    /// Run one of these power cuts again and tell its story, by the name it was printed with
    #[arg(long, requires = "crash_points", value_name = "SCRIPT/NODE/PLACE/LEFT/TIME")]
    pub(crate) case: Option<String>,
    /// Try every order of events in a cluster of three, within bounds
    #[arg(long, group = "kind")]
    pub(crate) explore: bool,
    /// With one of these: only a small part, for a quick look
    #[arg(long, requires = "kind")]
    pub(crate) smoke: bool,
    /// Print the result as a JSON object, on the last line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// Everything must survive, and go on
    Crash,
    /// A minority of the disks is damaged too
    Recoverable,
    /// Any number is damaged, wiped or rolled back
    Unlimited,
    /// All of them
    Mix,
}

impl ModeArg {
    pub(crate) const fn mode(self) -> Option<skiff_sim::Mode> {
        match self {
            Self::Crash => Some(skiff_sim::Mode::Crash),
            Self::Recoverable => Some(skiff_sim::Mode::Recoverable),
            Self::Unlimited => Some(skiff_sim::Mode::Unlimited),
            Self::Mix => None,
        }
    }
}
