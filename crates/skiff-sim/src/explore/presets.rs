//! The searches that are made again and again.

use skiff_replica::core::Options;

use super::bounds::Bounds;

impl Bounds {
    /// All searches worth making: minutes.
    #[must_use]
    pub fn full() -> Vec<Self> {
        vec![
            Self { max_slow_writes: 1, max_crashes: 1, ..elections(3) },
            Self { max_commands: 1, ..replication() },
            with_all_rules(),
        ]
    }

    /// Small ones, for a quick look: seconds.
    #[must_use]
    pub fn smoke() -> Vec<Self> {
        vec![Self { max_slow_writes: 1, max_crashes: 1, ..elections(2) }, replication()]
    }
}

/// So many terms, and an election timeout for each.
fn elections(terms: u8) -> Bounds {
    Bounds { name: "elections", max_term: u64::from(terms), max_timeouts: terms, ..Bounds::calm() }
}

/// One leader and what it replicates, while messages are lost, late or repeated.
fn replication() -> Bounds {
    Bounds {
        name: "replication",
        max_timeouts: 1,
        max_commands: 2,
        max_messages: 2,
        ..Bounds::calm()
    }
}

/// Elections with everything switched on that makes them rarer.
fn with_all_rules() -> Bounds {
    Bounds {
        name: "all rules",
        options: Options::default(),
        max_term: 2,
        max_timeouts: 3,
        ..Bounds::calm()
    }
}
