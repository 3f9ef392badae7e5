//! What can be set.

use std::time::Duration;

use skiff_transport::TransportError;
use tokio::runtime::Handle;

use crate::{socket::Security, transport::TcpTransport};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_frame: usize,
    pub(crate) queue: usize,
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) security: Security,
    pub(crate) insecure: bool,
    pub(crate) advertise: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_frame: 32 << 20,
            queue: 16 << 20,
            connections: 4096,
            connections_per_address: 1024,
            handshake_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_millis(700),
            idle_timeout: Duration::from_secs(2),
            backoff: (Duration::from_millis(20), Duration::from_millis(250)),
            security: Security::Plain,
            insecure: false,
            advertise: None,
        }
    }
}

/// Sets up a [`TcpTransport`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct TcpBuilder {
    settings: Settings,
    runtime: Option<Handle>,
}

impl TcpBuilder {
    /// The longest frame, in bytes, sent or accepted. Default: 32 MiB.
    pub const fn max_frame(mut self, bytes: usize) -> Self {
        self.settings.max_frame = bytes;
        self
    }

    /// How many bytes may wait on each of the three sockets of a connection. One envelope is always
    /// taken. Default: 16 MiB.
    pub const fn queue(mut self, bytes: usize) -> Self {
        self.settings.queue = bytes;
        self
    }

    /// How many connections are accepted at a time, in all. Default: 4,096.
    pub const fn connections(mut self, count: usize) -> Self {
        self.settings.connections = count;
        self
    }

    /// How many connections are accepted at a time from one IP address. Default: 1,024.
    pub const fn connections_per_address(mut self, count: usize) -> Self {
        self.settings.connections_per_address = count;
        self
    }

    /// How long the other side may take to introduce itself. Default: 3 seconds.
    pub const fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.settings.handshake_timeout = limit;
        self
    }

    /// How long a connect may take before it is tried anew. Default: 700 ms; give more where a
    /// round trip takes longer.
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_timeout = limit;
        self
    }

    /// How long the other side may be silent, or take nothing that waits for it, before the
    /// connection is given up. Signs of life are sent four times as often. Default: 2 seconds.
    pub const fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.idle_timeout = limit;
        self
    }

    /// How long to wait before a failed connect is tried again: at first, and at most. Default:
    /// 20 ms and 250 ms.
    pub const fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.settings.backoff = (first, most);
        self
    }

    /// How connections are protected.
    pub const fn security(mut self, security: Security) -> Self {
        self.settings.security = security;
        self
    }

    /// Allows to listen beyond this machine although nothing is encrypted and nobody has to prove
    /// who they are.
    pub const fn insecure(mut self, allowed: bool) -> Self {
        self.settings.insecure = allowed;
        self
    }

    /// The address that others shall dial, where it is not the one listened at.
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.settings.advertise = Some(address.into());
        self
    }

    /// The runtime to run in. Default: the one that [`build`](Self::build) is called in.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The transport.
    ///
    /// # Errors
    ///
    /// If there is no runtime, or a limit is zero or beyond what a frame can say.
    pub fn build(self) -> Result<TcpTransport, TransportError> {
        let settings = self.settings;
        let zero = [settings.max_frame, settings.queue, settings.connections];
        if zero.contains(&0) || settings.connections_per_address == 0 {
            return Err(TransportError::Other("tcp: a limit of zero lets nothing through".into()));
        }
        if u32::try_from(settings.max_frame).is_err() {
            return Err(TransportError::Other("tcp: a frame cannot be longer than 4 GiB".into()));
        }
        let (first, most) = settings.backoff;
        if first.is_zero() || first > most || settings.idle_timeout < Duration::from_millis(4) {
            let reason = "tcp: the back-off must begin above zero and below its most, and the idle \
                          timeout be at least 4 ms";
            return Err(TransportError::Other(reason.into()));
        }
        let runtime = match self.runtime {
            Some(runtime) => runtime,
            None => Handle::try_current().map_err(|_| {
                let reason = "tcp: no tokio runtime here: build the transport within one, or name \
                              one with `runtime`";
                TransportError::Other(reason.into())
            })?,
        };
        Ok(TcpTransport::start(settings, runtime))
    }
}
