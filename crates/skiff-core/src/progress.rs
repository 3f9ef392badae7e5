//! What a leader knows of one other member, and how entries are sent to it.
//!
//! ```text
//!             answered: it fits                 needs what is cut off
//!   Probe ────────────────────────▶ Replicate        (any) ────▶ NeedsSnapshot
//!     ▲                                 │
//!     └─────────────────────────────────┘
//!        a refusal, a lost message, a closed connection
//! ```

use alloc::vec::Vec;

use crate::{
    entry::Entry,
    inflights::{Inflight, Inflights},
    mutants::{Mutant, planted},
    role::leader::Supply,
    status::{PeerState, PeerStatus},
    types::{Index, Instant, Round},
};

/// A resend waits at most this many times the shortest election timeout.
pub(crate) const BACKOFF_MAX: u32 = 3;

#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// The member's log equals the leader's up to here, durably. Never goes back.
    pub(crate) matched: Index,
    /// The next entry to send.
    pub(crate) next: Index,
    pub(crate) state: PeerState,
    /// Appends with entries that are on their way while replicating.
    pub(crate) inflights: Inflights,
    /// The Append that is on its way while probing.
    pub(crate) probe: Option<Inflight>,
    /// The connection broke: send signs of life only, until one is answered.
    pub(crate) paused: bool,
    /// The number of the last Append sent.
    pub(crate) seq: u64,
    /// The number of the last Append that had been sent when `matched` last grew.
    pub(crate) matched_seq: u64,
    /// The member was seen to have lost what it had acknowledged, and gets it again.
    pub(crate) reverted: bool,
    /// The newest commit index it was told.
    pub(crate) commit_sent: Index,
    /// The newest round it was sent, and the newest it answered.
    pub(crate) round_sent: Round,
    pub(crate) round_acked: Round,
    /// When it was last heard; at first, when the term of office began.
    pub(crate) heard: Instant,
    pub(crate) was_heard: bool,
    /// Old entries that were loaded for it.
    pub(crate) loaded: Vec<Entry>,
    /// A load failed: no other before the next sign of life.
    pub(crate) load_failed: bool,
    /// A heartbeat is due: that is all a member gets whose connection is broken.
    pub(crate) life_due: bool,
    pub(crate) backoff: u32,
    /// The snapshot it is being sent, or will be.
    pub(crate) supply: Supply,
}

impl Progress {
    /// A member of which nothing is known. `seq` is the highest number that was used for any member
    /// in this term: one that was removed and comes back must not take new Appends for old ones.
    pub(crate) fn new(next: Index, now: Instant, seq: u64) -> Self {
        Self {
            matched: Index::ZERO,
            next,
            state: PeerState::Probe,
            inflights: Inflights::default(),
            probe: None,
            paused: false,
            seq,
            matched_seq: seq,
            reverted: false,
            commit_sent: Index::ZERO,
            round_sent: Round::ZERO,
            round_acked: Round::ZERO,
            heard: now,
            was_heard: false,
            loaded: Vec::new(),
            load_failed: false,
            life_due: true,
            backoff: 0,
            supply: Supply::default(),
        }
    }

    /// From now on probes from `next` on, and from no entry that the leader's log, which begins after
    /// `base`, no longer has: whether the member's log reaches so far, the refusal of that probe tells.
    pub(crate) fn become_probe(&mut self, next: Index, base: Index) {
        let floor = if self.reverted { base } else { self.matched.max(base) };
        self.state = PeerState::Probe;
        self.next = next.max(floor.next());
        self.inflights.clear();
        self.probe = None;
        self.loaded.clear();
    }

    /// From now on sends as fast as the window allows, from `next` on.
    pub(crate) fn become_replicate(&mut self, next: Index, now: Instant) {
        self.state = PeerState::Replicate;
        self.next = next;
        let probe = self.probe.take();
        // Verified is not durable: the member may still lose it, so it counts as on its way.
        if next.prev() > self.matched {
            let seq = probe.map_or(self.seq, |probe| probe.seq);
            self.inflights.push(Inflight { seq, last: next.prev(), bytes: 0, sent_at: now });
        }
        self.loaded.clear();
    }

    /// The member's log is known to equal the leader's up to `index`.
    pub(crate) fn match_to(&mut self, index: Index) -> bool {
        if self.reverted && index >= self.matched {
            self.reverted = false;
            self.next = self.next.max(index.next());
        }
        let grew = index > self.matched;
        if grew {
            self.matched = index;
            self.matched_seq = self.seq;
            self.next = self.next.max(index.next());
            self.backoff = 0;
        }
        self.inflights.acknowledge(index);
        grew
    }

    /// The member was heard.
    pub(crate) fn hear(&mut self, now: Instant, round: Round) {
        self.heard = now;
        self.was_heard = true;
        self.paused = false;
        let round = if planted(Mutant::AnyAnswerProves) { self.round_sent } else { round };
        self.round_acked = self.round_acked.max(round.min(self.round_sent));
    }

    /// The connection to the member broke: what was on its way may be lost.
    pub(crate) fn lose_connection(&mut self, base: Index) {
        if self.state != PeerState::NeedsSnapshot {
            // Before the first answer nothing is known but where the logs were thought to agree.
            let unknown = self.reverted || self.matched == Index::ZERO;
            self.become_probe(if unknown { self.next } else { self.matched.next() }, base);
        }
        self.paused = true;
    }

    /// Whether something sent so long ago must be taken for lost if the member's log does not yet
    /// hold it. The patience doubles with each loss until something arrives.
    pub(crate) fn is_overdue(&mut self, sent_at: Instant, now: Instant, patience: u64) -> bool {
        let overdue =
            now.since(sent_at) >= patience << self.backoff && !planted(Mutant::LostIsNotResent);
        if overdue {
            self.backoff = (self.backoff + 1).min(BACKOFF_MAX);
        }
        overdue
    }

    pub(crate) const fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(crate) fn status(&self) -> PeerStatus {
        PeerStatus {
            matched: self.matched,
            next: self.next,
            heard: self.was_heard.then_some(self.heard),
            state: self.state,
        }
    }
}
