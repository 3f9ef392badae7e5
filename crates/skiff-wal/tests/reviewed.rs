//! Schedules that were thought up against the log by somebody who did not write it: long lives with
//! everything going wrong in turn, and each suspicion as a test of its own.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "reviewed/damage.rs"]
mod damage;
#[path = "reviewed/full.rs"]
mod full;
#[path = "reviewed/lives.rs"]
mod lives;
#[path = "reviewed/store.rs"]
mod store;
#[path = "reviewed/suspicions.rs"]
mod suspicions;
