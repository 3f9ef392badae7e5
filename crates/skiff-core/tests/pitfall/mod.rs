//! The short schedules: messages made up by hand, in the order that broke others.

mod commit;
mod disks;
mod elections;
mod members;
mod peers;
mod reads;
mod replication;
mod transfer;
