//! Who listens where, who dials whom, and which wires there are.
//!
//! Everything here happens under one lock, which is never held while anybody is told anything: what
//! is to be told is put into the ends in its order, and they tell it afterwards. Sending does not
//! come here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    end::{Closed, End, Wire},
    losses::Losses,
};
use crate::transport::Accepted;

/// Names a transport of this network.
pub(super) type Owner = u64;

#[derive(Default)]
pub(super) struct Topology {
    last_owner: Owner,
    owners: BTreeSet<Owner>,
    last_wire: u64,
    listeners: BTreeMap<String, Listener>,
    dials: Vec<Dial>,
    wires: BTreeMap<u64, Ends>,
    cuts: BTreeSet<(String, String)>,
    losses: BTreeMap<(String, String), Arc<Losses>>,
}

struct Listener {
    owner: Owner,
    accepted: Accepted,
}

/// A connection that somebody wants.
struct Dial {
    owner: Owner,
    address: String,
    end: Arc<End>,
}

struct Ends {
    dialling: Arc<End>,
    accepting: Arc<End>,
    owners: [Owner; 2],
    names: (String, String),
}

/// What is left to do with the lock released.
#[derive(Default)]
#[must_use]
pub(super) struct Told {
    pub(super) accepted: Vec<(Accepted, Arc<End>)>,
    pub(super) ends: Vec<Arc<End>>,
    closed: Vec<Closed>,
    _listener: Option<Listener>,
}

impl Topology {
    pub(super) fn new_owner(&mut self) -> Owner {
        self.last_owner += 1;
        self.owners.insert(self.last_owner);
        self.last_owner
    }

    /// The name of a transport: where it listens.
    fn name_of(&self, owner: Owner) -> &str {
        let mut listeners = self.listeners.iter();
        listeners.find(|(_, it)| it.owner == owner).map_or("", |(address, _)| address.as_str())
    }

    /// False if somebody listens there already.
    pub(super) fn listen(&mut self, owner: Owner, address: &str, accepted: Accepted) -> bool {
        if self.listeners.contains_key(address) {
            return false;
        }
        self.listeners.insert(address.to_owned(), Listener { owner, accepted });
        true
    }

    /// False if the transport is shut down.
    pub(super) fn dial(&mut self, owner: Owner, address: &str, end: Arc<End>) -> bool {
        let lives = self.owners.contains(&owner);
        if lives {
            self.dials.push(Dial { owner, address: address.to_owned(), end });
        }
        lives
    }

    /// Closes one end for good, and tells the other.
    pub(super) fn close(&mut self, end: &Arc<End>) -> Told {
        self.dials.retain(|dial| !Arc::ptr_eq(&dial.end, end));
        let closed = end.close();
        let mut told = match closed.wire {
            Some(wire) => self.break_wire(wire, "closed by the other side"),
            None => Told::default(),
        };
        told.closed.push(closed);
        told
    }

    /// Connects all that want to be and can be.
    pub(super) fn establish(&mut self) -> Told {
        let mut told = Told::default();
        for at in 0..self.dials.len() {
            if self.dials[at].end.is_free() {
                self.establish_one(at, &mut told);
            }
        }
        told
    }

    fn establish_one(&mut self, at: usize, told: &mut Told) {
        let dial = &self.dials[at];
        let Some(listener) = self.listeners.get(&dial.address) else { return };
        let names = (self.name_of(dial.owner).to_owned(), dial.address.clone());
        if self.cuts.contains(&pair(&names.0, &names.1)) {
            return;
        }
        let (dialling, accepting) = (dial.end.clone(), Arc::new(End::default()));
        let owners = [dial.owner, listener.owner];
        told.accepted.push((listener.accepted.clone(), accepting.clone()));
        told.ends.push(dialling.clone());
        self.last_wire += 1;
        let id = self.last_wire;
        let back = self.losses(&names.1, &names.0);
        let there = self.losses(&names.0, &names.1);
        // The accepting end first: it must know the wire before anything can come by it.
        accepting.connect(Wire { id, other: dialling.clone(), losses: back });
        dialling.connect(Wire { id, other: accepting.clone(), losses: there });
        self.wires.insert(id, Ends { dialling, accepting, owners, names });
    }

    pub(super) fn losses(&mut self, from: &str, to: &str) -> Arc<Losses> {
        self.losses.entry((from.to_owned(), to.to_owned())).or_default().clone()
    }

    /// Ends one wire at the ends that have not closed.
    fn break_wire(&mut self, id: u64, reason: &str) -> Told {
        let mut told = Told::default();
        if let Some(ends) = self.wires.remove(&id) {
            for end in [ends.accepting, ends.dialling] {
                end.disconnect(id, reason);
                told.ends.push(end);
            }
        }
        told
    }

    pub(super) fn cut(&mut self, a: &str, b: &str) -> Told {
        self.cuts.insert(pair(a, b));
        let cut = pair(a, b);
        let ids = self.ids(|ends| pair(&ends.names.0, &ends.names.1) == cut);
        self.break_all(&ids, "the network is cut")
    }

    pub(super) fn heal(&mut self, a: &str, b: &str) -> Told {
        self.cuts.remove(&pair(a, b));
        self.establish()
    }

    /// Takes everything of one transport away; its own ends are closed and told nothing.
    pub(super) fn remove(&mut self, owner: Owner) -> Told {
        self.owners.remove(&owner);
        let address = self.name_of(owner).to_owned();
        let listener = self.listeners.remove(&address);
        let mut closed = Vec::new();
        for dial in self.dials.extract_if(.., |dial| dial.owner == owner) {
            closed.push(dial.end.close());
        }
        let ids = self.ids(|ends| ends.owners.contains(&owner));
        for ends in ids.iter().filter_map(|id| self.wires.get(id)) {
            if ends.owners[1] == owner {
                closed.push(ends.accepting.close());
            }
        }
        let ends = self.break_all(&ids, "the other side has shut down").ends;
        Told { ends, closed, _listener: listener, ..Told::default() }
    }

    fn ids(&self, which: impl Fn(&Ends) -> bool) -> Vec<u64> {
        self.wires.iter().filter(|(_, ends)| which(ends)).map(|(id, _)| *id).collect()
    }

    fn break_all(&mut self, ids: &[u64], reason: &str) -> Told {
        let mut told = Told::default();
        ids.iter().for_each(|id| told.ends.extend(self.break_wire(*id, reason).ends));
        told
    }
}

/// The two in one order, whoever is named first.
fn pair(a: &str, b: &str) -> (String, String) {
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    (a.to_owned(), b.to_owned())
}
