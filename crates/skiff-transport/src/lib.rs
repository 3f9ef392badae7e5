#![doc = include_str!("../README.md")]

mod call;
mod envelope;
mod transport;
pub mod wire;

pub use call::{Call, CallConnection, CallReply, Calls, Reply};
pub use envelope::{
    Answer, Ask, Body, Consistency, Envelope, Genesis, Hello, Listed, Outcome, Refusal, Request,
    Standing,
};
pub use transport::{
    Accepted, Connection, Inbox, Local, NotSent, Signal, Transport, TransportError,
};
