//! A transport and a persistence of one's own, in the shape the original had: connections that are
//! called and answer, and a store that is told what to keep.
//!
//! ```text
//! cargo run -p skiff --example custom_providers
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use skiff::{
    Node,
    storage::{
        Done, Identity, LogReader, LogStore, MemoryPersistence, Opening, Persistence, Recovered,
        Store, StoreError, Written,
    },
    transport::{
        Call, CallAdapter, CallConnection, CallTransport, Calls, Local, Reply, TransportError,
    },
};

/// Who listens to the calls from whom. A real transport has sockets here.
type Hub = Arc<Mutex<HashMap<(String, String), Calls>>>;

fn calls_of(hub: &Hub, of: &str, from: &str) -> Option<Calls> {
    let hub = hub.lock().unwrap_or_else(PoisonError::into_inner);
    hub.get(&(of.to_owned(), from.to_owned())).cloned()
}

struct MyTransport {
    hub: Hub,
    own: OnceLock<String>,
}

impl CallTransport for MyTransport {
    fn open(&self, local: &Local) -> Result<Option<String>, TransportError> {
        Ok(Some(self.own.get_or_init(|| local.name.clone()).clone()))
    }

    fn connect(&self, address: &str) -> Result<Arc<dyn CallConnection>, TransportError> {
        let own = self.own.get().cloned().unwrap_or_default();
        Ok(Arc::new(MyConnection { hub: Arc::clone(&self.hub), own, other: address.to_owned() }))
    }
}

struct MyConnection {
    hub: Hub,
    own: String,
    other: String,
}

impl CallConnection for MyConnection {
    fn invoke(&self, call: Call, reply: Reply) {
        match calls_of(&self.hub, &self.other, &self.own) {
            Some(calls) => calls.tell(call, reply),
            None => reply.tell(Err(TransportError::Other(format!("no {} there", self.other)))),
        }
    }

    fn listen(&self, to: Calls) {
        let mut hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        hub.insert((self.own.clone(), self.other.clone()), to);
    }

    fn close(&self) {
        let mut hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        hub.remove(&(self.own.clone(), self.other.clone()));
    }
}

/// A persistence that says what it is told, and leaves the keeping to the store in memory.
struct MyPersistence(MemoryPersistence);

impl Persistence for MyPersistence {
    fn open(&self, opening: &Opening) -> Result<Store, StoreError> {
        let store = self.0.open(opening)?;
        let log = MyLog { name: store.identity.name.clone(), inner: store.log };
        Ok(Store { log: Box::new(log), ..store })
    }
}

struct MyLog {
    name: String,
    inner: Box<dyn LogStore>,
}

impl LogStore for MyLog {
    fn load(&mut self) -> Result<Recovered, StoreError> {
        self.inner.load()
    }

    fn write(&mut self, write: skiff::storage::Write, done: Done) -> Result<Written, StoreError> {
        let term = write.hard_state.term;
        println!("{} keeps term {term} and {} new entries", self.name, write.entries.len());
        self.inner.write(write, done)
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        self.inner.reader()
    }

    fn identify(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.inner.identify(identity)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::default();
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        let transport = MyTransport { hub: Arc::clone(&hub), own: OnceLock::new() };
        let builder = Node::builder().id(name).peers(["a", "b", "c"]).forward_commands(true);
        let builder = builder.transport(CallAdapter::new(transport));
        nodes.push(builder.persistence(MyPersistence(MemoryPersistence::new())).start().await?);
    }
    for node in &nodes {
        node.ready().await?;
    }
    let index = nodes[0].command("some command").await?;
    println!("the cluster agreed: entry {index}");
    Ok(())
}
