//! Clients that write without a pause while nodes come and go.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use skiff::Client;
use skiff_kv::Kv;
use tokio::task::JoinSet;

use crate::{
    history::History,
    nodes::{ATTEMPT, Nodes},
};

/// Each client writes to so many keys in turn.
const KEYS: usize = 4;

pub(crate) struct Load {
    writers: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn start(nodes: &Nodes, history: &Arc<History>, name: &str, writers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for writer in 0..writers {
            let (client, history) = (nodes.client(ATTEMPT), Arc::clone(history));
            let (stop, name) = (Arc::clone(&stop), format!("{name}-{writer}"));
            tasks.spawn_on(write(client, history, name, stop), nodes.runtime().handle());
        }
        Self { writers: tasks, stop }
    }

    /// Lets each finish the write it is at.
    pub(crate) fn stop(mut self, nodes: &Nodes) {
        self.stop.store(true, Ordering::Relaxed);
        nodes.runtime().block_on(async {
            while let Some(ended) = self.writers.join_next().await {
                ended.unwrap();
            }
        });
    }
}

async fn write(client: Client<Kv>, history: Arc<History>, name: String, stop: Arc<AtomicBool>) {
    // A key is left alone after a write of which the effect is not known.
    let mut generations = [0; KEYS];
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let slot = turn % KEYS;
        let key = format!("{name}-{slot}-{}", generations[slot]);
        if history.put(&client, &key).await.is_err() {
            generations[slot] += 1;
        }
        turn += 1;
    }
}
