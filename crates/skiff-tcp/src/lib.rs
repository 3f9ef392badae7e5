#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod accept;
mod admission;
mod backoff;
mod complaints;
mod connection;
mod counters;
mod dial;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod link;
mod outbox;
mod preamble;
mod settings;
mod socket;
mod transport;

pub use counters::TcpCounters;
pub use settings::TcpBuilder;
pub use socket::Security;
pub use transport::TcpTransport;
