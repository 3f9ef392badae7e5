//! Changing who belongs to the cluster.

use std::time::Duration;

use skiff_replica::{Call, ChangeError, MemberChange, Snapshots};

use crate::node::Node;

/// Changes of the membership, on any node: they go to the leader. Each returns once the change is
/// committed, which takes at most the [change timeout](crate::Options::change_timeout). A change that has
/// begun is carried on by whoever leads, also if nobody waits for it any more; asking for the same again
/// is harmless.
impl<M: Snapshots> Node<M> {
    /// Invites the fresh node at this address to receive the log without counting.
    ///
    /// # Errors
    ///
    /// If nobody fresh is there, or the change cannot be made: [`ChangeError`].
    pub async fn add_learner(&self, address: impl Into<String>) -> Result<(), ChangeError> {
        self.change(MemberChange::AddLearner { address: address.into() }).await
    }

    /// Invites the fresh node at this address to become a voter: a learner first, and a voter once it has
    /// caught up and all voters answer. Returns when it is one.
    ///
    /// # Errors
    ///
    /// As [`add_learner`](Self::add_learner). With [`ChangeError::Timeout`] it may have become a learner,
    /// and will become a voter when that can be: see [`Status::waiting_for`](crate::Status).
    pub async fn add_voter(&self, address: impl Into<String>) -> Result<(), ChangeError> {
        self.change(MemberChange::AddVoter { address: address.into() }).await
    }

    /// Removes the member of this name. It learns so, and stays out until it is told to
    /// [rejoin](crate::Builder::rejoin).
    ///
    /// # Errors
    ///
    /// If no member has the name, it is the last voter, or too few of the others answer: [`ChangeError`].
    pub async fn remove(&self, name: impl Into<String>) -> Result<(), ChangeError> {
        self.change(MemberChange::Remove { name: name.into() }).await
    }

    /// Puts the fresh node at this address in the place of the member of this name, in one step.
    ///
    /// # Errors
    ///
    /// As [`add_voter`](Self::add_voter) and [`remove`](Self::remove).
    pub async fn replace(
        &self,
        name: impl Into<String>,
        address: impl Into<String>,
    ) -> Result<(), ChangeError> {
        let (name, address) = (name.into(), address.into());
        self.change(MemberChange::Replace { name, address }).await
    }

    /// Has this node removed. If it leads, it leads until that is committed and another knows.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub async fn leave(&self) -> Result<(), ChangeError> {
        self.call_change(Call::Leave, self.options().change_timeout).await
    }

    async fn change(&self, change: MemberChange) -> Result<(), ChangeError> {
        self.call_change(Call::Change(change), self.options().change_timeout).await
    }

    async fn call_change(&self, call: Call, timeout: Duration) -> Result<(), ChangeError> {
        self.order(call, timeout).await.map(drop).map_err(Into::into)
    }
}
