#![doc = include_str!("../README.md")]

mod applier;
mod error;
mod event;
mod input;
mod job;
mod machine;
mod settings;
mod status;

pub use applier::{Applier, ApplyError};
pub use error::{
    CommandError, EntryPosition, Leader, Outcome, ReadError, Refused, ReplicaError, StartError,
};
pub use event::{Event, Refusal, State};
pub use input::{Call, Input};
pub use job::{Job, LinkId, is_remote};
pub use machine::{
    At, Batch, Encoded, KeepsNothing, MachineError, Malformed, Mark, Opened, Queries, Raw,
    SnapshotWriter, Snapshots, StateMachine,
};
pub use settings::{CommandCheck, MachineFormat, Settings, Start};
pub use skiff_core::{Apply, Index, Instant, LogTime, Position, Term, Token};
pub use skiff_storage::{InstanceId, Standing};
pub use skiff_transport::Consistency;
pub use status::{PeerStatus, Status, Waiting};
