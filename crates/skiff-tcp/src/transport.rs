//! The transport: what its connections share, and where they begin.

use std::{
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use skiff_transport::{Accepted, Connection, Local, Transport, TransportError};
use socket2::SockRef;
use tokio::{net::TcpListener, runtime::Handle};
use tokio_util::sync::CancellationToken;

use crate::{
    accept::Acceptor,
    complaints::Complaints,
    connection::{State, TcpConnection},
    counters::{Tally, TcpCounters},
    dial,
    settings::{Settings, TcpBuilder},
};

/// What everything in a transport shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) runtime: Handle,
    pub(crate) tally: Tally,
    pub(crate) complaints: Complaints,
    pub(crate) stop: CancellationToken,
    /// Whose transport it is, once that is known: for the log.
    node: OnceLock<String>,
}

impl Shared {
    /// The name of the node; empty if it has none.
    pub(crate) fn node(&self) -> &str {
        self.node.get().map_or("", String::as_str)
    }
}

/// A network over TCP. Runs in a tokio runtime; its methods may be called from anywhere.
pub struct TcpTransport {
    shared: Arc<Shared>,
    listener: Mutex<Option<Arc<TcpListener>>>,
}

impl TcpTransport {
    /// With the default limits, in the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// If there is no runtime.
    pub fn new() -> Result<Self, TransportError> {
        Self::builder().build()
    }

    /// To set limits.
    pub fn builder() -> TcpBuilder {
        TcpBuilder::default()
    }

    pub(crate) fn start(settings: Settings, runtime: Handle) -> Self {
        let shared = Shared {
            settings: Arc::new(settings),
            runtime,
            tally: Tally::default(),
            complaints: Complaints::default(),
            stop: CancellationToken::new(),
            node: OnceLock::new(),
        };
        Self { shared: Arc::new(shared), listener: Mutex::default() }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> TcpCounters {
        self.shared.tally.read()
    }

    fn bind(&self, address: &str) -> Result<(TcpListener, SocketAddr), String> {
        let resolved = address.to_socket_addrs().map_err(|error| {
            format!("it is no address to listen at: {error}; give a host and a port, as in `127.0.0.1:7000`")
        })?;
        let mut last = "the name stands for no address".to_owned();
        for at in resolved {
            self.check_exposure(at)?;
            self.check_reach(at)?;
            match self.bind_one(at) {
                Ok(bound) => return Ok(bound),
                Err(error) => last = why_not(&error),
            }
        }
        Err(last)
    }

    fn bind_one(&self, at: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
        let listener = std::net::TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        let _runtime = self.shared.runtime.enter();
        Ok((TcpListener::from_std(listener)?, bound))
    }

    fn check_exposure(&self, at: SocketAddr) -> Result<(), String> {
        if at.ip().is_loopback() || self.shared.settings.insecure {
            return Ok(());
        }
        Err("others than this machine can reach it, and nothing is encrypted yet and nobody has to \
             prove who they are: listen on 127.0.0.1, or accept the risk with `--insecure` on the \
             command line, `.insecure(true)` in code"
            .to_owned())
    }

    fn check_reach(&self, at: SocketAddr) -> Result<(), String> {
        if !at.ip().is_unspecified() || self.shared.settings.advertise.is_some() {
            return Ok(());
        }
        Err("others cannot dial this address: listen at one that they can, or name it with \
             `.advertise(..)`"
            .to_owned())
    }
}

fn why_not(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use: stop what listens there, perhaps another \
                                     node with the same address, or choose another port"
            .to_owned(),
        io::ErrorKind::PermissionDenied => {
            "not permitted: choose a port above 1023, or run with the right to use it".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have the address: choose one of its own".to_owned()
        }
        _ => error.to_string(),
    }
}

impl Transport for TcpTransport {
    fn open(&self, local: Local, accepted: Accepted) -> Result<Option<String>, TransportError> {
        // The first name stays: there is one node to a transport.
        let _named = self.shared.node.set(local.name);
        let Some(address) = local.listen else { return Ok(None) };
        let refused = |reason| TransportError::Listen { address: address.clone(), reason };
        let (listener, bound) = self.bind(&address).map_err(refused)?;
        let advertised = self.shared.settings.advertise.clone();
        let advertised = advertised.unwrap_or_else(|| bound.to_string());
        let listener = Arc::new(listener);
        let acceptor = Acceptor::new(self.shared.clone(), accepted);
        self.shared.runtime.spawn(acceptor.run(listener.clone()));
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        Ok(Some(advertised))
    }

    fn connect(&self, address: &str) -> Result<Arc<dyn Connection>, TransportError> {
        dial::check_address(address)?;
        if self.shared.stop.is_cancelled() {
            return Err(TransportError::Closed("it is shut down"));
        }
        let (state, inbox) = State::new(self.shared.clone(), address.to_owned());
        self.shared.runtime.spawn(dial::keep_dialling(state.clone(), inbox));
        Ok(Arc::new(TcpConnection(state)))
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        self.counters().named()
    }

    fn shutdown(&self) {
        self.shared.stop.cancel();
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = listener {
            // So that the port is free now, not when the listening task gets to run.
            let _ = SockRef::from(&*listener).shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for TcpTransport {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
