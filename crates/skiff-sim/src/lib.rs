#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod campaign;
mod check;
mod checker;
pub mod crash_points;
pub mod explore;
mod failure;
mod hash;
mod kept;
pub mod linearizability;
pub mod mutants;
pub mod plan;
mod random;
mod reached;
mod registers;
mod run;
mod shrink;
mod workload;
mod world;

pub use campaign::{Campaign, Failed, Totals};
pub use check::{Cause, Check, Dice, Finding};
pub use failure::Failure;
pub use plan::{Limits, Mode, Plan};
pub use reached::Reached;
pub use registers::{Cells, Registers};
pub use run::{Report, run, run_with_trace};
pub use shrink::{Shrunk, shrink};
pub use workload::{Operation, Workload};

/// The page for users: its programs are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/simulate-your-machine.md")]
struct SimulateYourMachine;
