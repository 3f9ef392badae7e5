//! Where a node gets its machine from.

use skiff_replica::{MachineError, Snapshots};
use tokio::task::spawn_blocking;

use crate::error::StartError;

type Open<M> = Box<dyn FnOnce() -> Result<M, MachineError> + Send>;

/// A machine that is there, or how it is opened.
pub(crate) enum MachineSource<M> {
    Ready(M),
    Opened(Open<M>),
}

impl<M: Snapshots> MachineSource<M> {
    /// The machine. Opening one may block, so that is done elsewhere.
    pub(crate) async fn machine(self) -> Result<M, StartError> {
        let open = match self {
            Self::Ready(machine) => return Ok(machine),
            Self::Opened(open) => open,
        };
        let failed = |reason: String| StartError::Machine { reason };
        let opened = spawn_blocking(open).await;
        let opened = opened.map_err(|error| failed(format!("opening it panicked: {error}")))?;
        opened.map_err(|error| failed(error.reason))
    }
}
