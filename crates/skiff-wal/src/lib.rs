#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod aside;
pub mod backup;
mod batch;
mod begins;
mod directory;
pub mod disk;
mod files;
mod group;
mod identity;
pub mod inspect;
mod log;
mod mend;
mod open;
mod place;
mod reader;
mod record;
mod recovery;
mod replay;
mod segment;
mod snapshot;
mod store;
mod supply;
mod tail;
mod walk;
mod window;

pub use batch::BatchHeader;
pub use identity::Kept;
pub use log::{Appended, Log, Options};
pub use open::Opened;
pub use place::{LogId, Place};
pub use reader::Reader;
pub use record::{RawEntry, Record};
pub use segment::{FORMAT, SegmentHeader};
pub use snapshot::Snapshots;
pub use store::DiskPersistence;
