//! How long to wait before trying again.

use std::time::Duration;

/// Doubles from try to try, and is drawn at random from its upper half, so that those who lost the
/// same peer do not all come back at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new((first, most): (Duration, Duration)) -> Self {
        Self { first, most, next: first }
    }

    pub(crate) fn delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.most);
        // Without randomness it still backs off.
        let random = getrandom::u32().unwrap_or(u32::MAX);
        delay / 2 + (delay / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    pub(crate) const fn reset(&mut self) {
        self.next = self.first;
    }

    pub(crate) const fn most(&self) -> Duration {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_most() {
        let (first, most) = (Duration::from_millis(20), Duration::from_millis(250));
        let mut backoff = Backoff::new((first, most));
        for upper in [20, 40, 80, 160, 250, 250] {
            let upper = Duration::from_millis(upper);
            let delay = backoff.delay();
            assert!(upper / 2 <= delay && delay <= upper, "{delay:?} for {upper:?}");
        }
        backoff.reset();
        assert!(backoff.delay() <= first);
    }
}
