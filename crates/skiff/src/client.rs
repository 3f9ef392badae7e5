//! For programs that are not members of a cluster: finds the leader, retries what is safe.

mod backing_up;
mod link;
mod orders;
mod pool;

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use skiff_replica::{
    ChangeError, CommandError, Encoded, InstanceId, MemberChange, Outcome, Queries, ReadError,
    Refused, StateMachine, Why,
    transport::{Ask, Consistency, Transport, TransportError},
};
use skiff_tcp::TcpTransport;
use tokio::{sync::watch, time::Instant};

use self::{
    link::{Asked, Link, refusal},
    pool::Pool,
};
use crate::{clock::FAR, error::StartError, status::Status};

/// How long to wait before asking again when nobody leads or all are busy.
const PAUSE: Duration = Duration::from_millis(20);

/// Talks to a cluster with machine `M` from outside. Cheap to clone.
///
/// Commands go to the leader, wherever the client happens to ask first. A command is sent again only
/// after an explicit refusal, or [in a session](Self::exactly_once): if the connection breaks before the
/// answer, its outcome is [unknown](CommandError::outcome) and the caller decides. Queries and status have no effect and
/// are retried until the deadline.
///
/// A client keeps to the instance of the cluster that it meets first: of a node that belongs to another,
/// founded apart under the same name, it takes nothing but its status.
pub struct Client<M> {
    cluster: Arc<Cluster>,
    timeout: Duration,
    /// Its sessions, if commands are given in such.
    sessions: Option<Arc<Pool>>,
    machine: PhantomData<fn() -> M>,
}

/// What all clones of a client share.
struct Cluster {
    name: String,
    transport: Box<dyn Transport>,
    addresses: Vec<String>,
    links: Mutex<HashMap<String, Arc<Link>>>,
    /// The instance of the cluster that was met first; no other is served.
    instance: Arc<OnceLock<InstanceId>>,
    /// Told each time a link comes up.
    up: watch::Sender<()>,
    /// Whom to ask first: the leader, as last heard, or the next in turn.
    first: Mutex<String>,
}

impl<M> Clone for Client<M> {
    fn clone(&self) -> Self {
        let (cluster, sessions) = (Arc::clone(&self.cluster), self.sessions.clone());
        Self { cluster, sessions, timeout: self.timeout, machine: PhantomData }
    }
}

impl<M> fmt::Debug for Client<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("addresses", &self.cluster.addresses).finish_non_exhaustive()
    }
}

impl<M> Client<M> {
    /// A client of the nodes at these addresses, over TCP. Some of the cluster are enough: the
    /// leader's address is learnt from them. Connects when it is first used.
    ///
    /// # Errors
    ///
    /// If there is no address, or no tokio runtime.
    pub fn new<A: Into<String>>(
        cluster: impl Into<String>,
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Self, StartError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(StartError::NoRuntime);
        }
        Self::over(TcpTransport::builder().build()?, cluster, addresses)
    }

    /// As [`new`](Self::new), over another transport.
    ///
    /// # Errors
    ///
    /// If there is no address.
    pub fn over<A: Into<String>>(
        transport: impl Transport + 'static,
        cluster: impl Into<String>,
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Self, StartError> {
        let addresses: Vec<String> = addresses.into_iter().map(Into::into).collect();
        let first = addresses.first().cloned().ok_or_else(|| TransportError::Address {
            address: String::new(),
            reason: "a client needs the address of at least one node".to_owned(),
        })?;
        let cluster = Cluster {
            name: cluster.into(),
            transport: Box::new(transport),
            addresses,
            links: Mutex::default(),
            instance: Arc::default(),
            up: watch::channel(()).0,
            first: Mutex::new(first),
        };
        let timeout = Duration::from_secs(3);
        let cluster = Arc::new(cluster);
        Ok(Self { cluster, sessions: None, timeout, machine: PhantomData })
    }

    /// The same client with sessions, each of which lives for so long without being used. A command is
    /// given in a session that no other has at the moment, so it can be tried until the deadline,
    /// whatever goes wrong, and is still executed once. The first commands take a step more: to begin
    /// their sessions.
    #[must_use]
    pub fn exactly_once(mut self, session_timeout: Duration) -> Self {
        self.sessions = Some(Pool::new(session_timeout));
        self
    }

    /// Ends the sessions that no command has at the moment. Those that are left expire.
    pub async fn end_sessions(&self) {
        if let Some(sessions) = &self.sessions {
            sessions.end(&self.cluster, Instant::now() + self.timeout).await;
        }
    }

    /// The same client with another time limit for each call. Default: 3 s. More than thirty years are
    /// taken for thirty years, so `Duration::MAX` waits for ever.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(FAR);
        self
    }

    /// How the node at this address stands.
    ///
    /// # Errors
    ///
    /// If it does not answer in time.
    pub async fn status(&self, address: &str) -> Result<Status, ReadError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let answer = self.cluster.ask_at(address, Ask::Status, deadline).await;
            match answer {
                Asked::Answered(Ok(bytes)) => {
                    return serde_json::from_slice(&bytes)
                        .map_err(|error| ReadError::Undecodable { reason: error.to_string() });
                }
                Asked::Answered(Err(refused)) => return Err(refused.into()),
                Asked::NotSent | Asked::Lost if Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                Asked::NotSent | Asked::Lost => return Err(ReadError::Disconnected),
                Asked::Late => return Err(ReadError::Timeout),
            }
        }
    }
}

impl<M> Client<M> {
    /// Changes who the members are, as the methods of [`Node`](crate::Node) of these names do. If the
    /// connection breaks it is asked again: that is harmless.
    ///
    /// # Errors
    ///
    /// If the change cannot be made, or was not within the time limit.
    pub async fn change(&self, change: MemberChange) -> Result<(), ChangeError> {
        let deadline = Instant::now() + self.timeout;
        let mut begun = false;
        loop {
            let (address, link) = match self.cluster.pick(deadline).await {
                Ok(picked) => picked,
                Err(Refused::Timeout { .. }) => return Err(ChangeError::Timeout { begun }),
                Err(refused) => return Err(refused.into()),
            };
            let is_removal = matches!(change, MemberChange::Remove { .. });
            let refused = match link.ask(Ask::Change(change.clone()), deadline).await {
                Asked::Answered(Ok(_)) => return Ok(()),
                // It was removed by a try before this one, whose answer was lost.
                Asked::Answered(Err(Refused::Change { why: Why::UnknownMember, .. }))
                    if begun && is_removal =>
                {
                    return Ok(());
                }
                Asked::NotSent => Refused::NotLeader { leader: None },
                Asked::Lost | Asked::Answered(Err(Refused::Stopped { .. })) => {
                    begun = true;
                    Refused::NotLeader { leader: None }
                }
                Asked::Answered(Err(refused)) => refused,
                Asked::Late => return Err(ChangeError::Timeout { begun: true }),
            };
            if !self.cluster.try_elsewhere(&address, &refused, deadline).await {
                return Err(match refused {
                    Refused::NotLeader { leader: None } => ChangeError::Timeout { begun },
                    refused => refused.into(),
                });
            }
        }
    }
}

impl<M: StateMachine> Client<M> {
    /// Has a command replicated and applied, and returns the machine's response.
    ///
    /// # Errors
    ///
    /// As [`Node::command`](crate::Node::command); if the connection broke, or the time was up,
    /// after it was sent, the outcome is unknown. At once if every address is none, or that of a
    /// node of another cluster.
    pub async fn command(
        &self,
        command: impl Into<M::Command>,
    ) -> Result<M::Response, CommandError> {
        let undecodable = |outcome| {
            move |error: skiff_replica::Malformed| CommandError::Undecodable {
                reason: error.to_string(),
                outcome,
            }
        };
        let bytes = command.into().encode().map_err(undecodable(Outcome::NotApplied))?;
        let deadline = Instant::now() + self.timeout;
        if let Some(sessions) = &self.sessions {
            let response = sessions.command(&self.cluster, &bytes, deadline).await?;
            return M::Response::decode(&response)
                .map_err(undecodable(Outcome::AppliedResponseLost));
        }
        loop {
            let (address, link) = self.cluster.pick(deadline).await?;
            match link.ask(Ask::Command(bytes.clone()), deadline).await {
                Asked::Answered(Ok(response)) => {
                    return M::Response::decode(&response)
                        .map_err(undecodable(Outcome::AppliedResponseLost));
                }
                Asked::Answered(Err(refused)) => {
                    if !self.cluster.try_elsewhere(&address, &refused, deadline).await {
                        return Err(refused.into());
                    }
                }
                Asked::NotSent => {
                    let refused = Refused::NotLeader { leader: None };
                    if !self.cluster.try_elsewhere(&address, &refused, deadline).await {
                        let outcome = Outcome::NotApplied;
                        return Err(CommandError::Timeout { outcome, position: None });
                    }
                }
                Asked::Lost => {
                    self.cluster.turn(&address);
                    return Err(CommandError::Disconnected);
                }
                Asked::Late => {
                    self.cluster.turn(&address);
                    let outcome = Outcome::Unknown;
                    return Err(CommandError::Timeout { outcome, position: None });
                }
            }
        }
    }

    /// Puts a question to the machine of the node that leads.
    ///
    /// # Errors
    ///
    /// If no node answers it in time.
    pub async fn query(
        &self,
        consistency: Consistency,
        query: M::Query,
    ) -> Result<M::Answer, ReadError>
    where
        M: Queries,
    {
        self.query_at(None, consistency, query).await
    }

    /// As [`query`](Self::query), at the node with this address and no other: with
    /// [`Consistency::Local`], what that node has applied.
    ///
    /// # Errors
    ///
    /// If the node does not answer it in time.
    pub async fn query_at(
        &self,
        address: Option<&str>,
        consistency: Consistency,
        query: M::Query,
    ) -> Result<M::Answer, ReadError>
    where
        M: Queries,
    {
        let undecodable =
            |error: skiff_replica::Malformed| ReadError::Undecodable { reason: error.to_string() };
        let query = query.encode().map_err(undecodable)?;
        let deadline = Instant::now() + self.timeout;
        loop {
            let ask = Ask::Query { query: query.clone(), consistency };
            let (at, asked) = match address {
                Some(address) => {
                    (address.to_owned(), self.cluster.ask_at(address, ask, deadline).await)
                }
                None => {
                    let (address, link) = self.cluster.pick(deadline).await?;
                    (address, link.ask(ask, deadline).await)
                }
            };
            let refused = match asked {
                Asked::Answered(Ok(answer)) => {
                    return M::Answer::decode(&answer).map_err(undecodable);
                }
                // A read has no effect: another node, or this one once it is there again, may answer it.
                Asked::NotSent | Asked::Lost | Asked::Answered(Err(Refused::Stopped { .. })) => {
                    Refused::NotLeader { leader: None }
                }
                Asked::Answered(Err(refused)) => refused,
                Asked::Late => return Err(ReadError::Timeout),
            };
            if !self.cluster.try_elsewhere(&at, &refused, deadline).await {
                return Err(match refused {
                    Refused::NotLeader { leader: None } => ReadError::Timeout,
                    refused => refused.into(),
                });
            }
        }
    }
}

impl Cluster {
    fn first(&self) -> String {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ask_first(&self, address: String) {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// From now on asks the one after `address` first.
    fn turn(&self, address: &str) {
        let at = self.addresses.iter().position(|one| one == address);
        let next = at.map_or(0, |at| (at + 1) % self.addresses.len());
        if let Some(next) = self.addresses.get(next) {
            self.ask_first(next.clone());
        }
    }

    /// The refusal proves that nothing took effect: chooses whom to ask next, and waits where that
    /// makes sense. `false` if the refusal is final or the time is up.
    async fn try_elsewhere(&self, address: &str, refused: &Refused, deadline: Instant) -> bool {
        let pause = deadline.min(Instant::now() + PAUSE);
        match refused {
            Refused::NotLeader { leader: Some(leader) }
                if !leader.address.is_empty() && leader.address != address =>
            {
                self.ask_first(leader.address.clone());
                // If it does not come up, whoever named it may not know yet that it is gone.
                if let Ok(link) = self.link(&leader.address) {
                    link.wait_up(pause).await;
                }
            }
            Refused::NotLeader { .. } | Refused::Stopped { outcome: Outcome::NotApplied, .. } => {
                self.turn(address);
                tokio::time::sleep_until(pause).await;
            }
            Refused::Busy { .. } => tokio::time::sleep_until(pause).await,
            _ => return false,
        }
        Instant::now() < deadline
    }

    /// Whom to ask now: the one to be asked first if it is connected, or else the next that is.
    /// Waits until one is, unless it is certain that none will ever be.
    async fn pick(&self, deadline: Instant) -> Result<(String, Arc<Link>), Refused> {
        let mut up = self.up.subscribe();
        loop {
            let first = self.first();
            let at = self.addresses.iter().position(|one| *one == first).unwrap_or(0);
            let (before, after) = self.addresses.split_at(at);
            let (mut refused, mut hope) = (None, false);
            for address in [&first].into_iter().chain(after).chain(before) {
                match self.link(address) {
                    Ok(link) if link.is_up() => return Ok((address.clone(), link)),
                    Ok(_) => hope = true,
                    Err(reason) => refused = Some(reason),
                }
            }
            if let (Some(refused), false) = (refused, hope) {
                return Err(refused);
            }
            if tokio::time::timeout_at(deadline, up.changed()).await.is_err() {
                let outcome = Outcome::NotApplied;
                return Err(Refused::Timeout { outcome, position: None });
            }
        }
    }

    /// Asks the node at this address, once.
    async fn ask_at(&self, address: &str, ask: Ask, deadline: Instant) -> Asked {
        let link = match self.open(address) {
            Ok(link) => link,
            Err(refused) => return Asked::Answered(Err(refused)),
        };
        let may_tell = matches!(ask, Ask::Status);
        if link.wait_up(deadline).await || (may_tell && link.only_tells()) {
            return link.ask(ask, deadline).await;
        }
        link.refused().map_or(Asked::NotSent, |refused| Asked::Answered(Err(refused)))
    }

    /// The link to this address; an error if nobody there can ever be asked.
    fn link(&self, address: &str) -> Result<Arc<Link>, Refused> {
        let link = self.open(address)?;
        link.refused().map_or(Ok(link), Err)
    }

    /// The link to this address, opened if it is the first time.
    fn open(&self, address: &str) -> Result<Arc<Link>, Refused> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(address) {
            return Ok(Arc::clone(link));
        }
        let (instance, told) = (Arc::clone(&self.instance), self.up.clone());
        let link = Link::open(&*self.transport, address, &self.name, instance, told)
            .map_err(|error| refusal("EADDRESS", error.to_string()))?;
        links.insert(address.to_owned(), Arc::clone(&link));
        Ok(link)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let links = self.links.get_mut().unwrap_or_else(PoisonError::into_inner);
        links.drain().for_each(|(_, link)| link.close());
        self.transport.shutdown();
    }
}

/// The answer to a request: the encoded response, or why there is none.
type Answer = Result<Bytes, Refused>;
