//! Whole clusters of real processes that are killed, paused, cut off from each other and changed, while
//! clients put, compare and read through all of them. What the clients saw must be the work of one store
//! that does one thing at a time, and each thing once.
//!
//! Short forms run with all tests. The long ones are ignored: `just soak` runs them, and prints what was
//! done and found.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

#[path = "live/clients.rs"]
mod clients;
#[path = "live/cluster.rs"]
mod cluster;
#[path = "live/history.rs"]
mod history;
#[path = "live/proxy.rs"]
mod proxy;
#[path = "live/store.rs"]
mod store;

#[path = "live/cuts.rs"]
mod cuts;
#[path = "live/engines.rs"]
mod engines;
#[path = "live/floods.rs"]
mod floods;
#[path = "live/kills.rs"]
mod kills;
#[path = "live/members.rs"]
mod members;
#[path = "live/pauses.rs"]
mod pauses;
#[path = "live/restarts.rs"]
mod restarts;
#[path = "live/transfers.rs"]
mod transfers;
