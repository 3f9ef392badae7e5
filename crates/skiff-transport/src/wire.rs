//! The bytes of an [`Envelope`](crate::Envelope): a protobuf message, written and read without a
//! copy of what entries and commands hold.
//!
//! `proto/skiff.proto` is the schema and `docs/wire-format.md` tells the meaning. What is said often
//! is written and read by hand here, the rest by code generated from the schema; the bytes are those
//! of the schema either way.

mod decode;
mod encode;
mod entries;
mod error;
mod numbers;

#[rustfmt::skip]
#[allow(
    clippy::all,
    clippy::use_self,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "generated, and partly only a standard for what is written by hand"
)]
mod generated;

#[cfg(test)]
mod tests;

pub use decode::decode;
pub use encode::encode;
pub use error::WireError;

/// The most entries one Append may carry on the wire.
pub const MAX_ENTRIES: usize = 1 << 18;

/// The most bytes a Hello may take on the wire.
pub const MAX_HELLO: usize = 1 << 18;
