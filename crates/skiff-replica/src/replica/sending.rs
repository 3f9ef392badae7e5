//! Sending snapshots to members that need one: offered, then sent piece by piece, with no more on its way
//! than the receiver has room for. After a cut it goes on where the receiver says.

use std::collections::BTreeMap;

use bytes::Bytes;
use skiff_core::{
    self as core, Instant, Membership, NodeId, Position, StateName,
    mutants::{Mutant, planted},
};
use skiff_storage::SnapshotInfo;
use skiff_transport::{Body, Got, Offer, Progress, SnapshotPiece};

use super::{Phase, Replica};
use crate::{event::Event, job::Job, status::TransferStatus};

/// Who says nothing for so many longest election timeouts is offered the snapshot anew.
const SILENCE: u64 = 2;
/// Who has said nothing for so many of them is given up.
const PATIENCE: u64 = 40;

/// The snapshots that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    under_way: BTreeMap<NodeId, Transfer>,
    number: u64,
}

#[derive(Debug)]
struct Transfer {
    number: u64,
    info: SnapshotInfo,
    /// The members by now, for a receiver that belongs to no cluster yet.
    admits: Option<Membership>,
    /// Nobody leads the receiver that it is for: it is fresh, or its log has holes.
    is_asked: bool,
    /// How far the receiver has it; `None` until it has said so.
    kept: Option<u64>,
    /// What is sent next.
    next: u64,
    /// It is being read.
    reads: bool,
    /// When the receiver last said something that is new.
    heard: Instant,
    /// When to offer it again.
    offer_at: Instant,
    /// When the next piece may leave, and whether it waits for that.
    piece_at: Instant,
    is_held: bool,
}

impl Transfers {
    /// Those that are on their way.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.under_way.values().map(|transfer| transfer.info.meta.position)
    }

    /// Names a transfer, or whatever else reads a snapshot.
    pub(super) const fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// How they stand.
    pub(super) fn list(&self) -> impl Iterator<Item = TransferStatus> {
        self.under_way.iter().map(|(node, transfer)| {
            let (kept, info) = (transfer.kept.unwrap_or(0), &transfer.info);
            let (position, size) = (info.meta.position, info.size);
            TransferStatus { node: *node, position, kept, size }
        })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = |transfer: &Transfer| {
            let piece_at = Some(transfer.piece_at).filter(|_| transfer.is_held);
            transfer.offer_at.min(piece_at.unwrap_or(transfer.offer_at))
        };
        self.under_way.values().map(due).min()
    }
}

impl Transfer {
    const fn has_more(&self) -> bool {
        self.next < self.info.size
    }
}

impl Replica {
    /// The core wants a snapshot sent.
    pub(super) fn send_snapshot(&mut self, to: NodeId, position: Position) {
        let Phase::Member(member) = &self.phase else { return };
        let info = member.shelf.newest.clone();
        if info.meta.position != position {
            return self.transfer_ended(to, position, false);
        }
        self.begin_transfer(to, info, (None, false));
    }

    /// Gives the newest snapshot to a node that does not follow anybody yet: a fresh one that is a member
    /// by these, or one whose log lacks what is compacted here.
    pub(super) fn supply(&mut self, to: NodeId, admits: Option<Membership>) {
        let now = self.now;
        if let Some(transfer) = self.transfers.under_way.get_mut(&to) {
            if transfer.admits != admits {
                (transfer.admits, transfer.offer_at) = (admits, now);
                self.tend_transfers();
            }
            return;
        }
        let info = match &self.phase {
            Phase::Member(member) => member.shelf.newest.clone(),
            Phase::Mending(mending) => mending.snapshot.clone(),
            Phase::Fresh | Phase::Entering(_) | Phase::Removed => return,
        };
        self.begin_transfer(to, info, (admits, true));
    }

    fn begin_transfer(
        &mut self,
        to: NodeId,
        info: SnapshotInfo,
        (admits, is_asked): (Option<Membership>, bool),
    ) {
        let position = info.meta.position;
        let (number, now) = (self.transfers.next_number(), self.now);
        let transfer = Transfer {
            number,
            info,
            admits,
            is_asked,
            kept: None,
            next: 0,
            reads: false,
            heard: now,
            offer_at: now,
            piece_at: now,
            is_held: false,
        };
        self.transfers.under_way.insert(to, transfer);
        self.tell(Event::SnapshotSending { node: to, position });
        self.tend_transfers();
    }

    /// Offers what is to be offered, and sends what may be sent.
    pub(super) fn tend_transfers(&mut self) {
        let nodes: Vec<NodeId> = self.transfers.under_way.keys().copied().collect();
        for node in nodes {
            self.tend_transfer(node);
        }
    }

    fn tend_transfer(&mut self, node: NodeId) {
        let (now, patience) = (self.now, self.settings.core.max_election_timeout);
        let Some(transfer) = self.transfers.under_way.get_mut(&node) else { return };
        let position = transfer.info.meta.position;
        if now >= transfer.heard.after(PATIENCE * patience) {
            self.transfers.under_way.remove(&node);
            let reason = format!("{node} has not answered for a long time");
            self.tell(Event::SnapshotAborted { position, reason });
            return self.transfer_ended(node, position, false);
        }
        if now >= transfer.offer_at {
            transfer.offer_at = now.after(SILENCE * patience);
            transfer.kept = None;
            let offer = offer(transfer.number, &transfer.info, transfer.admits.clone());
            if let Some(link) = self.links.path(node) {
                self.send(link, Body::Offer(Box::new(offer)));
            }
        }
        self.read_on(node);
    }

    /// Reads the next piece, if it may be sent.
    fn read_on(&mut self, node: NodeId) {
        let (now, settings) = (self.now, &self.settings.snapshots);
        let Some(transfer) = self.transfers.under_way.get_mut(&node) else { return };
        transfer.is_held = false;
        let Some(kept) = transfer.kept else { return };
        let is_full = transfer.next - kept.min(transfer.next) >= settings.window_bytes;
        let may_read = !is_full && !transfer.reads && transfer.has_more();
        transfer.is_held = may_read && now < transfer.piece_at;
        if !may_read || transfer.is_held {
            return;
        }
        transfer.reads = true;
        let (transfer, position, offset) =
            (transfer.number, transfer.info.meta.position, transfer.next);
        let bytes_max = settings.piece_bytes;
        self.jobs.push_back(Job::ReadPiece { transfer, position, offset, bytes_max });
    }

    /// A piece was read.
    pub(super) fn piece_read(&mut self, number: u64, offset: u64, result: Result<Bytes, String>) {
        if self.copy_read(number, &result) {
            return;
        }
        let now = self.now;
        let mut all = self.transfers.under_way.iter_mut();
        let Some((node, transfer)) = all.find(|(_, transfer)| transfer.number == number) else {
            return;
        };
        let (node, position) = (*node, transfer.info.meta.position);
        transfer.reads = false;
        let bytes = match result {
            Ok(bytes) if !bytes.is_empty() => bytes,
            result => {
                let reason = result.err().unwrap_or_else(|| "it is too short".to_owned());
                self.transfers.under_way.remove(&node);
                self.tell(Event::SnapshotAborted { position, reason });
                return self.transfer_ended(node, position, false);
            }
        };
        // The receiver may have asked for another meanwhile.
        if transfer.next == offset && transfer.kept.is_some() {
            let length = bytes.len() as u64;
            transfer.next += length;
            if let Some(rate) = self.settings.snapshots.rate {
                let pause = length.saturating_mul(1_000_000_000) / rate.max(1);
                transfer.piece_at = transfer.piece_at.max(now).after(pause);
            }
            let piece = SnapshotPiece { transfer: number, offset, bytes };
            if let Some(link) = self.links.path(node) {
                self.send(link, Body::Piece(Box::new(piece)));
            }
        }
        self.read_on(node);
    }

    /// A receiver tells how far it is.
    pub(super) fn got(&mut self, node: NodeId, got: Got) {
        let (now, patience) = (self.now, self.settings.core.max_election_timeout);
        let Some(transfer) = self.transfers.under_way.get_mut(&node) else { return };
        if transfer.number != got.transfer || got.kept > transfer.info.size {
            return;
        }
        let position = transfer.info.meta.position;
        match got.progress {
            Progress::Going | Progress::Gap => {
                let is_first = transfer.kept.is_none();
                let is_news = is_first || transfer.kept < Some(got.kept);
                let resumes = is_first || got.progress == Progress::Gap;
                if resumes && !planted(Mutant::ResumesWhereItWas) {
                    transfer.next = got.kept;
                }
                transfer.kept = transfer.kept.max(Some(got.kept));
                if is_news {
                    (transfer.heard, transfer.offer_at) = (now, now.after(SILENCE * patience));
                }
                self.read_on(node);
            }
            Progress::Done => {
                self.transfers.under_way.remove(&node);
                self.tell(Event::SnapshotSent { node, position });
                self.transfer_ended(node, position, true);
            }
            Progress::Refused | Progress::Failed => {
                self.transfers.under_way.remove(&node);
                let reason = format!("{node} does not take it");
                self.tell(Event::SnapshotAborted { position, reason });
                self.transfer_ended(node, position, false);
            }
        }
    }

    fn transfer_ended(&mut self, node: NodeId, position: Position, arrived: bool) {
        self.step_core(core::Input::SnapshotSent { node, position, arrived });
        self.grant_wishes(false);
    }

    /// Only who leads sends snapshots, but for those that do not follow anybody yet.
    pub(super) fn end_transfers(&mut self, state: StateName) {
        if state != StateName::Leader {
            self.transfers.under_way.retain(|_, transfer| transfer.is_asked);
            self.grant_wishes(false);
        }
    }

    /// There is a connection to this node again, or a new one: what was on its way may be lost.
    pub(super) fn offer_again(&mut self, node: NodeId) {
        if let Some(transfer) = self.transfers.under_way.get_mut(&node) {
            transfer.offer_at = self.now;
            self.tend_transfer(node);
        }
    }
}

pub(super) fn offer(transfer: u64, info: &SnapshotInfo, admits: Option<Membership>) -> Offer {
    let SnapshotInfo { meta, size, checksum } = info.clone();
    Offer {
        transfer,
        position: meta.position,
        time: meta.time,
        membership: meta.membership,
        terms: meta.terms,
        machine_version: meta.machine_version,
        codec: meta.codec,
        size,
        checksum,
        admits,
    }
}
