#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]
#![no_std]

extern crate alloc;

mod codec;
mod config;
mod disk;
mod election;
mod entry;
mod error;
mod fate;
mod fingerprint;
mod inflights;
mod input;
mod invariants;
mod loads;
mod local;
mod log;
mod machine;
mod membership;
mod membership_history;
mod message;
#[doc(hidden)]
pub mod mutants;
mod outbox;
mod output;
mod progress;
pub mod quorum;
mod raft;
mod rng;
mod role;
mod status;
mod term_history;
mod types;

pub use codec::Malformed;
pub use config::{Config, Options, Recovered};
pub use entry::{Entry, Payload};
pub use error::{ConfigError, Fatal, LoadError, Reject, StartError, TransferFailure};
pub use fate::Fate;
pub use input::{Fault, Input};
pub use membership::{Membership, Node};
pub use message::{Append, AppendOutcome, AppendReply, Message};
pub use output::{Apply, Event, Output, StateName, Write};
pub use raft::Raft;
pub use status::{PeerState, PeerStatus, Status};
pub use term_history::TermHistory;
pub use types::{
    HardState, Index, Instant, LoadId, LogTime, NodeId, Position, Round, Term, Token, WriteId,
};
