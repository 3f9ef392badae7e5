//! What a client asks of the nodes themselves, not of their machines.

use bytes::Bytes;
use skiff_replica::{
    CommandError, EntryPosition, Fate, Outcome, Refused, SnapshotError, Taken, TransferError,
    transport::Ask,
};
use tokio::time::Instant;

use super::{Client, Cluster, PAUSE, link::Asked};
use crate::node::{fate_from, taken_from};

impl<M> Client<M> {
    /// Lets the member of this name lead, or whoever is best up to date. Returns once it does.
    ///
    /// # Errors
    ///
    /// As [`Node::transfer_leadership`](crate::Node::transfer_leadership).
    pub async fn transfer_leadership(&self, to: Option<&str>) -> Result<(), TransferError> {
        let deadline = Instant::now() + self.timeout;
        let ask = Ask::Transfer { to: to.map(str::to_owned) };
        Ok(self.cluster.order(&ask, deadline).await.map(drop)?)
    }

    /// Says what became of a command whose outcome was unknown, as
    /// [`Node::outcome`](crate::Node::outcome) does. Asks one node after the other until one knows, or
    /// the time is up.
    ///
    /// # Errors
    ///
    /// If no node answers in time.
    pub async fn outcome(&self, position: EntryPosition) -> Result<Fate, CommandError> {
        let deadline = Instant::now() + self.timeout;
        let (instance, place) = (position.instance.0, position.place());
        let ask = Ask::Fate { instance, position: place };
        // What was heard last: it holds also if the time is up before the next answer.
        let mut heard = Err(late());
        loop {
            let (address, link) = match self.cluster.pick(deadline).await {
                Ok(picked) => picked,
                Err(Refused::Timeout { .. }) => return heard,
                Err(refused) => return Err(refused.into()),
            };
            match link.ask(ask.clone(), deadline).await {
                Asked::Answered(Ok(word)) => match fate_from(&word)? {
                    Fate::Undecided => heard = Ok(Fate::Undecided),
                    fate => return Ok(fate),
                },
                Asked::Answered(Err(Refused::Timeout { .. })) | Asked::Late => return heard,
                // Another node may know.
                Asked::Answered(Err(Refused::Stopped { .. } | Refused::NotLeader { .. }))
                | Asked::NotSent
                | Asked::Lost => {}
                Asked::Answered(Err(refused)) => return Err(refused.into()),
            }
            if Instant::now() + PAUSE >= deadline {
                return heard;
            }
            self.cluster.turn(&address);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Has the node at this address take a snapshot, as [`Node::snapshot`](crate::Node::snapshot) does.
    ///
    /// # Errors
    ///
    /// If it could not, or has not within the time limit: then it goes on.
    pub async fn snapshot(&self, address: &str) -> Result<Taken, SnapshotError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.cluster.ask_at(address, Ask::Snapshot, deadline).await {
                Asked::Answered(Ok(bytes)) => return taken_from(&bytes),
                Asked::Answered(Err(refused)) => return Err(refused.into()),
                Asked::NotSent | Asked::Lost if Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                Asked::NotSent | Asked::Lost => return Err(SnapshotError::Disconnected),
                Asked::Late => return Err(SnapshotError::Timeout),
            }
        }
    }
}

impl Cluster {
    /// Has the leader do something, once. What may have been done is not asked for again.
    async fn order(&self, ask: &Ask, deadline: Instant) -> Result<Bytes, Refused> {
        loop {
            let (address, link) = self.pick(deadline).await?;
            let refused = match link.ask(ask.clone(), deadline).await {
                Asked::Answered(Ok(response)) => return Ok(response),
                Asked::Answered(Err(refused)) => refused,
                Asked::NotSent => Refused::NotLeader { leader: None },
                Asked::Lost => return Err(Refused::Disconnected),
                Asked::Late => {
                    let outcome = Outcome::Unknown;
                    return Err(Refused::Timeout { outcome, position: None });
                }
            };
            if !self.try_elsewhere(&address, &refused, deadline).await {
                return Err(refused);
            }
        }
    }
}

/// Asking has no effect.
const fn late() -> CommandError {
    CommandError::Timeout { outcome: Outcome::NotApplied, position: None }
}
