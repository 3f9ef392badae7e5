//! A node's clock: it is off, and it goes wrong.

use skiff_replica::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: u64,
    /// How much too fast, in millionths.
    drift: i64,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    pub(crate) const fn new(offset: u64, drift: i64) -> Self {
        Self { offset, drift }
    }

    /// What it shows when it is `now`.
    pub(crate) fn shows(self, now: u64) -> Instant {
        let passed = i128::from(now) * (MILLION + i128::from(self.drift)) / MILLION;
        Instant(self.offset.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX)))
    }

    /// When it shows at least this.
    pub(crate) fn when(self, shown: Instant) -> u64 {
        let passed = i128::from(shown.0.saturating_sub(self.offset));
        let rate = MILLION + i128::from(self.drift);
        u64::try_from((passed * MILLION + rate - 1) / rate).unwrap_or(u64::MAX)
    }

    pub(crate) const fn leap(&mut self, nanos: u64) {
        self.offset = self.offset.saturating_add(nanos);
    }
}
