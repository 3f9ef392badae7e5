//! Three nodes on this machine: child processes, to be killed at will.

mod child;

use std::{net::TcpListener, path::Path, time::Duration};

use anyhow::Context;
use skiff::{Client, Status};
use skiff_kv::Kv;
use tempfile::TempDir;
use tokio::time::Instant;

use self::child::Child;
use crate::{
    failure::{Exit, Failure},
    filesystem, random, say,
};

/// How many nodes there are.
pub(crate) const NODES: usize = 3;
/// What takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to look.
const PAUSE: Duration = Duration::from_millis(5);
/// How often other ports are tried.
const ATTEMPTS: usize = 5;

/// Three nodes with their data in a temporary folder. Dropping it kills them and removes the folder.
pub(crate) struct LocalCluster {
    // In the order of their dropping: first the processes, then their data.
    nodes: Vec<Child>,
    client: Client<Kv>,
    folder: TempDir,
    file_system: String,
}

impl LocalCluster {
    /// Starts the nodes and waits until they are one cluster.
    pub(crate) async fn start(
        folder: Option<&Path>,
        keep: bool,
        arguments: &[&str],
    ) -> Result<Self, Failure> {
        for _ in 1..ATTEMPTS {
            match Self::start_once(folder, keep, arguments).await {
                // Somebody else has taken a port that was free a moment ago.
                Err(failure) if failure.exit == Exit::Listen => {}
                result => return result,
            }
        }
        Self::start_once(folder, keep, arguments).await
    }

    async fn start_once(
        folder: Option<&Path>,
        keep: bool,
        arguments: &[&str],
    ) -> Result<Self, Failure> {
        let (folder, file_system) = filesystem::durable_folder(folder)?;
        let mut folder = tempfile::Builder::new()
            .prefix("skiff-")
            .tempdir_in(&folder)
            .with_context(|| format!("cannot make a temporary folder in {}", folder.display()))?;
        folder.disable_cleanup(keep);
        let addresses = free_addresses()?;
        // A name of its own: whoever else runs on this machine is not to meddle.
        let cluster = format!("{}-{}", folder.path().display(), random::seed());
        let mut nodes = Vec::new();
        for (number, address) in addresses.iter().enumerate() {
            let name = format!("n{}", number + 1);
            let peers = addresses.join(",");
            let mut own = vec!["--cluster", &cluster, "--peers", &peers];
            own.extend(arguments);
            nodes.push(Child::start(&name, address, folder.path(), &own)?);
        }
        let client = Client::new(&*cluster, addresses).map_err(Failure::start)?;
        let mut started = Self { nodes, client, folder, file_system };
        for number in 0..NODES {
            started.wait_for(number, Status::is_ready).await?;
        }
        Ok(started)
    }

    /// A client of all nodes. All clones of it share one connection to each node.
    pub(crate) const fn client(&self) -> &Client<Kv> {
        &self.client
    }

    pub(crate) const fn file_system(&self) -> &str {
        self.file_system.as_str()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn name(&self, number: usize) -> &str {
        self.nodes[number].name()
    }

    pub(crate) fn address(&self, number: usize) -> &str {
        self.nodes[number].address()
    }

    /// The processes that run.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(Child::pid).collect()
    }

    /// Kills a node's process, without a word to it.
    pub(crate) fn kill(&mut self, number: usize) -> Result<(), Failure> {
        self.nodes[number].kill()
    }

    /// Starts a killed node's process on its data.
    pub(crate) fn restart(&mut self, number: usize) -> Result<(), Failure> {
        self.nodes[number].restart()
    }

    /// Waits until a node says that it stands as wanted.
    pub(crate) async fn wait_for(
        &mut self,
        number: usize,
        mut wanted: impl FnMut(&Status) -> bool,
    ) -> Result<Status, Failure> {
        let until = Instant::now() + PATIENCE;
        let client = self.client.clone().with_timeout(Duration::from_millis(500));
        loop {
            let answer = client.status(self.nodes[number].address()).await;
            if let Ok(status) = &answer
                && wanted(status)
            {
                return Ok(status.clone());
            }
            self.nodes[number].must_run(until)?;
            if Instant::now() >= until {
                let node = &self.nodes[number];
                return Err(Failure::failed(format!(
                    "{} was waited for in vain for {PATIENCE:?}: it says {answer:?}\n{}",
                    node.name(),
                    node.last_words()
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until one of the nodes that run leads, and is followed; tells which.
    pub(crate) async fn leader(&mut self) -> Result<(usize, Status), Failure> {
        let until = Instant::now() + PATIENCE;
        let client = self.client.clone().with_timeout(Duration::from_millis(200));
        loop {
            let mut leaders = Vec::new();
            for number in (0..NODES).filter(|number| self.nodes[*number].pid().is_some()) {
                if let Ok(status) = client.status(self.nodes[number].address()).await
                    && status.state == "leader"
                {
                    leaders.push((number, status));
                }
            }
            if let Some(newest) = leaders.into_iter().max_by_key(|(_, status)| status.term) {
                return Ok(newest);
            }
            if Instant::now() >= until {
                return Err(Failure::failed(format!("no node leads after {PATIENCE:?}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Says where the data stays, if it does.
    pub(crate) fn say_where(&self, keep: bool) {
        if keep {
            say::aside(format_args!("the data and the logs are in {}", self.folder().display()));
        }
    }
}

/// Addresses that nobody listens at now.
fn free_addresses() -> Result<Vec<String>, Failure> {
    let listeners: Vec<TcpListener> =
        (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let addresses = listeners.iter().map(|one| one.local_addr().map(|address| address.to_string()));
    Ok(addresses.collect::<Result<_, _>>()?)
}
