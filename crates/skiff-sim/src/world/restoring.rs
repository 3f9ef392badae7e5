//! A new instance of the cluster that begins with a backup: one node, for which everything is done at once.

use bytes::Bytes;
use skiff_replica::{
    Applier, Apply, Call, Index, Input, InstanceId, Instant, Job, MachineError, Position, Sessions,
    Snapshots, Token,
    core::{NodeId, Raft},
    restore_snapshot,
    storage::{Opening, SnapshotSource},
};
use skiff_wal::{
    Log, LogId, Opened, Options,
    backup::{Backup, Restore, restore},
    disk::sim::SimDisk,
};

use super::{World, node::Process, snapshots::SnapshotJob};
use crate::{
    kept::{Kept, Store},
    random::mix,
    workload::Workload,
    world::healing::is_same_content,
};

/// So often its clock may have to wake it before it serves.
const WAKES_MAX: u32 = 50;
const NAME: &str = "restored";

impl<W: Workload> World<'_, '_, W> {
    /// A new instance begins with this backup, with the settings of this node: it must hold what is in it,
    /// and serve.
    pub(super) fn begin_with(
        &self,
        node: usize,
        backup: &Backup<SimDisk>,
        content: &[u8],
    ) -> Result<(), String> {
        let mut process = self.restored(node, backup)?;
        let mut now = Instant(1_000_000_000);
        let wanted = Token(1);
        let command = self.workload.command(mix(self.plan.seed ^ self.now));
        let mut asked = Some(command);
        let at = backup.info().meta.position;
        for _ in 0..WAKES_MAX {
            if is_done(&mut process, now, wanted)? {
                return Ok(());
            }
            let leads = process.replica.raft().is_some_and(Raft::is_leader);
            let stands = process.applier.applied() >= at.index;
            if let Some(command) = asked.take_if(|_| leads && stands) {
                holds(&process, at, content)?;
                let deadline = now.after(1_000_000_000);
                let call = Call::Command(command);
                process.replica.step(now, Input::Call { token: wanted, call, deadline });
                continue;
            }
            let Some(at) = process.replica.deadline() else {
                return Err("nothing is ever to happen again".to_owned());
            };
            now = now.max(at);
            process.replica.step(now, Input::Timeout);
        }
        Err(format!("it does not serve: {:?}", process.replica.status()))
    }

    /// A process on a folder that was made from a backup.
    fn restored(
        &self,
        node: usize,
        backup: &Backup<SimDisk>,
    ) -> Result<Process<W::Machine>, String> {
        let drawn = mix(self.plan.seed ^ self.now ^ 0xbac);
        let disk = SimDisk::new();
        let options =
            Options { segment_size: self.plan.knobs.segment_bytes, fresh_log: LogId(drawn.into()) };
        let instance = InstanceId(u128::from(drawn) << 1 | 1);
        let making = Restore {
            cluster: "sim".to_owned(),
            name: NAME.to_owned(),
            address: String::new(),
            node: NodeId(u128::from(drawn) << 2 | 1),
            instance,
            options,
        };
        let identity = restore(disk.clone(), backup, &making).map_err(|error| error.to_string())?;
        let opening =
            Opening { cluster: making.cluster, name: Some(making.name), ..Opening::default() };
        let opened = Log::open(disk, &opening, options).map_err(|error| error.to_string())?;
        if opened.identity.node != identity.node || opened.identity.instance != Some(instance) {
            return Err(format!("the folder is of {:?}", opened.identity));
        }
        let store = self.plan.knobs.marks.map(|_| Store::default());
        let machine = Kept::open(self.workload.machine(), store).map_err(|e| e.to_string())?;
        let applier = Applier::new(machine);
        let machine = applier.machine().opened_at();
        let replica = self.replica(node, &opened, machine)?;
        let Opened { log, snapshots, .. } = opened;
        Ok(Process::new(replica, log, snapshots, applier))
    }
}

/// Whether the machine holds what is in the backup, sessions included.
fn holds<M: Snapshots>(process: &Process<M>, at: Position, content: &[u8]) -> Result<(), String> {
    let mut state = Vec::new();
    let applied = process.applier.applied();
    let view = process.applier.view(applied);
    view.and_then(|view| Ok(view(&mut state)?)).map_err(|error| error.to_string())?;
    // A cluster begins without sessions.
    let content = if at.index == Index(1) {
        [&Sessions::default().head()[..], content].concat()
    } else {
        content.to_vec()
    };
    if is_same_content(&state, &content) {
        return Ok(());
    }
    Err(format!("it holds {} bytes, the backup {}, and they differ", state.len(), content.len()))
}

/// Does everything at once that the replica asks for. Whether this call was answered.
fn is_done<M: Snapshots>(
    process: &mut Process<M>,
    now: Instant,
    wanted: Token,
) -> Result<bool, String> {
    while let Some(job) = process.replica.poll() {
        match job {
            Job::Apply(apply) => {
                let is_answered = apply.tokens.iter().any(|(_, token)| *token == wanted);
                let input = apply_at_once(process, &apply)?;
                process.replica.step(now, input);
                if is_answered {
                    return Ok(true);
                }
            }
            Job::Refuse { reason, .. } => return Err(format!("a command is refused: {reason:?}")),
            Job::Stop(result) => return Err(format!("it stops: {result:?}")),
            job => {
                if let Some(input) = do_at_once(process, job)? {
                    process.replica.step(now, input);
                }
            }
        }
    }
    Ok(false)
}

fn apply_at_once<M: Snapshots>(process: &mut Process<M>, apply: &Apply) -> Result<Input, String> {
    let applied = process.applier.apply(apply, &mut Vec::new());
    process.applier.take_answers();
    applied.map(|index| Input::Applied { index }).map_err(|error| error.to_string())
}

fn do_at_once<M: Snapshots>(process: &mut Process<M>, job: Job) -> Result<Option<Input>, String> {
    let words = |error: MachineError| error.to_string();
    Ok(match job {
        Job::Load { load, from, to, bytes_max } => Some(process.load(load, (from, to), bytes_max)),
        Job::RestoreSnapshot { position, node } => {
            restore_snapshot(&mut process.applier, &process.snapshots, position, node)
                .map_err(words)?;
            Some(Input::Restored { result: Ok(()) })
        }
        Job::TakeSnapshot { meta } => {
            let mut content = Vec::new();
            let view = process.applier.view(meta.position.index).map_err(words)?;
            view(&mut content).map_err(|error| error.to_string())?;
            process.work_on_snapshot(&SnapshotJob::Write { meta, content: Bytes::from(content) })
        }
        Job::Checkpoint { mark } => {
            let position = mark.position;
            process.applier.checkpoint(*mark).map_err(words)?;
            Some(Input::Checkpointed { position, result: Ok(()) })
        }
        job => process.work_on_disk(&job),
    })
}
