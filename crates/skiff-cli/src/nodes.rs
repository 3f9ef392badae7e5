//! The nodes a command talks to.

use std::time::Duration;

use clap::Args;
use skiff::Client;
use skiff_kv::Kv;

use crate::{failure::Failure, spans};

/// Which cluster to talk to, and how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Nodes {
    /// Addresses of nodes, separated by commas; some of the cluster are enough
    #[arg(
        long,
        env = "SKIFF_NODES",
        value_delimiter = ',',
        default_value = "127.0.0.1:7001",
        value_name = "ADDRESSES"
    )]
    pub(crate) nodes: Vec<String>,

    /// The cluster's name
    #[arg(long, env = "SKIFF_CLUSTER", default_value = "skiff", value_name = "NAME")]
    pub(crate) cluster: String,

    /// How long to try, as in 500ms, 3s or 2m
    #[arg(long, default_value = "3s", value_parser = spans::parse, value_name = "SPAN")]
    pub(crate) timeout: Duration,
}

impl Nodes {
    pub(crate) fn client(&self) -> Result<Client<Kv>, Failure> {
        if let Some(wrong) = self.nodes.iter().find(|node| node.is_empty()) {
            return Err(Failure::usage(format!("an address in --nodes is empty: `{wrong}`")));
        }
        let client = Client::new(&*self.cluster, self.nodes.iter().cloned());
        Ok(client.map_err(Failure::start)?.with_timeout(self.timeout))
    }

    /// The addresses, to be named in a message.
    pub(crate) fn names(&self) -> String {
        self.nodes.join(",")
    }
}
