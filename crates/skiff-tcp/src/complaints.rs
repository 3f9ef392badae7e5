//! Says what is wrong with a peer, but not again and again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The same peer is complained about once in this time.
const INTERVAL: Duration = Duration::from_secs(10);

/// So many peers are remembered.
const PEERS: usize = 1024;

/// Remembers when whom was complained about.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    last: Mutex<HashMap<String, Instant>>,
}

impl Complaints {
    /// Whether it is time for another complaint about `peer`.
    pub(crate) fn may(&self, peer: &str) -> bool {
        self.may_at(peer, Instant::now())
    }

    fn may_at(&self, peer: &str, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Instant| now.saturating_duration_since(*at) < INTERVAL;
        if last.get(peer).is_some_and(recent) {
            return false;
        }
        if last.len() >= PEERS {
            last.retain(|_, at| recent(at));
        }
        // With so many at once, those beyond are not complained about.
        let room = last.len() < PEERS;
        if room {
            last.insert(peer.to_owned(), now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_per_peer_and_interval() {
        let (complaints, now) = (Complaints::default(), Instant::now());
        assert!(complaints.may_at("a", now));
        assert!(!complaints.may_at("a", now + INTERVAL / 2));
        assert!(complaints.may_at("b", now + INTERVAL / 2));
        assert!(complaints.may_at("a", now + INTERVAL));
    }

    #[test]
    fn many_peers_take_bounded_memory() {
        let (complaints, now) = (Complaints::default(), Instant::now());
        let said = (0..PEERS * 2).filter(|peer| complaints.may_at(&peer.to_string(), now)).count();
        assert_eq!(said, PEERS);
        assert!(complaints.may_at("another", now + INTERVAL), "the old ones are forgotten");
    }
}
