//! Backups: a snapshot of a node that serves, copied into a file; and a cluster begun anew from one.

use std::{
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use skiff_replica::{
    Call, Index, InstanceId, MachineFormat, NoSnapshot, SnapshotError, Snapshots, Term,
    core::NodeId,
    storage::{SnapshotInfo, SnapshotMeta, SnapshotSource, StoreError},
    transport::{Ask, Body, Offer, wire},
};
use skiff_wal::{
    LogId, Options,
    backup::{Backup, BackupWriter, RestoreError as NotRestored},
    disk::files::FileDisk,
};
use thiserror::Error;
use tokio::task::spawn_blocking;

use crate::Node;

/// So many bytes are asked for at once.
const PIECE: u32 = 1 << 20;
/// How long a node may take for a snapshot of all that is acknowledged.
pub(crate) const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(600);

/// What is in a backup that is complete and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackedUp {
    /// The last entry in it.
    pub index: Index,
    /// That entry's term.
    pub term: Term,
    /// The instance of the cluster it is of.
    pub instance: InstanceId,
    /// How many bytes the machine's state has.
    pub size: u64,
    /// The checksum of these.
    pub checksum: u32,
}

/// Why there is no backup. Nothing is under its name that was not there before.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is a file of this name.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// No node gave a snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The file could not be written, or is not what was meant.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whoever gives pieces of a snapshot.
pub(crate) trait Gives: Sync {
    /// Asks once.
    fn ask(
        &self,
        ask: Ask,
        patience: Duration,
    ) -> impl Future<Output = Result<Bytes, SnapshotError>> + Send;
}

/// A snapshot that is copied into a file.
pub(crate) struct Copying<'a, G> {
    pub(crate) from: &'a G,
    pub(crate) to: &'a Path,
    pub(crate) cluster: &'a str,
    pub(crate) instance: InstanceId,
    /// How long to wait for a piece before it counts as lost.
    pub(crate) patience: Duration,
}

impl<G: Gives> Copying<'_, G> {
    /// Copies all of it. Whether a piece that was not given is asked for again, `again` says.
    pub(crate) async fn run(
        &self,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<BackedUp, BackupError> {
        let begin = Ask::Backup { position: None, offset: 0, bytes_max: 0 };
        let told = self.from.ask(begin, SNAPSHOT_PATIENCE).await?;
        let info = info_of(told, self.instance)?;
        let (path, cluster, meant) = (self.to.to_owned(), self.cluster.to_owned(), info.clone());
        let mut writer = blocking(move || BackupWriter::create(&path, &cluster, &meant)).await?;
        let mut piece = self.piece(&info, 0).await?;
        while !piece.is_empty() {
            let bytes = piece.clone();
            let offset = writer.size() + bytes.len() as u64;
            // The next one comes while this one is written.
            let (written, next) = tokio::join!(
                blocking(move || writer.write(&bytes).map(|()| writer)),
                self.piece(&info, offset)
            );
            (writer, piece) = (written?, next?);
            progress(offset, info.size);
        }
        blocking(move || writer.finish()).await?;
        let SnapshotInfo { meta, size, checksum } = info;
        let (index, term) = (meta.position.index, meta.position.term);
        Ok(BackedUp { index, term, instance: meta.instance, size, checksum })
    }

    async fn piece(&self, info: &SnapshotInfo, offset: u64) -> Result<Bytes, BackupError> {
        if offset >= info.size {
            return Ok(Bytes::new());
        }
        let position = Some(info.meta.position);
        let piece = Ask::Backup { position, offset, bytes_max: PIECE };
        let bytes = self.from.ask(piece, self.patience).await?;
        if bytes.is_empty() || offset + bytes.len() as u64 > info.size {
            return Err(nonsense("a piece that is too short or too long").into());
        }
        Ok(bytes)
    }
}

/// Fails if there is something that must not be replaced.
pub(crate) fn check_target(to: &Path, replaces: bool) -> Result<(), BackupError> {
    let is_there = std::fs::symlink_metadata(to).is_ok();
    if is_there && !replaces { Err(BackupError::Exists { path: to.to_owned() }) } else { Ok(()) }
}

async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, BackupError> {
    let done = spawn_blocking(run).await;
    Ok(done.map_err(|error| StoreError::Other(format!("writing panicked: {error}")))??)
}

/// What a node said of the snapshot that it gives.
fn info_of(told: Bytes, instance: InstanceId) -> Result<SnapshotInfo, SnapshotError> {
    let envelope = wire::decode(told).map_err(|error| nonsense(&error.to_string()))?;
    let Body::Offer(offer) = envelope.body else { return Err(nonsense("something else")) };
    let Offer { position, time, membership, terms, machine_version, codec, size, checksum, .. } =
        *offer;
    let meta = SnapshotMeta { instance, position, time, membership, terms, machine_version, codec };
    Ok(SnapshotInfo { meta, size, checksum })
}

fn nonsense(what: &str) -> SnapshotError {
    SnapshotError::Refused {
        why: NoSnapshot::Failed,
        message: format!("asked for a copy of a snapshot, the node gave nonsense: {what}"),
    }
}

impl<M: Snapshots> Gives for Node<M> {
    async fn ask(&self, ask: Ask, patience: Duration) -> Result<Bytes, SnapshotError> {
        let Ask::Backup { position, offset, bytes_max } = ask else {
            return Err(nonsense("another question"));
        };
        Ok(self.order(Call::Backup { position, offset, bytes_max }, patience).await?)
    }
}

impl<M: Snapshots> Node<M> {
    /// Writes a backup of the cluster to a file that is not there yet: a snapshot that holds all that was
    /// acknowledged to anybody when this was called, verified. The node goes on serving. The file appears
    /// under its name once it is complete, durable, and was read back.
    ///
    /// If the future is dropped before the end, nothing is left behind.
    ///
    /// # Errors
    ///
    /// If there is such a file; if no leader can be asked what was acknowledged; or if the snapshot cannot be
    /// taken, read or written.
    pub async fn backup(&self, to: &Path) -> Result<BackedUp, BackupError> {
        check_target(to, false)?;
        let digits = self.status().await.instance;
        let instance = digits.and_then(|digits| u128::from_str_radix(&digits, 16).ok());
        let copying = Copying {
            from: self,
            to,
            cluster: self.cluster(),
            instance: InstanceId(instance.unwrap_or_default()),
            patience: self.options().command_timeout,
        };
        copying.run(&mut |_, _| {}).await
    }
}

/// What is to become of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// The name of the only member. It must not be that of a node which still lives in the old instance if
    /// people are to tell them apart; to the nodes themselves it is another.
    pub name: String,
    /// Where it will listen.
    pub address: String,
    /// The cluster's name; `None`: that of the cluster that was backed up.
    pub cluster: Option<String>,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The cluster's name.
    pub cluster: String,
    /// The new instance of the cluster.
    pub instance: InstanceId,
    /// The instance that was backed up.
    pub backed_up: InstanceId,
    /// The last entry that is in the state.
    pub index: Index,
    /// That entry's term.
    pub term: Term,
    /// How many bytes the state has.
    pub size: u64,
}

/// Why nothing was restored.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is something in the folder.
    #[error("{} is not empty: it holds `{found}`; name a folder that is not there", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// One of the files in it.
        found: String,
    },
    /// The state in the backup is not one that this machine can read.
    #[error("{reason}")]
    OtherMachine {
        /// What it is, and what the machine reads.
        reason: String,
    },
    /// The cluster's name stands nowhere.
    #[error(
        "the file does not tell the cluster's name: it is no backup but a snapshot; name the cluster"
    )]
    NoCluster,
    /// The backup is damaged, or it or the folder failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the folder `data_dir`, which must not be there or be empty, that of the only member of a new instance
/// of a cluster with machine `M`, which begins with what is in the backup: the machine's state, and the
/// sessions of clients with all they had acknowledged. Start a node on it, then add others.
///
/// Positions of entries of the old instance are [of another instance](crate::Fate::OtherInstance) in the new
/// one, and nodes of the old one are refused. May block.
///
/// A crash on the way leaves a folder that is refused, or that of a fresh node.
///
/// # Errors
///
/// If there is anything in the folder; if the backup is damaged, or of a machine whose state `M` cannot read.
pub fn restore<M: Snapshots>(
    backup: &Path,
    data_dir: &Path,
    restore: &Restore,
) -> Result<Restored, RestoreError> {
    let backup = Backup::open(backup)?;
    let info = backup.info().clone();
    judge_machine(&MachineFormat::of::<M>(), &info.meta)?;
    let cluster = restore.cluster.as_deref().or_else(|| backup.cluster());
    let cluster = cluster.ok_or(RestoreError::NoCluster)?.to_owned();
    let instance = InstanceId(random()?);
    let made = skiff_wal::backup::Restore {
        cluster: cluster.clone(),
        name: restore.name.clone(),
        address: restore.address.clone(),
        node: NodeId(random()?),
        instance,
        options: Options { segment_size: Options::SEGMENT_SIZE, fresh_log: LogId(random()?) },
    };
    skiff_wal::backup::restore(FileDisk::new(data_dir), &backup, &made).map_err(
        |error| match error {
            NotRestored::NotEmpty { path, found } => RestoreError::NotEmpty { path, found },
            NotRestored::Store(error) => error.into(),
            error => StoreError::Other(error.to_string()).into(),
        },
    )?;
    let (position, size) = (info.meta.position, info.size);
    let (index, term) = (position.index, position.term);
    Ok(Restored { cluster, instance, backed_up: info.meta.instance, index, term, size })
}

fn judge_machine(known: &MachineFormat, meta: &SnapshotMeta) -> Result<(), RestoreError> {
    let (codec, version) = (&meta.codec, meta.machine_version);
    if *codec != known.codec {
        let reason = format!(
            "the state in the backup is encoded as `{codec}`, this machine reads `{}`: use the \
             program that the backup was made with",
            known.codec
        );
        return Err(RestoreError::OtherMachine { reason });
    }
    if version > known.version {
        let reason = format!(
            "the state in the backup has version {version}, this machine knows up to {}: use a \
             newer program",
            known.version
        );
        return Err(RestoreError::OtherMachine { reason });
    }
    Ok(())
}

fn random() -> Result<u128, StoreError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        StoreError::Other(format!("the system gives no random numbers: {error}"))
    })?;
    Ok(u128::from_le_bytes(random))
}
