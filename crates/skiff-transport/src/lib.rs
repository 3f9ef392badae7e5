#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod adapter;
mod call;
pub mod conformance;
mod envelope;
mod memory;
mod pending;
mod transport;
pub mod wire;

pub use adapter::{CallAdapter, CallTransport};
pub use call::{Call, CallConnection, CallReply, Calls, Reply};
pub use envelope::{
    Admission, Answer, Ask, Body, Consistency, Envelope, Fetch, Fetched, Found, Genesis, Got,
    Hello, Joins, Listed, MemberChange, Newcomer, Offer, Outcome, Progress, Refusal, Request,
    SessionAsk, SnapshotPiece, Standing,
};
pub use memory::{MemoryNetwork, MemoryTransport};
pub use transport::{
    Accepted, Connection, Inbox, Local, NotSent, Signal, Transport, TransportError,
};
