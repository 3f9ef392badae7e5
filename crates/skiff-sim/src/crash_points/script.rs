//! The scripts there are.

use super::{PowerCut, cluster::Cluster, log::Alone, played::Played};
use crate::{plan::MS, world::Tracer};

/// A run that is the same each time, but for a power cut.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Cluster(Box<Cluster>),
    Log(Alone),
}

impl Script {
    /// Their names.
    pub(crate) const NAMES: &[&str] = &[
        "form",
        "join",
        "alone",
        "elect",
        "transfer",
        "replicate",
        "slow",
        "conflict",
        "restart",
        "recover",
        "snapshot",
        "ask",
        "backup",
        "install",
        "resume",
        "mark",
        "joint",
        "remove",
        "leave",
        "rejoin",
        "replace",
        "wipe",
        "roll",
        "recycle",
    ];

    pub(crate) fn all() -> Vec<Self> {
        Self::NAMES.iter().filter_map(|name| Self::named(name)).collect()
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let cluster = |cluster: Cluster| Kind::Cluster(Box::new(cluster.settled()));
        let kind = match name {
            "form" => cluster(Cluster::form()),
            "join" => cluster(Cluster::join()),
            "alone" => cluster(Cluster::alone()),
            "elect" => cluster(Cluster::elect()),
            "transfer" => cluster(Cluster::transfer()),
            "replicate" => cluster(Cluster::replicate()),
            "slow" => cluster(Cluster::slow()),
            "conflict" => cluster(Cluster::conflict()),
            "restart" => cluster(Cluster::restart()),
            "recover" => cluster(Cluster::recover()),
            "snapshot" => cluster(Cluster::snapshot()),
            "ask" => cluster(Cluster::ask()),
            "backup" => cluster(Cluster::backup()),
            "install" => cluster(Cluster::install()),
            "resume" => cluster(Cluster::resume()),
            "mark" => cluster(Cluster::mark()),
            "joint" => cluster(Cluster::joint()),
            "remove" => cluster(Cluster::remove()),
            "leave" => cluster(Cluster::leave()),
            "rejoin" => cluster(Cluster::rejoin()),
            "replace" => cluster(Cluster::replace()),
            "wipe" => cluster(Cluster::wipe()),
            "roll" => Kind::Log(Alone::TINY),
            "recycle" => Kind::Log(Alone::SMALL),
            _ => return None,
        };
        let name = Self::NAMES.iter().find(|one| **one == name)?;
        Some(Self { name, kind })
    }

    /// Runs it, with a power cut or none.
    pub(crate) fn play(&self, cut: Option<&PowerCut>, tracer: Option<Tracer<'_>>) -> Played {
        match &self.kind {
            Kind::Cluster(cluster) => cluster.play(cut, tracer),
            Kind::Log(alone) => alone.play(cut, tracer),
        }
    }

    /// How long a node may stay away, in nanoseconds: less than it takes the others to see it, and
    /// more.
    pub(crate) fn downs(&self) -> &'static [u64] {
        match &self.kind {
            Kind::Cluster(_) => &[10 * MS, 600 * MS],
            Kind::Log(_) => &[0],
        }
    }
}
