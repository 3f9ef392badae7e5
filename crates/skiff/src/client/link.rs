//! A client's connection to one node, and the requests that wait on it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use skiff_replica::{
    InstanceId, Refused,
    core::NodeId,
    transport::{
        Ask, Body, Connection, Envelope, Hello, Inbox, Refusal, Request, Signal, Standing,
        Transport, TransportError,
    },
};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::Answer;

/// What came of asking a node.
pub(super) enum Asked {
    Answered(Answer),
    /// It was not sent: it had no effect.
    NotSent,
    /// It was sent, and the connection broke before the answer.
    Lost,
    /// It was sent, and the time was up before the answer.
    Late,
}

pub(super) struct Link {
    connection: Arc<dyn Connection>,
    state: Arc<State>,
}

struct State {
    address: String,
    cluster: String,
    /// The instance of the cluster that the client met first.
    instance: Arc<OnceLock<InstanceId>>,
    node: watch::Sender<Node>,
    /// Told when the node has said who it is.
    told: watch::Sender<()>,
    waiting: Mutex<Waiting>,
}

/// What is known of the node at the other end.
enum Node {
    /// It is not connected, or has not said who it is.
    Silent,
    Up,
    /// It belongs to the cluster of this name, which is not the client's.
    Foreign(String),
    /// It is about to stop, and is asked nothing any more but how it is.
    Leaving,
    /// It belongs to this instance of the cluster, which is not the one that the client met first.
    Apart(InstanceId),
}

#[derive(Default)]
struct Waiting {
    last_id: u64,
    requests: HashMap<u64, oneshot::Sender<Answer>>,
}

impl Link {
    /// Opens a link. It establishes itself in the background, and tells `told` each time it has.
    pub(super) fn open(
        transport: &dyn Transport,
        address: &str,
        cluster: &str,
        instance: Arc<OnceLock<InstanceId>>,
        told: watch::Sender<()>,
    ) -> Result<Arc<Self>, TransportError> {
        let connection = transport.connect(address)?;
        let state = Arc::new(State {
            address: address.to_owned(),
            cluster: cluster.to_owned(),
            instance,
            node: watch::channel(Node::Silent).0,
            told,
            waiting: Mutex::default(),
        });
        // The connection holds the inbox: a strong reference back would keep both for ever.
        let (to, weak) = (Arc::clone(&state), Arc::downgrade(&connection));
        connection.listen(Inbox::new(move |signal| {
            if let Some(connection) = weak.upgrade() {
                to.hear(&*connection, signal);
            }
        }));
        Ok(Arc::new(Self { connection, state }))
    }

    /// Waits until the node has said who it is. `false` if it has not by then, or is of another
    /// cluster, or of another instance of it.
    pub(super) async fn wait_up(&self, until: Instant) -> bool {
        let mut node = self.state.node.subscribe();
        let told = node.wait_for(|node| !matches!(node, Node::Silent));
        tokio::time::timeout_at(until, told).await.is_ok() && self.is_up()
    }

    /// Whether the node has said who it is, and the connection still holds.
    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.node.borrow(), Node::Up)
    }

    /// Whether the node is about to stop, or of another instance of the cluster: it can be asked how it
    /// is, no more.
    pub(super) fn only_tells(&self) -> bool {
        matches!(*self.state.node.borrow(), Node::Apart(_) | Node::Leaving)
    }

    /// Why this node is not to be asked, if that is so.
    pub(super) fn refused(&self) -> Option<Refused> {
        let (address, ours) = (&self.state.address, &self.state.cluster);
        match &*self.state.node.borrow() {
            Node::Foreign(theirs) => Some(refusal(
                "EOTHERCLUSTER",
                format!(
                    "the node at {address} belongs to cluster `{theirs}`, this client to `{ours}`"
                ),
            )),
            Node::Apart(theirs) => {
                let ours = self.state.instance.get().copied().unwrap_or_default();
                Some(refusal(
                    "EOTHERINSTANCE",
                    format!(
                        "the node at {address} belongs to instance {theirs} of the cluster, others \
                         that this client met to {ours}: they were founded apart"
                    ),
                ))
            }
            Node::Silent | Node::Up | Node::Leaving => None,
        }
    }

    pub(super) async fn ask(&self, ask: Ask, deadline: Instant) -> Asked {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        let timeout_ms = u64::try_from(left).unwrap_or(u64::MAX);
        let (reply, answer) = oneshot::channel();
        let Some(id) = self.state.enter(reply, &ask) else { return Asked::NotSent };
        let request = Request { id, timeout_ms, hops: 0, ask };
        if self.connection.send(envelope(Body::Request(Box::new(request)))).is_err() {
            self.state.waiting().requests.remove(&id);
            return Asked::NotSent;
        }
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => Asked::Answered(answer),
            Ok(Err(_)) => Asked::Lost,
            Err(_) => {
                self.state.waiting().requests.remove(&id);
                Asked::Late
            }
        }
    }

    pub(super) fn close(&self) {
        self.connection.close();
    }
}

impl Waiting {
    fn enter(&mut self, reply: oneshot::Sender<Answer>) -> u64 {
        self.last_id += 1;
        self.requests.insert(self.last_id, reply);
        self.last_id
    }
}

impl State {
    /// Numbers a request, unless the node is not to be asked that any more.
    fn enter(&self, reply: oneshot::Sender<Answer>, ask: &Ask) -> Option<u64> {
        let mut waiting = self.waiting();
        let leaves = matches!(*self.node.borrow(), Node::Leaving);
        (!leaves || matches!(ask, Ask::Status)).then(|| waiting.enter(reply))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who said this. The first member met says which instance of the cluster it is about.
    fn judge(&self, hello: Hello) -> Node {
        if hello.cluster != self.cluster {
            return Node::Foreign(hello.cluster);
        }
        match hello.instance.map(InstanceId) {
            Some(theirs) if *self.instance.get_or_init(|| theirs) != theirs => Node::Apart(theirs),
            _ if hello.leaving => Node::Leaving,
            _ => Node::Up,
        }
    }

    fn say_hello(&self, connection: &dyn Connection, farewell: bool) {
        let hello = Hello {
            cluster: self.cluster.clone(),
            standing: Standing::Client,
            farewell,
            ..Hello::default()
        };
        // If it cannot be sent the connection is down, and says so.
        let _down = connection.send(envelope(Body::Hello(Box::new(hello))));
    }

    /// Tells a node that is about to stop that nobody here waits for it any more, once that is so.
    fn say_farewell(&self, connection: &dyn Connection) {
        // Whoever asks now must see that it leaves, or be seen here.
        let waiting = self.waiting();
        let leaves = matches!(*self.node.borrow(), Node::Leaving);
        if leaves && waiting.requests.is_empty() {
            self.say_hello(connection, true);
        }
    }

    fn hear(&self, connection: &dyn Connection, signal: Signal) {
        match signal {
            Signal::Up => self.say_hello(connection, false),
            Signal::Received(Envelope { body: Body::Hello(hello), .. }) => {
                self.node.send_replace(self.judge(*hello));
                self.told.send_replace(());
                self.say_farewell(connection);
            }
            Signal::Received(Envelope { body: Body::Answer(answer), .. }) => {
                let reply = self.waiting().requests.remove(&answer.id);
                if let Some(reply) = reply {
                    let _gone = reply.send(answer.result.map_err(Into::into));
                }
                self.say_farewell(connection);
            }
            Signal::Received(_) => {}
            Signal::Down(_) => {
                // One of another cluster hangs up: it is still known who it is.
                self.node.send_if_modified(|node| {
                    let was_up = matches!(node, Node::Up | Node::Apart(_) | Node::Leaving);
                    if was_up {
                        *node = Node::Silent;
                    }
                    was_up
                });
                // Whoever waits notices that its answer will not come.
                self.waiting().requests.clear();
            }
        }
    }
}

/// Nothing was sent, and nothing will be.
pub(super) fn refusal(code: &str, message: String) -> Refused {
    Refused::Other(Box::new(Refusal { code: code.to_owned(), message, ..Refusal::default() }))
}

/// What a client says: it has no incarnation, and need not know that of the other side.
const fn envelope(body: Body) -> Envelope {
    Envelope { group: 0, from: NodeId(0), to: NodeId(0), boot: 0, body }
}
