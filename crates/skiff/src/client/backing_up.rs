//! Backing a cluster up from outside.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use skiff_replica::{NoSnapshot, SnapshotError, transport::Ask};
use tokio::time::Instant;

use super::{Client, Cluster, PAUSE, link::Asked};
use crate::backup::{BackedUp, BackupError, Copying, Gives, check_target};

/// So often each node is tried at most.
const TRIES: usize = 3;

/// One node of the cluster, which is asked until it answers.
struct Giver<'a> {
    cluster: &'a Cluster,
    address: &'a str,
    /// For how long it may be away.
    patience: Duration,
}

impl Gives for Giver<'_> {
    /// What got no answer is asked again: that is harmless, and goes on where it was.
    async fn ask(&self, ask: Ask, patience: Duration) -> Result<Bytes, SnapshotError> {
        let end = Instant::now() + self.patience;
        loop {
            let link = self.cluster.link(self.address)?;
            let error = match link.wait_up(end).await {
                false => SnapshotError::Disconnected,
                true => match link.ask(ask.clone(), Instant::now() + patience).await {
                    Asked::Answered(Ok(bytes)) => return Ok(bytes),
                    Asked::Answered(Err(refused)) => refused.into(),
                    Asked::NotSent | Asked::Lost => SnapshotError::Disconnected,
                    Asked::Late => SnapshotError::Timeout,
                },
            };
            let passes = matches!(
                error,
                SnapshotError::Disconnected
                    | SnapshotError::Busy { .. }
                    | SnapshotError::NotLeader { .. }
            );
            if !passes || Instant::now() + PAUSE >= end {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl<M> Client<M> {
    /// Writes a backup of the cluster to a file, as [`Node::backup`](crate::Node::backup) does, over the
    /// network: piece by piece, and never more than two in memory. One node after the other is tried until
    /// one gives all of it; one that was away for less than the time limit is asked to go on where it was.
    /// `progress` is told how many bytes are written, and of how many.
    ///
    /// # Errors
    ///
    /// If the file is there and not to be replaced, if no node gives a snapshot, or if it cannot be written.
    pub async fn backup(
        &self,
        to: &Path,
        replaces: bool,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<BackedUp, BackupError> {
        check_target(to, replaces)?;
        let mut failed = BackupError::Snapshot(SnapshotError::Disconnected);
        for _ in 0..TRIES {
            for address in &self.cluster.addresses {
                match self.backup_from(address, to, &mut progress).await {
                    Ok(done) => return Ok(done),
                    Err(error @ (BackupError::Store(_) | BackupError::Exists { .. })) => {
                        return Err(error);
                    }
                    Err(error) => failed = error,
                }
            }
            let is_worth_it = matches!(
                failed,
                BackupError::Snapshot(SnapshotError::Refused { why: NoSnapshot::Gone, .. })
            );
            if !is_worth_it {
                break;
            }
        }
        Err(failed)
    }

    async fn backup_from(
        &self,
        address: &str,
        to: &Path,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<BackedUp, BackupError> {
        let giver = Giver { cluster: &self.cluster, address, patience: self.timeout };
        // Which instance it is the node says when it is met.
        let link = self.cluster.link(address).map_err(SnapshotError::from)?;
        if !link.wait_up(Instant::now() + self.timeout).await {
            return Err(SnapshotError::Disconnected.into());
        }
        let instance = self.cluster.instance.get().copied().unwrap_or_default();
        let cluster = &*self.cluster.name;
        let patience = self.timeout;
        let copying = Copying { from: &giver, to, cluster, instance, patience };
        copying.run(progress).await
    }
}
