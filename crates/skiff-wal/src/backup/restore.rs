//! A folder made from a backup: that of the only member of a new instance of the cluster.

use skiff_core::{Membership, Node, NodeId};
use skiff_storage::{
    Identity, InstanceId, Opening, SnapshotMeta, SnapshotSink, SnapshotSource, Standing, StoreError,
};
use thiserror::Error;

use super::{Backup, PIECE};
use crate::{
    disk::Disk,
    log::{Log, Options},
};

/// The folder may hold this beside nothing.
const LOCK: &str = "LOCK";

/// Whose folder is to be made.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The cluster's name.
    pub cluster: String,
    /// The member's name.
    pub name: String,
    /// Where it can be dialled; empty if it cannot.
    pub address: String,
    /// Its incarnation, drawn anew.
    pub node: NodeId,
    /// The instance of the cluster, drawn anew.
    pub instance: InstanceId,
    /// How its log is made, with a name drawn anew.
    pub options: Options,
}

/// Why no folder was made from a backup.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is something in the folder.
    #[error("{} is not empty: it holds `{found}`; name a folder that is not there", path.display())]
    NotEmpty {
        /// The folder.
        path: std::path::PathBuf,
        /// One of the files in it.
        found: String,
    },
    /// Backup or folder failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the folder on `disk`, which must be empty, that of a member of a cluster of one: of a new instance
/// that begins with the state in the backup, the sessions of clients included, at the index it was taken at.
///
/// The folder counts for nothing before all of it is durable. Whatever happens on the way, it is then that of
/// a fresh node, or of one that is refused since it has no snapshot, or all there.
///
/// # Errors
///
/// If there is anything in the folder, if the backup is damaged, or as the disks have it.
pub fn restore<D: Disk>(
    disk: D,
    backup: &Backup<impl Disk>,
    restore: &Restore,
) -> Result<Identity, RestoreError> {
    let listed = disk.list().map_err(|error| StoreError::io("list", disk.path(""), error))?;
    let not_empty =
        |found: &str| RestoreError::NotEmpty { path: disk.path(""), found: found.to_owned() };
    if let Some(found) = listed.iter().find(|name| *name != LOCK) {
        return Err(not_empty(found));
    }
    backup.verify()?;
    let opening = Opening {
        cluster: restore.cluster.clone(),
        name: Some(restore.name.clone()),
        fresh_node: restore.node,
        ..Opening::default()
    };
    let options = restore.options;
    let opened = Log::open(disk.clone(), &opening, options)?;
    let is_ours = opened.identity == opening.fresh() && opened.identity.node == restore.node;
    if !is_ours {
        // Somebody else has made it meanwhile.
        return Err(not_empty("IDENTITY"));
    }
    let info = backup.info();
    let mut sink = opened.snapshots.begin(&meta(&info.meta, restore))?;
    let mut offset = 0;
    loop {
        let piece = backup.read_at(offset, PIECE)?;
        if piece.is_empty() {
            break;
        }
        sink.write(&piece)?;
        offset += piece.len() as u64;
    }
    sink.complete(Some((info.size, info.checksum)))?;
    // A member without a snapshot is refused; a fresh node with one would have the state of a cluster that
    // it does not belong to.
    let instance = Some(restore.instance);
    let identity = Identity { standing: Standing::Member, instance, ..opened.identity };
    opened.log.identify(&identity)?;
    sink.place()?;
    drop(sink);
    opened.log.close();
    Ok(identity)
}

/// The same state, with nobody but the new member. The terms of the old instance mean nothing in this one.
fn meta(old: &SnapshotMeta, restore: &Restore) -> SnapshotMeta {
    let node = Node { name: restore.name.clone(), address: restore.address.clone() };
    let mut membership = Membership::of([restore.node]);
    membership.nodes.insert(restore.node, node);
    SnapshotMeta {
        instance: restore.instance,
        membership,
        terms: vec![(old.position.index, old.position.term)],
        ..old.clone()
    }
}
