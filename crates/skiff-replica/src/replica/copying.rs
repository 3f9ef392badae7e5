//! Snapshots on request, and copies of them for whoever backs the cluster up: asked for piece by piece, so
//! that whoever asks takes no more than it has room for.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use skiff_core::{
    self as core, Index, Instant, Position, Token,
    mutants::{Mutant, planted},
};
use skiff_storage::SnapshotInfo;
use skiff_transport::{Body, wire};

use super::{Phase, Replica, sending::offer};
use crate::{
    calls::{Copy, Stage},
    job::Job,
    refused::Refused,
    snapshot_error::NoSnapshot,
    taken::Taken,
};

/// The file of a copy that nobody asked for in so many longest election timeouts may go.
const PATIENCE: u64 = 40;
/// A piece of a copy is never longer.
const PIECE_MAX: usize = 1 << 20;

/// Who waits for a snapshot, and which are being copied.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    wishes: Vec<Wish>,
    /// Snapshots whose files stay, each until an instant.
    pins: BTreeMap<Index, Pin>,
    /// Pieces that are being read, by the number of the read.
    reads: BTreeMap<u64, Token>,
}

/// Somebody waits for a snapshot.
#[derive(Clone, Copy, Debug)]
struct Wish {
    token: Token,
    /// It must cover everything up to here.
    upto: Index,
    /// It is to be copied.
    is_copied: bool,
}

#[derive(Debug)]
struct Pin {
    info: SnapshotInfo,
    until: Instant,
}

impl Copies {
    /// Those whose files must stay.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        let pins = self.pins.values().filter(|_| !planted(Mutant::BackupLosesItsFile));
        pins.map(|pin| pin.info.meta.position)
    }

    /// When the next file may go, if somebody waits for that.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pins.values().map(|pin| pin.until).min().filter(|_| !self.wishes.is_empty())
    }
}

impl Replica {
    /// Somebody wants a snapshot that holds all that this node's machine was handed.
    pub(super) fn ask_for_snapshot(&mut self, token: Token) {
        match &self.phase {
            Phase::Member(member) => {
                // A caller may have had its answer before the machine's word of it came here.
                let handed = member.raft.snapshot_point();
                let newest = member.raft.snapshot().index;
                let upto = handed.map_or(newest, |point| point.position.index);
                // Nor may it lack what a machine that is durable by itself has kept over a restart.
                let upto = upto.max(member.marks.stored());
                let upto = if planted(Mutant::OldSnapshotAnswers) { newest } else { upto };
                self.await_snapshot(token, upto, false);
            }
            _ => self.refuse_snapshot(token),
        }
    }

    /// Somebody wants a copy of a snapshot, or a piece of one.
    pub(super) fn ask_for_copy(&mut self, token: Token, copy: Copy) {
        let Phase::Member(member) = &self.phase else { return self.refuse_snapshot(token) };
        if copy.position.is_some() {
            return self.copy_piece(token, copy);
        }
        if planted(Mutant::BackupWithoutRound) {
            let applied = member.applied;
            return self.await_snapshot(token, applied, true);
        }
        // What was acknowledged to anybody must be in it, so a leader is asked as for a read.
        self.calls.advance(token, Stage::Covering);
        self.step_core(core::Input::Read { token });
    }

    fn refuse_snapshot(&mut self, token: Token) {
        let (why, message) = match &self.phase {
            Phase::Mending(_) => (
                NoSnapshot::Mending,
                "the log of this node has holes, which the other members fill: ask another member",
            ),
            _ => (
                NoSnapshot::NotMember,
                "this node is no member of a cluster, so it has nothing to take a snapshot of",
            ),
        };
        self.refuse(token, Refused::NoSnapshot { why, message: message.to_owned() });
    }

    /// Somebody waits for a snapshot that covers everything up to `upto`. One that is being taken will do
    /// if it does.
    pub(super) fn await_snapshot(&mut self, token: Token, upto: Index, is_copied: bool) {
        self.calls.advance(token, Stage::Snapshot);
        self.copies.wishes.push(Wish { token, upto, is_copied });
        self.grant_wishes(true);
    }

    /// Answers those whose snapshot is there, and has one taken if others are left.
    pub(super) fn grant_wishes(&mut self, was_there: bool) {
        if self.copies.wishes.is_empty() {
            return;
        }
        let Phase::Member(member) = &self.phase else { return };
        let newest = member.shelf.newest.clone();
        let (position, size) = (newest.meta.position, newest.size);
        for wish in std::mem::take(&mut self.copies.wishes) {
            if !matches!(self.calls.stage(wish.token), Some(Stage::Snapshot)) {
                continue; // Its caller is gone.
            }
            if wish.upto > position.index {
                self.copies.wishes.push(wish);
            } else if wish.is_copied {
                let offer = wire_offer(self, &newest);
                self.pin(newest.clone());
                self.respond(wish.token, offer);
            } else {
                self.respond(wish.token, Taken::new(position, size, was_there).encode());
            }
        }
        if !self.copies.wishes.is_empty() {
            self.take_snapshot(true);
        }
    }

    /// The snapshot that somebody waits for could not be taken.
    pub(super) fn refuse_wishes(&mut self, reason: &str) {
        for wish in std::mem::take(&mut self.copies.wishes) {
            if matches!(self.calls.stage(wish.token), Some(Stage::Snapshot)) {
                let why = NoSnapshot::Failed;
                let message = format!("the snapshot could not be taken: {reason}");
                self.refuse(wish.token, Refused::NoSnapshot { why, message });
            }
        }
    }

    fn pin(&mut self, info: SnapshotInfo) {
        let until = self.now.after(PATIENCE * self.settings.core.max_election_timeout);
        self.copies.pins.insert(info.meta.position.index, Pin { info, until });
    }

    /// Files that nobody has asked for in a long time may go.
    pub(super) fn tend_copies(&mut self) {
        let (now, before) = (self.now, self.copies.pins.len());
        self.copies.pins.retain(|_, pin| now < pin.until);
        if self.copies.pins.len() < before {
            self.grant_wishes(false);
        }
    }

    fn copy_piece(&mut self, token: Token, copy: Copy) {
        let Phase::Member(member) = &self.phase else { return };
        let position = copy.position.unwrap_or_default();
        let newest = Some(&member.shelf.newest).filter(|one| one.meta.position == position);
        let pinned = self.copies.pins.get(&position.index).map(|pin| &pin.info);
        let pinned = pinned.filter(|info| info.meta.position == position);
        // Whoever was away for long may go on, and so may whoever asked before a restart.
        let Some(info) = pinned.or(newest).cloned() else {
            let message = format!("the snapshot of {position} is not there any more: begin again");
            let why = NoSnapshot::Gone;
            return self.refuse(token, Refused::NoSnapshot { why, message });
        };
        let is_over = copy.offset >= info.size;
        self.pin(info);
        if is_over {
            return self.respond(token, Bytes::new());
        }
        let transfer = self.transfers.next_number();
        self.copies.reads.insert(transfer, token);
        self.calls.advance(token, Stage::Responding);
        let asked = usize::try_from(copy.bytes_max).unwrap_or(usize::MAX);
        let bytes_max = asked.clamp(1, PIECE_MAX);
        let offset = copy.offset;
        self.jobs.push_back(Job::ReadPiece { transfer, position, offset, bytes_max });
    }

    /// A piece was read. Whether it was one of a copy.
    pub(super) fn copy_read(&mut self, number: u64, result: &Result<Bytes, String>) -> bool {
        let Some(token) = self.copies.reads.remove(&number) else { return false };
        match result {
            Ok(bytes) if !bytes.is_empty() => self.respond(token, bytes.clone()),
            Ok(_) => self.refuse_piece(token, "it is too short"),
            Err(reason) => self.refuse_piece(token, reason),
        }
        self.calls.responded(token);
        true
    }

    fn refuse_piece(&mut self, token: Token, reason: &str) {
        let message = format!("the snapshot cannot be read: {reason}");
        self.refuse(token, Refused::NoSnapshot { why: NoSnapshot::Failed, message });
    }
}

/// What a snapshot is, as it is told to whoever copies it: an envelope with an offer.
fn wire_offer(replica: &Replica, info: &SnapshotInfo) -> Bytes {
    let body = Body::Offer(Box::new(offer(0, info, None)));
    let mut out = BytesMut::new();
    wire::encode(&replica.envelope(skiff_core::NodeId::default(), body), &mut out);
    out.freeze()
}
