//! By what goes wrong.

mod directories;
mod machines;
mod messages;
mod snapshots;
