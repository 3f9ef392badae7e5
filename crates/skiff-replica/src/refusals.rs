//! Who was turned away, told once and not each time.

use std::collections::BTreeMap;

use skiff_core::Instant;

use crate::event::Refusal;

/// The same is told again after so long, in nanoseconds.
const SILENCE: u64 = 10_000_000_000;
/// So many addresses are remembered.
const ADDRESSES: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Refusals {
    count: u64,
    told: BTreeMap<String, (Refusal, Instant)>,
}

impl Refusals {
    /// How many there were.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Something was refused about which nothing is said.
    pub(crate) const fn count_one(&mut self) {
        self.count += 1;
    }

    /// Counts one. Whether to tell it.
    pub(crate) fn note(&mut self, now: Instant, address: &str, reason: &Refusal) -> bool {
        self.count += 1;
        let known = self.told.get(address);
        if known.is_some_and(|(told, at)| told == reason && now.since(*at) < SILENCE) {
            return false;
        }
        if known.is_none() && self.told.len() >= ADDRESSES {
            self.told.retain(|_, (_, at)| now.since(*at) < SILENCE);
            if self.told.len() >= ADDRESSES {
                return false;
            }
        }
        self.told.insert(address.to_owned(), (reason.clone(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_in_a_while_and_counted_each_time() {
        let mut refusals = Refusals::default();
        let (one, other) = (Refusal::Protocol { what: "a" }, Refusal::Protocol { what: "b" });
        assert!(refusals.note(Instant(0), "here", &one));
        assert!(!refusals.note(Instant(1), "here", &one));
        assert!(refusals.note(Instant(2), "here", &other));
        assert!(refusals.note(Instant(2), "there", &other));
        assert!(refusals.note(Instant(2 + SILENCE), "here", &other));
        assert_eq!(refusals.count(), 5);
    }

    #[test]
    fn a_flood_from_many_addresses_is_bounded() {
        let mut refusals = Refusals::default();
        let reason = Refusal::Protocol { what: "a" };
        for number in 0..10 * ADDRESSES {
            refusals.note(Instant(1), &number.to_string(), &reason);
        }
        assert_eq!(refusals.told.len(), ADDRESSES);
    }
}
