//! Connections between the nodes of a world.

use std::collections::{BTreeMap, BTreeSet};

use skiff_replica::LinkId;

pub(crate) type End = (String, LinkId);

#[derive(Default)]
pub(crate) struct Network {
    connections: BTreeMap<u64, [End; 2]>,
    ends: BTreeMap<End, u64>,
    /// Where each dialled link leads.
    addresses: BTreeMap<End, String>,
    cuts: BTreeSet<[String; 2]>,
    aliases: BTreeMap<String, String>,
    count: u64,
}

impl Network {
    pub(crate) fn alias(&mut self, address: &str, name: &str) {
        self.aliases.insert(address.to_owned(), name.to_owned());
    }

    /// The node at an address; its own address is its name with a port.
    pub(crate) fn resolve(&self, address: &str) -> String {
        let own = address.strip_suffix(":1").unwrap_or(address).to_owned();
        self.aliases.get(address).cloned().unwrap_or(own)
    }

    pub(crate) fn connect(&mut self, from: (&str, LinkId, &str), to: (&str, LinkId)) {
        self.count += 1;
        let ends = [(from.0.to_owned(), from.1), (to.0.to_owned(), to.1)];
        self.addresses.insert(ends[0].clone(), from.2.to_owned());
        for end in &ends {
            self.ends.insert(end.clone(), self.count);
        }
        self.connections.insert(self.count, ends);
    }

    pub(crate) fn address_of(&self, name: &str, link: LinkId) -> Option<String> {
        self.addresses.get(&(name.to_owned(), link)).cloned()
    }

    /// The connection of a link, and its other end.
    pub(crate) fn other(&self, name: &str, link: LinkId) -> Option<(u64, End)> {
        let connection = *self.ends.get(&(name.to_owned(), link))?;
        let ends = self.connections.get(&connection)?;
        let other = ends.iter().find(|end| *end != &(name.to_owned(), link))?;
        Some((connection, other.clone()))
    }

    /// Whether a connection still stands.
    pub(crate) fn stands(&self, connection: u64) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Closes a connection; returns the other end.
    pub(crate) fn close(&mut self, name: &str, link: LinkId) -> Option<End> {
        let connection = self.ends.get(&(name.to_owned(), link)).copied()?;
        let ends = self.drop_connection(connection)?;
        ends.into_iter().find(|end| *end != (name.to_owned(), link))
    }

    /// A node is gone: returns the other ends of all its connections.
    pub(crate) fn drop_node(&mut self, name: &str) -> Vec<End> {
        let its = |ends: &[End; 2]| ends.iter().any(|end| end.0 == name);
        self.drop_all(its).into_iter().filter(|end| end.0 != name).collect()
    }

    /// Nothing passes between these any more: returns the ends of what stood.
    pub(crate) fn cut(&mut self, one: &str, other: &str) -> Vec<End> {
        self.cuts.insert(pair(one, other));
        let between = pair(one, other);
        self.drop_all(|ends| pair(&ends[0].0, &ends[1].0) == between)
    }

    pub(crate) fn heal(&mut self, one: &str, other: &str) {
        self.cuts.remove(&pair(one, other));
    }

    pub(crate) fn is_cut(&self, one: &str, other: &str) -> bool {
        self.cuts.contains(&pair(one, other))
    }

    fn drop_all(&mut self, which: impl Fn(&[End; 2]) -> bool) -> Vec<End> {
        let all = self.connections.iter().filter(|(_, ends)| which(ends));
        let all: Vec<u64> = all.map(|(connection, _)| *connection).collect();
        all.into_iter().filter_map(|one| self.drop_connection(one)).flatten().collect()
    }

    fn drop_connection(&mut self, connection: u64) -> Option<[End; 2]> {
        let ends = self.connections.remove(&connection)?;
        for end in &ends {
            self.ends.remove(end);
        }
        Some(ends)
    }
}

fn pair(one: &str, other: &str) -> [String; 2] {
    let mut pair = [one.to_owned(), other.to_owned()];
    pair.sort();
    pair
}
