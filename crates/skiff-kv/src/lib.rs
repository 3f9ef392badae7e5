#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod command;
pub mod content;
mod kv;
mod limits;
mod query;
mod response;

pub use command::Command;
pub use kv::{Kv, checksum};
pub use limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Refusal};
pub use query::{Answer, MAX_PAGE, Query};
pub use response::Response;
