//! Listens, and makes connections of the sockets that arrive: those with one id are one, each with a lane of
//! its own.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use skiff_transport::Accepted;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{
    admission::Admission,
    connection::{State, TcpConnection},
    counters::count,
    link::Link,
    preamble::{Lane, MAGIC, Preamble, PreambleError, VERSIONS, Welcome, common_version},
    socket::Socket,
    transport::Shared,
};

/// How long to wait when the system has no socket left to give.
const NO_SOCKETS: Duration = Duration::from_millis(50);

/// What all sockets that arrive have in common.
pub(crate) struct Acceptor {
    shared: Arc<Shared>,
    accepted: Accepted,
    admission: Arc<Admission>,
    waiting: Mutex<HashMap<u128, Waiting>>,
}

/// The first socket of a connection waits for the others.
struct Waiting {
    /// Those that are there.
    lanes: Vec<Lane>,
    others: mpsc::UnboundedSender<(Lane, Socket)>,
}

impl Acceptor {
    pub(crate) fn new(shared: Arc<Shared>, accepted: Accepted) -> Arc<Self> {
        let settings = &shared.settings;
        // Each connection takes a socket for each lane.
        let in_all = settings.connections.saturating_mul(Lane::ALL.len());
        let per_address = settings.connections_per_address.saturating_mul(Lane::ALL.len());
        let admission = Admission::new(in_all, per_address);
        Arc::new(Self { shared, accepted, admission, waiting: Mutex::default() })
    }

    pub(crate) async fn run(self: Arc<Self>, listener: Arc<TcpListener>) {
        let stop = self.shared.stop.clone();
        loop {
            let arrived = tokio::select! {
                () = stop.cancelled() => return,
                arrived = listener.accept() => arrived,
            };
            match arrived {
                Ok((stream, from)) => self.take(stream, from.ip()),
                Err(error) => {
                    if self.shared.complaints.may("the listener") {
                        let node = self.shared.node();
                        tracing::warn!(node, reason = %error, "cannot accept connections now");
                    }
                    sleep(NO_SOCKETS).await;
                }
            }
        }
    }

    fn take(self: &Arc<Self>, stream: TcpStream, from: IpAddr) {
        let Some(permit) = self.admission.admit(from) else {
            count(&self.shared.tally.refused_over_limit);
            self.complain(from, "too many connections");
            return;
        };
        let Ok(socket) = Socket::accepted(stream, self.shared.settings.security, permit) else {
            return;
        };
        let acceptor = self.clone();
        self.shared.runtime.spawn(async move {
            let stop = acceptor.shared.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = acceptor.introduce(socket, from) => {}
            }
        });
    }

    fn complain(&self, from: IpAddr, reason: &str) {
        if self.shared.complaints.may(&from.to_string()) {
            tracing::warn!(node = self.shared.node(), peer = %from, reason, "refused");
        }
    }

    async fn introduce(&self, socket: Socket, from: IpAddr) {
        let tally = &self.shared.tally;
        match timeout(self.shared.settings.handshake_timeout, self.join(socket)).await {
            Ok(Ok(Some(link))) => self.hand_over(link, from),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                match error.get_ref().and_then(|error| error.downcast_ref()) {
                    Some(PreambleError::Version { .. }) => count(&tally.refused_version),
                    Some(_) => count(&tally.refused_garbage),
                    // It just went away.
                    None => return,
                }
                self.complain(from, &error.to_string());
            }
            Err(_) => {
                count(&tally.handshake_timeouts);
                self.complain(from, "it did not introduce itself in time");
            }
        }
    }

    /// Reads what the socket is for. The first of a connection waits here for the others.
    async fn join(&self, socket: Socket) -> io::Result<Option<Arc<Link>>> {
        let preamble = self.read_preamble(&socket).await?;
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let Some(mine) = self.meet(&preamble, socket, sender) else { return Ok(None) };
        let place = Place { acceptor: self, connection: preamble.connection };
        let mut others = Vec::with_capacity(Lane::ALL.len());
        while others.len() + 1 < Lane::ALL.len() {
            let other = tokio::select! {
                // None: the same lane came twice.
                other = receiver.recv() => other.ok_or(io::ErrorKind::UnexpectedEof)?,
                gone = mine.gone() => return Err(gone),
            };
            others.push(other);
        }
        drop(place);
        others.push((preamble.lane, mine));
        others.sort_by_key(|(lane, _)| lane.place());
        let sockets: Vec<Socket> = others.into_iter().map(|(_, socket)| socket).collect();
        let sockets = <[Socket; Lane::ALL.len()]>::try_from(sockets);
        // No lane was let in twice.
        let sockets = sockets.map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let version = common_version(&preamble.versions).ok();
        let welcome = Welcome { versions: VERSIONS, version }.encode();
        for socket in &sockets {
            socket.write(&welcome).await?;
        }
        Ok(Some(Link::new(sockets)))
    }

    async fn read_preamble(&self, socket: &Socket) -> io::Result<Preamble> {
        let bytes = socket.read(&MAGIC).await.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => io::Error::other(PreambleError::Magic),
            _ => error,
        })?;
        let preamble = Preamble::decode(&bytes);
        if let Err(PreambleError::Version { .. }) = &preamble {
            // So that the other side can say what is wrong.
            socket.write(&Welcome { versions: VERSIONS, version: None }.encode()).await?;
        }
        preamble.map_err(io::Error::other)
    }

    /// Gives the socket to the one that waits for it, or back if it is the first.
    fn meet(
        &self,
        preamble: &Preamble,
        socket: Socket,
        others: mpsc::UnboundedSender<(Lane, Socket)>,
    ) -> Option<Socket> {
        let (lane, connection) = (preamble.lane, preamble.connection);
        let mut waiting = self.waiting();
        let Some(first) = waiting.get_mut(&connection) else {
            waiting.insert(connection, Waiting { lanes: vec![lane], others });
            return Some(socket);
        };
        if first.lanes.contains(&lane) {
            // The same lane twice: all are dropped.
            waiting.remove(&connection);
            return None;
        }
        first.lanes.push(lane);
        let is_last = first.lanes.len() == Lane::ALL.len();
        // If it gave up meanwhile, this socket is closed, and the other side sees it.
        let _ = first.others.send((lane, socket));
        if is_last {
            waiting.remove(&connection);
        }
        None
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u128, Waiting>> {
        // Nothing panics with this lock held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, link: Arc<Link>, from: IpAddr) {
        count(&self.shared.tally.accepted);
        let (state, inbox) = State::new(self.shared.clone(), from.to_string());
        if !state.attach(link.clone()) {
            return;
        }
        let task = state.clone();
        self.shared.runtime.spawn(async move {
            let inbox = tokio::select! {
                () = task.stop.cancelled() => None,
                inbox = inbox => inbox.ok(),
            };
            if let Some(inbox) = inbox {
                task.carry(&link, &inbox).await;
            }
            task.detach();
        });
        self.accepted.accept(Arc::new(TcpConnection(state)));
    }
}

/// Gives a place among those that wait free, however the waiting ends.
struct Place<'a> {
    acceptor: &'a Acceptor,
    connection: u128,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.acceptor.waiting().remove(&self.connection);
    }
}
