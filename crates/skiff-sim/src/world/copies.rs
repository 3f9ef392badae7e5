//! What operators want of the nodes' snapshots: that one is taken now, and that a copy of one is given to
//! whoever makes a backup, piece by piece.

use bytes::Bytes;
use skiff_replica::{
    Call, Index, Instant, NoSnapshot, Refused, Taken,
    storage::{SnapshotInfo, SnapshotMeta, SnapshotStore},
    transport::{Body, wire},
};
use skiff_wal::{
    backup::{Backup, BackupWriter},
    disk::sim::SimDisk,
};

use super::{Step, World, clients::Answer, orders::Order, queue::Event};
use crate::{
    plan::{MS, SECOND},
    workload::Workload,
};

/// How long whoever asks waits for each answer.
const PATIENCE: u64 = 2 * SECOND;
/// For so long a node keeps what it has begun to give.
const PINNED: u64 = 10 * SECOND;
/// Whoever makes a backup gives up after so many refusals.
const TRIES_MAX: u32 = 8;

/// A backup that somebody makes.
#[derive(Clone, Debug)]
pub(crate) struct Copying {
    node: usize,
    /// The newest entry known to be committed when it was asked for.
    floor: Index,
    /// So many bytes are asked for at once.
    piece: u32,
    /// Which snapshot it is a copy of.
    info: Option<SnapshotInfo>,
    content: Vec<u8>,
    tries: u32,
    /// When the node last gave something, by its clock, and in which of its lives.
    given: (Instant, u32),
}

impl<W: Workload> World<'_, '_, W> {
    /// An operator wants a snapshot of what a node has applied.
    pub(super) fn ask_for_snapshot(&mut self, node: usize) -> Step {
        let process = self.nodes[node].process.as_ref();
        let floor = process.map(|process| process.applier.applied()).unwrap_or_default();
        self.order(node, Order::Snapshot { floor }, Call::Snapshot, PATIENCE).map(drop)
    }

    /// Whoever wanted a snapshot is told what it is, or why there is none.
    pub(super) fn snapshot_answered(&mut self, node: usize, floor: Index, answer: Answer) -> Step {
        let Answer::Response(told) = answer else {
            self.reached.snapshots_denied += 1;
            return Ok(());
        };
        let taken = Taken::decode(&told).map_err(|e| self.failure("backups", e.to_string()))?;
        self.reached.snapshots_asked += u64::from(!taken.was_there);
        self.reached.snapshots_known += u64::from(taken.was_there);
        self.judges.covers(floor, taken.index)?;
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        if self.nodes[node].is_damaged || self.nodes[node].may_stop {
            return Ok(());
        }
        let positions = process.snapshots.positions().unwrap_or_default();
        let is_there = positions.last().is_some_and(|last| last.index >= taken.index);
        if !is_there {
            let text = format!("n{node} says that it has {taken:?}; there are {positions:?}");
            return Err(self.failure("backups", text));
        }
        Ok(())
    }

    /// An operator begins to make a backup of what a node gives.
    pub(super) fn begin_copy(&mut self, node: usize, piece: u32) -> Step {
        let floor = self.judges.newest().index;
        let (info, content, tries) = (None, Vec::new(), 0);
        let given = (self.nodes[node].clock.shows(self.now), self.nodes[node].run);
        self.copies.push(Copying { node, floor, piece, info, content, tries, given });
        self.copy_on(self.copies.len() - 1)
    }

    /// Asks for the next piece. Nobody makes backups once the faults have ended.
    pub(super) fn copy_on(&mut self, number: usize) -> Step {
        if self.calm {
            return Ok(());
        }
        let Copying { node, piece: bytes_max, info, content, .. } = &self.copies[number];
        let position = info.as_ref().map(|info| info.meta.position);
        let call = Call::Backup { position, offset: content.len() as u64, bytes_max: *bytes_max };
        let asked = self.order(*node, Order::Copy(number), call, PATIENCE)?;
        if asked.is_none() {
            self.copy_later(number);
        }
        Ok(())
    }

    /// Whoever makes a backup tries again after a while, or gives up.
    pub(super) fn copy_later(&mut self, number: usize) {
        let copying = &mut self.copies[number];
        copying.tries += 1;
        if copying.tries > TRIES_MAX {
            self.reached.snapshots_denied += 1;
            return;
        }
        let at = self.now + self.random.client.u64(MS..300 * MS);
        self.queue.push(at, 0, 0, Event::CopyOn(number));
    }

    /// Whoever makes a backup is given something, or told why not.
    pub(super) fn copy_answered(&mut self, number: usize, answer: Answer) -> Step {
        match answer {
            Answer::Response(told) if self.copies[number].info.is_none() => {
                self.copy_begins(number, told)?;
            }
            Answer::Response(piece) => self.copies[number].content.extend_from_slice(&piece),
            Answer::Refused(refused) => {
                let has_begun = self.copies[number].info.is_some();
                let (gone, failed) = (NoSnapshot::Gone, NoSnapshot::Failed);
                if let Refused::NoSnapshot { why, .. } = refused
                    && (why == gone || (why == failed && has_begun))
                {
                    self.may_be_gone(number)?;
                    (self.copies[number].info, self.copies[number].content) = (None, Vec::new());
                }
                self.copy_later(number);
                return Ok(());
            }
        }
        let giver = &self.nodes[self.copies[number].node];
        self.copies[number].given = (giver.clock.shows(self.now), giver.run);
        let Copying { info, content, .. } = &self.copies[number];
        if info.as_ref().is_some_and(|info| content.len() as u64 >= info.size) {
            return self.copy_ends(number);
        }
        let at = self.now + self.random.client.u64(0..2 * MS);
        self.queue.push(at, 0, 0, Event::CopyOn(number));
        Ok(())
    }

    /// A node does not have the rest of a backup any more: not while it runs on and is asked again and again.
    fn may_be_gone(&self, number: usize) -> Step {
        let Copying { node, given: (at, run), .. } = self.copies[number];
        let giver = &self.nodes[node];
        // Whoever cannot read what it has says so too.
        let is_sound = !giver.may_stop && !giver.is_damaged && !self.judges.lenient;
        if !is_sound || giver.clock.shows(self.now).since(at) > PINNED || run != giver.run {
            return Ok(());
        }
        Err(self.failure("backups", format!("n{node} has lost the rest of a backup")))
    }

    /// A node tells of which snapshot it gives a copy.
    fn copy_begins(&mut self, number: usize, told: Bytes) -> Step {
        let node = self.copies[number].node;
        let envelope = wire::decode(told).map_err(|e| self.failure("wire", e.to_string()))?;
        let Body::Offer(offer) = envelope.body else {
            let text = format!("asked for a backup, n{node} says {:?}", envelope.body);
            return Err(self.failure("backups", text));
        };
        self.judges.covers(self.copies[number].floor, offer.position.index)?;
        let process = self.nodes[node].process.as_ref();
        let instance = process.and_then(|process| process.replica.identity().instance);
        let meta = SnapshotMeta {
            instance: instance.unwrap_or_default(),
            position: offer.position,
            time: offer.time,
            membership: offer.membership,
            terms: offer.terms,
            machine_version: offer.machine_version,
            codec: offer.codec,
        };
        let (size, checksum) = (offer.size, offer.checksum);
        self.copies[number].info = Some(SnapshotInfo { meta, size, checksum });
        Ok(())
    }

    /// All of it is there: it must be whole, hold what was applied up to its end, and be enough for a new
    /// instance of the cluster to begin with.
    fn copy_ends(&mut self, number: usize) -> Step {
        let Copying { node, info, content, tries, .. } = self.copies[number].clone();
        let Some(info) = info else { return Ok(()) };
        let disk = SimDisk::new();
        let write = || {
            let mut writer = BackupWriter::on(disk.clone(), "backup", "sim", &info)?;
            writer.write(&content)?;
            writer.finish()?;
            Backup::of(disk.clone(), "backup")
        };
        let backup = match write() {
            Ok(backup) => backup,
            // What rots is found out, and more cannot be asked for.
            Err(_) if self.nodes[node].is_damaged || self.judges.lenient => {
                self.reached.snapshots_denied += 1;
                return Ok(());
            }
            Err(error) => {
                return Err(self.failure("backups", format!("n{node} gave this: {error}")));
            }
        };
        let at = info.meta.position;
        if self.judges.lenient {
            return Ok(());
        }
        if self.workload.is_canonical()
            && let Some(applied) = self.comes_to(at.index, true)?
        {
            self.judges.holds(at, &content, &applied)?;
        }
        let restored = self.begin_with(node, &backup, &content);
        restored.map_err(|text| {
            self.failure("backups", format!("restored from a backup at {at}: {text}"))
        })?;
        self.reached.backups += 1;
        self.reached.backups_resumed += u64::from(tries > 0);
        Ok(())
    }
}
