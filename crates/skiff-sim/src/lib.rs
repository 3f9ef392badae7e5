#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod checker;
mod failure;
mod hash;
pub mod linearizability;
pub mod plan;
mod random;
mod reached;
mod registers;
mod run;
mod workload;
mod world;

pub use failure::Failure;
pub use plan::{Limits, Mode, Plan};
pub use reached::Reached;
pub use registers::{Cells, Registers};
pub use run::{Report, run, run_with_trace};
pub use workload::{Operation, Workload};
