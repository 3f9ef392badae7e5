#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod applier;
mod call_error;
mod calls;
mod change_error;
mod error;
mod event;
mod fate;
mod forming;
mod hello;
mod input;
mod job;
mod links;
mod machine;
mod pieces;
mod refusals;
mod refused;
mod replica;
mod sessions;
mod settings;
mod snapshot_error;
mod status;
mod taken;
mod trail;
mod transfer_error;
mod vacancy;

pub use applier::{Applier, ApplyError};
pub use call_error::{CommandError, ReadError};
pub use change_error::{ChangeError, Why};
pub use error::{ReplicaError, StartError};
pub use event::{Event, Refusal, State};
pub use fate::{Fate, UnknownFate};
pub use input::{Call, Input, NotKept, NotMended};
pub use job::{Job, LinkId, is_remote};
pub use machine::{
    At, Batch, Encoded, KeepsNothing, MachineError, Malformed, Mark, Opened, Queries, Raw,
    SnapshotWriter, Snapshots, StateMachine,
};
pub use pieces::{Incoming, Piece, read_piece, restore_snapshot, write_snapshot};
pub use refused::{EntryPosition, Leader, Outcome, Refused};
pub use replica::{LEAVING_TIMEOUTS, Replica};
pub use sessions::{Answer, Limits, Proposal, SessionEntry, SessionId, Sessions};
pub use settings::{CommandCheck, MachineFormat, MarkSettings, Settings, SnapshotSettings, Start};
pub use skiff_core as core;
pub use skiff_core::{Apply, Index, Instant, LogTime, Position, Term, Token};
pub use skiff_storage as storage;
pub use skiff_storage::{InstanceId, Standing};
pub use skiff_transport as transport;
pub use skiff_transport::{Consistency, MemberChange, SessionAsk};
pub use snapshot_error::{NoSnapshot, SnapshotError};
pub use status::{PeerProgress, PeerStatus, Status, TrailsBy, TransferStatus, Waiting};
pub use taken::Taken;
pub use transfer_error::TransferError;
