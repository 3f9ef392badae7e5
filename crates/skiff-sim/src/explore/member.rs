//! One node: the real core, and a disk that may take its time. What a node does is a matter of what
//! it is given, so of nodes with the same number only the first is asked.

use std::{
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use skiff_replica::{
    Instant,
    core::{Config, Membership, Raft, Write},
};

use super::{
    Bounds,
    disk::Disk,
    letter::Letter,
    print::{ALL, NODES, SeenFrom, WAYS, id},
    step::{Event, Node, Pace},
    turn::Turn,
};

/// The longest election timeout and the shortest, in heartbeats. What is drawn between
/// them is always the same; what matters is that a leader gives signs of life within either.
pub(super) const LONGEST: u64 = 128;
pub(super) const SHORTEST: u64 = 64;

/// How the dice fall, always.
pub(super) const DICE: u64 = 0;

/// What broke, in a sentence that says what should hold.
pub(super) type Broken = String;

/// What three nodes begin with.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) bounds: Bounds,
    pub(super) membership: Membership,
}

impl Setup {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, membership: Membership::of(ALL.map(id)) }
    }

    fn config(&self, me: Node) -> Config {
        let mut config = Config::new(id(me));
        config.heartbeat_interval = 1;
        config.min_election_timeout = SHORTEST;
        config.max_election_timeout = LONGEST;
        if self.bounds.one_by_one {
            (config.append_bytes, config.write_bytes) = (1, 1);
        }
        config.seed = DICE;
        config.options = self.bounds.options;
        config.check_invariants = true;
        config
    }

    /// A node that begins with what is on its disk.
    pub(super) fn start(&self, me: Node, disk: &Disk) -> Result<Raft, Broken> {
        let recovered = disk.recovered(self.membership.clone());
        let raft = Raft::new(Instant(0), self.config(me), recovered)
            .map_err(|error| format!("a node can start from its disk: {error}"))?;
        raft.check_invariants()?;
        Ok(raft)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) raft: Raft,
    pub(super) disk: Disk,
    /// The write that is under way.
    pub(super) writing: Option<Write>,
    pub(super) now: Instant,
    /// The number of all this, either way round.
    pub(super) prints: [u64; WAYS.len()],
}

/// What came of an event.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It cannot happen here, or makes no difference.
    Nothing,
    Broken(Broken),
    /// The node is now as said, and has sent these.
    Moved(Arc<Member>, Arc<[Arc<Letter>]>),
}

impl Member {
    pub(super) fn new(setup: &Setup, me: Node) -> Result<Self, Broken> {
        let disk = Disk::default();
        let raft = setup.start(me, &disk)?;
        let (now, prints) = (Instant(0), [0; WAYS.len()]);
        let mut member = Self { raft, disk, writing: None, now, prints };
        while member.raft.poll().is_some() {}
        member.prints = member.print(me);
        Ok(member)
    }

    /// Gives it an event, and lets it do all it wants.
    pub(super) fn take(&self, setup: &Setup, me: Node, event: &Event<'_>, pace: Pace) -> Outcome {
        match catch_unwind(AssertUnwindSafe(|| Turn::take(self, setup, me, event, pace))) {
            Ok(Ok(Some((member, sent)))) => self.moved(me, member, sent),
            Ok(Ok(None)) => Outcome::Nothing,
            Ok(Err(broken)) => Outcome::Broken(broken),
            Err(_) => Outcome::Broken("a node does not panic".into()),
        }
    }

    fn moved(&self, me: Node, mut to: Self, sent: Vec<Arc<Letter>>) -> Outcome {
        to.prints = to.print(me);
        if to.prints == self.prints && sent.is_empty() {
            return Outcome::Nothing;
        }
        Outcome::Moved(Arc::new(to), sent.into())
    }

    fn print(&self, me: Node) -> [u64; WAYS.len()] {
        WAYS.map(|way| {
            let mut hasher = SeenFrom::new(me, way);
            self.raft.fingerprint(&hasher.members(), &mut hasher);
            self.disk.hash(&mut hasher);
            if let Some(write) = &self.writing {
                (write.hard_state, write.truncate_from, &write.entries).hash(&mut hasher);
            }
            hasher.finish()
        })
    }
}

/// All three.
pub(super) type Members = [Arc<Member>; NODES];
