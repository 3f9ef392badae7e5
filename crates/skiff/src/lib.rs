#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

pub mod backup;
mod builder;
mod callers;
pub mod client;
mod clock;
mod driver;
mod ending;
mod error;
mod events;
mod idle;
mod inbox;
mod machine_source;
mod machine_task;
mod membership;
mod meters;
mod node;
mod options;
mod session;
mod snapshot_task;
mod status;
mod story;

pub use builder::Builder;
pub use client::Client;
pub use error::{NodeError, StartError};
pub use events::Events;
pub use idle::Idle;
pub use meters::{METRICS, Metric, MetricKind};
pub use node::Node;
pub use options::{IdGenerator, Options, OptionsError};
pub use session::Session;
pub use skiff_replica::core::TransferFailure;
pub use skiff_replica::storage::OnLostData;
pub use skiff_replica::{
    At, Batch, ChangeError, CommandError, Consistency, Encoded, EntryPosition, Event, Fate, Index,
    InstanceId, KeepsNothing, Leader, LogTime, MachineError, Malformed, Mark, MemberChange,
    NoSnapshot, Opened, Outcome, Queries, Raw, ReadError, Refusal, SessionAsk, SessionEntry,
    SessionId, Sessions, SnapshotError, SnapshotWriter, Snapshots, Standing, State, StateMachine,
    Taken, Term, TransferError, Waiting, Why,
};
pub use skiff_replica::{core, storage, transport};
pub use skiff_tcp as tcp;
pub use skiff_wal as disk;
pub use status::{MemberStatus, PeerStatus, Status};

/// The front page's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;

/// The guides: their programs are tests.
#[cfg(doctest)]
mod guides {
    macro_rules! guides {
        ($($name:ident: $page:literal,)*) => {
            $(#[doc = include_str!(concat!("../../../docs/", $page))] struct $name;)*
        };
    }

    guides! {
        Guarantees: "guarantees.md",
        Options: "options.md",
        Providers: "providers.md",
        StateMachines: "state-machines.md",
    }
}
