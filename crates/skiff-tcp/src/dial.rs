//! Dials a peer, again and again.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use skiff_transport::{Inbox, TransportError};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::{
    backoff::Backoff,
    connection::State,
    counters::count,
    link::Link,
    preamble::{Lane, MAGIC, Preamble, PreambleError, VERSIONS, Welcome},
    socket::Socket,
    transport::Shared,
};

/// How long a name may take to be resolved. The system's own lookup cannot be stopped, and holds a
/// thread: so it is not begun anew too often.
const RESOLVE: Duration = Duration::from_secs(5);

/// Checks that `address` is a host and a port. Whether the host exists may change any time.
pub(crate) fn check_address(address: &str) -> Result<(), TransportError> {
    let wrong = |reason: &str| {
        let (address, reason) = (address.to_owned(), reason.to_owned());
        Err(TransportError::Address { address, reason })
    };
    let Some((host, port)) = address.rsplit_once(':') else {
        return wrong("a host and a port are needed, as in `localhost:7000`");
    };
    if host.is_empty() {
        return wrong("there is no host before the port");
    }
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return wrong("an IPv6 address needs brackets, as in `[::1]:7000`");
    }
    match port.parse::<u16>() {
        Ok(0) => wrong("nobody can be dialled at port 0"),
        Ok(_) => Ok(()),
        Err(_) => wrong("the port is not a number up to 65535"),
    }
}

/// Keeps a connection to `state.peer` until it is closed.
pub(crate) async fn keep_dialling(state: Arc<State>, inbox: oneshot::Receiver<Inbox>) {
    let stop = state.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = dial_until_dropped(&state, inbox) => {}
    }
    // It may have been stopped in the middle.
    state.detach();
}

async fn dial_until_dropped(state: &Arc<State>, inbox: oneshot::Receiver<Inbox>) {
    let Ok(inbox) = inbox.await else { return };
    let mut backoff = Backoff::new(state.shared.settings.backoff);
    loop {
        match dial(&state.shared, &state.peer).await {
            Ok(link) => {
                if !state.attach(link.clone()) {
                    return;
                }
                count(&state.shared.tally.dialled);
                let began = Instant::now();
                state.carry(&link, &inbox).await;
                // One that the other side refuses at once is not worth another try at once.
                if began.elapsed() > backoff.most() {
                    backoff.reset();
                }
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::TimedOut {
                    count(&state.shared.tally.connect_timeouts);
                }
                if state.shared.complaints.may(&state.peer) {
                    let node = state.shared.node();
                    tracing::info!(node, peer = %state.peer, reason = %error, "not connected");
                }
            }
        }
        sleep(backoff.delay()).await;
    }
}

/// Tries each address that the name stands for now.
async fn dial(shared: &Shared, peer: &str) -> io::Result<Arc<Link>> {
    let addresses = match timeout(RESOLVE, tokio::net::lookup_host(peer)).await {
        Ok(addresses) => addresses?,
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the name was not resolved")),
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    for address in addresses {
        match dial_one(shared, address).await {
            Ok(link) => return Ok(link),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn dial_one(shared: &Shared, address: SocketAddr) -> io::Result<Arc<Link>> {
    let settings = &shared.settings;
    let socket = || Socket::dial(address, settings.security, settings.connect_timeout);
    let (control, bulk, snapshots) = tokio::try_join!(socket(), socket(), socket())?;
    let sockets = [control, bulk, snapshots];
    match timeout(settings.handshake_timeout, greet(shared, &sockets)).await {
        Ok(greeted) => greeted.map(|()| Link::new(sockets)),
        Err(_) => {
            count(&shared.tally.handshake_timeouts);
            Err(io::Error::other("no answer to the handshake"))
        }
    }
}

async fn greet(shared: &Shared, sockets: &[Socket; Lane::ALL.len()]) -> io::Result<()> {
    let mut connection = [0; 16];
    getrandom::fill(&mut connection).map_err(io::Error::other)?;
    let connection = u128::from_ne_bytes(connection);
    for (lane, socket) in Lane::ALL.into_iter().zip(sockets) {
        let preamble = Preamble { versions: VERSIONS, lane, connection };
        socket.write(&preamble.encode()).await?;
    }
    for socket in sockets {
        let welcome = socket.read(&MAGIC).await.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => io::Error::other(PreambleError::Magic),
            _ => error,
        });
        let welcome = Welcome::decode(&welcome?);
        let counter = match &welcome {
            Ok(_) => continue,
            Err(PreambleError::Version { .. }) => &shared.tally.refused_version,
            Err(_) => &shared.tally.refused_garbage,
        };
        count(counter);
        return welcome.map(drop).map_err(io::Error::other);
    }
    Ok(())
}
