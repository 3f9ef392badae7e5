//! A disk that is full: nothing is acknowledged, the node stays, and goes on as soon as there is room.

use std::fs;

use skiff::Outcome;

use crate::{
    common::path,
    history::History,
    mounted::{Ballast, Mounted, PAGE},
    nodes::Nodes,
};

/// How long a segment of the log is made.
const SEGMENT: u64 = 16 << 20;
/// So large values fill a segment with few writes.
const VALUE: usize = 900_000;

/// Nodes of which one has a small disk.
struct Small {
    nodes: Nodes,
    history: History,
    disk: Mounted,
    /// Outlives what is mounted in it.
    _folder: tempfile::TempDir,
}

impl Small {
    /// The first of so many nodes has a disk with room for so many segments.
    fn new(count: usize, segments: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Mounted::tmpfs(&folder.path().join("disk"), segments * SEGMENT + (1 << 20))?;
        let mut nodes = Nodes::new(count);
        nodes.keep_in(0, disk.path().join("data"));
        (0..count).for_each(|node| nodes.start(node));
        nodes.leader();
        Some(Self { nodes, history: History::of_values(VALUE), disk, _folder: folder })
    }

    /// Leaves so much room and writes until that is too little.
    fn write_until_full(&mut self, room: u64) -> (Ballast, skiff::CommandError) {
        let ballast = self.disk.fill_but(room);
        let most = SEGMENT / u64::try_from(VALUE).unwrap() + 1;
        let put = |number| self.nodes.put(&self.history, &format!("key-{number}")).err();
        let refused = (0..most).find_map(put).expect("a segment must be full by now");
        (ballast, refused)
    }

    fn says_what_to_do(&mut self) {
        let dir = path(self.nodes.dir(0)).to_owned();
        let server = self.nodes.server(0);
        server
            .hear(&format!("no space left for the log in {dir}: make room, the node then goes on"));
        assert!(server.runs());
    }
}

/// The next segment lacks all of its bytes, some, or the last page.
#[test]
fn a_full_disk_refuses_and_the_node_goes_on_when_there_is_room() {
    for room in [0, 5 << 20, SEGMENT - PAGE] {
        let Some(mut small) = Small::new(1, 2) else { return };
        let (ballast, _refused) = small.write_until_full(room);
        small.says_what_to_do();
        assert!(small.nodes.put(&small.history, "while-full").is_err());
        assert!(small.nodes.server(0).runs());
        ballast.remove();
        small.nodes.server(0).hear("there is room for the log again");
        small.nodes.leader();
        small.nodes.put(&small.history, "after").unwrap();
        small.nodes.check(&small.history);
        small.nodes.kill(0);
        small.nodes.start(0);
        small.nodes.check(&small.history);
    }
}

#[test]
fn a_full_disk_that_is_killed_and_started_full_loses_nothing() {
    let Some(mut small) = Small::new(1, 2) else { return };
    let (ballast, _refused) = small.write_until_full(0);
    small.nodes.kill(0);
    small.nodes.start(0);
    let server = small.nodes.server(0);
    server.hear("no space left");
    assert_eq!(server.ended().code(), Some(1));
    ballast.remove();
    small.nodes.start(0);
    small.nodes.leader();
    small.nodes.put(&small.history, "after").unwrap();
    small.nodes.check(&small.history);
}

#[test]
fn a_full_disk_is_named_to_the_caller_and_nothing_was_written() {
    let Some(mut small) = Small::new(1, 2) else { return };
    let (_ballast, _refused) = small.write_until_full(0);
    let refused = small.nodes.put(&small.history, "while-full").unwrap_err();
    assert!(refused.to_string().contains("no space left"), "{refused}");
    assert_eq!(refused.outcome(), Outcome::NotApplied, "{refused}");
}

/// The next segment does not fit, whether the node leads or follows: then it steps down.
#[test]
fn a_cluster_goes_on_while_the_disk_of_one_node_is_full() {
    let Some(small) = Small::new(3, 4) else { return };
    goes_on(small, 5 << 20);
}

/// It has less than is kept in reserve, but it is not the one that takes commands.
#[test]
fn a_cluster_goes_on_while_a_follower_has_no_room_at_all() {
    let Some(mut small) = Small::new(3, 4) else { return };
    if small.nodes.leader() == 0 {
        small.nodes.kill(0);
        assert_ne!(small.nodes.leader(), 0);
        small.nodes.start(0);
        small.nodes.check(&small.history);
    }
    goes_on(small, 0);
}

fn goes_on(mut small: Small, room: u64) {
    let ballast = small.disk.fill_but(room);
    // Two segments of the others, and more.
    for number in 0..40 {
        let _as_noted = small.nodes.put(&small.history, &format!("key-{number}"));
    }
    small.says_what_to_do();
    let acknowledged = small.history.now().acknowledged();
    assert!(acknowledged >= 35, "{acknowledged} of 40");
    ballast.remove();
    small.nodes.check_that_all_agree(&small.history);
    assert!(fs::exists(small.nodes.dir(0)).unwrap());
}
