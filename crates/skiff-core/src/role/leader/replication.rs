//! How the log gets to the others: what each lacks is put together when it is asked for, so that
//! all that came meanwhile goes in one Append.

use alloc::vec::Vec;

use super::{Leader, snapshots::needs_snapshot};
use crate::{
    entry::Entry,
    error::LoadError,
    inflights::Inflight,
    loads::Purpose,
    local::Local,
    log::Log,
    message::{Append, AppendOutcome, AppendReply, Message},
    mutants::{Mutant, planted},
    output::{Event, Output},
    progress::Progress,
    status::PeerState,
    types::{Index, NodeId, Position, Round},
};

/// A sign of life is sent along with entries up to this size; with larger ones it goes ahead.
const LIGHT_BYTES: usize = 16 << 10;

impl Leader {
    /// The next Append that may leave.
    pub(super) fn next_append(&mut self, local: &mut Local) -> Option<(NodeId, Message)> {
        let round = self.round;
        self.peers.iter_mut().find_map(|(id, progress)| {
            next_append(progress, *id, round, local).map(|append| (*id, Message::Append(append)))
        })
    }

    /// A member answered.
    pub(super) fn answered(&mut self, local: &mut Local, from: NodeId, reply: &AppendReply) {
        self.take_answer(local, from, reply);
        self.tend_changes(local);
    }

    fn take_answer(&mut self, local: &mut Local, from: NodeId, reply: &AppendReply) {
        let Some(progress) = self.peers.get_mut(&from) else { return };
        if reply.seq > progress.seq {
            return; // It answers what was never asked.
        }
        progress.hear(local.now, reply.round);
        match reply.outcome {
            AppendOutcome::Matched(matched) => {
                if matched > local.log.last_index() || reply.last > local.log.last_index() {
                    return; // It claims what this log does not have.
                }
                if progress.reverted && reply.seq <= progress.matched_seq {
                    return self.confirm_reads(local); // It tells of before the loss.
                }
                let grew = progress.match_to(matched);
                matched_to(progress, local, reply);
                if grew {
                    self.advance_commit(local);
                }
            }
            AppendOutcome::Mismatch { prev, hint } => {
                mismatched(progress, local, from, reply, prev, hint);
            }
        }
        self.confirm_reads(local);
    }

    /// Old entries for a member were read back.
    pub(crate) fn loaded(
        &mut self,
        local: &mut Local,
        node: NodeId,
        from: Index,
        result: Result<Vec<Entry>, LoadError>,
    ) {
        let Some(progress) = self.peers.get_mut(&node) else { return };
        match result {
            Ok(entries) => progress.loaded = entries,
            Err(LoadError::Compacted) => needs_snapshot(progress, local, node),
            Err(LoadError::Truncated | LoadError::Failed) => {
                progress.load_failed = true;
                local.outbox.event(Event::LoadFailed { from });
            }
        }
    }
}

/// What to send to one member now.
fn next_append(
    progress: &mut Progress,
    id: NodeId,
    round: Round,
    local: &mut Local,
) -> Option<Append> {
    let base = local.log.base().index;
    if progress.next.prev() < base && progress.state != PeerState::NeedsSnapshot {
        // What it was to get next was given up. Whether it has that by now, a probe tells.
        progress.become_probe(progress.next, base);
    }
    let sign_of_life = progress.round_sent < round && (progress.life_due || !progress.paused);
    let heavy = |entries: &[Entry]| entries.iter().map(Entry::size).sum::<usize>() > LIGHT_BYTES;
    if may_carry_entries(progress, local) {
        let entries = take_entries(progress, id, local);
        if sign_of_life && heavy(&entries) {
            progress.loaded = entries;
            return Some(append_nothing(progress, round, local));
        } else if !entries.is_empty() {
            return Some(append_entries(progress, round, local, entries));
        }
    }
    let news = progress.commit_sent < local.log.committed() && is_open(progress, local);
    if !sign_of_life && !news {
        return None;
    }
    let probes = progress.state == PeerState::Probe && progress.probe.is_none() && !progress.paused;
    Some(if probes {
        probe(progress, round, local)
    } else {
        append_nothing(progress, round, local)
    })
}

fn may_carry_entries(progress: &Progress, local: &Local) -> bool {
    let may_probe = progress.state == PeerState::Probe && progress.probe.is_none();
    progress.next <= local.log.last_index()
        && (is_open(progress, local) || (may_probe && !progress.paused))
}

/// Whether the member takes what comes: a silent one is told nothing but signs of life once the
/// window is full.
fn is_open(progress: &Progress, local: &Local) -> bool {
    let (messages, bytes) = (local.config.window_messages, local.config.window_bytes);
    !progress.paused
        && progress.state == PeerState::Replicate
        && !progress.inflights.is_full(messages, bytes)
}

/// The entries from `progress.next` on, as many as fit. Empty if they must be loaded first.
fn take_entries(progress: &mut Progress, id: NodeId, local: &mut Local) -> Vec<Entry> {
    let (next, log) = (progress.next, &local.log);
    let loaded = core::mem::take(&mut progress.loaded);
    if loaded.first().is_some_and(|entry| entry.index == next) && fits(&loaded, log) {
        return loaded;
    }
    let to = log.last_index().next();
    if next >= log.cached_from() {
        return log.cached(next, to, local.config.append_bytes);
    }
    let purpose = Purpose::Replicate(id, local.hard.term);
    if !progress.load_failed && !local.loads.is_under_way(purpose) {
        let (to, bytes_max) = (log.cached_from().min(to), local.config.append_bytes);
        let load = local.loads.begin(purpose, next, to);
        local.outbox.tell(Output::Load { load, from: next, to, bytes_max });
    }
    Vec::new()
}

/// Whether loaded entries are still what the log holds.
fn fits(entries: &[Entry], log: &Log) -> bool {
    entries.last().is_some_and(|last| log.term_at(last.index) == Some(last.term))
}

fn append_entries(
    progress: &mut Progress,
    round: Round,
    local: &Local,
    entries: Vec<Entry>,
) -> Append {
    let seq = progress.next_seq();
    let last = entries.last().map_or(progress.next, |entry| entry.index);
    let bytes = entries.iter().map(Entry::size).sum();
    let inflight = Inflight { seq, last, bytes, sent_at: local.now };
    let prev = position_before(progress.next, &local.log);
    if progress.state == PeerState::Replicate {
        progress.inflights.push(inflight);
        progress.next = last.next();
    } else {
        progress.probe = Some(inflight);
    }
    finish(progress, round, local, seq, prev, entries)
}

/// An Append without entries. It names what is known to match, so that it fits wherever it
/// overtakes others.
fn append_nothing(progress: &mut Progress, round: Round, local: &Local) -> Append {
    let seq = progress.next_seq();
    let known = if progress.reverted { Index::ZERO } else { progress.matched };
    let prev = local.log.position_at(known).unwrap_or(Position::ZERO);
    finish(progress, round, local, seq, prev, Vec::new())
}

/// An Append without entries that asks whether the logs agree before `next`.
fn probe(progress: &mut Progress, round: Round, local: &Local) -> Append {
    let seq = progress.next_seq();
    let last = progress.next.prev();
    progress.probe = Some(Inflight { seq, last, bytes: 0, sent_at: local.now });
    let prev = position_before(progress.next, &local.log);
    finish(progress, round, local, seq, prev, Vec::new())
}

fn finish(
    progress: &mut Progress,
    round: Round,
    local: &Local,
    seq: u64,
    prev: Position,
    entries: Vec<Entry>,
) -> Append {
    let commit = local.log.committed();
    progress.round_sent = round;
    progress.life_due = false;
    progress.commit_sent = commit;
    Append { seq, round, prev, entries, commit }
}

/// The position that an Append beginning at `next` must name. A member that needs anything before
/// `base` is in another state, so there always is one.
fn position_before(next: Index, log: &Log) -> Position {
    log.position_at(next.prev()).unwrap_or(Position::ZERO)
}

/// The member's log equals ours up to `reply.last`: where to go on.
fn matched_to(progress: &mut Progress, local: &Local, reply: &AppendReply) {
    let (patience, base) = (local.config.min_election_timeout, local.log.base().index);
    let verified = if progress.reverted { reply.last } else { reply.last.max(progress.matched) };
    match (progress.state, progress.probe) {
        (PeerState::Probe, Some(probe)) if reply.last < probe.last => {
            let overtaken = reply.seq > probe.seq;
            if overtaken && progress.is_overdue(probe.sent_at, local.now, patience) {
                progress.become_probe(verified.next(), base);
            }
        }
        // Its commit index is no reason to begin below where the logs were thought to agree.
        (PeerState::Probe, None) if verified.next() < progress.next => {}
        (PeerState::Probe, _) => progress.become_replicate(verified.next(), local.now),
        (PeerState::Replicate, _) => {
            let oldest = progress.inflights.oldest().copied();
            if let Some(oldest) = oldest
                && reply.last < oldest.last
                && reply.seq > oldest.seq
                && progress.is_overdue(oldest.sent_at, local.now, patience)
            {
                progress.become_probe(verified.next(), base);
            }
        }
        (PeerState::NeedsSnapshot, _) => {
            if reply.last >= base {
                progress.become_replicate(verified.next(), local.now);
            }
        }
    }
}

/// The member's log does not hold what an Append named as its predecessor.
fn mismatched(
    progress: &mut Progress,
    local: &mut Local,
    node: NodeId,
    reply: &AppendReply,
    prev: Index,
    hint: Position,
) {
    if prev <= progress.matched && !progress.reverted {
        // Only an Append sent after the match was acknowledged proves that it is lost, however long
        // the log is that it found. Any other refusal is a late one.
        if reply.seq <= progress.matched_seq && !planted(Mutant::LateRefusalObeyed) {
            return;
        }
        let (matched, last) = (progress.matched, reply.last);
        local.outbox.event(Event::Reverted { node, matched, last });
        progress.reverted = true;
        progress.matched_seq = progress.seq;
        if local.config.options.fixed_membership {
            // Such a peer is known by its name only: it may be a new one.
            progress.matched = Index::ZERO;
            progress.reverted = false;
        }
    } else {
        let probed = progress.probe.is_some_and(|probe| probe.seq == reply.seq);
        if !probed && !progress.inflights.contains(reply.seq) {
            return;
        }
    }
    if hint.index < local.log.base().index || prev <= local.log.base().index {
        return needs_snapshot(progress, local, node);
    }
    let agreement = local.log.agreement(hint);
    progress.become_probe(agreement.index.next(), local.log.base().index);
}
