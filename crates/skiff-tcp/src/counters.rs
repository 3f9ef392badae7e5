//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What a [`TcpTransport`](crate::TcpTransport) has counted since it was built.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct TcpCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counters as they are counted.
        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl TcpCounters {
            /// Each with its name.
            pub(crate) fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }

        impl Tally {
            pub(crate) fn read(&self) -> TcpCounters {
                TcpCounters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Connections that others dialled and that came up.
    accepted,
    /// Connections that were dialled here and came up.
    dialled,
    /// Sockets refused because there were as many as there may be.
    refused_over_limit,
    /// Sockets whose first bytes were not Skiff's, or damaged.
    refused_garbage,
    /// Connections refused for want of a common protocol version, by either side.
    refused_version,
    /// Connects that were given up because nobody answered in time.
    connect_timeouts,
    /// Sockets dropped because the other side did not introduce itself in time.
    handshake_timeouts,
    /// Connections ended by a damaged or oversized frame, or one that is no envelope.
    bad_frames,
    /// Envelopes dropped because they were of a kind that this version does not know.
    unknown_envelopes,
    /// Connections ended because nothing was heard for the idle timeout.
    silent,
    /// Connections ended because the other side took nothing for the idle timeout.
    stalled,
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
