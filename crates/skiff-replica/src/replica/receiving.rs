//! Receiving a snapshot: kept piece by piece beside what there is, verified as a whole, and only then
//! told to the core. Until then nothing of the old state is touched.

use std::sync::Arc;

use skiff_core::{
    self as core, Instant, NodeId, Position,
    mutants::{Mutant, planted},
};
use skiff_storage::{InstanceId, SnapshotInfo, SnapshotMeta};
use skiff_transport::{Body, Got, Offer, Progress, SnapshotPiece};

use super::{Phase, Replica};
use crate::{
    error::ReplicaError,
    event::Event,
    input::NotKept,
    job::{Job, LinkId},
    pieces::Piece,
    status::TransferStatus,
};

/// Who sends nothing for so many longest election timeouts makes room for another.
const PATIENCE: u64 = 20;

/// A snapshot that comes.
#[derive(Debug)]
pub(crate) struct Receiving {
    from: NodeId,
    transfer: u64,
    info: Arc<SnapshotInfo>,
    /// So many bytes were given to the store.
    given: u64,
    /// So many it has kept.
    kept: u64,
    /// It was told that there is a gap here.
    gap_told: Option<u64>,
    heard: Instant,
}

impl Receiving {
    /// When its sender was last heard.
    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    /// How it stands.
    pub(super) fn status(&self) -> TransferStatus {
        let (position, size) = (self.info.meta.position, self.info.size);
        TransferStatus { node: self.from, position, kept: self.kept, size }
    }

    fn is_of(&self, info: &SnapshotInfo) -> bool {
        *self.info == *info
    }
}

impl Replica {
    /// A member offers a snapshot.
    pub(super) fn offered(&mut self, link: LinkId, from: NodeId, offer: Offer) {
        let transfer = offer.transfer;
        let admits = offer.admits.as_ref().is_some_and(|all| all.contains(self.identity.node));
        let info = self.info_of(link, offer);
        let (now, patience) = (self.now, PATIENCE * self.settings.core.max_election_timeout);
        if let Some(receiving) = self.receiving.as_mut().filter(|one| one.is_of(&info)) {
            (receiving.from, receiving.transfer, receiving.heard) = (from, transfer, now);
            receiving.gap_told = None;
            let kept = receiving.given;
            return self.tell_got(link, transfer, kept, Progress::Going);
        }
        let position = info.meta.position;
        if !self.wants(&info.meta, admits) {
            return self.tell_got(link, transfer, 0, Progress::Refused);
        }
        // A leader knows what it does, and who led before sends nothing more. Others, who do not know of each
        // other, have each another.
        let leader = self.raft().and_then(core::Raft::leader);
        let is_better = |one: &Receiving| {
            let is_newer = position.index > one.info.meta.position.index
                || (one.from != from && !planted(Mutant::ExpectsOldSender));
            (leader == Some(from) && is_newer) || now.since(one.heard) > patience
        };
        if self.receiving.as_ref().is_some_and(|one| !is_better(one)) {
            return self.tell_got(link, transfer, 0, Progress::Refused);
        }
        if let Err(reason) = self.judge_format(info.meta.machine_version, &info.meta.codec) {
            self.tell(Event::SnapshotAborted { position, reason });
            return self.tell_got(link, transfer, 0, Progress::Refused);
        }
        self.stop_receiving("another one comes");
        let is_empty = info.size == 0;
        self.tell(Event::SnapshotReceiving { from, position, size: info.size });
        let (given, kept, gap_told, heard) = (0, 0, None, now);
        let info = Arc::new(info);
        self.receiving = Some(Receiving { from, transfer, info, given, kept, gap_told, heard });
        if is_empty {
            let piece = SnapshotPiece { transfer, offset: 0, bytes: bytes::Bytes::new() };
            return self.keep_piece(piece);
        }
        self.tell_got(link, transfer, 0, Progress::Going);
    }

    fn info_of(&self, link: LinkId, offer: Offer) -> SnapshotInfo {
        let said = self.links.peer(link).and_then(|peer| peer.hello.instance).map(InstanceId);
        let meta = SnapshotMeta {
            // Whoever belongs to no cluster yet comes to that of the sender.
            instance: self.identity.instance.or(said).unwrap_or_default(),
            position: offer.position,
            time: offer.time,
            membership: offer.membership,
            terms: offer.terms,
            machine_version: offer.machine_version,
            codec: offer.codec,
        };
        SnapshotInfo { meta, size: offer.size, checksum: offer.checksum }
    }

    /// Whether a snapshot would bring this node further.
    fn wants(&self, meta: &SnapshotMeta, admits: bool) -> bool {
        let member = match &self.phase {
            Phase::Member(member) => member,
            Phase::Fresh => return admits,
            Phase::Mending(mending) => return mending.is_covered_by(meta.position),
            Phase::Entering(_) | Phase::Removed => return false,
        };
        let known = member.raft.committed().max(member.raft.snapshot().index);
        let is_newer = meta.position.index > known;
        // One that is being taken here has the same name.
        let is_taken = member.shelf.taking() == Some(meta.position);
        let is_known = meta.position.term <= member.raft.term();
        is_newer && is_known && !is_taken && !member.raft.is_leader()
    }

    /// A piece of it comes.
    pub(super) fn piece(&mut self, link: LinkId, from: NodeId, piece: SnapshotPiece) {
        let now = self.now;
        let Some(receiving) = &mut self.receiving else { return };
        if (receiving.from, receiving.transfer) != (from, piece.transfer) {
            return;
        }
        receiving.heard = now;
        let (given, size) = (receiving.given, receiving.info.size);
        let left = size - given;
        let is_next = piece.offset == given || planted(Mutant::PiecesAnywhere);
        let fits = !piece.bytes.is_empty() && piece.bytes.len() as u64 <= left;
        if is_next && fits {
            return self.keep_piece(piece);
        }
        let is_gap = piece.offset > given && receiving.gap_told != Some(given);
        if is_gap {
            receiving.gap_told = Some(given);
            self.tell_got(link, piece.transfer, given, Progress::Gap);
        }
    }

    fn keep_piece(&mut self, piece: SnapshotPiece) {
        let Some(receiving) = &mut self.receiving else { return };
        let (info, offset) = (Arc::clone(&receiving.info), receiving.given);
        receiving.given += piece.bytes.len() as u64;
        self.jobs.push_back(Job::KeepPiece(Piece { info, offset, bytes: piece.bytes }));
    }

    /// The store has kept a piece, or has not.
    pub(super) fn piece_kept(
        &mut self,
        position: Position,
        upto: u64,
        result: Result<(), NotKept>,
    ) {
        let Some(receiving) =
            self.receiving.as_mut().filter(|one| one.info.meta.position == position)
        else {
            return;
        };
        let (from, transfer, size) = (receiving.from, receiving.transfer, receiving.info.size);
        let progress = match result {
            Ok(()) if upto < size => {
                receiving.kept = receiving.kept.max(upto);
                Progress::Going
            }
            Ok(()) => {
                self.received();
                Progress::Done
            }
            Err(NotKept { recoverable: true, reason }) => {
                self.stop_receiving(&reason);
                Progress::Failed
            }
            Err(NotKept { reason, .. }) => {
                return self.fail(ReplicaError::Store { reason, damaged: false });
            }
        };
        if let Some(link) = self.links.path(from) {
            self.tell_got(link, transfer, upto, progress);
        }
    }

    /// All of it is durable, and verified.
    fn received(&mut self) {
        let Some(Receiving { info, .. }) = self.receiving.take() else { return };
        match &self.phase {
            Phase::Fresh => return self.arrive(SnapshotInfo::clone(&info)),
            Phase::Mending(_) => return self.covered(SnapshotInfo::clone(&info)),
            Phase::Member(_) | Phase::Entering(_) | Phase::Removed => {}
        }
        let SnapshotMeta { position, membership, time, terms, .. } = info.meta.clone();
        if let Phase::Member(member) = &mut self.phase {
            member.shelf.has(SnapshotInfo::clone(&info));
            member.learn_time(time);
        }
        self.step_core(core::Input::SnapshotReceived { position, membership, time, terms });
    }

    /// What has come so far is given up.
    pub(super) fn stop_receiving(&mut self, reason: &str) {
        let Some(receiving) = self.receiving.take() else { return };
        let position = receiving.info.meta.position;
        self.jobs.push_back(Job::ForgetPieces);
        self.tell(Event::SnapshotAborted { position, reason: reason.to_owned() });
    }

    fn tell_got(&mut self, link: LinkId, transfer: u64, kept: u64, progress: Progress) {
        self.send(link, Body::Got(Box::new(Got { transfer, kept, progress })));
    }
}
