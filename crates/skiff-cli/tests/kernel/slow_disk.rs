//! A disk that takes its time: two seconds for each sync.

use std::time::{Duration, Instant};

use crate::{common::PATIENCE, history::History, means::can_trace, nodes::Nodes, traced::Attached};

const SLOW: &str = "fdatasync:delay_exit=2000000";
/// More than could be written in the time there is, if each waited for that disk.
const WRITES: usize = 40;

/// Writes while the disk of one node is slow: of the one that leads, or of another.
fn serves_while_one_is_slow(of_leader: bool) {
    if !can_trace() {
        return;
    }
    let history = History::new();
    let mut nodes = Nodes::formed(3);
    nodes.put(&history, "before").unwrap();
    let leader = nodes.leader();
    let slow = if of_leader { leader } else { (leader + 1) % 3 };
    let Some(attached) = Attached::to(nodes.server(slow).pid(), SLOW) else { return };
    let end = Instant::now() + PATIENCE;
    let mut written = 0;
    for number in 0.. {
        assert!(Instant::now() < end, "only {written} writes were acknowledged");
        written += usize::from(nodes.put(&history, &format!("key-{number}")).is_ok());
        if written == WRITES {
            break;
        }
    }
    assert!(Duration::from_secs(2) * u32::try_from(WRITES).unwrap() > PATIENCE);
    assert!(nodes.server(slow).runs());
    let told = attached.leave();
    assert!(told.contains("(DELAYED)"), "no sync was late: {told}");
    nodes.check_that_all_agree(&history);
}

#[test]
fn a_cluster_serves_while_the_disk_of_a_follower_is_slow() {
    serves_while_one_is_slow(false);
}

#[test]
fn a_cluster_serves_while_the_disk_of_its_leader_is_slow() {
    serves_while_one_is_slow(true);
}
