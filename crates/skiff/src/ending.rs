//! How long the end of a node may take. Whoever waits for it waits longer than all of it together.

use std::time::Duration;

use skiff_replica::LEAVING_TIMEOUTS;

use crate::options::Options;

/// At the end, snapshots that are being written are waited for no longer than this.
pub(crate) const SNAPSHOTS_END: Duration = Duration::from_secs(5);
/// A machine that is durable by itself is waited for no longer than this: it makes its last mark.
pub(crate) const MACHINE_END: Duration = Duration::from_secs(30);
/// What else there is to do takes moments, unless a disk hangs.
const REST: Duration = Duration::from_secs(5);

/// So long [`Node::stop`](crate::Node::stop) waits.
pub(crate) fn stop_timeout(options: &Options, keeps_marks: bool) -> Duration {
    let leaving = options.max_election_timeout.saturating_mul(LEAVING_TIMEOUTS);
    let machine = if keeps_marks { MACHINE_END } else { Duration::ZERO };
    leaving.saturating_add(SNAPSHOTS_END + REST + machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_stops_a_node_waits_for_all_that_it_waits_for() {
        let slow = Options { max_election_timeout: Duration::from_secs(3), ..Options::default() };
        for options in [Options::default(), slow] {
            let leaving = 5 * options.max_election_timeout;
            assert!(stop_timeout(&options, false) > leaving + SNAPSHOTS_END);
            assert!(stop_timeout(&options, true) > leaving + SNAPSHOTS_END + MACHINE_END);
        }
    }
}
