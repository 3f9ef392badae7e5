//! Snapshots: what a node's disk and machine do for them.

use bytes::Bytes;
use skiff_replica::{
    Input, Job, NotKept, Piece, Position, Snapshots,
    core::NodeId,
    read_piece, restore_snapshot,
    storage::{SnapshotMeta, SnapshotStore, measure},
};

use super::{Step, World, node::Process, queue::Event};
use crate::{
    failure::{Failure, must},
    workload::Workload,
};

/// So many bytes of a snapshot are written at once.
const WRITTEN: usize = 700;

/// Something the disk does for snapshots, one after the other, beside the log.
#[derive(Clone, Debug)]
pub(crate) enum SnapshotJob {
    Keep(Piece),
    Forget,
    Write { meta: Box<SnapshotMeta>, content: Bytes },
}

impl<M: Snapshots> Process<M> {
    /// Does a job of the disk for snapshots.
    pub(crate) fn work_on_snapshot(&mut self, job: &SnapshotJob) -> Option<Input> {
        match job {
            SnapshotJob::Keep(piece) => {
                let position = piece.info.meta.position;
                let upto = piece.offset + piece.bytes.len() as u64;
                let result = self.incoming.keep(&self.snapshots, piece);
                Some(Input::PieceKept { position, upto, result })
            }
            SnapshotJob::Forget => {
                self.incoming.forget();
                None
            }
            SnapshotJob::Write { meta, content } => {
                let written = || {
                    let mut sink = self.snapshots.create(meta)?;
                    content.chunks(WRITTEN).try_for_each(|piece| sink.write(piece))?;
                    sink.finish(None)
                };
                let result = written().map(Box::new).map_err(NotKept::from);
                Some(Input::SnapshotTaken { position: meta.position, result })
            }
        }
    }
}

impl<W: Workload> World<'_, '_, W> {
    pub(super) fn snapshot_job(&mut self, node: usize, job: Job) -> Step {
        match job {
            Job::KeepPiece(piece) => self.give_to_snapshots(node, SnapshotJob::Keep(piece)),
            Job::ForgetPieces => self.give_to_snapshots(node, SnapshotJob::Forget),
            Job::ReadPiece { transfer, position, offset, bytes_max } => {
                let at = self.now + self.read_time(node);
                let run = self.nodes[node].run;
                if let Some(process) = &mut self.nodes[node].process {
                    process.reads.push((transfer, position, offset, bytes_max));
                }
                self.queue.push(at, node, run, Event::PieceRead(transfer, offset));
            }
            _ => {}
        }
        Ok(())
    }

    /// A node offers a snapshot: for the first time, or once more on its way.
    pub(super) fn note_offer(&mut self, node: usize, transfer: u64) {
        let state = &mut self.nodes[node];
        let offer = (state.run, transfer);
        self.reached.snapshots_resumed += u64::from(state.offered == offer);
        state.offered = offer;
    }

    fn give_to_snapshots(&mut self, node: usize, job: SnapshotJob) {
        // As with old entries: what stays slow when faults have ended is slow at the log.
        let at = self.now + self.read_time(node);
        let state = &mut self.nodes[node];
        let Some(process) = &mut state.process else { return };
        process.snapshot_jobs.push_back(job);
        if process.snapshot_jobs.len() == 1 {
            self.queue.push(at, node, state.run, Event::SnapshotDone);
        }
    }

    pub(super) fn snapshot_done(&mut self, node: usize) -> Step {
        self.watch_disk(node);
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let Some(job) = process.snapshot_jobs.pop_front() else { return Ok(()) };
        let input = process.work_on_snapshot(&job);
        self.judge_pieces(node, &job)?;
        let durable = input.as_ref().and_then(|input| durable(&job, input));
        if self.watch_snapshot(node, durable.map(|position| position.index)) {
            return Ok(());
        }
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        if !process.snapshot_jobs.is_empty() {
            let (at, run) = (self.now + self.read_time(node), self.nodes[node].run);
            self.queue.push(at, node, run, Event::SnapshotDone);
        }
        if let Some(position) = durable {
            self.judges.ledgers[node].keeps(position);
        }
        if let Some(input) = input {
            self.step(node, input);
        }
        Ok(())
    }

    /// Pieces that come from another node are those of one snapshot, in order, none missing or doubled: what
    /// does not fit together is noticed when the last is there, but then all have come in vain.
    fn judge_pieces(&mut self, node: usize, job: &SnapshotJob) -> Step {
        let is_rotten = self.nodes.iter().any(|node| node.is_damaged) || self.judges.lenient;
        let (SnapshotJob::Keep(piece), Some(process)) = (job, &mut self.nodes[node].process) else {
            return Ok(());
        };
        if piece.offset == 0 {
            process.arrived.clear();
        }
        process.arrived.extend_from_slice(&piece.bytes);
        if !piece.is_last() || is_rotten {
            return Ok(());
        }
        let all = std::mem::take(&mut process.arrived);
        let rest = |offset: u64| {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
            Ok::<_, Failure>(Bytes::copy_from_slice(&all[offset..]))
        };
        let (found, info) = (measure(rest)?, &piece.info);
        let named = must(found == (info.size, info.checksum), || {
            format!("the pieces that n{node} was given are not {}", info.meta.position)
        });
        self.judges.named("snapshots", named)
    }

    pub(super) fn piece_read(&mut self, node: usize, transfer: u64, offset: u64) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let is_it = |read: &(u64, Position, u64, usize)| (read.0, read.2) == (transfer, offset);
        let Some(place) = process.reads.iter().position(is_it) else { return };
        let (_, position, _, bytes_max) = process.reads.remove(place);
        let read = read_piece(&process.snapshots, position, offset, bytes_max);
        let result = read.map_err(|error| error.to_string());
        self.step(node, Input::PieceRead { transfer, offset, result });
    }

    /// The machine gives a view of itself, which is written elsewhere.
    pub(super) fn take_snapshot(&mut self, node: usize, meta: Box<SnapshotMeta>) -> Step {
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let mut content = Vec::new();
        let view = process.applier.view(meta.position.index);
        let written = view.and_then(|view| Ok(view(&mut content)?));
        if let Err(error) = written {
            return Err(self.failure("snapshots", error.to_string()));
        }
        self.judge_state(meta.position, &content)?;
        self.judges.snapshot_members(meta.position.index, &meta.membership)?;
        self.give_to_snapshots(node, SnapshotJob::Write { meta, content: content.into() });
        Ok(())
    }

    /// The machine is given the state of a snapshot.
    pub(super) fn restore(&mut self, node: usize, position: Position, id: NodeId) -> Step {
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let restored = restore_snapshot(&mut process.applier, &process.snapshots, position, id);
        let result = restored.map_err(|error| error.to_string());
        if let Err(words) = &result {
            let may_fail = self.nodes[node].may_stop || self.nodes[node].is_damaged;
            if !may_fail {
                return Err(self.failure("snapshots", words.clone()));
            }
            self.step(node, Input::Restored { result });
            return Ok(());
        }
        let mut state = Vec::new();
        let view = process.applier.view(position.index);
        let given = view.and_then(|view| Ok(view(&mut state)?));
        let is_running = process.replica.raft().is_some();
        match given {
            Ok(()) if position.index.0 > 1 => self.judge_state(position, &state)?,
            Ok(()) => {}
            Err(error) => return Err(self.failure("snapshots", error.to_string())),
        }
        if is_running {
            self.judges.installed(node, position.index)?;
        } else {
            self.judges.restored(node, position.index);
        }
        self.step(node, Input::Restored { result });
        Ok(())
    }

    pub(super) fn judge_state(&mut self, at: Position, state: &[u8]) -> Step {
        if !self.workload.is_canonical() {
            return Ok(());
        }
        // Once is enough: all others are compared with it.
        if self.judges.is_first_state(at)
            && let Some(applied) = self.comes_to(at.index, false)?
        {
            self.judges.holds(at, state, &applied)?;
        }
        self.judges.state(at, state)
    }
}

/// The snapshot that is durable by now, if this was the last of it.
fn durable(job: &SnapshotJob, input: &Input) -> Option<Position> {
    match (job, input) {
        (SnapshotJob::Keep(piece), Input::PieceKept { result: Ok(()), .. }) => {
            piece.is_last().then_some(piece.info.meta.position)
        }
        (SnapshotJob::Write { meta, .. }, Input::SnapshotTaken { result: Ok(_), .. }) => {
            Some(meta.position)
        }
        _ => None,
    }
}
