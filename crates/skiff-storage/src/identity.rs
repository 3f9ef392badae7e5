//! Whose data a store holds.

use std::fmt;

use skiff_core::NodeId;

use crate::error::StoreError;

/// Names one founding of a cluster: 128 random bits drawn by its founder. Two clusters of one name
/// are told apart by it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u128);

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

/// How a store's node stands to its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It has never belonged to one: no term, no vote.
    #[default]
    Fresh,
    /// It belongs to one, and the store holds its genesis or a later snapshot.
    Member,
    /// It was removed and stays out until it is told to rejoin.
    Removed,
}

/// Whose data this is. Replaced as a whole, atomically.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// How the node stands to its cluster.
    pub standing: Standing,
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's instance, once the node is a member.
    pub instance: Option<InstanceId>,
    /// The node's name.
    pub name: String,
    /// The node's incarnation, drawn together with the store.
    pub node: NodeId,
    /// How often the store was opened, this time included.
    pub boot: u64,
}

/// Who wants to open a store. What the store holds is checked against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// The cluster's name. A store of another cluster is refused.
    pub cluster: String,
    /// The node's name, if its user gave one. A store of another name is refused.
    pub name: Option<String>,
    /// The name of a new store if the user gave none.
    pub fresh_name: String,
    /// The incarnation of a new store.
    pub fresh_node: NodeId,
    /// What to do if entries are damaged that were durable once.
    pub on_lost_data: OnLostData,
    /// Whether the store of a node that was removed is set aside, and a new one begun. Any other is opened
    /// as it is.
    pub rejoin: bool,
}

/// What a node does whose store has lost entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLostData {
    /// It abstains, and gets them back from the other members.
    #[default]
    Mend,
    /// It does not start, and its store is left as it is.
    Refuse,
}

impl Opening {
    /// The identity of a store that is new, opened for the first time.
    #[must_use]
    pub fn fresh(&self) -> Identity {
        Identity {
            standing: Standing::Fresh,
            cluster: self.cluster.clone(),
            instance: None,
            name: self.name.clone().unwrap_or_else(|| self.fresh_name.clone()),
            node: self.fresh_node,
            boot: 1,
        }
    }

    /// The identity of a store that held `kept`, opened once more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Foreign`] if it is somebody else's.
    pub fn reopen(&self, kept: &Identity) -> Result<Identity, StoreError> {
        let foreign = |what, found: &str, wanted: &str| {
            Err(StoreError::Foreign { what, found: found.to_owned(), wanted: wanted.to_owned() })
        };
        if self.cluster != kept.cluster {
            return foreign("cluster", &kept.cluster, &self.cluster);
        }
        match &self.name {
            Some(name) if *name != kept.name => foreign("node", &kept.name, name),
            _ => Ok(Identity { boot: kept.boot.saturating_add(1), ..kept.clone() }),
        }
    }
}
