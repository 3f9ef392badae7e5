//! The one clock of a node: monotonic, in nanoseconds from its start.

use std::time::{Duration, Instant};

use skiff_replica as replica;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(self) -> replica::Instant {
        replica::Instant(nanos(self.origin.elapsed()))
    }

    /// The moment after `span` from now.
    pub(crate) fn after(self, span: Duration) -> replica::Instant {
        self.now().after(nanos(span))
    }

    /// A moment of this clock as one of the runtime's.
    pub(crate) fn runtime_instant(self, at: replica::Instant) -> tokio::time::Instant {
        (self.origin + Duration::from_nanos(at.0).min(FAR)).into()
    }
}

/// Thirty years: as good as for ever, and small enough that no clock overflows.
pub(crate) const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A span in nanoseconds; 584 years at most.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
