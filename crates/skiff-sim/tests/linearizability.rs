//! The judge of histories is judged: by histories whose verdict was worked out by hand, and by two
//! slow ways to decide that know none of its tricks.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "linearizability/bad.rs"]
mod bad;
#[path = "linearizability/good.rs"]
mod good;
#[path = "linearizability/hard.rs"]
mod hard;
#[path = "linearizability/make.rs"]
mod make;
#[path = "linearizability/models.rs"]
mod models;
#[path = "linearizability/promises.rs"]
mod promises;
#[path = "linearizability/said.rs"]
mod said;
#[path = "linearizability/slow.rs"]
mod slow;
#[path = "linearizability/told.rs"]
mod told;
#[path = "linearizability/versus.rs"]
mod versus;
