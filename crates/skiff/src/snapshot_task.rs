//! Snapshots on their way to the disk: the pieces of one that comes, in order, and the views of the own
//! machine, each elsewhere, so that none of it holds up the node's task.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use skiff_replica::{
    Incoming, Input, Piece, SnapshotWriter, StateMachine,
    storage::{SnapshotMeta, SnapshotStore},
    write_snapshot,
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet, spawn_blocking},
};

use crate::inbox::Mailbox;

/// One thing to do with snapshots.
pub(crate) enum SnapshotWork {
    Keep(Piece),
    Forget,
    Write {
        meta: Box<SnapshotMeta>,
        view: SnapshotWriter,
    },
    /// Nothing more is wanted. A machine that is still asked for a view may come with it later.
    End,
}

/// The way to the task, and the task.
pub(crate) struct SnapshotTask {
    pub(crate) work: mpsc::UnboundedSender<SnapshotWork>,
    /// Set when nothing of it is wanted any more.
    pub(crate) stops: Arc<AtomicBool>,
    pub(crate) task: JoinHandle<()>,
}

impl SnapshotTask {
    /// Works until all who could want something are gone.
    pub(crate) fn spawn<M: StateMachine>(
        store: Arc<dyn SnapshotStore>,
        mailbox: Mailbox<M>,
    ) -> Self {
        let (work, works) = mpsc::unbounded_channel();
        let stops = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(run(store, mailbox, works, Arc::clone(&stops)));
        Self { work, stops, task }
    }
}

async fn run<M: StateMachine>(
    store: Arc<dyn SnapshotStore>,
    mailbox: Mailbox<M>,
    mut works: mpsc::UnboundedReceiver<SnapshotWork>,
    stops: Arc<AtomicBool>,
) {
    let mut incoming = Incoming::default();
    let mut writing = JoinSet::new();
    while let Some(work) = works.recv().await {
        match work {
            SnapshotWork::Keep(piece) => {
                let (position, upto) =
                    (piece.info.meta.position, piece.offset + piece.bytes.len() as u64);
                let store = Arc::clone(&store);
                let kept = spawn_blocking(move || {
                    let result = incoming.keep(&*store, &piece);
                    (incoming, result)
                });
                // Had the store panicked, the node would hear of it by its next write.
                let Ok((again, result)) = kept.await else { return };
                incoming = again;
                mailbox.input(Input::PieceKept { position, upto, result });
            }
            SnapshotWork::Forget => incoming.forget(),
            SnapshotWork::End => break,
            SnapshotWork::Write { meta, view } => {
                while writing.try_join_next().is_some() {}
                let (store, mailbox) = (Arc::clone(&store), mailbox.clone());
                let stops = Arc::clone(&stops);
                writing.spawn_blocking(move || {
                    let is_wanted = || !stops.load(Ordering::Relaxed);
                    let result = write_snapshot(&*store, &meta, view, &is_wanted);
                    mailbox.input(Input::SnapshotTaken { position: meta.position, result });
                });
            }
        }
    }
    while writing.join_next().await.is_some() {}
}
