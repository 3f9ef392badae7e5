//! Machines that are durable by themselves: how they are opened, and what a crash leaves of them.

use skiff_replica::{Applier, Input, Job, Mark, Snapshots, Standing};
use skiff_wal::{Opened, disk::sim::SimDisk};

use super::{Step, World};
use crate::{failure::must, kept::Kept, workload::Workload};

impl<W: Workload> World<'_, '_, W> {
    /// Opens a node's machine.
    pub(super) fn open_machine(
        &mut self,
        node: usize,
        opened: &Opened<SimDisk>,
    ) -> Result<Applier<Kept<W::Machine>>, String> {
        let store = self.nodes[node].store.clone();
        let begins_anew = opened.identity.standing == Standing::Fresh;
        if begins_anew && (self.has_churn() || self.nodes[node].wiped > 0) {
            // Who lets a node begin anew lets its machine do so too.
            store.wipe();
        }
        let store = self.plan.knobs.marks.map(|_| store);
        let machine = Kept::open(self.workload.machine(), store).map_err(|e| e.to_string())?;
        Ok(Applier::new(machine))
    }

    /// A machine begins with what it has kept: that is applied, and everything after it is not.
    pub(super) fn note_opened(&mut self, node: usize, applier: &Applier<Kept<W::Machine>>) {
        let skiff_replica::Opened::At { stored, .. } = applier.machine().opened_at() else {
            return;
        };
        self.judges.restored(node, applier.applied());
        self.reached.machines_kept += 1;
        self.reached.machines_ahead += u64::from(!stored.is_empty());
    }

    /// A process ends: its machine has its last checkpoint, and perhaps some of what it did since.
    pub(super) fn crash_machine(&mut self, node: usize) {
        let store = &self.nodes[node].store;
        let batches = store.batches();
        if batches > 0 {
            let left = self.random.process.usize(0..=batches);
            store.crash(left);
            self.reached.machine_losses += u64::from(left < batches);
        }
    }

    /// A machine makes its data durable.
    pub(super) fn checkpoint(&mut self, node: usize, mark: Mark) -> Step {
        let position = mark.position;
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let result = process.applier.checkpoint(mark).map_err(|error| error.to_string());
        if let Err(words) = &result {
            return Err(self.failure("marks", words.clone()));
        }
        self.reached.checkpoints += 1;
        self.step(node, Input::Checkpointed { position, result });
        Ok(())
    }

    /// A node ends in good order: its machine does all that it was given, its last mark too, so that nothing
    /// is done again at the next start.
    pub(super) fn end_machine(&mut self, node: usize) -> Step {
        while let Some(job) =
            self.nodes[node].process.as_mut().and_then(|process| process.machine_jobs.pop_front())
        {
            match job {
                Job::Apply(apply) => self.apply(node, apply)?,
                Job::Checkpoint { mark } => {
                    let index = mark.position.index;
                    self.checkpoint(node, *mark)?;
                    let is_last = self.nodes[node].store.batches() == 0;
                    self.judges.named("marks", must(is_last, || {
                        format!("n{node} makes its last mark, at {index}, and not of all it has done")
                    }))?;
                    self.reached.last_marks += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A log is compacted: never beyond what the machine has after a crash.
    pub(super) fn judge_compaction(&self, node: usize, base: skiff_replica::Position) -> Step {
        let Some(mark) = self.nodes[node].store.mark() else { return Ok(()) };
        if base.index <= mark.index {
            return Ok(());
        }
        let text = format!("n{node} compacts its log to {base}, its machine has a mark at {mark}");
        Err(self.failure("marks", text))
    }
}
