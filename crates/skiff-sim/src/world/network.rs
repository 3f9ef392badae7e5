//! Connections between nodes, and what stands between them.

use skiff_replica::LinkId;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) node: usize,
    pub(crate) link: LinkId,
}

/// The way from one node to another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// How many cuts are in the way.
    cuts: u32,
    /// Nothing arrives before.
    pub(crate) clogged_until: u64,
    /// When the last envelope that may not be overtaken arrives.
    pub(crate) last_arrival: u64,
}

#[derive(Debug)]
pub(crate) struct Network {
    nodes: usize,
    ways: Vec<Way>,
    /// By number; ended ones are `None`.
    connections: Vec<Option<[End; 2]>>,
    /// Of each node: its links with their connections.
    ends: Vec<Vec<(LinkId, u32)>>,
}

impl Network {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            nodes,
            ways: vec![Way::default(); nodes * nodes],
            connections: Vec::new(),
            ends: vec![Vec::new(); nodes],
        }
    }

    pub(crate) fn way(&mut self, from: usize, to: usize) -> &mut Way {
        &mut self.ways[from * self.nodes + to]
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.ways[from * self.nodes + to].cuts > 0
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.way(from, to).cuts += 1;
    }

    pub(crate) fn mend(&mut self, from: usize, to: usize) {
        let way = self.way(from, to);
        way.cuts = way.cuts.saturating_sub(1);
    }

    /// Nothing stands between any nodes any more.
    pub(crate) fn mend_all(&mut self) {
        for way in &mut self.ways {
            way.cuts = 0;
            way.clogged_until = 0;
        }
    }

    /// When the last message arrives of those that were sent so far.
    pub(crate) fn last_arrival(&self) -> u64 {
        self.ways.iter().map(|way| way.last_arrival).max().unwrap_or(0)
    }

    pub(crate) fn connect(&mut self, one: End, other: End) -> u32 {
        let number = u32::try_from(self.connections.len()).unwrap_or(u32::MAX);
        self.connections.push(Some([one, other]));
        for end in [one, other] {
            self.ends[end.node].push((end.link, number));
        }
        number
    }

    /// The connection of a link, and its other end.
    pub(crate) fn other(&self, node: usize, link: LinkId) -> Option<(u32, End)> {
        let (_, number) = self.ends[node].iter().find(|(one, _)| *one == link)?;
        let [one, other] = self.connections[*number as usize]?;
        let is_one = one.node == node && one.link == link;
        Some((*number, if is_one { other } else { one }))
    }

    pub(crate) fn stands(&self, connection: u32) -> bool {
        self.connections[connection as usize].is_some()
    }

    /// Ends the connection of a link; returns its other end.
    pub(crate) fn close(&mut self, node: usize, link: LinkId) -> Option<End> {
        let (number, other) = self.other(node, link)?;
        self.end(number);
        Some(other)
    }

    /// Ends all connections of a node; returns their other ends.
    pub(crate) fn drop_node(&mut self, node: usize) -> Vec<End> {
        let links: Vec<LinkId> = self.ends[node].iter().map(|(link, _)| *link).collect();
        links.into_iter().filter_map(|link| self.close(node, link)).collect()
    }

    /// Ends the connections between two nodes; returns all ends.
    pub(crate) fn break_between(&mut self, one: usize, other: usize) -> Vec<End> {
        let numbers: Vec<u32> = self.ends[one].iter().map(|(_, number)| *number).collect();
        let mut ended = Vec::new();
        for number in numbers {
            if let Some(ends) = self.connections[number as usize]
                && ends.iter().any(|end| end.node == other)
            {
                self.end(number);
                ended.extend(ends);
            }
        }
        ended
    }

    fn end(&mut self, number: u32) {
        for end in self.connections[number as usize].take().into_iter().flatten() {
            self.ends[end.node].retain(|(_, one)| *one != number);
        }
    }
}
